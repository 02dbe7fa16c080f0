"""Pairs: which of the glyphs on a screen are the two ends of one length; of what stays unclear nothing is said."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import hypot

import numpy as np
from numpy.typing import NDArray

from edge_app.imaging.glyph import Glyph
from edge_app.imaging.line import line_between
from edge_app.imaging.scene import CaliperPair

NEAREST = 3.0  # arms between two markers that are not parts of one thing
SIZE_RATIO = 1.35  # of the larger to the smaller glyph of a pair
JOINED = 0.5  # from here on a line is drawn
HINTED = 0.25
SURE = 0.9  # confidence that each of two markers needs without a line between them
LIKELY = 0.5  # and with one


@dataclass(frozen=True, slots=True)
class Link:
    """Two glyphs that may be a pair, and how surely a drawn line joins them, 0..1."""

    first: Glyph
    second: Glyph
    line: float

    @property
    def length(self) -> float:
        return hypot(self.first.x - self.second.x, self.first.y - self.second.y)


def matched(glyphs: list[Glyph], pixels: NDArray[np.uint8]) -> tuple[list[Link], dict[Glyph, str]]:
    """Return the pairs, longest first, and why every other glyph belongs to none."""
    seen = [g for g in glyphs if g.confidence >= LIKELY]
    links = [Link(a, b, line_between(pixels, a, b)) for a, b in combinations(seen, 2) if _fit(a, b)]
    links = [one for one in links if one.first.looks_like(one.second) or (one.line >= JOINED and _being_set(one))]
    taken: list[Link] = []
    free = list(seen)
    for link in sorted((one for one in links if one.line >= JOINED), key=lambda one: (-one.line, -one.length)):
        if link.first in free and link.second in free:
            taken.append(link)
            free = [g for g in free if g is not link.first and g is not link.second]
    refused: dict[Glyph, str] = {g: "unclear" for g in glyphs if g.confidence < LIKELY}
    sure = [g for g in free if g.confidence >= SURE]
    refused.update((g, "unclear") for g in free if g.confidence < SURE)
    for group in _alike(sure, links):
        rest = [one for one in links if one.first in group and one.second in group]
        pairs = _unjoined(rest, group)
        taken += pairs
        reason = "single" if len(group) == 1 else "which belong together is unclear"
        ends = [end for pair in pairs for end in (pair.first, pair.second)]
        refused.update((g, reason) for g in group if g not in ends)
    return sorted(taken, key=lambda one: -one.length), refused


def pair_of(link: Link) -> CaliperPair:
    """Return the pair as the scene has it."""
    first, second = sorted((link.first, link.second), key=lambda g: (g.x, g.y))
    confidence = min(first.confidence, second.confidence)
    confidence = confidence + (1 - confidence) * 0.6 * link.line
    return CaliperPair((first.x, first.y), (second.x, second.y), first.shape, round(min(1.0, confidence), 3), (first.reach + second.reach) / 2)


def _fit(a: Glyph, b: Glyph) -> bool:
    """Whether two glyphs can be the ends of one length: one shape, one size, and not on top of each other."""
    small, large = sorted((a.reach, b.reach))
    if a.shape != b.shape or large > SIZE_RATIO * small + 0.7:
        return False
    return hypot(a.x - b.x, a.y - b.y) >= NEAREST * large


def _being_set(link: Link) -> bool:
    """Whether the second end is still the active one, green instead of yellow (scanner-screens 2)."""
    return {link.first.hue, link.second.hue} == {"yellow", "green"}


def _alike(glyphs: list[Glyph], links: list[Link]) -> list[list[Glyph]]:
    """Return the groups of glyphs that links connect, one glyph alone too."""
    groups: list[list[Glyph]] = []
    for glyph in glyphs:
        ends = [one.second if one.first is glyph else one.first for one in links if glyph in (one.first, one.second)]
        joined = [group for group in groups if any(end in group for end in ends)]
        groups = [group for group in groups if group not in joined]
        groups.append([glyph, *(g for group in joined for g in group)])
    return groups


def _unjoined(links: list[Link], glyphs: list[Glyph]) -> list[Link]:
    """Return the pairs among glyphs that no clear line joins: the only possible one, or length and width of one organ.

    Three markers alike without a line are two ends and a cursor, or three ends: nothing is said of them.
    """
    if len(links) <= 1:
        return links
    hinted = [one for one in links if one.line >= HINTED]
    if len(hinted) == 1:
        return hinted
    if len(glyphs) != 4:
        return []
    longest = max(links, key=lambda one: one.length)
    others = [one for one in links if not {one.first, one.second} & {longest.first, longest.second}]
    return [longest, *others]
