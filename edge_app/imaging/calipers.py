"""Calipers: the pairs of length markers that the scanner drew, or none; a guess is never made."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import hypot

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.imaging.emboss import look_for_shadow
from edge_app.imaging.evidence import brightest_channel
from edge_app.imaging.glyph import Glyph, look_closely
from edge_app.imaging.scene import CaliperPair, Sector
from edge_app.imaging.strokes import Candidate, chroma, find_candidates, stroke_map, thickest
from edge_app.imaging.twin import find_twin

OUTSIDE_SHARE = 0.035  # of the picture's height: how far outside the image a marker may stand
NEAREST_SPANS = 1.5  # glyph spans between two markers that do not belong to one letter
SIZE_RATIO = 1.4  # of the larger to the smaller glyph of a pair
SURE = 0.55  # confidence that two markers need without a line between them
LETTERS = 0.22  # share of columns beside a glyph that hold letter strokes


@dataclass(frozen=True, slots=True)
class _Link:
    """Two glyphs that may be a pair, and how surely a drawn line joins them, 0..1."""

    first: Glyph
    second: Glyph
    line: float

    @property
    def length(self) -> float:
        return hypot(self.first.x - self.second.x, self.first.y - self.second.y)


def find_calipers(pixels: NDArray[np.uint8], sector: Sector | None) -> tuple[CaliperPair, ...]:
    """Return the pairs of '+' or 'x' in RGB uint8 (H, W, 3) ``pixels``, the longest first, or nothing.

    Both ends must have one shape, size and colour, and lie in ``sector`` or just outside. More than two alike are told
    apart by the dotted lines between them, else by length. A single marker, a pair in two colours (the second end is
    still moving on a LOGIQ) and the glyphs of a legend are no pair.
    """
    glyphs = find_glyphs(pixels, sector)
    links: list[_Link] = []
    for group in _alike(glyphs):
        links.extend(_matched(group, pixels))
    if not links:
        links = _with_twin(pixels, glyphs, sector)
    pairs = [_pair(link) for link in links]
    return tuple(sorted(pairs, key=lambda pair: -pair.length_px))


def _with_twin(pixels: NDArray[np.uint8], glyphs: list[Glyph], sector: Sector | None) -> list[_Link]:
    """Return the pair of the one grey glyph inside the image and its twin, lost in tissue as bright as itself."""
    lone = [g for g in glyphs if g.hue == "grey" and sector is not None and _well_inside(g, sector)]
    if len(lone) != 1 or sector is None:
        return []
    other = find_twin(pixels, lone[0], sector.mask)
    return [] if other is None else [_Link(lone[0], other, line_between(pixels, lone[0], other))]


def find_glyphs(pixels: NDArray[np.uint8], sector: Sector | None) -> list[Glyph]:
    """Return every '+' and 'x' in or near ``sector`` (None: in the picture) that is not part of a text."""
    allowed = None if sector is None else widened(sector.mask, OUTSIDE_SHARE * pixels.shape[0])
    candidates = find_candidates(pixels, allowed)  # the clearest first: what lies on a found glyph is a part of it
    kept: list[Glyph] = []
    partial: list[Glyph] = []
    for candidate in candidates:
        glyph = None if _on(candidate, kept, 1.1) else look_closely(pixels, candidate)
        if glyph is not None and not _on(glyph, kept, 0.8):
            (kept if glyph.whole else partial).append(glyph)
    if sector is not None:
        kept = _with_shadowed(pixels, [c for c in candidates if sector.mask[round(c.y), round(c.x)]], kept)
        for glyph in partial:
            if _well_inside(glyph, sector) and not _on(glyph, kept, 0.8):
                kept.append(glyph)
    return [glyph for glyph in kept if not in_text(pixels, glyph)]


def _with_shadowed(pixels: NDArray[np.uint8], candidates: list[Candidate], glyphs: list[Glyph]) -> list[Glyph]:
    """Add the glyphs seen by their shadow; one in a glyph's place takes it, for tissue misled that look or made an 'x'.

    Where both agree the first stays: it is measured to a part of a pixel.
    """
    shadowed: list[Glyph] = []
    for candidate in candidates:
        glyph = None if _on(candidate, shadowed, 1.1) else look_for_shadow(pixels, candidate)
        if glyph is not None and not _on(glyph, shadowed, 0.8):
            shadowed.append(glyph)
    for glyph in shadowed:
        there = [o for o in glyphs if _on(o, [glyph], 1.1)]
        if not any(o.shape == glyph.shape and hypot(o.x - glyph.x, o.y - glyph.y) <= 1 for o in there):
            glyphs = [o for o in glyphs if o not in there] + [glyph]
    return glyphs


def _on(place: Glyph | Candidate, glyphs: list[Glyph], share: float) -> bool:
    """Whether the place lies within ``share`` of the reach of one of the glyphs."""
    return any(hypot(place.x - o.x, place.y - o.y) <= share * o.reach for o in glyphs)


def _well_inside(glyph: Glyph, sector: Sector) -> bool:
    """Whether the image goes on around the glyph; at its own corners tissue can look like three arms."""
    height, width = sector.mask.shape
    far = 2.2 * glyph.reach
    for dx, dy in ((far, 0.0), (-far, 0.0), (0.0, far), (0.0, -far)):
        x, y = round(glyph.x + dx), round(glyph.y + dy)
        if not (0 <= x < width and 0 <= y < height and sector.mask[y, x]):
            return False
    return True


def widened(mask: NDArray[np.bool_], by_px: float) -> NDArray[np.bool_]:
    """Return the bool mask grown by about ``by_px`` pixels, computed at a quarter of the size."""
    small = cv2.resize(
        np.ascontiguousarray(mask).view(np.uint8), None, fx=0.25, fy=0.25, interpolation=cv2.INTER_NEAREST
    )
    side = 2 * max(1, round(by_px / 4)) + 1
    grown = cv2.dilate(small, np.ones((side, side), np.uint8))
    return cv2.resize(grown, mask.shape[::-1], interpolation=cv2.INTER_NEAREST).astype(np.bool_)


def in_text(pixels: NDArray[np.uint8], glyph: Glyph) -> bool:
    """Whether letters stand in a row with the glyph: a legend, or the glyph is itself a letter.

    A marker's own label (a digit, 'A') is one letter; a dotted line is far lower than letters are.
    """
    left = _letters(pixels, glyph, -1)
    right = _letters(pixels, glyph, 1)
    return max(left, right) > LETTERS or left + right > 1.4 * LETTERS


def _letters(pixels: NDArray[np.uint8], glyph: Glyph, way: int) -> float:
    """Return the share of columns beside the glyph whose strokes are as bright as its own and as high as letters."""
    near, far = 1.35 * glyph.reach, 9.0 * glyph.reach
    x0, x1 = sorted((glyph.x + way * near, glyph.x + way * far))
    y0, y1 = glyph.y - 1.3 * glyph.reach, glyph.y + 1.3 * glyph.reach
    height, width = pixels.shape[:2]
    part = pixels[max(0, round(y0)) : min(height, round(y1) + 1), max(0, round(x0)) : min(width, round(x1) + 1)]
    if part.shape[0] < 3 or part.shape[1] < 3:
        return 0.0
    strokes = stroke_map(brightest_channel(part), thickest(height))
    drawn = strokes > 0.6 * min(255.0, glyph.level)
    rows = np.arange(drawn.shape[0])[:, None]
    top = np.where(drawn, rows, drawn.shape[0]).min(axis=0)
    bottom = np.where(drawn, rows, -1).max(axis=0)
    tall = (bottom - top + 1) >= 0.6 * glyph.reach
    return float(tall.sum()) / (far - near)


def _alike(glyphs: list[Glyph]) -> list[list[Glyph]]:
    """Return the groups of one shape and one colour."""
    keys = sorted({(g.shape, g.hue) for g in glyphs})
    return [[g for g in glyphs if (g.shape, g.hue) == key] for key in keys]


def _matched(group: list[Glyph], pixels: NDArray[np.uint8]) -> list[_Link]:
    """Return disjoint pairs: first those that a drawn line joins, then what is left if it is unambiguous."""
    links = [_Link(a, b, line_between(pixels, a, b)) for a, b in combinations(group, 2) if _fit(a, b)]
    taken: list[_Link] = []
    free = list(group)
    for link in sorted((one for one in links if one.line >= 0.5), key=lambda one: (-one.line, -one.length)):
        if link.first in free and link.second in free:
            taken.append(link)
            free = [g for g in free if g is not link.first and g is not link.second]
    sure = [g for g in free if g.confidence >= SURE]
    rest = [one for one in links if one.first in sure and one.second in sure]
    return taken + _unjoined(rest, sure)


def _unjoined(links: list[_Link], glyphs: list[Glyph]) -> list[_Link]:
    """Return the pairs among glyphs that no clear line joins: the only possible one, or length and width of one organ.

    Three markers alike without a line are two ends and a cursor, or three ends: nothing is said of them.
    """
    if len(links) <= 1:
        return links
    hinted = [one for one in links if one.line >= 0.25]
    if len(hinted) == 1:
        return hinted
    if len(glyphs) != 4:
        return []
    longest = max(links, key=lambda one: one.length)
    others = [one for one in links if not {one.first, one.second} & {longest.first, longest.second}]
    return [longest, *others]


def _fit(a: Glyph, b: Glyph) -> bool:
    """Whether two glyphs can be the ends of one length: of one size, and not on top of each other."""
    small, large = sorted((a.reach, b.reach))
    return large <= SIZE_RATIO * small + 1 and hypot(a.x - b.x, a.y - b.y) >= NEAREST_SPANS * 2 * large


def line_between(pixels: NDArray[np.uint8], a: Glyph, b: Glyph) -> float:
    """Return 0..1: how much more ink lies on the straight line between two glyphs than beside it.

    Dots and dashes of any spacing count; the glyphs themselves and what stands near them do not.
    """
    length = hypot(b.x - a.x, b.y - a.y)
    start = 1.5 * max(a.reach, b.reach)
    if length - 2 * start < 8:
        return 0.0
    strokes = _line_patch(pixels, (a, b), a.hue != "grey")
    level = min(a.level, b.level)
    at = np.arange(start, length - start, 0.5)
    ux, uy = (b.x - a.x) / length, (b.y - a.y) / length
    scale = max(1.0, pixels.shape[0] / 720)
    shares = []
    for aside in (0.0, -7.0, -5.0, 5.0, 7.0):
        near = [aside * scale + step for step in (-1.0, 0.0, 1.0)]
        x = np.stack([a.x + ux * at - uy * off for off in near]) - strokes[1]
        y = np.stack([a.y + uy * at + ux * off for off in near]) - strokes[2]
        ink = cv2.remap(strokes[0], x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR).max(axis=0)
        shares.append(_dots(ink > 0.3 * level, length))
    on, beside = shares[0], float(np.mean(shares[1:]))
    return float(np.clip((on - 1.6 * beside - 1.0) / 3.0, 0.0, 1.0))


def _dots(ink: NDArray[np.bool_], length: float) -> float:
    """Return how many separate strokes of ink a line crosses, at most one each 3 pixels."""
    starts = int(np.count_nonzero(ink[1:] & ~ink[:-1])) + int(ink[0])
    return min(float(starts), length / 3)


def _line_patch(
    pixels: NDArray[np.uint8], ends: tuple[Glyph, Glyph], coloured: bool
) -> tuple[NDArray[np.uint8], int, int]:
    """Return the stroke map around the line, with the corner of its patch."""
    margin = round(16 * max(1.0, pixels.shape[0] / 720))
    x0 = max(0, int(min(ends[0].x, ends[1].x)) - margin)
    y0 = max(0, int(min(ends[0].y, ends[1].y)) - margin)
    x1, y1 = int(max(ends[0].x, ends[1].x)) + margin, int(max(ends[0].y, ends[1].y)) + margin
    part = pixels[y0:y1, x0:x1]
    grey = cv2.max(brightest_channel(part), chroma(part)) if coloured else brightest_channel(part)
    return stroke_map(np.asarray(grey, dtype=np.uint8), 5), x0, y0


def _pair(link: _Link) -> CaliperPair:
    first, second = sorted((link.first, link.second), key=lambda g: (g.x, g.y))
    confidence = min(first.confidence, second.confidence)
    confidence = confidence + (1 - confidence) * 0.6 * link.line
    return CaliperPair((first.x, first.y), (second.x, second.y), first.shape, round(min(1.0, confidence), 3))
