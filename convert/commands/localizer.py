"""``echogfr-convert localizer``: the synthetic network that proposes the poles, into a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from convert.commands.options import Force, say_written
from convert.extras import convert_libraries
from convert.terminal import bars, boundary


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(localizer)


def localizer(
    dataset: Annotated[Path, typer.Argument(help="A data set of echogfr phantom --sectors 6.")],
    target: Annotated[Path, typer.Option("--out", help="Where the bundle will lie.")],
    epochs: Annotated[int, typer.Option(min=1, max=500, help="Epochs of the training.")] = 16,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same data: same weights.")] = 2019,
    without_int8: Annotated[bool, typer.Option("--without-int8", help="Leave INT8 out.")] = False,
    force: Force = False,
) -> None:
    """Train the SYNTHETIC localizer, which proposes the poles, on a phantom data set and write its bundle."""
    cancelled = f"Cancelled: {target.absolute()} is as it was."
    with boundary(cancelled), convert_libraries("The localizer cannot be trained"):
        from convert.localizer.build import LocalizerPlan, build_localizer
        from convert.localizer.train import LocalizerTraining

        training = LocalizerTraining(epochs=epochs, seed=seed)
        plan = LocalizerPlan(dataset, target.absolute(), force, training, int8=not without_int8)
        with bars() as progress:
            manifest = build_localizer(plan, progress)
        say_written(plan.bundle, manifest)
