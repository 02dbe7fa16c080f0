"""Drawing with exact places: strokes by coverage, so that a marker's centre is where the truth says, sub-pixel.

Coordinates are pixels (x, y); whole numbers are pixel centres.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, hypot

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Plane = NDArray[np.float32]
Point = tuple[float, float]
Colour = tuple[int, int, int]
Rng = np.random.Generator
OVERSAMPLE = 5  # odd: one sample lies on the pixel's centre
FACES = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_PLAIN,
    cv2.FONT_HERSHEY_COMPLEX_SMALL,
)


@dataclass(frozen=True)
class Stroke:
    """A straight bar with square ends."""

    start: Point
    end: Point
    thick: float


@dataclass(frozen=True)
class Stamp:
    """How much of each pixel is covered, 0..1; ``corner`` is the pixel of ``cover[0, 0]``."""

    cover: Plane
    corner: tuple[int, int]

    def grown(self, radius: int, round_: bool = False) -> Stamp:
        """Return the stamp widened by whole pixels all around; its frame must have room for them."""
        kind = cv2.MORPH_ELLIPSE if round_ else cv2.MORPH_RECT
        kernel = cv2.getStructuringElement(kind, (2 * radius + 1, 2 * radius + 1))
        return Stamp(np.asarray(cv2.dilate(self.cover, kernel), dtype=np.float32), self.corner)

    def blurred(self, sigma: float, gain: float) -> Stamp:
        """Return a soft halo of the stamp."""
        soft = np.clip(cv2.GaussianBlur(self.cover, (0, 0), sigma) * gain, 0.0, 1.0)
        return Stamp(soft.astype(np.float32), self.corner)

    def moved(self, dx: int, dy: int) -> Stamp:
        """Return the stamp elsewhere."""
        return Stamp(self.cover, (self.corner[0] + dx, self.corner[1] + dy))


def stamp(strokes: Sequence[Stroke], *, smooth: bool, margin: int = 6) -> Stamp:
    """Return the coverage of strokes; not ``smooth``: pixels are wholly on or off."""
    xs = [v for s in strokes for v in (s.start[0], s.end[0])]
    ys = [v for s in strokes for v in (s.start[1], s.end[1])]
    wide = margin + max(s.thick for s in strokes)
    x0, y0 = floor(min(xs) - wide), floor(min(ys) - wide)
    width, height = ceil(max(xs) + wide) - x0 + 1, ceil(max(ys) + wide) - y0 + 1
    fine = (np.arange(OVERSAMPLE) + 0.5) / OVERSAMPLE - 0.5
    x = (x0 + np.arange(width)[:, None] + fine).ravel()[None, :]
    y = (y0 + np.arange(height)[:, None] + fine).ravel()[:, None]
    on = np.zeros((height * OVERSAMPLE, width * OVERSAMPLE), np.bool_)
    for stroke in strokes:
        on |= _inside(stroke, x, y)
    cover = on.reshape(height, OVERSAMPLE, width, OVERSAMPLE).mean(axis=(1, 3)).astype(np.float32)
    if not smooth:
        cover = (cover >= 0.5).astype(np.float32)
    return Stamp(cover, (x0, y0))


def _inside(stroke: Stroke, x: NDArray[np.float64], y: NDArray[np.float64]) -> Mask:
    (ax, ay), (bx, by) = stroke.start, stroke.end
    length = hypot(bx - ax, by - ay)
    ux, uy = ((bx - ax) / length, (by - ay) / length) if length else (1.0, 0.0)
    along = (x - ax) * ux + (y - ay) * uy
    across = (y - ay) * ux - (x - ax) * uy
    half = stroke.thick / 2 + 1e-6
    return np.asarray((along >= -1e-6) & (along <= length + 1e-6) & (np.abs(across) <= half), dtype=np.bool_)


def paint(pixels: Picture, what: Stamp, colour: Colour, opacity: float = 1.0) -> None:
    """Blend a stamp into a picture, in place; what lies outside is cut."""
    height, width = pixels.shape[:2]
    (x0, y0), (h, w) = what.corner, what.cover.shape
    left, top, right, bottom = max(0, x0), max(0, y0), min(width, x0 + w), min(height, y0 + h)
    if left >= right or top >= bottom:
        return
    part = pixels[top:bottom, left:right]
    share = what.cover[top - y0 : bottom - y0, left - x0 : right - x0, None] * opacity
    part[:] = np.round(part * (1.0 - share) + np.array(colour, np.float32) * share).astype(np.uint8)


@dataclass(frozen=True)
class Type:
    """How words are written: capital height in pixels, colour, face, weight, edges smoothed or not."""

    height: float
    colour: Colour
    face: int = cv2.FONT_HERSHEY_SIMPLEX
    weight: int = 1
    smooth: bool = True

    def words(self, pixels: Picture, text: str, corner: Point) -> tuple[int, int, int, int]:
        """Write a line, top left corner at ``corner``, in place; return the box (x0, y0, x1, y1)."""
        thick = max(1, round(self.weight * self.height / 14.0))
        scale = self.height / cv2.getTextSize("H", self.face, 1.0, 1)[0][1]
        (width, height), below = cv2.getTextSize(text, self.face, scale, thick)
        x, y = round(corner[0]), round(corner[1])
        kind = cv2.LINE_AA if self.smooth else cv2.LINE_8
        cv2.putText(pixels, text, (x, y + height), self.face, scale, self.colour, thick, kind)
        return x, y, x + width, y + height + below


def toss(rng: Rng, chance: float) -> bool:
    """Return True with a chance."""
    return bool(rng.random() < chance)


def between(rng: Rng, low: float, high: float) -> float:
    """Return a uniform draw."""
    return float(rng.uniform(low, high))
