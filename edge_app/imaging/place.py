"""Place: masks of outlines in the frame."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.imaging.scene import Point, Sector

Mask = NDArray[np.bool_]
Box = tuple[int, int, int, int]
MIDDLE = (0.25, 0.15, 0.75, 0.85)  # of width and height: where an image is looked for by hand that was not found


def mask_box(mask: Mask) -> Box:
    """Return (x0, y0, x1, y1) of a bool (H, W) mask that is not empty."""
    ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(xs[0]), int(ys[0]), int(xs[-1]) + 1, int(ys[-1]) + 1


def middle_box(size: tuple[int, int]) -> Box:
    """Return the middle of frames of ``size`` (width, height), from where an image's border is set by hand."""
    width, height = size
    x0, y0, x1, y1 = MIDDLE
    return round(x0 * width), round(y0 * height), round(x1 * width), round(y1 * height)


def polygon_mask(points: tuple[Point, ...], size: tuple[int, int], region: Box | None = None) -> Mask:
    """Return the bool (H, W) mask of a closed polygon of (x, y), drawn to 1/16 pixel, clipped to ``region``."""
    mask = np.zeros((size[1], size[0]), np.uint8)
    cv2.fillPoly(mask, [np.round(np.array(points) * 16).astype(np.int32)], (1,), shift=4)
    if region is not None:
        x0, y0, x1, y1 = region
        kept = np.zeros_like(mask)
        kept[y0:y1, x0:x1] = mask[y0:y1, x0:x1]
        mask = kept
    return mask.astype(np.bool_)


def rectangle(box: Box, size: tuple[int, int], confidence: float) -> Sector:
    """Return the sector that fills a box (x0, y0, x1, y1), of a shape that is not known."""
    x0, y0, x1, y1 = box
    points = ((x0, y0), (x1 - 1, y0), (x1 - 1, y1 - 1), (x0, y1 - 1))
    outline = tuple((float(x), float(y)) for x, y in points)
    return Sector("unknown", box, outline, polygon_mask(outline, size), confidence)
