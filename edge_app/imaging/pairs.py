"""Pairs: which of the glyphs on a screen are the two ends of one length; of what stays unclear nothing is said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import exp, hypot, log

import numpy as np
from numpy.typing import NDArray

from edge_app.imaging.glyph import Glyph
from edge_app.imaging.line import Lines
from edge_app.imaging.matchings import MOST, Pairing, chance, probabilities
from edge_app.imaging.scene import CaliperPair
from edge_app.imaging.slices import Sliced

A_SLICE = 12  # lines that are looked for at once
NEAREST = 4.5  # arms between two markers that are not parts of one thing
SIZE_RATIO, SIZE_SLACK = 1.12, 0.4  # of the larger to the smaller glyph of a pair, and pixels
DOUBTFUL = 0.3  # confidence under which a glyph is no marker
SURE = 0.8  # probability of a pair that is told
LIKELY = 0.7  # and of one that crosses a sure one of another shape
RIVAL = 0.25  # probability from which on a longer pair leaves all others untold: a width must not pass for the length
TOO_SURE = 0.5  # by so much the network's logit is too high: among its samples were more markers than on a screen
ALONE, ALONE_GREEN = 0.1, 0.15  # of drawn markers those without a partner; green ones are cursors
LINE = ((0.0, 0.1, 0.35, 0.9, 1.0), (-1.5, 0.0, 1.6, 3.4, 4.4))
"""What a line between two markers speaks for their being a pair (log of the ratio, measured on composed screens)."""
SIZES = ((0.0, 0.02, 0.05, 0.1), (1.0, 0.5, -1.0, -2.0))  # what the log of the ratio of both arms speaks
SIZE_NOISE = 0.1  # pixels that an arm is read wrong by
LIGHTS = ((0.0, 8.0, 30.0, 80.0), (0.7, 0.4, -0.4, -1.2))  # and the difference of both brightnesses
DIM = ((120.0, 180.0), (-4.0, 0.0))  # and the brightness of the brighter one: markers are drawn to be seen
CROSSED = 3.0  # what two pairs that cross as length and width do speak for each other
UNLIKE = -4.0  # and two of one look, of which one has a line and the other has none
OUTSIDE = -1.5  # a pair with one end outside the image
CLEAR = 0.9  # line that speaks for itself
JOINED = 0.5  # line from which on a pair is drawn with one
ONE_SIZE = 1.25  # of the larger to the smaller marker of two pairs
ONE_LIGHT = 60.0  # grey levels between the brightest ends of both
SEEN = 0.5  # probability of a marker that both ends need without a line
TWO_HUES = 0.05  # line that a yellow and a green end need
IN_LINE, IN_LINE_SPEAKS = 1.5, -0.5  # pixels off one upright or level, as ticks of a ruler are, and what it speaks
TICKS, OBLIQUE_TICKS = 2.2, 1.3  # of the longest to the shortest tick of a ruler that is upright or level, or not
IN_STEP = (1 / 4, 1 / 3, 1 / 2, 2 / 3, 3 / 4)
"""Where a mark between two others stands if they are ticks of one ruler."""
STEEP, UNEQUAL, MIDDLE = 0.75, 1.15, 0.15
"""Length and width: sine of their angle, ratio, and where at the earliest one meets the other."""


@dataclass(frozen=True, slots=True)
class Link:
    """Two glyphs that may be a pair: how surely a drawn line joins them, and that they are one, 0..1."""

    first: Glyph
    second: Glyph
    line: float
    probability: float = 0.0

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
        What was read in RGB uint8 (H, W, 3) pixels.
    inside : list[bool]
        Which of them stand in the ultrasound image.

    Attributes
    ----------
    links : list[Link]
        The pairs, longest first.
    refused : dict[Glyph, str]
        Why every other glyph belongs to none.
    """

    def __init__(self, glyphs: list[Glyph], inside: list[bool]) -> None:
        self._inside = {g for g, held in zip(glyphs, inside, strict=True) if held}
        self.refused: dict[Glyph, str] = {g: "unclear" for g in glyphs if g.confidence < DOUBTFUL}
        self.links: list[Link] = []
        self._drop_rulers([g for g in glyphs if g not in self.refused])
        self._free = [g for g in glyphs if g not in self.refused]

    def searching(self, pixels: NDArray[np.uint8]) -> Sliced[None]:
        """Pair them, in slices of a few milliseconds."""
        lines, links, free = Lines(pixels), list[Link](), self._free
        sure = [glyph for glyph in free if _is_marker(glyph) >= SEEN]
        for a, b in combinations(free, 2):
            if self._fit(a, b):
                links.append(Link(a, b, 0.0 if _beset(a, b, sure) else lines.between(a, b)))
                if len(links) % A_SLICE == 1:  # the first one draws the maps of strokes
                    yield
        links = [one for one in links if _may_be(one)]
        weighed = [one for group in _groups(free, links) for one in self._weighed(group, links)]
        self.links = sorted(_told(weighed), key=lambda one: -one.length)
        taken = {end for one in self.links for end in one.ends}
        for glyph in free:
            if glyph not in taken:
                self.refused[glyph] = self._reason(glyph, weighed)

    def _fit(self, a: Glyph, b: Glyph) -> bool:
        return bool(self._inside & {a, b}) and _fit(a, b)

    def _drop_rulers(self, glyphs: list[Glyph]) -> None:
        outside = [g for g in glyphs if g not in self._inside]
        for a, b in combinations(outside, 2):
            if a.shape == b.shape and _in_line(a, b):
                self.refused.update({a: "ticks of a ruler", b: "ticks of a ruler"})
        rest = [g for g in glyphs if g not in self.refused and _is_marker(g) >= 0.5]
        self.refused.update((g, "ticks of a ruler") for g in _ticks(rest))

    def _weighed(self, group: list[Glyph], links: list[Link]) -> list[Link]:
        """Return the links of a group with their probabilities."""
        some = sorted(group, key=lambda g: -g.confidence * (1 - g.worded))[:MOST]
        place = {glyph: index for index, glyph in enumerate(some)}
        own = {_key(one, place): one for one in links if one.first in place and one.second in place}
        if not own:
            return []
        singles = [_alone(glyph) for glyph in some]
        pairs = {key: self._speaks(one) for key, one in own.items()}
        chances = probabilities(singles, pairs, _together(own))
        return [Link(one.first, one.second, one.line, chances[key]) for key, one in own.items()]

    def _speaks(self, link: Link) -> float:
        """Return the log of how likely two glyphs are the ends of one length."""
        total = sum(chance(_is_marker(end)) for end in link.ends) + float(np.interp(link.line, *LINE))
        total += _alike(*link.ends) + float(np.interp(max(max(end.colour) for end in link.ends), *DIM))
        total += OUTSIDE if not set(link.ends) <= self._inside else 0.0
        return total + (IN_LINE_SPEAKS if link.line < JOINED and _in_line(*link.ends) else 0.0)

    def _reason(self, glyph: Glyph, links: list[Link]) -> str:
        if glyph not in self._inside:
            return "outside the image"
        if glyph.worded >= 0.5:
            return "part of a text"
        own = [one for one in links if glyph in one.ends]
        if _is_marker(glyph) < 0.5:
            return "unclear"
        return "which belong together is unclear" if own else "single"


def _alike(a: Glyph, b: Glyph) -> float:
    """Return the log of how much likelier the two ends of a length are so alike than two other markers."""
    small, large = sorted((a.reach, b.reach))
    ratio = log(max(1.0, (large - SIZE_NOISE) / small))
    apart = abs(max(a.colour) - max(b.colour))
    return float(np.interp(ratio, *SIZES) + np.interp(apart, *LIGHTS))


def _may_be(link: Link) -> bool:
    """Whether two glyphs may be a pair at all: yellow and green need a line, and so does a doubtful end."""
    if link.line < TWO_HUES and not link.first.looks_like(link.second):
        return False
    return link.line >= JOINED or min(_is_marker(end) for end in link.ends) >= SEEN


def _told(links: list[Link]) -> list[Link]:
    """Return the pairs that are sure enough, or none where a longer one like them may be among the others."""
    sure = [one for one in links if one.probability >= SURE]
    told = [one for one in links if one in sure or _crossed(one, sure)]
    clear = [one for one in told if one.line >= CLEAR] or sorted(told, key=lambda one: -one.probability)[:1]
    told = [one for one in told if any(_like(one, other) for other in clear)]  # one screen, one size and colour
    others = [one for one in links if one not in told and one.probability >= RIVAL]
    others = [one for one in others if any(_like(one, other) for other in clear)]
    longest = max((one.length for one in told), default=0.0)
    return [] if any(one.length > longest for one in others) else told


def _crossed(link: Link, sure: list[Link]) -> bool:
    """Whether a likely pair crosses a sure one of markers like its own, of another shape, as a width does a length."""
    if link.probability < LIKELY or min(_is_marker(end) for end in link.ends) < LIKELY:
        return False
    crossing = (sorted((link, one), key=lambda pair: pair.length) for one in sure if _like(link, one))
    return any(_cross(long, short) for short, long in crossing)


def _like(one: Link, other: Link) -> bool:
    small, large = sorted((one.first.reach, other.first.reach))
    apart = min(abs(max(a.colour) - max(b.colour)) for a in one.ends for b in other.ends)
    return large <= ONE_SIZE * small and apart <= ONE_LIGHT and one.first.looks_like(other.first)


def _is_marker(glyph: Glyph) -> float:
    """Return the probability that a glyph is a marker in the image, not one of a text."""
    odds = glyph.confidence / max(1e-6, 1 - glyph.confidence) * exp(-TOO_SURE)
    return odds / (1 + odds) * (1 - glyph.worded**2)


def _alone(glyph: Glyph) -> float:
    """Return the log of how likely a glyph stands there without a partner: as none, or as a marker that has none."""
    marker = _is_marker(glyph)
    return chance(1 - marker + marker * (ALONE_GREEN if glyph.hue == "green" else ALONE))


def _key(link: Link, place: dict[Glyph, int]) -> tuple[int, int]:
    a, b = sorted(place[end] for end in link.ends)
    return a, b


def _together(links: dict[tuple[int, int], Link]) -> dict[Pairing, float]:
    """Return what two pairs say of each other: that they cross, and that only one of them has a line."""
    said: dict[Pairing, float] = {}
    for (a, one), (b, other) in combinations(sorted(links.items()), 2):
        if set(a) & set(b):
            continue
        short, long = sorted((one, other), key=lambda link: link.length)
        value = CROSSED if _cross(long, short) else 0.0
        low, high = sorted((one.line, other.line))
        said[a, b] = value + (UNLIKE if low < 0.05 and high >= 0.9 else 0.0)
    return said


def pair_of(link: Link) -> CaliperPair:
    """Return the pair as the scene has it."""
    first, second = sorted(link.ends, key=lambda g: (g.x, g.y))
    arm = (first.reach + second.reach) / 2
    return CaliperPair((first.x, first.y), (second.x, second.y), first.shape, round(min(1.0, link.probability), 3), arm)


def _fit(a: Glyph, b: Glyph) -> bool:
    """Whether two glyphs can be the ends of one length: one shape, one size, and not on top of each other."""
    small, large = sorted((a.reach, b.reach))
    if a.shape != b.shape or large > SIZE_RATIO * small + SIZE_SLACK or not (a.looks_like(b) or _being_set(a, b)):
        return False
    return hypot(a.x - b.x, a.y - b.y) >= NEAREST * large


def _beset(a: Glyph, b: Glyph, glyphs: list[Glyph]) -> bool:
    """Whether a third glyph stands on the way from one to the other: its strokes, and its own line, look like one."""
    length = hypot(b.x - a.x, b.y - a.y)
    ux, uy = (b.x - a.x) / length, (b.y - a.y) / length
    for one in glyphs:
        along, aside = (one.x - a.x) * ux + (one.y - a.y) * uy, abs((one.y - a.y) * ux - (one.x - a.x) * uy)
        if one not in (a, b) and aside <= one.reach and a.reach < along < length - b.reach:
            return True
    return False


def _being_set(a: Glyph, b: Glyph) -> bool:
    """Whether one end is green, still active, and the other yellow (scanner-screens 2)."""
    return {a.hue, b.hue} == {"yellow", "green"}


def _ticks(glyphs: Sequence[Glyph]) -> set[Glyph]:
    """Return the glyphs that stand on one line in equal steps, three or more: a ruler, a row of dots."""
    found: set[Glyph] = set()
    for three in combinations(glyphs, 3):
        a, b, c = sorted(three, key=lambda g: (g.x, g.y))
        if len({g.shape for g in three}) == 1 and a.looks_like(b) and b.looks_like(c) and _in_step(a, b, c):
            found.update(three)
    return found


def _in_line(a: Glyph, b: Glyph) -> bool:
    return min(abs(a.x - b.x), abs(a.y - b.y)) <= IN_LINE


def _in_step(a: Glyph, b: Glyph, c: Glyph) -> bool:
    length = hypot(c.x - a.x, c.y - a.y)
    most = TICKS if _in_line(a, c) else OBLIQUE_TICKS
    if length < 6 * b.reach or max(a.reach, b.reach, c.reach) > most * min(a.reach, b.reach, c.reach):
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
