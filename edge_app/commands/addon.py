"""``echogfr doctor --install-gpu``, ``--remove-gpu`` and ``--restore-gpu``: NVIDIA's libraries from a local folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engines.errors import UsageError

InstallGpuOption = Annotated[
    Path | None,
    typer.Option(
        "--install-gpu",
        metavar="FOLDER",
        help="Install NVIDIA's libraries for the GPU from a folder of wheels, without a network, then check.",
        show_default=False,
    ),
]
RemoveGpuOption = Annotated[bool, typer.Option("--remove-gpu", help="Take the GPU add-on away, then check.")]
RestoreGpuOption = Annotated[bool, typer.Option("--restore-gpu", help="Take the GPU add-on before it, then check.")]


def change_addon(install: Path | None, remove: bool, restore: bool) -> None:
    """Do what was asked of the GPU add-on and say what was done; nothing where nothing was asked.

    Raises
    ------
    UsageError
        Two things were asked at once, or it cannot be done.
    """
    if (install is not None) + remove + restore > 1:
        asked = "--install-gpu, --remove-gpu and --restore-gpu"
        raise UsageError("The GPU add-on cannot be changed", f"{asked} are one thing each", "give one of them")
    if install is not None:
        _install(install)
    elif remove:
        _remove()
    elif restore:
        _restore()


def _install(folder: Path) -> None:
    from edge_app.addon.install import install_addon
    from edge_app.progress import byte_progress

    with byte_progress() as advance:
        slot, found = install_addon(folder, advance)
    for wheel in found.aside:
        typer.echo(f"Left aside: {wheel.path.name}")
    typer.echo(f"GPU add-on installed: {slot.told}.")


def _remove() -> None:
    from edge_app.addon.install import remove_addon

    typer.echo(f"GPU add-on removed from {remove_addon()}.")


def _restore() -> None:
    from edge_app.addon.install import restore_addon

    typer.echo(f"GPU add-on now: {restore_addon().told}.")
