"""Options that every conversion has, and what it says when it is done."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from convert.terminal import out
from engines.manifest import BundleManifest

Without = Annotated[list[str] | None, typer.Option(help="Leave out fp16, int8-cpu or int8-tensorrt.")]
SeparateMembers = Annotated[
    bool, typer.Option("--separate-members", help="One artifact a member, for devices that cannot hold all.")
]
NoSensitivity = Annotated[
    bool, typer.Option("--no-sensitivity", help="Refuse INT8 beyond its limits at once: leave no layer in float.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace a bundle that exists.")]


def say_written(target: Path, manifest: BundleManifest) -> None:
    """Print where the bundle lies and what it is."""
    made = f"{manifest.title}, {len(manifest.artifacts)} artifacts"
    out.print(f"Written: {target} ({made}).", soft_wrap=True, markup=False, highlight=False)
