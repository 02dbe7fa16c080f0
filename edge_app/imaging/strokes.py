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

from edge_app.imaging.evidence import brightest_channel, over

Grey = NDArray[np.uint8]
Shape = Literal["plus", "cross"]

LARGE_ROWS = 900
"""Pictures of so many rows hold no glyphs of the smallest size; glyphs scale with the picture, 8-40 px on real ones."""

REACHES = (4.2, 6.0)
LEVELS = 3
"""Half spans looked for at each level, pixels; each level is half as large; one finds glyphs of 0.85..1.6 times it."""

THICKEST = 9  # pixels at 720 rows: what is wider is not a stroke
MARGIN = 9  # pixels around the window, so that every arm of REACHES has pixels to look at
LEAST_CONTRAST = 30  # grey levels of the second dimmest arm (one may be hidden) over the second brightest space
COLOURED = 40  # chroma, 0..255, that counts as colour
FEW_COLOURED = 4  # of every fourth pixel: fewer make no glyph
MOST_CANDIDATES = 24
MOST_OF_ONE_SIZE = 16


@dataclass(frozen=True, slots=True)
class Candidate:
    """A place that may be a glyph: frame pixels, half span in frame pixels, and how much its arms stand out."""

    x: float
    y: float
    shape: Shape
    reach: float
    contrast: float
    coloured: bool  # colour is near


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


def find_candidates(
    pixels: NDArray[np.uint8], allowed: NDArray[np.bool_] | None = None, *, dark: bool = False
) -> list[Candidate]:
    """Return the places of RGB uint8 ``pixels`` (H, W, 3) where four arms meet, those that stand out most first.

    Only strokes in ``allowed`` (bool, H, W; None: everywhere) are looked at; ``dark``: dark strokes, such as shadows.
    """
    x0, y0, x1, y1 = (0, 0, pixels.shape[1], pixels.shape[0]) if allowed is None else _box(allowed)
    if x1 - x0 < 2 or y1 - y0 < 2:
        return []
    part = pixels[y0:y1, x0:x1]
    thick = thickest(pixels.shape[0])
    strokes, colour = (_dark_map(part, thick), None) if dark else _stroke_maps(part, thick)
    if allowed is not None:
        strokes = np.asarray(cv2.multiply(strokes, _bytes(allowed[y0:y1, x0:x1])), dtype=np.uint8)
    small = pixels.shape[0] < LARGE_ROWS
    found: list[Candidate] = []
    for level in range(LEVELS):
        if level:
            strokes = _halved(strokes)
        factor = 2**level
        for x, y, shape, reach, contrast in _peaks(strokes, REACHES if level or small else REACHES[1:]):
            place = (x + 0.5) * factor - 0.5, (y + 0.5) * factor - 0.5
            tinted = _tinted(colour, place, reach * factor)
            found.append(Candidate(place[0] + x0, place[1] + y0, shape, reach * factor, contrast, tinted))
    return _apart(found)


def thickest(rows: int) -> int:
    """Return the width of the thickest stroke of a picture of so many rows, pixels."""
    return round(THICKEST * max(1.0, rows / 720))


def _stroke_maps(part: NDArray[np.uint8], thick: int) -> tuple[Grey, Grey | None]:
    """Return the stroke map, of brightness or of chroma whichever is clearer, and the chroma where there is colour."""
    strokes = stroke_map(np.asarray(cv2.extractChannel(part, 1), dtype=np.uint8), thick)  # what green lacks, chroma has
    coarse = over(chroma(np.ascontiguousarray(part[::2, ::2])), COLOURED)
    if cv2.countNonZero(coarse) < FEW_COLOURED:
        return strokes, None
    x, y, width, height = cv2.boundingRect(coarse)
    cut = (
        slice(max(0, 2 * y - MARGIN), 2 * (y + height) + MARGIN),
        slice(max(0, 2 * x - MARGIN), 2 * (x + width) + MARGIN),
    )
    colour = np.zeros_like(strokes)
    colour[cut] = chroma(part[cut])
    strokes[cut] = cv2.max(strokes[cut], stroke_map(colour[cut], thick))
    return strokes, colour


def _dark_map(part: NDArray[np.uint8], thick: int) -> Grey:
    side = np.ones((thick | 1, thick | 1), np.uint8)
    return np.asarray(cv2.morphologyEx(cv2.extractChannel(part, 1), cv2.MORPH_BLACKHAT, side), dtype=np.uint8)


def _tinted(colour: Grey | None, place: tuple[float, float], reach: float) -> bool:
    """Whether there is colour at a candidate."""
    if colour is None:
        return False
    x, y, half = round(place[0]), round(place[1]), round(reach)
    around = colour[max(0, y - half) : y + half + 1, max(0, x - half) : x + half + 1]
    return bool(around.size and int(around.max()) > COLOURED)


def _bytes(mask: NDArray[np.bool_]) -> Grey:
    return np.ascontiguousarray(mask).view(np.uint8)


def _halved(strokes: Grey) -> Grey:
    """Return the map at half its size, each pixel the brightest of four: a thin stroke keeps its contrast."""
    wide = cv2.dilate(strokes, np.ones((2, 2), np.uint8), anchor=(0, 0))
    half = (max(1, strokes.shape[1] // 2), max(1, strokes.shape[0] // 2))
    even = wide[: 2 * half[1], : 2 * half[0]]
    return np.asarray(cv2.resize(even, half, interpolation=cv2.INTER_NEAREST), dtype=np.uint8)


def _box(allowed: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    x, y, width, height = cv2.boundingRect(_bytes(allowed))
    return x, y, x + width, y + height


def _apart(found: list[Candidate]) -> list[Candidate]:
    """Keep of candidates that lie on each other the one that stands out most (a larger one before a smaller)."""
    kept: list[Candidate] = []
    for one in sorted(found, key=lambda c: -c.contrast * (1 + 0.02 * c.reach)):
        alike = [o for o in kept if o.shape == one.shape]
        if not any(max(abs(one.x - o.x), abs(one.y - o.y)) < 0.5 * o.reach for o in alike):
            kept.append(one)
        if len(kept) == MOST_CANDIDATES:
            break
    return kept


def _peaks(strokes: Grey, reaches: tuple[float, ...]) -> list[tuple[float, float, Shape, float, float]]:
    """Return (x, y, shape, reach, contrast) of the local maxima of every shape and size."""
    around_it = (MARGIN, MARGIN, MARGIN, MARGIN)
    padded = np.asarray(cv2.copyMakeBorder(strokes, *around_it, cv2.BORDER_CONSTANT, value=(0,)), dtype=np.uint8)
    thick = np.asarray(cv2.dilate(padded, cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))), dtype=np.uint8)
    found: list[tuple[float, float, Shape, float, float]] = []
    for reach in reaches:
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
    high = over(response, LEAST_CONTRAST)
    rows = np.flatnonzero(high.max(axis=1))
    if len(rows) == 0:
        return []
    xy = cv2.findNonZero(high[rows]).reshape(-1, 2)
    xy[:, 1] = rows[xy[:, 1]]
    values = response[xy[:, 1], xy[:, 0]].astype(np.int32)
    found: list[tuple[float, float, float]] = []
    while len(found) < MOST_OF_ONE_SIZE and len(values):
        top = int(values.argmax())
        found.append((float(xy[top, 0]), float(xy[top, 1]), float(values[top])))
        far = np.abs(xy - xy[top]).max(axis=1) > 0.8 * reach
        xy, values = xy[far], values[far]
    return found


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
    """Return how far the second dimmest arm stands over the spaces: one arm may be hidden in tissue."""
    a, b, c, d = arms
    second = cv2.min(cv2.max(cv2.min(a, b), cv2.min(c, d)), cv2.min(cv2.max(a, b), cv2.max(c, d)))
    return np.asarray(cv2.subtract(second, between), dtype=np.uint8)


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
