"""Signal: whether a picture comes from a scanner at all, or is what a grabber shows with nothing connected."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

BLACK = 24  # brightest channel: a screen of a scanner has letters far over this
PLAIN_SHARE = 0.85  # of the picture in one strong colour, whatever is written on it
BARS_SHARE = 0.3  # of the picture in strong colours
STRONG = 80  # chroma of a strong colour
PLAIN_LEVELS = 12  # a plain picture's channels vary by less


def has_signal(pixels: NDArray[np.uint8]) -> bool:
    """Return False for a black, a plain and a colour-bar picture, RGB uint8 (H, W, 3)."""
    small = np.ascontiguousarray(pixels[6::12, 6::12]).astype(np.int16)
    chroma = small.max(axis=2) - small.min(axis=2)
    if _is_plain(small, chroma) or _is_bars(small, chroma):
        return False
    # thin letters fall through a coarse grid: look at every pixel before calling a picture black
    return int(small.max()) >= BLACK or int(cv2.norm(pixels, cv2.NORM_INF)) >= BLACK + 40


def _is_plain(small: NDArray[np.int16], chroma: NDArray[np.int16]) -> bool:
    """One strong colour nearly everywhere (blue screen), or one grey everywhere."""
    middle = np.median(small.reshape(-1, 3), axis=0)
    alike = (np.abs(small - middle) <= PLAIN_LEVELS).all(axis=2)
    strong = float(middle.max() - middle.min()) > STRONG / 2
    share = float(alike.mean())
    return share > PLAIN_SHARE if strong else share > 0.999 and float(middle.max()) >= BLACK


def _is_bars(small: NDArray[np.int16], chroma: NDArray[np.int16]) -> bool:
    """Upright bars of strong colours: rows alike over the upper half, at least four colours across."""
    if float((chroma > STRONG).mean()) < BARS_SHARE:
        return False
    upper = small[: max(2, small.shape[0] // 2)]
    row = np.median(upper, axis=0)
    alike = (np.abs(upper - row) <= PLAIN_LEVELS).all(axis=2).mean()
    steps = np.abs(np.diff(row, axis=0)).max(axis=1) > STRONG / 2
    edges = int(np.count_nonzero(steps[1:] & ~steps[:-1])) + int(steps[0])
    return bool(alike > 0.9 and edges >= 3)
