"""Calipers: the pairs of length markers that the scanner drew, or none; a guess is never made.

A search asks three cheap maps for crossings (bright strokes, coloured strokes, dark rims), a glance at each which of
them to read, the mark network what glyphs these are, and ``pairs`` which belong together. It can be done in slices,
between two frames of a stream.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from math import ceil

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.imaging.crossings import Crossing, Map, apart, find_crossings
from edge_app.imaging.glance import likely
from edge_app.imaging.glyph import Glyph, Reading
from edge_app.imaging.pairs import Matching, pair_of
from edge_app.imaging.scene import CaliperPair, RefusedMark, Sector

OUTSIDE_SHARE = 0.045  # of the picture's height: how far outside the image a marker may stand
MOST: dict[Map, int] = {"bright": 40, "colour": 20, "dark": 24}
"""Crossings that the network is asked about, at most."""
SLICE = 300_000
"""Pixels that are searched at once."""
OVERLAP = 64
"""Rows that two slices share: a glyph at the rim of one is whole in the other."""
SMALLEST_ARM = 1.8  # pixels
LARGEST_ARM, LARGEST_SHARE = 22.0, 0.03  # pixels, or of the picture's height
WORDED = 0.9  # from here on a glyph is a part of a text, even if a line leads to it


@dataclass(frozen=True, slots=True)
class Survey:
    """What a search found: pairs, the longest first, and what was refused, with the reason."""

    pairs: tuple[CaliperPair, ...] = ()
    refused: tuple[RefusedMark, ...] = ()


Search = Generator[None, None, Survey]


def find_calipers(pixels: NDArray[np.uint8], sector: Sector | None) -> tuple[CaliperPair, ...]:
    """Return the pairs of '+' or 'x' in RGB uint8 (H, W, 3) ``pixels``, the longest first, or nothing.

    Both ends must have one shape, size and colour, and lie in ``sector`` (None: anywhere) or just outside. More than
    two alike are told apart by the dotted lines between them, else by length. A single marker, a pair in two colours
    without a line (a cursor beside a marker) and the glyphs of a legend are no pair.
    """
    return survey(pixels, sector).pairs


def survey(pixels: NDArray[np.uint8], sector: Sector | None) -> Survey:
    """Return the pairs, and what looks like a marker and is none."""
    search = searching(pixels, sector)
    while True:
        try:
            next(search)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]


def searching(pixels: NDArray[np.uint8], sector: Sector | None) -> Search:
    """Do what ``survey`` does in slices of a few milliseconds; ``pixels`` must not change until it is done."""
    allowed = None if sector is None else widened(sector.mask, OUTSIDE_SHARE * pixels.shape[0])
    yield
    reading = Reading(pixels)
    for kind in MOST:
        yield from _read(pixels, allowed, kind, reading)
    return (yield from _judged(pixels, reading.glyphs(), sector))


def _read(
    pixels: NDArray[np.uint8], allowed: NDArray[np.bool_] | None, kind: Map, reading: Reading
) -> Generator[None, None, None]:
    """Add the glyphs of one map."""
    found: list[Crossing] = []
    for top, low in bands(pixels, allowed):
        part = None if allowed is None else allowed[top:low]
        moved = find_crossings(pixels[top:low], part, kind, pixels.shape[0])
        found += [replace(c, y=c.y + top) for c in moved]
        yield
    found = likely(found)
    yield
    yield from reading.add(apart(found, MOST[kind]))


def bands(pixels: NDArray[np.uint8], allowed: NDArray[np.bool_] | None) -> list[tuple[int, int]]:
    """Return (top, low) of the horizontal bands that a search goes through."""
    height, width = pixels.shape[:2]
    top, low = 0, height
    if allowed is not None:
        _, top, _, rows = cv2.boundingRect(np.ascontiguousarray(allowed).view(np.uint8))
        low = top + rows
    count = max(1, ceil((low - top) * width / (2 * SLICE)))
    step = (low - top) / count
    return [
        (max(top, round(top + i * step) - OVERLAP // 2), min(low, round(top + (i + 1) * step) + OVERLAP // 2))
        for i in range(count)
    ]


def _judged(pixels: NDArray[np.uint8], glyphs: list[Glyph], sector: Sector | None) -> Search:
    """Return the pairs among glyphs, and the reasons against all others."""
    reasons = {g: "part of a text" for g in glyphs if g.worded >= WORDED}
    largest = max(LARGEST_ARM, LARGEST_SHARE * pixels.shape[0])
    reasons.update((g, "too large") for g in glyphs if g.reach > largest)
    reasons.update((g, "a dot") for g in glyphs if g.reach < SMALLEST_ARM)
    free = [g for g in glyphs if g not in reasons]
    matching = Matching(free, [_inside(g, sector) for g in free])
    yield
    yield from matching.searching(pixels)
    reasons.update(matching.refused)
    refused = [RefusedMark((g.x, g.y), 2 * g.reach, reason) for g, reason in reasons.items()]
    return Survey(tuple(pair_of(link) for link in matching.links), tuple(refused))


def _inside(glyph: Glyph, sector: Sector | None) -> bool:
    """Whether the glyph touches the image."""
    if sector is None:
        return True
    reach = 1.5 * glyph.reach
    x0, y0 = max(0, round(glyph.x - reach)), max(0, round(glyph.y - reach))
    return bool(sector.mask[y0 : round(glyph.y + reach) + 1, x0 : round(glyph.x + reach) + 1].any())


def find_glyphs(pixels: NDArray[np.uint8], sector: Sector | None) -> list[Glyph]:
    """Return every '+' and 'x' in or near ``sector`` (None: in the picture), the surest first."""
    allowed = None if sector is None else widened(sector.mask, OUTSIDE_SHARE * pixels.shape[0])
    reading = Reading(pixels)
    for kind in MOST:
        for _ in _read(pixels, allowed, kind, reading):
            pass
    return reading.glyphs()


def widened(mask: NDArray[np.bool_], by_px: float) -> NDArray[np.bool_]:
    """Return the bool mask grown by about ``by_px`` pixels, computed at a quarter of the size."""
    small = cv2.resize(
        np.ascontiguousarray(mask).view(np.uint8), None, fx=0.25, fy=0.25, interpolation=cv2.INTER_NEAREST
    )
    side = 2 * max(1, round(by_px / 4)) + 1
    grown = cv2.dilate(small, np.ones((side, side), np.uint8))
    return cv2.resize(grown, mask.shape[::-1], interpolation=cv2.INTER_NEAREST).astype(np.bool_)
