"""Trace: a strip in which time runs from left to right under an image: a Doppler spectrum or an M-mode."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.imaging._ocr import Box
from edge_app.imaging.evidence import shrink
from edge_app.imaging.scene import Sector

Grey = NDArray[np.uint8]
LIT = 14  # grey levels
SPREAD = 3.0  # least local standard deviation: panels of a screen are flat
STRIP = (0.07, 0.42)  # least height and width, shares of the picture's height
LONG = 2.4  # least width over height
IMAGE_HEIGHT = 0.18  # of what stands above it, share of the picture's height
FULL = 0.93  # share of its box that an M-mode fills
SPECTRUM = (0.20, 0.90)  # share of its box that a spectrum fills
BASELINE = 0.95  # share of the width over which its line runs
BLACK, MOSTLY = 6, 80  # grey level, per cent of a row (labels may stand there)
GAP_ROWS = 12  # of the small picture
GREYS = 0.30  # least share of it that is neither black nor white: words, frames and an ECG have less


Trace = Literal["spectral-doppler", "m-mode"]


def find_trace(pixels: NDArray[np.uint8], words: Iterable[Box] = (), sector: Sector | None = None) -> Trace | None:
    """Return what kind of trace RGB uint8 (H, W, 3) ``pixels`` show under an image, or None."""
    return trace_of(*shrink(pixels), words, sector)


def trace_of(grey: Grey, factor: float, words: Iterable[Box] = (), sector: Sector | None = None) -> Trace | None:
    """Return the same of the small picture uint8 (h, w) that ``shrink`` makes; ``factor``: frame pixels a small one.

    It is one piece, long and low, with black and then an image above it; thumbnails are short pieces, ``words`` are
    left out, and so is tissue inside a ``sector`` that is as wide below as above: its layers look like traces.
    """
    rows = grey.shape[0]
    textured = _textured(grey)
    for box in words:
        x0, y0, x1, y1 = (round(side / factor) for side in box)
        textured[max(0, y0 - 1) : y1 + 1, max(0, x0 - 1) : x1 + 1] = 0
    count, labels, stats, _ = cv2.connectedComponentsWithStats(textured, connectivity=8)
    pieces = np.asarray(stats, dtype=np.int32)
    for index in range(1, count):
        x, y, w, h = (int(pieces[index, key]) for key in (0, 1, 2, 3))
        if h < STRIP[0] * rows or w < STRIP[1] * rows or w < LONG * h or not _image_above(pieces, index, rows):
            continue
        piece = labels[y : y + h, x : x + w] == index
        if not _black_above(grey, x, y, w) or _is_tissue(piece, (x, y), factor, sector):
            continue
        kind = _kind(piece, grey[y : y + h, x : x + w])
        if kind is not None:
            return kind
    return None


def _textured(grey: Grey) -> Grey:
    values = grey.astype(np.float32)
    mean = cv2.blur(values, (5, 5))
    spread = np.sqrt(np.maximum(cv2.blur(values * values, (5, 5)) - mean * mean, 0))
    alive = np.where((grey > LIT) & (spread > SPREAD), 1, 0).astype(np.uint8)
    return np.asarray(cv2.morphologyEx(alive, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)), dtype=np.uint8)


def _image_above(stats: NDArray[np.int32], index: int, rows: int) -> bool:
    """Tell whether a piece as high as an image ends above the top of this one."""
    top = stats[index, cv2.CC_STAT_TOP]
    ends = stats[1:, cv2.CC_STAT_TOP] + stats[1:, cv2.CC_STAT_HEIGHT]
    high = stats[1:, cv2.CC_STAT_HEIGHT] >= IMAGE_HEIGHT * rows
    return bool((high & (ends <= top + 2)).any())


def _black_above(grey: Grey, x: int, y: int, w: int) -> bool:
    """Tell whether some row shortly above is black over the piece's width: the screen between image and trace."""
    above = grey[max(0, y - GAP_ROWS) : y, x : x + w]
    return above.size > 0 and bool((np.percentile(above, MOSTLY, axis=1) <= BLACK).any())


def _is_tissue(piece: NDArray[np.bool_], at: tuple[int, int], factor: float, sector: Sector | None) -> bool:
    if sector is None or sector.kind in ("convex", "phased"):
        return False
    rows, columns = np.nonzero(piece)
    height, width = sector.mask.shape
    y = np.minimum(height - 1, ((rows + at[1]) * factor).astype(np.int64))
    x = np.minimum(width - 1, ((columns + at[0]) * factor).astype(np.int64))
    return float(sector.mask[y, x].mean()) > 0.5


def _kind(piece: NDArray[np.bool_], grey: Grey) -> Trace | None:
    values = grey[piece]
    if float(((values > 24) & (values < 215)).mean()) < GREYS:
        return None
    share = float(piece.mean())
    if share >= FULL:
        return "m-mode"
    baseline = float(piece.mean(axis=1).max())
    return "spectral-doppler" if SPECTRUM[0] <= share <= SPECTRUM[1] and baseline >= BASELINE else None
