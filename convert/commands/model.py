"""``echogfr-convert model``: any classifier or regressor that a recipe describes, into a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from convert.commands.options import Force, NoSensitivity, SeparateMembers, Without, say_written
from convert.extras import convert_libraries
from convert.plan import choose_artifacts
from convert.terminal import bars, boundary
from engines.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(model)


def model(
    recipe: Annotated[Path | None, typer.Argument(help="A TOML file that says what the weights are.")] = None,
    crops: Annotated[Path | None, typer.Option(help="At least 200 crops of your own: see docs/calibration.md.")] = None,
    target: Annotated[Path | None, typer.Option("--out", help="Where the bundle will lie.")] = None,
    example: Annotated[
        str | None, typer.Option(metavar="FAMILY", help="Print a recipe for torchvision, repvgg or onnx, and stop.")
    ] = None,
    without: Without = None,
    separate_members: SeparateMembers = False,
    no_sensitivity: NoSensitivity = False,
    force: Force = False,
) -> None:
    """Convert weights of torchvision, RepVGG or an ONNX file by a recipe, and write their bundle."""
    cancelled = None if target is None else f"Cancelled: {target.absolute()} is as it was."
    with boundary(cancelled), convert_libraries("The model cannot be converted"):
        if example is not None:
            from convert.sources.example import example as example_of

            typer.echo(example_of(example), nl=False)
            return
        if recipe is None or crops is None or target is None:
            lacking = "no recipe" if recipe is None else "no crops" if crops is None else "no place for the bundle"
            cure = "give RECIPE, --crops and --out, or see --example torchvision"
            raise UsageError("The model cannot be converted", f"{lacking} was named", cure)
        chosen = choose_artifacts(without or [])
        from convert.sources.build import ModelPlan, build_model

        plan = ModelPlan(
            recipe=recipe,
            crops=crops,
            bundle=target.absolute(),
            force=force,
            artifacts=chosen,
            separate_members=separate_members,
            sensitivity=not no_sensitivity,
        )
        with bars() as progress:
            manifest = build_model(plan, progress)
        say_written(plan.bundle, manifest)
