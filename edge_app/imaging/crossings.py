"""Crossings: the places of a picture where four thin strokes meet as '+' or 'x', whatever their colour.

An arm is a ridge: brighter than what lies at both its sides (for a shadow: darker). The centre is not looked at, so
hollow glyphs are found like solid ones, and an arm's end is not either, so one pass serves many sizes. What is found
here is many times more than what was drawn; ``glyph`` decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.imaging.evidence import over
from edge_app.imaging.patches import halved
from edge_app.imaging.strokes import chroma

Grey = NDArray[np.uint8]
Shape = Literal["plus", "cross"]
Map = Literal["bright", "dark", "colour"]

WORK_ROWS = 800
"""Pictures with more rows are searched at two thirds, a half ...: marks grow with the picture."""
SMALL_ROWS = 400
"""Pictures with fewer are searched at twice their size: a glyph of 5 pixels has arms of two."""

ARMS = ((2, 3), (4, 6))
"""First and last pixel of an arm that must be a ridge, at each level; a level is half as large as the one before."""
LEVELS = 3
SIDE = 3  # pixels from the middle of a stroke to what lies beside it
MARGIN = 12  # pixels around the window, so that every arm has pixels to look at
LEAST = {"bright": 14, "dark": 26, "colour": 14}  # grey levels by which the arms must stand out
NOISE = 6.0  # grey levels added to what the surroundings show of ridges, before a place is measured against them
WINDOW = 41  # pixels around a place that are its surroundings
MOST = 32  # places of each response
GLANCE = 24
"""Side of the patch that goes with a place, pixels of the map in which its arms have about five."""
COLOURED = 40  # chroma, 0..255, that counts as colour
FEW_COLOURED = 3  # of every fourth pixel: fewer make no glyph


@dataclass(frozen=True, slots=True, eq=False)
class Crossing:
    """A place that may be a glyph: frame pixels, and the distance to which its arms were seen.

    ``score`` is the contrast of the arms over that of chance ridges around; ``patch`` is uint8 (GLANCE, GLANCE) of the
    map it was seen in.
    """

    x: float
    y: float
    shape: Shape
    reach: float
    score: float
    kind: Map
    patch: Grey


def work_factor(rows: int) -> float:
    """Return by how much a picture of so many rows is scaled for the search."""
    if rows < SMALL_ROWS:
        return 2.0
    return 1.0 if rows <= WORK_ROWS else max(720 / rows, 1 / 3)


def find_crossings(
    pixels: NDArray[np.uint8], allowed: NDArray[np.bool_] | None, kind: Map, rows: int | None = None
) -> list[Crossing]:
    """Return the crossings of RGB uint8 ``pixels`` (H, W, 3) in ``allowed`` (bool, H, W; None: everywhere).

    ``rows`` is the height of the whole picture where ``pixels`` is a part of it.
    """
    box = (0, 0, pixels.shape[1], pixels.shape[0]) if allowed is None else _box(allowed)
    x0, y0, x1, y1 = box
    if x1 - x0 < 8 or y1 - y0 < 8:
        return []
    part = pixels[y0:y1, x0:x1]
    if kind == "colour":
        coarse = over(chroma(np.ascontiguousarray(part[::2, ::2])), COLOURED)
        if cv2.countNonZero(coarse) < FEW_COLOURED:
            return []
        cx, cy, width, height = cv2.boundingRect(coarse)
        cut = max(0, 2 * cx - 2 * MARGIN), max(0, 2 * cy - 2 * MARGIN)
        part = part[cut[1] : 2 * (cy + height) + 2 * MARGIN, cut[0] : 2 * (cx + width) + 2 * MARGIN]
        x0, y0 = x0 + cut[0], y0 + cut[1]
        grey = chroma(part)
    else:
        grey = np.asarray(cv2.extractChannel(part, 1), dtype=np.uint8)  # what green lacks, chroma has
    factor = work_factor(rows or pixels.shape[0])
    grey = _scaled(grey, factor)
    mask = None
    if allowed is not None:
        near = allowed[y0 : y0 + part.shape[0], x0 : x0 + part.shape[1]]
        mask = cv2.resize(_bytes(near), grey.shape[::-1], interpolation=cv2.INTER_NEAREST).astype(np.bool_)
    if kind == "dark":
        grey = np.asarray(cv2.bitwise_not(grey), dtype=np.uint8)
    maps = [_padded(grey)]
    while len(maps) <= LEVELS and min(grey.shape) >= 24:
        grey = halved(grey)
        maps.append(_padded(grey))
    found: list[Crossing] = []
    for level in range(len(maps) - 1):
        step = 2**level / factor
        for x, y, shape, reach, score, patch in _level(maps[level], maps[level + 1], LEAST[kind]):
            if mask is not None and not mask[min(y << level, mask.shape[0] - 1), min(x << level, mask.shape[1] - 1)]:
                continue
            place = (x + 0.5) * step - 0.5 + x0, (y + 0.5) * step - 0.5 + y0
            found.append(Crossing(*place, shape, reach * step, score, kind, patch))
    return found


def apart(found: list[Crossing], most: int) -> list[Crossing]:
    """Keep of crossings of one shape that lie on each other the one that stands out most; at most so many."""
    kept: list[Crossing] = []
    for one in sorted(found, key=lambda c: -c.score * c.reach**0.3):
        near = (
            o for o in kept if o.shape == one.shape and hypot(o.x - one.x, o.y - one.y) < 0.5 * max(o.reach, one.reach)
        )
        if next(near, None) is None:
            kept.append(one)
        if len(kept) == most:
            break
    return kept


def _scaled(grey: Grey, factor: float) -> Grey:
    if factor == 1.0:
        return grey
    how = cv2.INTER_CUBIC if factor > 1 else cv2.INTER_LINEAR if factor > 0.55 else cv2.INTER_AREA
    size = (max(1, round(grey.shape[1] * factor)), max(1, round(grey.shape[0] * factor)))
    return np.asarray(cv2.resize(grey, size, interpolation=how), dtype=np.uint8)


def _bytes(mask: NDArray[np.bool_]) -> Grey:
    return np.ascontiguousarray(mask).view(np.uint8)


def _box(allowed: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    x, y, width, height = cv2.boundingRect(_bytes(allowed))
    return x, y, x + width, y + height


def _padded(grey: Grey) -> Grey:
    return np.asarray(cv2.copyMakeBorder(grey, *(MARGIN + SIDE,) * 4, cv2.BORDER_REPLICATE), dtype=np.uint8)


def _level(padded: Grey, smaller: Grey, least: int) -> list[tuple[int, int, Shape, float, float, Grey]]:
    """Return (x, y, shape, reach, score, patch) of the places of one level; ``smaller`` is the next level's map."""
    level, upright = _ridge(padded, 0, SIDE), _ridge(padded, SIDE, 0)
    falling, rising = _ridge(padded, SIDE - 1, 1 - SIDE), _ridge(padded, SIDE - 1, SIDE - 1)
    down, up = (np.asarray(cv2.dilate(one, _CROSS), dtype=np.uint8) for one in (falling, rising))
    both = _moved(np.asarray(cv2.add(level, upright), dtype=np.uint8), 0, 0)
    coarse = cv2.resize(both, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    noise = np.asarray(cv2.blur(coarse, (WINDOW // 4, WINDOW // 4)), dtype=np.uint8)
    found: list[tuple[int, int, Shape, float, float, Grey]] = []
    for (first, last), shown, factor in zip(ARMS, (padded, smaller), (1, 2), strict=True):
        responses: tuple[tuple[Shape, Grey], ...] = (
            ("plus", _upright(level, upright, first, last)),
            ("cross", _oblique(down, up, first, last)),
        )
        for shape, response in responses:
            xy, scores = _maxima(response, least, last, noise)
            patches = _patches(shown, xy // factor)
            for (x, y), score, patch in zip(xy, scores, patches, strict=True):
                found.append((int(x), int(y), shape, float(last), float(score), patch))
    return found


def _patches(padded: Grey, xy: NDArray[np.int32]) -> Grey:
    """Return uint8 (N, GLANCE, GLANCE) around places of a map."""
    around = np.arange(GLANCE) + MARGIN + SIDE - GLANCE // 2
    rows, columns = xy[:, 1, None, None] + around[:, None], xy[:, 0, None, None] + around
    seen = padded[np.minimum(rows, padded.shape[0] - 1), np.minimum(columns, padded.shape[1] - 1)]
    return np.asarray(seen, dtype=np.uint8)


_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


def _moved(padded: Grey, dx: int, dy: int) -> Grey:
    """Return ``padded`` without its margin, moved so that pixel (x, y) shows (x + dx, y + dy)."""
    height, width = padded.shape[0] - 2 * MARGIN, padded.shape[1] - 2 * MARGIN
    return padded[MARGIN + dy : MARGIN + dy + height, MARGIN + dx : MARGIN + dx + width]


def _ridge(padded: Grey, dx: int, dy: int) -> Grey:
    """Return by how much each pixel stands over both pixels beside it, without the outer ``SIDE`` pixels."""
    height, width = padded.shape[0] - 2 * SIDE, padded.shape[1] - 2 * SIDE

    def seen(x: int, y: int) -> Grey:
        return padded[SIDE + y : SIDE + y + height, SIDE + x : SIDE + x + width]

    return np.asarray(cv2.subtract(seen(0, 0), cv2.max(seen(dx, dy), seen(-dx, -dy))), dtype=np.uint8)


def _upright(level: Grey, upright: Grey, first: int, last: int) -> Grey:
    length = last - first + 1
    flat = np.asarray(cv2.erode(level, np.ones((1, length), np.uint8), anchor=(0, 0)), dtype=np.uint8)
    tall = np.asarray(cv2.erode(upright, np.ones((length, 1), np.uint8), anchor=(0, 0)), dtype=np.uint8)
    return _four(_moved(flat, first, 0), _moved(flat, -last, 0), _moved(tall, 0, first), _moved(tall, 0, -last))


def _oblique(down: Grey, up: Grey, first: int, last: int) -> Grey:
    a, b = max(1, round(0.75 * first)), max(2, round(0.75 * last))
    arms: list[Grey] = []
    for ridge, dx, dy in ((down, 1, 1), (down, -1, -1), (up, 1, -1), (up, -1, 1)):
        darkest = _moved(ridge, dx * a, dy * a)
        for step in range(a + 1, b + 1):
            darkest = np.asarray(cv2.min(darkest, _moved(ridge, dx * step, dy * step)), dtype=np.uint8)
        arms.append(darkest)
    return _four(*arms)


def _four(a: Grey, b: Grey, c: Grey, d: Grey) -> Grey:
    """Return the mean of the dimmest and the second dimmest of four arms: one may be hidden in tissue."""
    low, high = cv2.min(a, b), cv2.max(a, b)
    low2, high2 = cv2.min(c, d), cv2.max(c, d)
    least = cv2.min(low, low2)
    second = cv2.min(cv2.max(low, low2), cv2.min(high, high2))
    return np.asarray(cv2.addWeighted(least, 0.5, second, 0.5, 0), dtype=np.uint8)


def _maxima(
    response: Grey, least: int, reach: float, noise: NDArray[np.uint8]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return (x, y), int32 (N, 2), and scores of the best local maxima over the threshold."""
    high = over(response, least - 1)
    if cv2.countNonZero(high) == 0:
        return np.zeros((0, 2), np.int32), np.zeros(0, np.float32)
    xy = cv2.findNonZero(high).reshape(-1, 2)
    value = response[xy[:, 1], xy[:, 0]].astype(np.float32)
    rows = np.minimum(xy[:, 1] // 4, noise.shape[0] - 1)
    columns = np.minimum(xy[:, 0] // 4, noise.shape[1] - 1)
    score = value / (NOISE + noise[rows, columns])
    order = np.argsort(-score)[: 30 * MOST]
    xy, score = xy[order], score[order]
    found: list[int] = []
    free = np.ones(len(xy), np.bool_)
    index = 0
    while len(found) < MOST:
        found.append(index)
        free &= np.abs(xy - xy[index]).max(axis=1) > 0.8 * reach
        index = int(free.argmax())
        if not free[index]:
            break
    return xy[found].astype(np.int32), score[found]
