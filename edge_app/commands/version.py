"""``echogfr version`` and ``echogfr --version``: what is installed, and what would run."""

from __future__ import annotations

import typer

from edge_app.commands.options import (
    CaOption,
    FallbackOption,
    PrecisionOption,
    RuntimeOption,
    UrlOption,
    model_plan,
)


def version(
    runtime: RuntimeOption = None,
    precision: PrecisionOption = None,
    triton_url: UrlOption = None,
    triton_ca: CaOption = None,
    fallback: FallbackOption = None,
) -> None:
    """Say what is installed, and what would run the model and why."""
    from edge_app.doctor import version_report
    from edge_app.settings import load_settings

    settings = load_settings(
        runtime=runtime, precision=precision, triton_url=triton_url, triton_ca=triton_ca, fallback=fallback
    )
    for line in version_report(model_plan(settings)):
        typer.echo(line)
