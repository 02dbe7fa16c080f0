"""Crop geometry and resize: the model's input contract, and the only preprocessing there is.

Points are pixel coordinates (x, y) with pixel centres at integers. A box holds pixel *edges*: pixel
``i`` covers ``i`` to ``i + 1`` on that axis, so ``x0 = 0, x1 = W`` is the full width of a picture, and
a point ``p`` lies at the edge coordinate ``p + 0.5``.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, hypot, isfinite

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.errors import TensorMismatchError, UsageError
from engines.manifest import CropMode

MIN_DISTANCE_PX = 8.0  # closer markers are one marker seen twice
MAX_SIDE_PX = 16384  # of a box; larger than any screen, small enough to allocate
MARKER_EXTENT = 0.045  # arm to arm of one marker / distance of the two: 12/290 px and 18/314 px measured
LEGACY_HEIGHT = 1.05  # height / diagonal of the annotation
MIN_LEGACY_ASPECT = 0.5  # width / height; the five known samples lie at 0.88 to 0.95

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class CropBox:
    """A rectangle in pixel-edge coordinates; it may reach beyond the picture."""

    x0: float
    y0: float
    x1: float
    y1: float
    mode: CropMode

    @property
    def width(self) -> float:
        """Width, pixels."""
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        """Height, pixels."""
        return self.y1 - self.y0


def crop_box(first: Point, second: Point, mode: CropMode, factor: float = 1.0) -> CropBox:
    """Return the box that the model reads, from the two length markers (the order does not matter).

    ``square``: side ``factor`` x the distance of the markers, centred on their midpoint (Kuo et al.
    2019, "tailored crop"; the figure of the authors' page shows 1.05 x).

    ``legacy_tight``: what the released samples show instead (measured on all five: 293x320, 332x352,
    294x308, 327x368, 281x314). Width: the tight horizontal extent of the drawn annotation, that is of
    the markers with their arms; height: 1.05 x the diagonal of that annotation; both centred on the
    midpoint (vertical centre within 6 px in the samples), then squashed to the model's square.
    ``factor`` scales both sides.

    Parameters
    ----------
    first, second : tuple of float
        Centres of the markers, (x, y), pixels.
    mode : {"square", "legacy_tight"}
        As the bundle's manifest says.
    factor : float
        Scale of the box, > 0.

    Raises
    ------
    UsageError
        The mode is ``sector``, which has no markers (see ``engines.square``). The markers are not finite,
        closer than 8 px, or, for ``legacy_tight``, so steep that the box
        would be less than half as wide as high.
    """
    if mode == "sector":
        raise UsageError("The crop cannot be placed", "the model looks at the whole sector", "use it as a localizer")
    dx, dy = abs(second[0] - first[0]), abs(second[1] - first[1])
    distance = hypot(dx, dy)
    if not (isfinite(distance) and isfinite(factor) and factor > 0):
        raise UsageError("The crop cannot be placed", "a marker or the factor is not a number", "place both markers")
    if distance < MIN_DISTANCE_PX:
        raise UsageError(
            "The crop cannot be placed",
            f"the two markers are {distance:.1f} px apart and at least {MIN_DISTANCE_PX:.0f} px are needed",
            "put one marker on each end of the kidney",
        )
    width, height = (distance, distance) if mode == "square" else _legacy_size(dx, dy, distance)
    centre = ((first[0] + second[0]) / 2 + 0.5, (first[1] + second[1]) / 2 + 0.5)
    return _centred(centre, width * factor, height * factor, mode)


def _legacy_size(dx: float, dy: float, distance: float) -> tuple[float, float]:
    arms = MARKER_EXTENT * distance
    width = dx + arms
    height = LEGACY_HEIGHT * hypot(width, dy + arms)
    if width < MIN_LEGACY_ASPECT * height:
        raise UsageError(
            "The crop cannot be placed",
            "the two markers stand almost above each other and this model was made for kidneys that lie",
            "turn the probe until the kidney lies across the picture",
        )
    return width, height


def _centred(centre: Point, width: float, height: float, mode: CropMode) -> CropBox:
    x, y = centre
    return CropBox(x - width / 2, y - height / 2, x + width / 2, y + height / 2, mode)


def extract(pixels: NDArray[np.uint8], box: CropBox, height: int, width: int) -> NDArray[np.uint8]:
    """Cut a box out of a picture and resize it to what the model reads.

    The corner and the size of the box are rounded to whole pixels (halves up), so that a square stays
    a square; what lies outside of the picture is black; then ``cv2.resize`` with ``INTER_LINEAR`` and no
    anti-aliasing, as the published code does (Kuo et al. 2019).

    Parameters
    ----------
    pixels : uint8 (H, W, 3)
        RGB, 0..255; never changed.
    box : CropBox
        From ``crop_box``.
    height, width : int
        Of the result, pixels.

    Returns
    -------
    uint8 (height, width, 3)
        RGB; a new array that the caller owns.

    Raises
    ------
    TensorMismatchError
        The picture is not uint8 (H, W, 3), or the box has no area or is larger than 16384 px.
    """
    _check_picture(pixels)
    left, top, columns, rows = _whole_pixels(box)
    cut = np.zeros((rows, columns, 3), np.uint8)
    x0, x1 = max(left, 0), min(left + columns, pixels.shape[1])
    y0, y1 = max(top, 0), min(top + rows, pixels.shape[0])
    if x0 < x1 and y0 < y1:
        cut[y0 - top : y1 - top, x0 - left : x1 - left] = pixels[y0:y1, x0:x1]
    if (rows, columns) == (height, width):
        return cut
    return np.asarray(cv2.resize(cut, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def _check_picture(pixels: NDArray[np.uint8]) -> None:
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise TensorMismatchError(
            "The picture cannot be cropped",
            f"it is {pixels.dtype} {pixels.shape} instead of uint8 (H, W, 3) RGB",
            "convert it where it is read",
        )


def _whole_pixels(box: CropBox) -> tuple[int, int, int, int]:
    """Return left, top, columns, rows."""
    edges = (box.x0, box.y0, box.width, box.height)
    if not all(isfinite(value) and abs(value) < 1e9 for value in edges):
        raise TensorMismatchError("The crop cannot be cut", "its box is not finite", "place the markers again")
    left, top, columns, rows = (floor(value + 0.5) for value in edges)
    if not (1 <= columns <= MAX_SIDE_PX and 1 <= rows <= MAX_SIDE_PX):
        raise TensorMismatchError(
            "The crop cannot be cut",
            f"its box is {columns} x {rows} px and 1 to {MAX_SIDE_PX} px a side are possible",
            "place the markers again",
        )
    return left, top, columns, rows
