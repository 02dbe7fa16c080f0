"""The bundle that ships with the app: where it lies."""

from __future__ import annotations

from pathlib import Path

SHIPPED = Path(__file__).resolve().parent / "synthetic-standin"


def bundle_path(asked: Path | str | None) -> Path:
    """Return the bundle's directory: the one asked for, or else the synthetic stand-in that ships with the app.

    It is not opened here: ``engines.bundle.open_bundle`` says what is wrong with it.
    """
    return SHIPPED if asked is None else Path(asked).expanduser()
