"""``echogfr doctor``: whether this machine can do what the app needs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from edge_app.commands.addon import InstallGpuOption, RemoveGpuOption, RestoreGpuOption, change_addon
from edge_app.commands.options import (
    BundleOption,
    CaOption,
    PrecisionOption,
    RuntimeOption,
    UrlOption,
    model_plan,
)
from engines.errors import UsageError

SelfTestOption = Annotated[
    bool,
    typer.Option("--self-test", help="Run the golden vectors on every runtime and precision here, and time them."),
]
OutOption = Annotated[Path | None, typer.Option(help="With --self-test: write the report there, as JSON.")]


def doctor(
    self_test: SelfTestOption = False,
    bundle: BundleOption = None,
    runtime: RuntimeOption = None,
    precision: PrecisionOption = None,
    triton_url: UrlOption = None,
    triton_ca: CaOption = None,
    out: OutOption = None,
    install_gpu: InstallGpuOption = None,
    remove_gpu: RemoveGpuOption = False,
    restore_gpu: RestoreGpuOption = False,
) -> None:
    """Check this machine: runtimes, bundle, display, DICOM, shared memory; and the server, where one is named.

    Exit code 1 if something needed fails.
    """
    change_addon(install_gpu, remove_gpu, restore_gpu)
    if self_test:
        return _self_test(bundle, out)
    if out:
        raise UsageError("--out cannot be used", "it goes with the self-test", "add --self-test")
    from edge_app.doctor import examine
    from edge_app.settings import load_settings
    from edge_app.summary import print_findings

    settings = load_settings(
        bundle=bundle, runtime=runtime, precision=precision, triton_url=triton_url, triton_ca=triton_ca
    )
    findings = examine(replace(model_plan(settings), fallback=None))  # a server that is away must not look well
    print_findings(findings)
    if any(finding.needed and not finding.good for finding in findings):
        raise typer.Exit(1)


def _self_test(bundle: Path | None, out: Path | None) -> None:
    from edge_app.atomic import check_writable
    from edge_app.bundles import bundle_path
    from edge_app.progress import counted_progress
    from edge_app.self_test import examine_runtimes, write_report
    from edge_app.summary import print_self_test
    from engines.bundle import open_bundle

    if out is not None:
        check_writable(out)
    opened = open_bundle(bundle_path(bundle))
    with counted_progress("runtimes") as advance:
        report = examine_runtimes(opened, advance)
    print_self_test(report)
    if out is not None:
        write_report(report, out)
        typer.echo(f"Written: {out}. It names no person, no computer and no folder: you may send it.")
    if not report.passed:
        raise typer.Exit(1)
