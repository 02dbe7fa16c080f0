"""The square that a localizer sees: the sector's bounding square, resized; and positions in it.

Points are pixel coordinates (x, y) with pixel centres at integers, as in ``engines.preprocess``.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.preprocess import Point


@dataclass(frozen=True, slots=True)
class Square:
    """A square of whole pixels of a frame, and the ``pixels`` a side of its resized picture."""

    left: int
    top: int
    side: int
    pixels: int

    @property
    def scale(self) -> float:
        """Pixels of the picture a pixel of the frame."""
        return self.pixels / self.side

    def to_picture(self, point: Point) -> Point:
        """Frame position to position in the picture."""
        return (point[0] + 0.5 - self.left) * self.scale - 0.5, (point[1] + 0.5 - self.top) * self.scale - 0.5

    def to_frame(self, point: Point) -> Point:
        """Position in the picture to frame position."""
        return (point[0] + 0.5) / self.scale + self.left - 0.5, (point[1] + 0.5) / self.scale + self.top - 0.5

    def picture(self, frame: NDArray[np.uint8], inside: NDArray[np.bool_]) -> NDArray[np.uint8]:
        """Cut the square out of a frame and shrink it; black outside of the sector, where names may stand.

        Parameters
        ----------
        frame : uint8 (H, W, 3)
            RGB; never changed.
        inside : bool (H, W)
            The sector's mask.

        Returns
        -------
        uint8 (pixels, pixels, 3)
            RGB, a new array; each pixel the mean of the area that it covers.
        """
        cut = np.zeros((self.side, self.side, 3), np.uint8)
        height, width = frame.shape[:2]
        x0, x1 = max(self.left, 0), min(self.left + self.side, width)
        y0, y1 = max(self.top, 0), min(self.top + self.side, height)
        if x0 < x1 and y0 < y1:
            part = cut[y0 - self.top : y1 - self.top, x0 - self.left : x1 - self.left]
            cv2.copyTo(frame[y0:y1, x0:x1], inside[y0:y1, x0:x1].view(np.uint8), part)
        return np.asarray(cv2.resize(cut, (self.pixels, self.pixels), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def square_over(bbox: tuple[int, int, int, int], pixels: int) -> Square:
    """Return the square over a sector's ``bbox`` (x0, y0, x1, y1; x1 and y1 exclusive), centred on it."""
    x0, y0, x1, y1 = bbox
    side = max(x1 - x0, y1 - y0)
    return Square((x0 + x1 - side) // 2, (y0 + y1 - side) // 2, side, pixels)
