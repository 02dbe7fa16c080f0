"""Pixel shape: pictures whose pixels are no squares, as a header states it, and how they are made square."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.capture.base import ScreenRegion

SQUARE = 0.02  # width and height of a pixel may differ by this share
PLAUSIBLE = (0.4, 2.5)  # beyond: a header that means something else


@dataclass(frozen=True, slots=True)
class PixelShape:
    """Width of a pixel in its heights. The side that is too short is stretched: nothing of the picture is lost."""

    width: float = 1.0

    @property
    def square(self) -> bool:
        """Whether there is nothing to do."""
        return abs(self.width - 1.0) <= SQUARE or not PLAUSIBLE[0] <= self.width <= PLAUSIBLE[1]

    @property
    def said(self) -> str:
        """What a person is told; empty for squares."""
        return "" if self.square else f", pixels made square (they were {self.width:.2f} times as wide as high)"

    @property
    def _across(self) -> float:
        return max(1.0, self.width)

    @property
    def _down(self) -> float:
        return max(1.0, 1.0 / self.width)

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Return width and height of the picture with square pixels."""
        return (width, height) if self.square else (round(width * self._across), round(height * self._down))

    def applied(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return uint8 (H, W, 3) with square pixels."""
        if self.square:
            return pixels
        size = self.size(pixels.shape[1], pixels.shape[0])
        squared = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
        squared.setflags(write=False)
        return squared

    def moved(self, region: ScreenRegion) -> ScreenRegion:
        """Return a region where it lies then; its scale is that of the stretched picture already."""
        if self.square:
            return region
        x0, y0, x1, y1 = region.bbox
        across, down = self._across, self._down
        return replace(region, bbox=(round(x0 * across), round(y0 * down), round(x1 * across), round(y1 * down)))
