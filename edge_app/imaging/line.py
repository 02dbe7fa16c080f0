"""Line: whether dots or dashes are drawn between two markers."""

from __future__ import annotations

from math import hypot

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.imaging.evidence import brightest_channel
from edge_app.imaging.glyph import Glyph
from edge_app.imaging.strokes import chroma, stroke_map

BESIDE = (-11.0, -9.0, -7.0, -5.0, 5.0, 7.0, 9.0, 11.0)
"""Pixels at 720 rows beside the line: what a line there shows is chance."""
BRIGHTEST = 70.0
"""Grey levels over the surroundings that count at most: one bright speck is no line."""
DOUBTFUL, SURE = 2.2, 7.0
"""Spreads of what lies beside by which the line stands out."""


def line_between(pixels: NDArray[np.uint8], a: Glyph, b: Glyph) -> float:
    """Return 0..1: how surely RGB uint8 ``pixels`` show a drawn line on the straight way between two glyphs.

    Dots and dashes of any spacing count; the glyphs themselves and what stands near them do not.
    """
    length = hypot(b.x - a.x, b.y - a.y)
    start = 1.5 * max(a.reach, b.reach)
    if length - 2 * start < 8:
        return 0.0
    strokes, x0, y0 = _strokes(pixels, (a, b))
    scale = max(1.0, pixels.shape[0] / 720)
    at = np.arange(start, length - start, 0.5)
    ux, uy = (b.x - a.x) / length, (b.y - a.y) / length
    means = []
    for aside in (0.0, *BESIDE):
        near = [aside * scale + step for step in (-1.0, 0.0, 1.0)]
        x = np.stack([a.x + ux * at - uy * off for off in near]) - x0
        y = np.stack([a.y + uy * at + ux * off for off in near]) - y0
        ink = cv2.remap(strokes, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR).max(axis=0)
        means.append(float(np.minimum(ink, BRIGHTEST).mean()))
    beside = np.array(means[1:])
    chance = max(float(beside.std()), 0.12 * float(beside.mean()), 0.6)
    spreads = (means[0] - float(beside.mean())) / chance
    return float(np.clip((spreads - DOUBTFUL) / (SURE - DOUBTFUL), 0.0, 1.0))


def _strokes(pixels: NDArray[np.uint8], ends: tuple[Glyph, Glyph]) -> tuple[NDArray[np.uint8], int, int]:
    """Return the stroke map around the line, of chroma too where the ends have colour, with its corner."""
    a, b = ends
    scale = max(1.0, pixels.shape[0] / 720)
    margin = round(18 * scale)
    x0, y0 = max(0, int(min(a.x, b.x)) - margin), max(0, int(min(a.y, b.y)) - margin)
    part = pixels[y0 : int(max(a.y, b.y)) + margin, x0 : int(max(a.x, b.x)) + margin]
    side = round(5 * scale)
    strokes = stroke_map(brightest_channel(part), side)
    if a.hue != "grey":
        strokes = np.asarray(cv2.max(strokes, stroke_map(chroma(part), side)), dtype=np.uint8)
    return strokes, x0, y0
