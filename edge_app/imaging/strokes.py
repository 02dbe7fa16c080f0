"""Strokes: maps in which thin drawn lines stand out, and the places where four of them meet as '+' or 'x'.

The search asks for shape, never for a colour: four arms brighter than the space between them, on brightness and, where
the picture holds colour, on chroma. The centre is not looked at, so hollow glyphs are found like solid ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.imaging.evidence import brightest_channel

Grey = NDArray[np.uint8]
Shape = Literal["plus", "cross"]

SEARCH_ROWS = 720
"""Rows to which a taller picture is reduced for the search; glyphs scale with the picture, 8-40 px on real ones."""

REACHES = (4.0, 5.5, 7.5, 10.0, 13.5)
"""Half spans looked for, pixels of the search picture; each finds glyphs from 0.85 to 1.5 times its size."""

THICKEST = 9  # search pixels: what is wider is not a stroke
MARGIN = 16  # search pixels around the window, so that every arm of REACHES has pixels to look at
LEAST_CONTRAST = 26  # grey levels between the weakest arm and the second brightest space between arms
HIDDEN = 16  # grey levels: what a glyph of three clear arms needs over one of four
COLOURED = 40  # chroma, 0..255, that counts as colour
FEW_COLOURED = 12  # pixels: fewer make no glyph
MOST_CANDIDATES = 48


@dataclass(frozen=True, slots=True)
class Candidate:
    """A place that may be a glyph: frame pixels, half span in frame pixels, and how much its arms stand out."""

    x: float
    y: float
    shape: Shape
    reach: float
    contrast: float
    coloured: bool  # found on chroma


def chroma(pixels: NDArray[np.uint8]) -> Grey:
    """Return max(R, G, B) - min(R, G, B), uint8 (H, W): 0 for grey, 255 for a pure colour."""
    red, green, blue = cv2.split(pixels)
    low = cv2.min(cv2.min(red, green), blue)
    return np.asarray(cv2.subtract(brightest_channel(pixels), low), dtype=np.uint8)


def stroke_map(grey: Grey, thickest: int) -> Grey:
    """Return by how much each pixel stands over its surroundings, if its structure is thinner than ``thickest``."""
    side = thickest | 1
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (side, side))
    return np.asarray(cv2.morphologyEx(grey, cv2.MORPH_TOPHAT, kernel), dtype=np.uint8)


def find_candidates(pixels: NDArray[np.uint8], allowed: NDArray[np.bool_] | None = None) -> list[Candidate]:
    """Return the places of RGB uint8 ``pixels`` (H, W, 3) where four arms meet, those that stand out most first.

    Only strokes in ``allowed`` (bool, H, W; None: everywhere) are looked at.
    """
    x0, y0, x1, y1 = (0, 0, pixels.shape[1], pixels.shape[0]) if allowed is None else _box(allowed)
    if x1 - x0 < 2 or y1 - y0 < 2:
        return []
    factor = max(1.0, pixels.shape[0] / SEARCH_ROWS)
    part = pixels[y0:y1, x0:x1]
    if factor > 1:
        size = (max(1, round((x1 - x0) / factor)), max(1, round((y1 - y0) / factor)))
        part = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    inside = None if allowed is None else _mask_like(allowed[y0:y1, x0:x1], part)
    maps = [(stroke_map(brightest_channel(part), THICKEST), False)]
    colour = chroma(part)
    if cv2.countNonZero(cv2.compare(colour, COLOURED, cv2.CMP_GT)) >= FEW_COLOURED:
        maps.append((stroke_map(colour, THICKEST), True))
    found: list[Candidate] = []
    for strokes, coloured in maps:
        for x, y, shape, reach, contrast in _peaks(strokes if inside is None else cv2.bitwise_and(strokes, inside)):
            place = (x + 0.5) * factor - 0.5 + x0, (y + 0.5) * factor - 0.5 + y0
            found.append(Candidate(*place, shape, reach * factor, contrast, coloured))
    return _apart(found)


def _box(allowed: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(allowed.any(axis=1)), np.flatnonzero(allowed.any(axis=0))
    if len(rows) == 0:
        return 0, 0, 0, 0
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _mask_like(allowed: NDArray[np.bool_], part: NDArray[np.uint8]) -> Grey:
    size = (part.shape[1], part.shape[0])
    small = cv2.resize(allowed.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    return np.asarray(small * 255, dtype=np.uint8)


def _apart(found: list[Candidate]) -> list[Candidate]:
    """Keep of candidates that lie on each other the one that stands out most (a larger one before a smaller)."""
    kept: list[Candidate] = []
    for one in sorted(found, key=lambda c: -c.contrast * (1 + 0.02 * c.reach)):
        near = (abs(one.x - o.x) < 0.5 * o.reach and abs(one.y - o.y) < 0.5 * o.reach for o in kept if o.shape == one.shape)
        if not any(near):
            kept.append(one)
        if len(kept) == MOST_CANDIDATES:
            break
    return kept


def _peaks(strokes: Grey) -> list[tuple[float, float, Shape, float, float]]:
    """Return (x, y, shape, reach, contrast) of the local maxima of every shape and size."""
    around_it = (MARGIN, MARGIN, MARGIN, MARGIN)
    padded = np.asarray(cv2.copyMakeBorder(strokes, *around_it, cv2.BORDER_CONSTANT, value=(0,)), dtype=np.uint8)
    thick = np.asarray(cv2.dilate(padded, cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))), dtype=np.uint8)
    found: list[tuple[float, float, Shape, float, float]] = []
    for reach in REACHES:
        around = _surroundings(padded, reach)
        responses: tuple[tuple[Shape, Grey], ...] = (
            ("plus", _contrast(_upright_arms(padded, reach), _between(around, round(0.55 * reach), upright=True))),
            ("cross", _contrast(_oblique_arms(thick, reach), _between(around, round(0.75 * reach), upright=False))),
        )
        for shape, response in responses:
            found.extend((x, y, shape, reach, value) for x, y, value in _maxima(response, reach))
    return found


def _maxima(response: Grey, reach: float) -> list[tuple[float, float, float]]:
    """Return (x, y, value) of the highest local maxima over the threshold."""
    high = cv2.compare(response, LEAST_CONTRAST, cv2.CMP_GE)
    if not cv2.countNonZero(high):
        return []
    side = 2 * round(0.4 * reach) + 1
    top = cv2.compare(response, cv2.dilate(response, np.ones((side, side), np.uint8)), cv2.CMP_GE)
    ys, xs = np.nonzero(cv2.bitwise_and(high, top))
    values = response[ys, xs]
    order = np.argsort(-values.astype(np.int16), kind="stable")[: 4 * MOST_CANDIDATES]
    return [(float(xs[i]), float(ys[i]), float(values[i])) for i in order]


def _view(grey: Grey, dx: int, dy: int) -> Grey:
    """Return ``grey`` without its margin, moved so that pixel (x, y) shows (x + dx, y + dy)."""
    height, width = grey.shape[0] - 2 * MARGIN, grey.shape[1] - 2 * MARGIN
    return grey[MARGIN + dy : MARGIN + dy + height, MARGIN + dx : MARGIN + dx + width]


def _arm(reach: float) -> tuple[int, int]:
    """Return (first pixel, pixels) of the part of an arm that must be bright: past a hollow centre, before the end."""
    first, last = max(2, round(0.45 * reach)), round(0.85 * reach)
    return first, last - first + 1


def _upright_arms(padded: Grey, reach: float) -> tuple[Grey, Grey, Grey, Grey]:
    """Return the darkest value on each of the four arms of a '+'."""
    first, length = _arm(reach)
    level = np.asarray(cv2.erode(padded, np.ones((1, length), np.uint8), anchor=(0, 0)), dtype=np.uint8)
    upright = np.asarray(cv2.erode(padded, np.ones((length, 1), np.uint8), anchor=(0, 0)), dtype=np.uint8)
    back = -first - length + 1
    return _view(level, first, 0), _view(level, back, 0), _view(upright, 0, first), _view(upright, 0, back)


def _oblique_arms(padded: Grey, reach: float) -> tuple[Grey, Grey, Grey, Grey]:
    """Return the darkest value on each of the four arms of an 'x'."""
    first, length = _arm(reach)
    arms: list[Grey] = []
    for right, down in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
        darkest = _view(padded, right * first, down * first)
        for step in range(first + 1, first + length):
            darkest = np.asarray(cv2.min(darkest, _view(padded, right * step, down * step)), dtype=np.uint8)
        arms.append(darkest)
    return arms[0], arms[1], arms[2], arms[3]


def _contrast(arms: tuple[Grey, Grey, Grey, Grey], between: Grey) -> Grey:
    """Return how far the dimmest arm stands over the spaces, or the second dimmest less ``HIDDEN``: one may be hidden."""
    a, b, c, d = arms
    low, other = cv2.min(a, b), cv2.min(c, d)
    dimmest = cv2.min(low, other)
    second = cv2.min(cv2.max(low, other), cv2.min(cv2.max(a, b), cv2.max(c, d)))
    best = cv2.max(dimmest, cv2.subtract(second, HIDDEN))
    return np.asarray(cv2.subtract(best, between), dtype=np.uint8)


def _surroundings(padded: Grey, reach: float) -> Grey:
    side = max(1, 2 * round(0.2 * reach) - 1)
    return np.asarray(cv2.blur(padded, (side, side)), dtype=np.uint8) if side > 1 else padded


def _between(around: Grey, step: int, *, upright: bool) -> Grey:
    """Return the second brightest of the four spaces between the arms: a label or a dotted line may fill one."""
    ways = ((step, step), (step, -step), (-step, step), (-step, -step))
    if not upright:
        ways = ((step, 0), (-step, 0), (0, step), (0, -step))
    a, b, c, d = (_view(around, dx, dy) for dx, dy in ways)
    second = cv2.min(cv2.max(a, b), cv2.max(c, d))
    return np.asarray(cv2.max(second, cv2.max(cv2.min(a, b), cv2.min(c, d))), dtype=np.uint8)
