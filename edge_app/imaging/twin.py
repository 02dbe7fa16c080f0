"""Twin: the other end of a lone glyph whose ink is lost in tissue as bright as itself, found by its drop shadow.

Both ends of a length are drawn alike, so the end that is seen is the pattern for the one that is not: where shadow
pixels are as dark as the pattern's and ink pixels are of one grey. Without a shadow or outline nothing is looked for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, hypot

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.imaging.evidence import brightest_channel
from edge_app.imaging.glyph import Glyph
from edge_app.imaging.strokes import find_candidates, thickest

SHADOW = 45  # grey levels under the surroundings
FEWEST_SHADOW = 1.5  # shadow pixels per pixel of reach
MOST_COST = 22.0  # grey levels: difference of the shadows plus spread of the ink
ONE_INK = 0.1  # share by which pixels of one ink differ
SAME_INK = 0.2  # share by which the inks of the two ends differ
ONE_SHADOW = 25  # grey levels by which pixels of one shadow differ; tissue darker than this beside it is no shadow
TRUSTED = 0.85  # share of the pattern's pixels that count: the rest may be tissue that looks like it, dots or a label
CLEARER = 1.35  # cost of the next best place over the best one's
WANDER = 4  # pixels around a candidate
CONFIDENCE = 0.6


@dataclass(frozen=True, slots=True, eq=False)
class _Pattern:
    """The drawn pixels of a glyph: grey values, where its shadow is and where its ink."""

    grey: NDArray[np.float32]
    shadow: NDArray[np.bool_]
    ink: NDArray[np.bool_]


def find_twin(pixels: NDArray[np.uint8], glyph: Glyph, allowed: NDArray[np.bool_] | None) -> Glyph | None:
    """Return the glyph in RGB uint8 ``pixels`` that is drawn like ``glyph``, or None where none or several are."""
    radius = ceil(1.2 * glyph.reach) + 2
    centre = round(glyph.x), round(glyph.y)
    pattern = _pattern(pixels, centre, radius, glyph)
    if pattern is None:
        return None
    places = [c for c in find_candidates(pixels, allowed, dark=True) if c.shape == glyph.shape]
    found: list[tuple[float, int, int]] = []
    for place in places:
        if hypot(place.x - glyph.x, place.y - glyph.y) > 4 * glyph.reach:
            found.append(_best_near(pixels, (round(place.x), round(place.y)), radius, pattern))
    found.sort()
    apart = [f for f in found[1:] if hypot(f[1] - found[0][1], f[2] - found[0][2]) > glyph.reach]
    if not found or found[0][0] > MOST_COST or (apart and apart[0][0] < CLEARER * found[0][0]):
        return None
    x, y = found[0][1] + glyph.x - centre[0], found[0][2] + glyph.y - centre[1]
    return replace(glyph, x=x, y=y, confidence=min(glyph.confidence, CONFIDENCE), whole=False)


def _cut(pixels: NDArray[np.uint8], centre: tuple[int, int], radius: int) -> NDArray[np.uint8] | None:
    x, y = centre
    if not (radius <= x < pixels.shape[1] - radius and radius <= y < pixels.shape[0] - radius):
        return None
    part = pixels[y - radius : y + radius + 1, x - radius : x + radius + 1]
    return brightest_channel(np.ascontiguousarray(part))


def _pattern(pixels: NDArray[np.uint8], centre: tuple[int, int], radius: int, glyph: Glyph) -> _Pattern | None:
    grey = _cut(pixels, centre, radius)
    if grey is None:
        return None
    thick = thickest(pixels.shape[0])
    dark = cv2.morphologyEx(grey, cv2.MORPH_BLACKHAT, np.ones((thick | 1, thick | 1), np.uint8))
    side = np.abs(np.arange(-radius, radius + 1))
    near = 0.45 * glyph.reach
    aside = np.minimum(side[:, None], side[None])  # from the middle of the strokes
    if glyph.shape == "cross":
        aside = np.abs(side[:, None] - side[None])
    arms = aside <= near
    shadow = (np.asarray(dark) > SHADOW) & arms & (grey < 60)
    if shadow.any():
        shadow &= grey < float(np.quantile(grey[shadow], 0.1)) + ONE_SHADOW
    middle = (aside == 0) & (np.maximum(side[:, None], side[None]) <= 0.95 * glyph.reach)
    level = float(np.median(grey[middle]))
    ink = middle & (np.abs(grey - level) <= ONE_INK * level)
    if int(shadow.sum()) < FEWEST_SHADOW * glyph.reach or int(ink.sum()) < glyph.reach:
        return None
    return _Pattern(grey.astype(np.float32), shadow, ink)


def _best_near(
    pixels: NDArray[np.uint8], place: tuple[int, int], radius: int, pattern: _Pattern
) -> tuple[float, int, int]:
    """Return (cost, x, y) of the best place for the pattern within ``WANDER`` pixels."""
    best = (np.inf, *place)
    for dy in range(-WANDER, WANDER + 1):
        for dx in range(-WANDER, WANDER + 1):
            x, y = place[0] + dx, place[1] + dy
            grey = _cut(pixels, (x, y), radius)
            if grey is not None:
                best = min(best, (_cost(grey.astype(np.float32), pattern), x, y))
    return best


def _cost(grey: NDArray[np.float32], pattern: _Pattern) -> float:
    shadow = np.abs(grey[pattern.shadow] - pattern.grey[pattern.shadow])
    ink = grey[pattern.ink]
    level = float(np.median(pattern.grey[pattern.ink]))
    if abs(float(np.median(ink)) - level) > SAME_INK * level:
        return float(np.inf)
    return _trusted_mean(shadow) + _trusted_mean(np.abs(ink - np.median(ink)))


def _trusted_mean(differences: NDArray[np.float32]) -> float:
    """Return the root mean square of the ``TRUSTED`` smallest differences."""
    count = max(1, int(TRUSTED * len(differences)))
    return float(np.sqrt(np.mean(np.partition(differences, count - 1)[:count] ** 2)))
