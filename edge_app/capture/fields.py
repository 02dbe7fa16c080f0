"""Interlaced pictures of analogue grabbers: woven while the picture stands still, from one field while it moves."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

U8 = NDArray[np.uint8]
# How the two fields of a picture come (V4L2's names): line by line, one above the other, or one in each buffer.
FieldOrder = Literal["progressive", "interlaced", "top over bottom", "bottom over top", "top", "bottom"]

STEP = 4  # every fourth pixel is looked at
MOVED = 12  # grey levels; the noise of an analogue line stays below
MOVED_SHARE = 0.002  # of the pixels; a cursor or a running clock alone is no moving picture


class Deinterlacer:
    """One stream's pictures, each as high as the whole, without combs. Adds no delay.

    While the picture moves, every second line is made of its neighbours. While it stands still, as in a freeze, both
    fields are shown: markers are measured there and need every line.
    """

    def __init__(self) -> None:
        self._before: U8 | None = None
        self._fields: dict[bool, U8] = {}  # the newest of either kind, where each comes by itself

    def __call__(self, pixels: U8, order: FieldOrder) -> U8:
        """Return uint8 (H, W, 3) of a picture or field, uint8 (H, W, 3) or, a field by itself, (H / 2, W, 3)."""
        if order == "progressive" or pixels.shape[0] < 4:
            return pixels
        if order in ("top", "bottom"):
            return self._of_field(pixels, order == "bottom")
        half = pixels.shape[0] // 2
        if order == "top over bottom":
            pixels = _woven(pixels[:half], pixels[half : 2 * half])
        elif order == "bottom over top":
            pixels = _woven(pixels[half : 2 * half], pixels[:half])
        still, self._before = _still(self._before, pixels), pixels
        return pixels if still else _filled(pixels[0::2], pixels.shape[0], False)

    def _of_field(self, field: U8, is_bottom: bool) -> U8:
        same, other = self._fields.get(is_bottom), self._fields.get(not is_bottom)
        self._fields[is_bottom] = field
        if other is not None and other.shape == field.shape and _still(same, field):
            return _woven(other, field) if is_bottom else _woven(field, other)
        return _filled(field, 2 * field.shape[0], is_bottom)


def _still(before: U8 | None, now: U8) -> bool:
    if before is None or before.shape != now.shape:
        return False
    difference = cv2.absdiff(before[::STEP, ::STEP, 1].copy(), now[::STEP, ::STEP, 1].copy())
    return float(np.mean(difference > MOVED)) < MOVED_SHARE


def _woven(top: U8, bottom: U8) -> U8:
    woven = np.empty((2 * top.shape[0], *top.shape[1:]), np.uint8)
    woven[0::2] = top
    woven[1::2] = bottom
    return woven


def _filled(field: U8, height: int, is_bottom: bool) -> U8:
    """Return the lines of a field where they belong, and between them the mean of the neighbours."""
    filled = np.empty((height, *field.shape[1:]), np.uint8)
    own, gap = (1, 0) if is_bottom else (0, 1)
    filled[own::2] = field
    following = np.concatenate([field[1:], field[-1:]])
    preceding = np.concatenate([field[:1], field[:-1]])
    neighbours = (preceding, field) if is_bottom else (field, following)
    mean = cv2.addWeighted(neighbours[0], 0.5, neighbours[1], 0.5, 0).astype(np.uint8, copy=False)
    filled[gap::2] = mean[: filled[gap::2].shape[0]]
    return filled
