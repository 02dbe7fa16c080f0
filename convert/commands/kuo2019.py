"""``echogfr-convert kuo2019``: the published weights of Kuo 2019, as they are, into a bundle."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from convert.commands.options import Force, NoSensitivity, SeparateMembers, Without, say_written
from convert.extras import convert_libraries
from convert.plan import choose_artifacts
from convert.terminal import bars, boundary, out
from engines.manifest import BundleManifest


class Mode(str, Enum):
    """How the crops were cut: ``engines.manifest.CropMode`` for the terminal."""

    square = "square"
    legacy_tight = "legacy_tight"


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(kuo2019)


def kuo2019(
    models: Annotated[Path, typer.Argument(help="The published folder: model_0.pkl, xgb_0.pickle.dat and so on.")],
    crops: Annotated[Path, typer.Option(help="At least 200 crops of your own: pictures, or labels.csv and crops/.")],
    target: Annotated[Path, typer.Option("--out", help="Where the bundle will lie.")],
    members: Annotated[int | None, typer.Option(help="Use the first so many; default: all that are there.")] = None,
    crop_mode: Annotated[Mode, typer.Option(help="How the crops were cut, and how the app will cut.")] = Mode.square,
    flip_polarity: Annotated[
        bool, typer.Option("--flip-polarity", help="Class 1 of these trees is eGFR >= 60: answer 1 - p.")
    ] = False,
    without: Without = None,
    separate_members: SeparateMembers = False,
    no_sensitivity: NoSensitivity = False,
    force: Force = False,
) -> None:
    """Convert the published weights of Kuo 2019 and write their bundle; nothing in the files is run."""
    target = target.absolute()
    with (
        boundary(f"Cancelled: {target} is as it was."),
        convert_libraries("The published weights cannot be converted"),
    ):
        chosen = choose_artifacts(without or [])
        from convert.kuo.build import KuoPlan, build_kuo

        plan = KuoPlan(
            models=models,
            crops=crops,
            bundle=target,
            members=members,
            force=force,
            flip_polarity=flip_polarity,
            crop_mode=crop_mode.value,
            artifacts=chosen,
            separate_members=separate_members,
            sensitivity=not no_sensitivity,
        )
        with bars() as progress:
            manifest = build_kuo(plan, progress)
        say_written(target, manifest)
        _say_interval(manifest)


def _say_interval(manifest: BundleManifest) -> None:
    if manifest.egfr is not None and manifest.egfr.interval is not None:
        spec = manifest.egfr.interval
        interval = f"{100 * spec.level:.0f} % interval: {spec.basis}."
        out.print(interval, soft_wrap=True, markup=False, highlight=False)
