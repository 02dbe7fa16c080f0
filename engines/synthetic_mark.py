"""A machine-readable mark that tells a synthetic picture from a patient's.

Two rows of black and white cells in the extreme bottom-left corner; the second row is the first
one inverted, so no plain area can pass for it. A cell is 1/120 of the picture's height, so the mark
survives rescaling (0.5x..2x), JPEG at quality 70 and 4:2:0 chroma.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CODE = 0b1011001110001101
COLUMNS = 16
CELLS_PER_HEIGHT = 120
MINIMUM_CONTRAST = 60.0  # grey steps between the mean light and the mean dark cell
_BITS = np.array([CODE >> (COLUMNS - 1 - i) & 1 for i in range(COLUMNS)], dtype=np.bool_)
_PATTERN = np.stack([_BITS, ~_BITS])


def draw(pixels: NDArray[np.uint8]) -> None:
    """Draw the mark into an RGB picture uint8 (H, W, 3), in place; pictures below 120 lines are too small."""
    for row, column, box in _cells(pixels.shape[0]):
        y0, y1, x0, x1 = (round(v) for v in box)
        pixels[y0:y1, x0:x1] = 255 if _PATTERN[row, column] else 0


def present(pixels: NDArray[np.uint8]) -> bool:
    """Tell whether an RGB picture uint8 (H, W, 3) carries the mark."""
    height, width = pixels.shape[:2]
    if height < 120 or width < height * COLUMNS / CELLS_PER_HEIGHT:
        return False
    means = np.zeros(_PATTERN.shape)
    for row, column, (y0, y1, x0, x1) in _cells(height):
        margin = (y1 - y0) * 0.25
        top, left = int(y0 + margin), int(x0 + margin)
        patch = pixels[top : max(top + 1, round(y1 - margin)), left : max(left + 1, round(x1 - margin))]
        means[row, column] = patch.mean()
    light, dark = means[_PATTERN], means[~_PATTERN]
    if light.mean() - dark.mean() < MINIMUM_CONTRAST:
        return False
    middle = (light.mean() + dark.mean()) / 2.0
    return bool((light > middle).all() and (dark < middle).all())


def _cells(height: int) -> list[tuple[int, int, tuple[float, float, float, float]]]:
    """Row, column and (y0, y1, x0, x1) of every cell, in pixels."""
    cell = height / CELLS_PER_HEIGHT
    return [
        (row, column, (height - (2 - row) * cell, height - (1 - row) * cell, column * cell, (column + 1) * cell))
        for row in range(2)
        for column in range(COLUMNS)
    ]
