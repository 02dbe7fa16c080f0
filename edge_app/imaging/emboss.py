"""Emboss: a solid '+' of one grey with a drop shadow or dark outline, in tissue about as bright as itself.

What stands out there is not the ink but the shadow: near-black, one to a few pixels wide, right of the upright arms and
below the level ones (scanner-screens 1: Canon, CX50). Speckle has no four arms of one grey with such a rim.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.imaging.evidence import brightest_channel
from edge_app.imaging.glyph import Glyph
from edge_app.imaging.strokes import Candidate

DARKEST = 60  # grey levels: a shadow is darker than this
ONE_SHADOW = 25  # grey levels by which pixels of one shadow differ
ONE_INK = 0.12  # share by which pixels of one ink differ: JPEG ripples beside a shadow
DEPTH = 60  # grey levels of the ink over its shadow
RIM = 4.0  # pixels at 720 rows: how far beside the middle of a stroke its shadow may begin
NEAREST = 3  # pixels from the centre: nearer, strokes hide each other's shadow
SHORTEST = 5  # pixels of an arm
LIKELY = 0.6  # share of the beginning of every arm, before a centre is looked at closely
FILLED = 0.85  # share of an arm that is ink with a rim
GOES_ON = 0.4  # the same past an arm's end: more, and it is a line
MOST_DARK = 0.35  # of the third darkest space between the arms
AROUND = {"plus": 3, "cross": 6}  # pixels at 720 rows that the centre is looked for: an 'x' is seen beside the '+'


@dataclass(frozen=True, slots=True, eq=False)
class _Patch:
    """Grey around a candidate, its darkest value, and which pixels have dark below or right of them."""

    grey: NDArray[np.uint8]
    black: int
    below: NDArray[np.uint8]
    right: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class _Arms:
    """Right, down, left and up from every centre tried: (centres, 4, pixels) of grey, and of what is ink with a rim."""

    centres: NDArray[np.intp]  # (centres, 2): x, y in the patch
    grey: NDArray[np.float32]
    drawn: NDArray[np.bool_]
    ink: NDArray[np.float32]  # (centres,)


@dataclass(frozen=True, slots=True)
class _Found:
    """A glyph in the patch: centre and arm length in pixels, grey of its ink, and how surely it is one, 0..1."""

    x: float
    y: float
    length: int
    ink: float
    confidence: float


def look_for_shadow(pixels: NDArray[np.uint8], candidate: Candidate) -> Glyph | None:
    """Return the '+' with a shadow at ``candidate`` in RGB uint8 (H, W, 3) ``pixels``, or None where there is none."""
    scale = max(1.0, pixels.shape[0] / 720)
    if candidate.coloured or (candidate.shape == "cross" and candidate.reach > 9 * scale):
        return None
    longest = ceil(max(12 * scale, 2.4 * candidate.reach))
    around = round(AROUND[candidate.shape] * scale)
    half = around + ceil(1.6 * longest)
    x0, y0 = round(candidate.x) - half, round(candidate.y) - half
    if x0 < 0 or y0 < 0 or x0 + 2 * half >= pixels.shape[1] or y0 + 2 * half >= pixels.shape[0]:
        return None
    part = pixels[y0 : y0 + 2 * half + 1, x0 : x0 + 2 * half + 1]
    grey = brightest_channel(np.ascontiguousarray(part))
    near = grey[half - longest : half + longest + 1, half - longest : half + longest + 1]
    black = int(near.min())
    if black > DARKEST:
        return None
    dark = np.asarray(cv2.threshold(grey, black + ONE_SHADOW, 255, cv2.THRESH_BINARY_INV)[1], dtype=np.uint8)
    side = np.arange(-around, around + 1) + half
    centres = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    patch = _patch(grey, dark, black, round(RIM * scale))
    arms = _arms(patch, centres, NEAREST + SHORTEST)
    likely = arms.drawn[:, :, NEAREST:].mean(axis=2).min(axis=1) >= LIKELY
    if not likely.any():
        return None
    found = _best(_arms(patch, centres[likely], half - around + 1), longest)
    if found is None or not _thin(dark, found):
        return None
    return Glyph(found.x + x0, found.y + y0, "plus", found.length + 0.5, found.ink - black, "grey", found.confidence)


def _patch(grey: NDArray[np.uint8], dark: NDArray[np.uint8], black: int, rim: int) -> _Patch:
    """Mark what has dark in the next ``rim`` rows or columns, there or up to two pixels on."""
    below = cv2.dilate(dark, np.ones((rim, 3), np.uint8), anchor=(0, 0))
    right = cv2.dilate(dark, np.ones((3, rim), np.uint8), anchor=(0, 0))
    return _Patch(grey, black, np.asarray(below, dtype=np.uint8), np.asarray(right, dtype=np.uint8))


def _arms(patch: _Patch, centres: NDArray[np.intp], length: int) -> _Arms:
    """Sample ``length`` pixels of the four arms of every centre."""
    x, y = centres[:, :1], centres[:, 1:]
    along = np.arange(length)[None]
    grey, below, right = patch.grey, patch.below, patch.right
    places = ((y, x + along, below), (y + along, x, right), (y, x - along, below), (y - along, x, right))
    values = np.stack([grey[row, column] for row, column, _ in places], axis=1).astype(np.float32)
    rims = np.stack([rimmed[row, column] for row, column, rimmed in places], axis=1) > 0
    begun = values[:, :, NEAREST : NEAREST + SHORTEST].reshape(len(x), -1)
    ink = np.partition(begun, begun.shape[1] // 2, axis=1)[:, begun.shape[1] // 2]  # numpy's median takes far longer
    alike = np.abs(values - ink[:, None, None]) <= ONE_INK * ink[:, None, None]
    alike &= ink[:, None, None] >= patch.black + DEPTH
    return _Arms(centres, values, np.asarray(alike & rims, dtype=np.bool_), np.asarray(ink, dtype=np.float32))


def _best(arms: _Arms, longest: int) -> _Found | None:
    """Return the centre with the evenest arms, of equal ones the longest, if the arms end; else None."""
    lengths = np.arange(NEAREST, longest + 1)
    filled = np.cumsum(arms.drawn[:, :, NEAREST : longest + 1], axis=2) / (lengths - NEAREST + 1)
    ended = arms.drawn[:, :, NEAREST : longest + 1].sum(axis=1) >= 3  # the last pixel is drawn in three arms or four
    good = (filled.min(axis=1) >= FILLED) & ended & (lengths >= SHORTEST)
    reach = np.where(good, lengths, 0).max(axis=1)
    length = int(reach.max())
    if length == 0:
        return None
    near = np.flatnonzero(reach >= max(SHORTEST, length - 3))
    spread = np.array([np.abs(arms.grey[i, :, NEAREST : reach[i] + 1] - arms.ink[i]).mean() for i in near])
    even = near[spread <= 1.25 * spread.min() + 0.1]  # beside the true centre an arm ends in tissue
    even = even[reach[even] == reach[even].max()]
    length = int(reach[even[0]])
    index = int(even[len(even) // 2])
    after = arms.drawn[index, :, length + 3 : length + 3 + max(3, length // 2)].mean(axis=1)
    if sorted(after)[2] > GOES_ON:
        return None
    x, y = arms.centres[even].mean(axis=0)
    ink = float(arms.ink[index])
    uneven = float(np.abs(arms.grey[index, :, NEAREST : length + 1] - ink).mean()) / max(1.0, ink)
    drawn = float(arms.drawn[index, :, NEAREST : length + 1].mean())
    return _Found(float(x), float(y), length, ink, float(np.clip(0.85 * drawn - 2.0 * uneven, 0.05, 1.0)))


def _thin(dark: NDArray[np.uint8], found: _Found) -> bool:
    """Whether the dark is a rim: three of the four spaces between the arms are not."""
    x, y = round(found.x), round(found.y)
    near, far = round(0.55 * found.length), found.length
    spaces = [
        float(dark[min(top, bottom) : max(top, bottom) + 1, min(left, right) : max(left, right) + 1].mean()) / 255
        for top, bottom in ((y - far, y - near), (y + near, y + far))
        for left, right in ((x - far, x - near), (x + near, x + far))
    ]
    return sorted(spaces)[2] <= MOST_DARK
