"""Pairs: which of the glyphs on a screen are the two ends of one length; of what stays unclear nothing is said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import hypot

import numpy as np
from numpy.typing import NDArray

from edge_app.imaging.glyph import Glyph
from edge_app.imaging.line import Lines
from edge_app.imaging.scene import CaliperPair

NEAREST = 4.5  # arms between two markers that are not parts of one thing
SIZE_RATIO, SIZE_RATIO_JOINED = 1.35, 1.45  # of the larger to the smaller glyph of a pair
JOINED = 0.5  # from here on a line is drawn
CLEAR = 0.9  # from here on the line itself vouches for a doubtful end
HINTED = 0.35
TRACE = 0.1  # of a line, where others are clear
SURE = 0.7  # confidence that each of two markers needs without a line between them
LIKELY = 0.7  # and with one
DOUBTFUL = 0.3  # and the less certain one with a clear line
RIVAL = 0.5  # from here on a third one alike makes a pair without a line unclear
WORDED = 0.5  # from here on a glyph needs a line: it seems to stand in a text
IN_STEP = (1 / 4, 1 / 3, 1 / 2, 2 / 3, 3 / 4)
"""Where a mark between two others stands if they are ticks of one ruler."""
STEEP, UNEQUAL, MIDDLE = 0.75, 1.15, 0.15
"""Length and width: sine of their angle, ratio, and where at the earliest one meets the other."""


@dataclass(frozen=True, slots=True)
class Link:
    """Two glyphs that may be a pair, and how surely a drawn line joins them, 0..1."""

    first: Glyph
    second: Glyph
    line: float

    @property
    def ends(self) -> tuple[Glyph, Glyph]:
        """Both glyphs."""
        return self.first, self.second

    @property
    def length(self) -> float:
        """Distance of the two centres, pixels."""
        return hypot(self.first.x - self.second.x, self.first.y - self.second.y)


class Matching:
    """Pairs the glyphs of a picture.

    Parameters
    ----------
    glyphs : list[Glyph]
        What was read in RGB uint8 (H, W, 3) ``pixels``.
    inside : list[bool]
        Which of them stand in the ultrasound image.

    Attributes
    ----------
    links : list[Link]
        The pairs, longest first.
    refused : dict[Glyph, str]
        Why every other glyph belongs to none.
    """

    def __init__(self, glyphs: list[Glyph], inside: list[bool], pixels: NDArray[np.uint8]) -> None:
        self._inside = {g for g, held in zip(glyphs, inside, strict=True) if held}
        self.refused: dict[Glyph, str] = {g: "unclear" for g in glyphs if g.confidence < DOUBTFUL}
        free = [g for g in glyphs if g not in self.refused]
        self.refused.update((g, "ticks of a ruler") for g in _ticks(free))
        free = [g for g in free if g not in self.refused]
        lines = Lines(pixels)
        fit = [(a, b) for a, b in combinations(free, 2) if _fit(a, b) and self._inside & {a, b}]
        links = [one for one in (Link(a, b, lines.between(a, b)) for a, b in fit) if _alike(one)]
        self.links = self._joined(links)
        self.links = self._with_rest(links, [g for g in free if not any(g in one.ends for one in self.links)])
        taken = {end for one in self.links for end in one.ends}
        self.links.sort(key=lambda one: -one.length)
        for glyph in free:
            if glyph not in taken:
                self.refused[glyph] = self._reason(glyph, links)

    def _joined(self, links: list[Link]) -> list[Link]:
        """Return the disjoint pairs that a line joins, the clearest line first."""
        taken: list[Link] = []
        for link in sorted((one for one in links if _is_joined(one)), key=lambda one: (-one.line, -one.length)):
            if not any({*link.ends} & {*other.ends} for other in taken):
                taken.append(link)
        return taken

    def _with_rest(self, links: list[Link], rest: list[Glyph]) -> list[Link]:
        """Add the pairs of glyphs that no clear line joins, where there is but one way to pair those alike.

        Where a pair is joined by a line, a longer one has at least a trace of one. A group that stays unclear and may
        hold a length over those that are clear leaves all unclear: a width must not pass for the length.
        """
        clear = max((one.length for one in self.links), default=0.0)
        among = [g for g in rest if g.worded < WORDED and g.confidence >= RIVAL]
        own = [one for one in links if one.first in among and one.second in among and _same_size(one)]
        found: list[Link] = []
        for group in _groups(among, own):
            ways = [one for one in own if one.first in group]
            way = _only_way([one for one in ways if one.line >= TRACE or not clear or one.length < clear], group)
            if not way and 0 < clear < max((one.length for one in ways if _sure(one)), default=0.0):
                return []
            found += way
        return self.links + found

    def _reason(self, glyph: Glyph, links: list[Link]) -> str:
        if glyph not in self._inside:
            return "outside the image"
        if glyph.worded >= WORDED:
            return "part of a text"
        if glyph.confidence < SURE:
            return "unclear"
        return "which belong together is unclear" if any(glyph in one.ends for one in links) else "single"


def _only_way(links: list[Link], group: list[Glyph]) -> list[Link]:
    """Return the pairs of a group: its only two; or length and width that cross.

    Three markers alike without a line are two ends and a cursor, or three ends: nothing is said of them.
    """
    if len(group) == 2:
        return [one for one in links if _sure(one)]
    hinted = [one for one in links if one.line >= HINTED]
    if len(hinted) == 1:
        return [one for one in hinted if _sure(one)]
    if len(group) == 4 and links and all(g.confidence >= SURE for g in group):
        return _crossing(links)
    return []


def _sure(link: Link) -> bool:
    return min(end.confidence for end in link.ends) >= SURE


def _is_joined(link: Link) -> bool:
    """Whether a line joins two markers; a clear one vouches for the less certain of them."""
    low, high = sorted(end.confidence for end in link.ends)
    return link.line >= JOINED and (low >= LIKELY or (link.line >= CLEAR and high >= SURE))


def pair_of(link: Link) -> CaliperPair:
    """Return the pair as the scene has it."""
    first, second = sorted(link.ends, key=lambda g: (g.x, g.y))
    confidence = min(first.confidence, second.confidence)
    confidence = confidence + (1 - confidence) * 0.6 * link.line
    arm = (first.reach + second.reach) / 2
    return CaliperPair((first.x, first.y), (second.x, second.y), first.shape, round(min(1.0, confidence), 3), arm)


def _fit(a: Glyph, b: Glyph) -> bool:
    """Whether two glyphs can be the ends of one length: one shape, about one size, and not on top of each other."""
    small, large = sorted((a.reach, b.reach))
    if a.shape != b.shape or large > SIZE_RATIO_JOINED * small + 0.7 or not (a.looks_like(b) or _being_set(a, b)):
        return False
    return hypot(a.x - b.x, a.y - b.y) >= NEAREST * large


def _same_size(link: Link) -> bool:
    small, large = sorted(end.reach for end in link.ends)
    return large <= SIZE_RATIO * small + 0.7


def _alike(link: Link) -> bool:
    """Whether both ends have one colour; while the second is being set, a line must join them."""
    if link.first.looks_like(link.second):
        return True
    return link.line >= JOINED


def _being_set(a: Glyph, b: Glyph) -> bool:
    """Whether one end is green, still active, and the other yellow (scanner-screens 2)."""
    return {a.hue, b.hue} == {"yellow", "green"}


def _ticks(glyphs: Sequence[Glyph]) -> set[Glyph]:
    """Return the glyphs that stand on one line in equal steps, three or more: a ruler, a row of dots."""
    found: set[Glyph] = set()
    for three in combinations(glyphs, 3):
        if len({g.shape for g in three}) == 1 and _in_step(*sorted(three, key=lambda g: (g.x, g.y))):
            found.update(three)
    return found


def _in_step(a: Glyph, b: Glyph, c: Glyph) -> bool:
    length = hypot(c.x - a.x, c.y - a.y)
    if length < 6 * b.reach or max(a.reach, b.reach, c.reach) > 2.2 * min(a.reach, b.reach, c.reach):
        return False
    ux, uy = (c.x - a.x) / length, (c.y - a.y) / length
    along, aside = (b.x - a.x) * ux + (b.y - a.y) * uy, abs((b.y - a.y) * ux - (b.x - a.x) * uy)
    slack = 0.15 * b.reach + 0.4
    return aside <= slack and any(abs(along - share * length) <= 1.5 * slack for share in IN_STEP)


def _groups(glyphs: list[Glyph], links: list[Link]) -> list[list[Glyph]]:
    """Return the groups of glyphs that links connect."""
    groups: list[list[Glyph]] = []
    for glyph in glyphs:
        ends = [end for one in links if glyph in one.ends for end in one.ends]
        joined = [group for group in groups if any(end in group for end in ends)]
        groups = [group for group in groups if group not in joined]
        groups.append([glyph, *(g for group in joined for g in group)])
    return groups


def _crossing(links: list[Link]) -> list[Link]:
    """Return the two links of four glyphs that cross, if the longest of all is one of them: length and width."""
    longest = max(links, key=lambda one: one.length)
    other = [one for one in links if not {*one.ends} & {*longest.ends}]
    return [longest, *other] if len(other) == 1 and _cross(longest, other[0]) else []


def _cross(one: Link, other: Link) -> bool:
    """Whether two links cross as length and width do: in the middle of both, more across than along, unequal."""
    (a, b), (c, d) = one.ends, other.ends
    ux, uy, vx, vy = b.x - a.x, b.y - a.y, d.x - c.x, d.y - c.y
    turn = ux * vy - uy * vx
    if abs(turn) < STEEP * one.length * other.length or one.length < UNEQUAL * other.length:
        return False
    along = ((c.x - a.x) * vy - (c.y - a.y) * vx) / turn
    across = ((c.x - a.x) * uy - (c.y - a.y) * ux) / turn
    return all(MIDDLE <= share <= 1 - MIDDLE for share in (along, across))
