"""Layout: a fingerprint of the screen around the image, by which one scanner with one preset is known again.

Only where something is drawn counts, in coarse cells, never what: another name, date or value leaves it alike, and
nothing that was read can be got back from it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

GRID = (16, 12)
"""Cells across and down."""

STROKE = 24  # grey levels between neighbours: something is drawn
DRAWN = 0.03  # of a cell
OUTSIDE = 0.6  # of a cell must lie outside the image for the cell to say anything
FEWEST = 5  # drawn cells that two layouts must share
SAME = 0.66  # of the cells that are drawn in either
ASPECT = 0.02  # relative difference of width to height


def fingerprint(grey: NDArray[np.uint8], inside: NDArray[np.bool_] | None) -> str | None:
    """Return the fingerprint of a small grey picture uint8 (h, w), or None where too little is drawn around the image.

    ``inside`` is the mask of all images, bool (h, w); None where there are none.
    """
    kernel = np.ones((3, 3), np.uint8)
    spread = cv2.subtract(cv2.dilate(grey, kernel), cv2.erode(grey, kernel))
    around = np.ones(grey.shape, np.float32) if inside is None else (~inside).astype(np.float32)
    strokes = (spread > STROKE).astype(np.float32) * around
    drawn = cv2.resize(strokes, GRID, interpolation=cv2.INTER_AREA) > DRAWN
    known = cv2.resize(around, GRID, interpolation=cv2.INTER_AREA) > OUTSIDE
    if int(np.count_nonzero(drawn & known)) < FEWEST:
        return None
    return f"{grey.shape[1] / grey.shape[0]:.3f}-{_hex(known)}-{_hex(drawn & known)}"


def alike(one: str, other: str) -> bool:
    """Whether two fingerprints are of one layout."""
    a, b = _read(one), _read(other)
    if a is None or b is None or abs(a.aspect - b.aspect) > ASPECT * a.aspect:
        return False
    known = a.known & b.known
    both, either = (a.drawn & b.drawn & known).bit_count(), ((a.drawn | b.drawn) & known).bit_count()
    return both >= FEWEST and both >= SAME * either


@dataclass(frozen=True, slots=True)
class _Cells:
    aspect: float
    known: int
    drawn: int


def _hex(cells: NDArray[np.bool_]) -> str:
    return np.packbits(cells.ravel()).tobytes().hex()


def _read(text: str) -> _Cells | None:
    parts = text.split("-")
    try:
        return _Cells(float(parts[0]), int(parts[1], 16), int(parts[2], 16)) if len(parts) == 3 else None
    except ValueError:
        return None
