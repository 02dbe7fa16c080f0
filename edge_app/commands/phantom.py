"""``echogfr phantom``: a data set of synthetic patients."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def phantom(
    patients: Annotated[int, typer.Option(min=1, help="How many synthetic patients.")],
    out: Annotated[Path, typer.Option(help="Folder of the data set; must not exist yet.")],
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same data set.")] = 1,
    frames: Annotated[int, typer.Option(min=0, max=2, help="Whole screens to keep of each patient.")] = 0,
    sectors: Annotated[
        int, typer.Option(min=0, max=20, help="Pictures of the sector with the kidney's mask, for a localizer.")
    ] = 0,
) -> None:
    """Write a data set of synthetic patients with known truth."""
    from edge_app.atomic import explained
    from edge_app.capture.phantom import DatasetPlan, write_dataset
    from edge_app.progress import dataset_progress

    with explained(out), dataset_progress() as progress:
        done = write_dataset(
            DatasetPlan(patients=patients, out=out, seed=seed, frames=frames, sectors=sectors), progress
        )
    typer.echo(f"{done.patients} patients, {done.frames} frames and {done.crops} crops in {done.out}")
