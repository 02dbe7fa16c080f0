"""Patches: what the mark network sees of a place: the place itself, and three times as much around it."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil, floor

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 32
"""Pixels of a patch."""
ARM = 6.5
"""Pixels of a marker's arm (half its span) in a patch that shows it at its size."""
WIDER = 3.0
"""How much more the second patch shows."""
FLAT = 10.0  # grey levels added to the spread of a patch: noise of a flat one is not blown up


class Views:
    """A picture, RGB uint8 (H, W, 3), and the same halved as often as patches ask for.

    ``few``: only a handful of places will be asked for, so only their surroundings are halved.
    """

    def __init__(self, pixels: NDArray[np.uint8], *, few: bool = False) -> None:
        self._levels, self._few = [pixels], few

    def patches(self, places: Iterable[tuple[float, float, float]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return (near, far) of places (x, y, arm): float32 (N, 3, SIDE, SIDE) and (N, 2, SIDE, SIDE).

        Channels of ``near``: brightness against the patch's own, chroma / 128, brightness / 128 - 1; of ``far``: the
        first two.
        """
        listed = list(places)
        near = np.empty((len(listed), 3, SIDE, SIDE), np.float32)
        far = np.empty((len(listed), 2, SIDE, SIDE), np.float32)
        for index, (x, y, arm) in enumerate(listed):
            grey, colour = self._cut(x, y, arm / ARM)
            near[index, 0], near[index, 1], near[index, 2] = _own(grey), colour / 128, grey / 128 - 1
            grey, colour = self._cut(x, y, WIDER * arm / ARM)
            far[index, 0], far[index, 1] = _own(grey), colour / 128
        return near, far

    def _cut(self, x: float, y: float, step: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return (brightness, chroma) of the square around a place, ``step`` frame pixels per patch pixel."""
        level = int(np.log2(max(1.0, step)))
        if self._few:
            return self._cut_few(x, y, step)
        while len(self._levels) <= level:
            self._levels.append(halved(self._levels[-1]))
        grown = 2.0**level
        return seen(self._levels[level], ((x + 0.5) / grown - 0.5, (y + 0.5) / grown - 0.5), step / grown)

    def _cut_few(self, x: float, y: float, step: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Do the same with what is around the place only."""
        level = int(np.log2(max(1.0, step)))
        block = 2**level
        half = step * (SIDE - 1) / 2
        x0, y0 = (block * (floor((v - half) / block) - 2) for v in (x, y))  # blocks fall as they do in the whole
        part = cut_out(self._levels[0], x0, y0, block * (ceil(2 * half / block) + 5))
        for _ in range(level):
            part = halved(part)
        return seen(part, ((x - x0 + 0.5) / block - 0.5, (y - y0 + 0.5) / block - 0.5), step / block)


def halved(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the picture at half its size, a last odd row or column left out."""
    half = (pixels.shape[1] // 2, pixels.shape[0] // 2)
    even = pixels[: 2 * half[1], : 2 * half[0]]
    return np.asarray(cv2.resize(even, half, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def seen(
    pixels: NDArray[np.uint8], at: tuple[float, float], step: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return (brightness, chroma) of a square, float32 (SIDE, SIDE): ``step`` pixels, under two, per patch pixel."""
    half = step * (SIDE - 1) / 2
    x0, y0 = floor(at[0] - half) - 1, floor(at[1] - half) - 1
    part = cut_out(pixels, x0, y0, ceil(2 * half) + 4)
    if step > 1.15:
        part = np.asarray(cv2.GaussianBlur(part, (3, 3), 0.35 * step), dtype=np.uint8)
    matrix = np.array([[step, 0, at[0] - half - x0], [0, step, at[1] - half - y0]], np.float32)
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    patch = cv2.warpAffine(part, matrix, (SIDE, SIDE), flags=how, borderMode=cv2.BORDER_REPLICATE)
    red, green, blue = cv2.split(patch)
    high = cv2.max(cv2.max(red, green), blue)
    colour = cv2.subtract(high, cv2.min(cv2.min(red, green), blue))
    return high.astype(np.float32), colour.astype(np.float32)


def _own(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return brightness against the patch's mean, in its own spread."""
    mean, spread = cv2.meanStdDev(grey)
    return np.asarray((grey - float(mean[0, 0])) / (float(spread[0, 0]) + FLAT), dtype=np.float32)


def cut_out(pixels: NDArray[np.uint8], x0: int, y0: int, side: int) -> NDArray[np.uint8]:
    """Return the square patch at (x0, y0), its pixels repeated outwards where the picture ends."""
    height, width = pixels.shape[:2]
    x1, y1 = x0 + side, y0 + side
    cx0, cy0 = min(max(0, x0), width - 1), min(max(0, y0), height - 1)
    cx1, cy1 = max(min(width, x1), cx0 + 1), max(min(height, y1), cy0 + 1)
    part = pixels[cy0:cy1, cx0:cx1]
    before, after = (max(0, cy0 - y0), max(0, cx0 - x0)), (max(0, y1 - cy1), max(0, x1 - cx1))
    if any(before) or any(after):
        grown = cv2.copyMakeBorder(part, before[0], after[0], before[1], after[1], cv2.BORDER_REPLICATE)
        return np.asarray(grown, dtype=np.uint8)
    return np.ascontiguousarray(part)
