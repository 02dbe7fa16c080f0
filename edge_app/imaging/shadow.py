"""Shadow: rays along which everything below a rib or gas is dark (clinic-and-paper 7.1)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from edge_app.imaging.scene import Point, Sector

Whole = NDArray[np.int32]
STEP = 4  # every fourth pixel, or every sixth of a large picture: a shadow is broad
RAYS = 64
DARKER = 0.45  # of the median ray
NARROWEST = 3  # rays: about 3 degrees of a wide fan


def shadow_share(pixels: NDArray[np.uint8], sector: Sector, window: tuple[int, int, int, int]) -> float:
    """Return which share of ``window`` (x0, y0, x1, y1) inside ``sector`` lies in the shadow, 0..1.

    A ray is shadowed where the mean grey of its deeper part is under 0.45 of the median ray's, over 3 rays or more.
    """
    x, y, ray, depth, at = _places(sector)
    if len(x) < 200:
        return 0.0
    boxed = (x >= window[0]) & (x < window[2]) & (y >= window[1]) & (y < window[3])
    shown = depth[boxed]
    if not len(shown):
        return 0.0
    fifth = len(shown) // 5
    top, low = np.partition(shown, fifth)[fifth], shown.max()
    deep = np.flatnonzero((depth >= top) & (depth <= low))
    grey = pixels.reshape(-1).take(at[deep])
    sums = np.bincount(ray[deep], grey, RAYS)
    counts = np.bincount(ray[deep], minlength=RAYS)
    means = sums / np.maximum(counts, 1)
    usable = counts >= 6
    if int(usable.sum()) < 2 * NARROWEST:
        return 0.0
    dark = _broad(usable & (means < DARKER * float(np.median(means[usable]))))
    return float(dark[ray[boxed]].mean())


@lru_cache(maxsize=2)
def _places(sector: Sector) -> tuple[Whole, Whole, Whole, NDArray[np.float32], Whole]:
    """Return x, y, ray and depth of the places that are looked at, and which bytes of a picture their green ones are.

    They are the same for every picture of a sector.
    """
    x0, y0, x1, y1 = sector.bbox
    step = max(STEP, round(sector.mask.shape[0] / 180))
    ys, xs = np.nonzero(sector.mask[y0:y1:step, x0:x1:step])
    x, y = (xs * step + x0).astype(np.int32), (ys * step + y0).astype(np.int32)  # half the memory of whole numbers
    at = (y * sector.mask.shape[1] + x) * 3 + 1
    if len(x) == 0:
        return x, y, x, y.astype(np.float32), at
    ray, depth = _polar(sector, x.astype(np.float64), y.astype(np.float64))
    return x, y, ray.astype(np.int32), depth.astype(np.float32), at


def _broad(dark: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep runs of at least ``NARROWEST`` rays."""
    kept = np.zeros_like(dark)
    start = 0
    for index in range(len(dark) + 1):
        if index == len(dark) or not dark[index]:
            if index - start >= NARROWEST:
                kept[start:index] = True
            start = index + 1
    return kept


def _polar(
    sector: Sector, x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the ray, 0..RAYS-1, and the depth of points: around the apex of a fan, else by columns."""
    apex = fan_apex(sector)
    across = x if apex is None else np.arctan2(x - apex[0], y - apex[1])
    depth = y if apex is None else np.hypot(x - apex[0], y - apex[1])
    low, high = float(across.min()), float(across.max())
    ray = ((across - low) / max(1e-9, high - low) * RAYS).astype(np.int64)
    return np.clip(ray, 0, RAYS - 1), depth


def fan_apex(sector: Sector) -> Point | None:
    """Return where the straight sides of the outline meet, above its top, or None for parallel sides."""
    outline = sector.outline
    half = len(outline) // 2
    if sector.kind in ("linear", "unknown") or len(outline) < 4:
        return None
    (ax, ay), (bx, by) = outline[0], outline[-1]
    (cx, cy), (dx, dy) = outline[half - 1], outline[half]
    left, right = (bx - ax) / max(1e-9, by - ay), (dx - cx) / max(1e-9, dy - cy)
    if right - left < 0.02:
        return None
    y = ((ax - left * ay) - (cx - right * cy)) / (right - left)
    return ax + left * (y - ay), y
