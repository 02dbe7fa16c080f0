"""Checks and small helpers that every source on disk shares."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_app.capture.base import SourceError


def require_file(path: Path, cure: str = "check the path") -> None:
    """Raise ``SourceError`` unless ``path`` is a readable file that holds something."""
    what = f"{path} cannot be opened"
    if path.is_dir():
        raise SourceError(what, "it is a folder", "give a file, or write folder: before the path")
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except FileNotFoundError:
        raise SourceError(what, "there is no such file", cure) from None
    except OSError as error:
        raise SourceError(what, error.strerror or "it cannot be read", cure) from error
    if empty:
        raise SourceError(what, "the file is empty", "copy or export it again")


def frozen(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return contiguous pixels that nobody can write to any more."""
    pixels = np.ascontiguousarray(pixels)
    pixels.setflags(write=False)
    return pixels
