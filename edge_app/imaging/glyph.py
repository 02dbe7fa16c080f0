"""Glyph: one candidate looked at closely: its exact centre, its four arms, its colour, and whether it is one.

An 'x' is turned by 45 degrees first, so that one set of measures serves both shapes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import atan2, ceil, degrees, floor, hypot, sqrt
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.imaging.evidence import brightest_channel
from edge_app.imaging.strokes import Candidate, Shape, chroma, stroke_map, thickest

Patch = NDArray[np.float32]
Hue = Literal["grey", "red", "yellow", "green", "cyan", "blue", "magenta"]
HUES: tuple[Hue, ...] = ("red", "yellow", "green", "cyan", "blue", "magenta")


@dataclass(frozen=True, slots=True)
class Glyph:
    """A '+' or 'x' that was drawn: centre in frame pixels (sub-pixel), half length of its arms, colour, confidence."""

    x: float
    y: float
    shape: Shape
    reach: float
    level: float  # how far its strokes stand over their surroundings, grey levels
    hue: Hue
    confidence: float  # 0..1
    whole: bool = True  # all four arms stand out; else some lie in tissue as bright as themselves


@dataclass(frozen=True, slots=True)
class GlyphRules:
    """What makes four arms a glyph. Shares are of the arms' level, lengths of the arms' median length."""

    unequal_ink: float = 0.6  # brightness of the dimmest arm over the brightest one's, as drawn
    hidden_arm: float = 0.4  # an arm that stands out less lies in tissue as bright as itself; two may
    hidden_ink: float = 0.85  # then all four must be one ink
    shortest_arm: float = 0.55
    longest_arm: float = 1.8
    lopsided: float = 0.55  # shorter over longer of two opposite arms
    closed_ends: int = 1  # arms after whose end the stroke may go on
    clean_third: float = 0.5  # third cleanest of the four spaces between arms: how bright it may be
    clean_all: float = 0.45  # mean of the four spaces
    thickest: float = 0.62  # stroke width over arm length
    least_level: float = 28.0
    rough: float = 0.42  # spread of brightness along an arm


RULES = GlyphRules()
WAYS = ((1, 0), (0, 1), (-1, 0), (0, -1))
INK_FADES = 0.84  # of an arm's own brightness: below, the stroke has ended
SPAN = 2.6  # half size of the patch looked at, in candidate reaches


def look_closely(pixels: NDArray[np.uint8], candidate: Candidate, rules: GlyphRules = RULES) -> Glyph | None:
    """Return the glyph at ``candidate`` in RGB uint8 (H, W, 3) ``pixels``, or None where there is none."""
    glyph = _grown(pixels, replace(candidate, coloured=False), rules)
    return _grown(pixels, candidate, rules) if glyph is None and candidate.coloured else glyph


def _grown(pixels: NDArray[np.uint8], candidate: Candidate, rules: GlyphRules) -> Glyph | None:
    """Look, and look again at a larger patch while the arms turn out to be longer."""
    for _ in range(3):
        glyph, larger = _look(pixels, candidate, rules)
        if larger is None:
            return glyph
        candidate = larger
    return None


def _look(pixels: NDArray[np.uint8], candidate: Candidate, rules: GlyphRules) -> tuple[Glyph | None, Candidate | None]:
    """Return the glyph, or a larger candidate where the arms outgrow the patch that this one's size asked for."""
    oblique = candidate.shape == "cross"
    half = int(SPAN * candidate.reach * (sqrt(2) if oblique else 1.0)) + 4
    x0, y0 = round(candidate.x) - half, round(candidate.y) - half
    colours = _cut(pixels, x0, y0, 2 * half + 1)
    grey = chroma(colours) if candidate.coloured else brightest_channel(colours)
    strokes = stroke_map(grey, thickest(pixels.shape[0])).astype(np.float32)
    found = _settle((strokes, grey.astype(np.float32)), (candidate.x - x0, candidate.y - y0), candidate)
    if found is None:
        return None, None
    place, arms = found
    reach = arms.length / sqrt(2) if oblique else arms.length
    if reach > 1.35 * candidate.reach:
        return None, replace(candidate, x=place[0] + x0, y=place[1] + y0, reach=reach)
    confidence = arms.confidence(rules)
    if confidence <= 0:
        return None, None
    hue = _hue(colours, strokes, arms.level)
    return Glyph(
        place[0] + x0, place[1] + y0, candidate.shape, reach, arms.level, hue, confidence, not any(arms.hidden(rules))
    ), None


def _settle(
    patches: tuple[Patch, Patch], place: tuple[float, float], candidate: Candidate
) -> tuple[tuple[float, float], _Arms] | None:
    """Return the centre and the measured arms in the (stroke, grey) patches, or None.

    Move to the crossing of the strokes until it stands still, then measure the arms.
    """
    strokes = patches[0]
    oblique = candidate.shape == "cross"
    length = candidate.reach * (sqrt(2) if oblique else 1.0)
    for _ in range(6):
        moved = _centre(_turned(strokes, place) if oblique else strokes, place, length)
        if moved is None or hypot(moved[0] - place[0], moved[1] - place[1]) > 1.2 * length + 1:
            return None
        still = hypot(moved[0] - place[0], moved[1] - place[1]) < 0.04
        place = _turned_back(moved, place) if oblique else moved
        if still:
            break
    for _ in range(2):
        turned = [_turned(patch, place) if oblique else patch for patch in patches]
        arms = _Arms((turned[0], turned[1]), place, length)
        if arms.level < RULES.least_level:
            return None
        moved = _centre(arms.ink(turned[1]), place, min(arms.length, 1.3 * length))
        if moved is None:
            break
        step = hypot(moved[0] - place[0], moved[1] - place[1])
        if step < 0.4 * length:
            place = _turned_back(moved, place) if oblique else moved
        if step < 0.3:
            break
    return place, arms


def _cut(pixels: NDArray[np.uint8], x0: int, y0: int, side: int) -> NDArray[np.uint8]:
    """Return the square patch at (x0, y0), its pixels repeated outwards where the picture ends."""
    height, width = pixels.shape[:2]
    before = max(0, -y0), max(0, -x0)
    after = max(0, y0 + side - height), max(0, x0 + side - width)
    part = pixels[max(0, y0) : y0 + side, max(0, x0) : x0 + side]
    if any(before) or any(after):
        grown = cv2.copyMakeBorder(part, before[0], after[0], before[1], after[1], cv2.BORDER_REPLICATE)
        return np.asarray(grown, dtype=np.uint8)
    return np.ascontiguousarray(part)


def _turned(strokes: Patch, place: tuple[float, float]) -> Patch:
    """Return the patch turned by 45 degrees around ``place``: an 'x' becomes a '+'."""
    matrix = cv2.getRotationMatrix2D(place, 45.0, 1.0)
    return np.asarray(cv2.warpAffine(strokes, matrix, strokes.shape[::-1], flags=cv2.INTER_LINEAR), dtype=np.float32)


def _turned_back(moved: tuple[float, float], place: tuple[float, float]) -> tuple[float, float]:
    """Return where a point of the turned patch lies in the patch as it was."""
    dx, dy = moved[0] - place[0], moved[1] - place[1]
    half = sqrt(0.5)
    return place[0] + half * (dx - dy), place[1] + half * (dx + dy)


def _centre(strokes: Patch, place: tuple[float, float], length: float) -> tuple[float, float] | None:
    """Return the crossing of the upright and the level stroke near ``place``, each weighed by its brightness."""
    width = max(1.6, 0.42 * length)
    x = _stroke_position(strokes, place, length, width)
    y = _stroke_position(strokes.T, place[::-1], length, width)
    return None if x is None or y is None else (x, y)


def _stroke_position(strokes: Patch, place: tuple[float, float], length: float, width: float) -> float | None:
    """Return the x of the upright stroke that passes ``place`` = (x, y): the mean of its two arms."""
    left, right = max(0, ceil(place[0] - width)), floor(place[0] + width) + 1
    xs = np.arange(left, min(right, strokes.shape[1])) - place[0]
    positions = []
    for low, high in ((-0.95 * length, -0.4 * length), (0.4 * length, 0.95 * length)):
        top, bottom = max(0, ceil(place[1] + low)), floor(place[1] + high) + 1
        arm = strokes[top:bottom, left:right]
        if arm.size == 0:
            return None
        weight = np.maximum(arm - 0.45 * float(arm.max()), 0).sum(axis=0)
        total = float(weight.sum())
        if total <= 0:
            return None
        positions.append(float(weight @ xs) / total)
    return place[0] + sum(positions) / 2


def _middle(values: NDArray[np.float32] | list[float]) -> float:
    """Return the median; numpy's own takes longer than all else here on a handful of values."""
    ordered = sorted(map(float, values))
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


class _Arms:
    """Measures of four upright arms around ``place``: profiles along them, the spaces between, what follows them."""

    def __init__(self, patches: tuple[Patch, Patch], place: tuple[float, float], length: float) -> None:
        self._strokes, self._place, self._looked = patches[0], place, length
        self._aside = max(1.0, 0.18 * length)
        reach = np.arange(0.0, 2.3 * length + 2, 0.5, dtype=np.float32)
        self._reach = reach
        self.profiles = self._profiles(patches[0])
        stretch = (reach >= 0.45 * length) & (reach <= 0.8 * length)
        self.levels = [_middle(p[stretch]) for p in self.profiles]
        self.level = _middle(self.levels)
        greys = self._profiles(patches[1])
        self.inks = [_middle(p[stretch]) for p in greys]
        drawn = [
            (stroke >= 0.5 * level) & (grey >= INK_FADES * ink)
            for stroke, grey, level, ink in zip(self.profiles, greys, self.levels, self.inks, strict=True)
        ]
        self.lengths = [self._end(one) for one in drawn]
        self.length = max(2.0, _middle(self.lengths))

    def _sample(self, x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.float32]:
        mapped = cv2.remap(self._strokes, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(0,))
        return np.asarray(mapped, dtype=np.float32)

    def _profiles(self, patch: Patch) -> list[NDArray[np.float32]]:
        """Return for each arm the brightest value across its width, at every half pixel along it."""
        aside = np.array([-1.0, -0.5, 0.0, 0.5, 1.0], dtype=np.float32)[:, None] * np.float32(self._aside)
        along = np.broadcast_to(self._reach[None], (5, len(self._reach)))
        across = np.broadcast_to(aside, along.shape)
        x = np.concatenate([np.float32(self._place[0]) + dx * along + dy * across for dx, dy in WAYS])
        y = np.concatenate([np.float32(self._place[1]) + dy * along + dx * across for dx, dy in WAYS])
        mapped = cv2.remap(patch, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(0,))
        return list(np.asarray(mapped, dtype=np.float32).reshape(4, 5, -1).max(axis=1))

    def ink(self, grey: Patch) -> Patch:
        """Return what of the grey patch is as bright as the arms, cut at both ends: tissue counts nothing."""
        half = 0.5 * max(10.0, min(self.levels))
        return np.asarray(np.clip(grey - (_middle(self.inks) - half), 0, half), dtype=np.float32)

    def _end(self, drawn: NDArray[np.bool_]) -> float:
        """Return where the arm ends: the first place past its middle that is not drawn."""
        dark = np.flatnonzero((self._reach > 0.55 * self._looked) & ~drawn)
        return float(self._reach[dark[0]] if len(dark) else self._reach[-1])

    def spaces(self) -> list[float]:
        """Return the mean brightness of the four spaces between the arms, as share of the level, cleanest first."""
        steps = np.array([0.45, 0.6, 0.75, 0.9], dtype=np.float32) * np.float32(self.length)
        u, v = (g.ravel() for g in np.meshgrid(steps, steps))
        means = []
        for sx, sy in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
            x, y = np.float32(self._place[0]) + sx * u, np.float32(self._place[1]) + sy * v
            means.append(float(self._sample(x[None], y[None]).mean()) / self.level)
        return sorted(means)

    def width(self, clear: list[int]) -> float:
        """Return the mean width of the ``clear`` strokes at half their brightness, pixels."""
        aside = np.arange(-self.length, self.length + 0.25, 0.25, dtype=np.float32)
        widths = []
        for index in clear:
            (dx, dy), level = WAYS[index], self.levels[index]
            at = 0.65 * self.length
            x = np.float32(self._place[0] + dx * at) + dy * aside
            y = np.float32(self._place[1] + dy * at) + dx * aside
            widths.append(0.25 * float((self._sample(x[None], y[None]) > 0.5 * level).sum()))
        return float(np.mean(widths))

    def open_ends(self, clear: list[int]) -> int:
        """Return after how many of the ``clear`` arms the stroke does not simply go on."""
        opened = 0
        for index in clear:
            profile, end, level = self.profiles[index], self.lengths[index], self.levels[index]
            after = profile[(self._reach > end + 0.15 * self.length) & (self._reach < end + 0.55 * self.length)]
            opened += bool(len(after) and float(np.mean(after)) < 0.55 * level)
        return opened

    def confidence(self, rules: GlyphRules) -> float:
        """Return 0 where a rule is broken, else how clean the glyph is, up to 1."""
        even = min(self.inks) / max(1.0, *self.inks)
        hidden = self.hidden(rules)
        if even < (rules.hidden_ink if any(hidden) else rules.unequal_ink) or sum(hidden) > 2:
            return 0.0
        clear = [index for index in range(4) if not hidden[index]]
        if not self._shaped(clear, rules):
            return 0.0
        spaces = self.spaces()
        if spaces[2] > rules.clean_third or float(np.mean(spaces)) > rules.clean_all:
            return 0.0
        if self.open_ends(clear) < len(clear) - rules.closed_ends or self.width(clear) > rules.thickest * self.length:
            return 0.0
        rough = self._roughness(clear)
        if rough > rules.rough:
            return 0.0
        clean = 1.0 - float(np.mean(spaces)) - 0.5 * rough
        return float(np.clip(clean * min(1.0, 0.6 + self.level / 200.0), 0.05, 1.0))

    def hidden(self, rules: GlyphRules) -> list[bool]:
        """Return which arms lie in tissue about as bright as themselves."""
        return [level < rules.hidden_arm * max(self.levels) for level in self.levels]

    def _shaped(self, clear: list[int], rules: GlyphRules) -> bool:
        """Whether the arms that can be seen have the lengths of one glyph's; a hidden arm's end can't be seen."""
        ratios = [length / self.length for length in self.lengths]
        if min(ratios) < rules.shortest_arm or max(ratios[index] for index in clear) > rules.longest_arm:
            return False
        for one, other in ((0, 2), (1, 3)):
            both = one in clear and other in clear
            if both and min(ratios[one], ratios[other]) < rules.lopsided * max(ratios[one], ratios[other]):
                return False
        return True

    def _roughness(self, clear: list[int]) -> float:
        """Return the largest spread of brightness along an arm, as share of its level: tissue is rough, ink is not."""
        inner = self._reach >= 0.4 * self.length
        spreads = []
        for index in clear:
            profile, end, level = self.profiles[index], self.lengths[index], self.levels[index]
            arm = profile[inner & (self._reach <= min(end, 1.2 * self.length) - 0.75)]
            spreads.append(float(np.std(arm)) / max(1.0, level) if len(arm) > 1 else 0.0)
        return max(spreads)


def _hue(colours: NDArray[np.uint8], strokes: Patch, level: float) -> Hue:
    """Return the colour of the strokes, from the mean of their pixels (chroma smears, its direction stays)."""
    side = strokes.shape[0]
    ys, xs = np.mgrid[:side, :side]
    middle = np.hypot(xs - side // 2, ys - side // 2) < 0.45 * side
    drawn = (strokes > 0.6 * level) & middle
    if not drawn.any():
        return "grey"
    red, green, blue = (float(v) for v in colours[drawn].reshape(-1, 3).mean(axis=0))
    if max(red, green, blue) - min(red, green, blue) < 0.16 * max(red, green, blue, 1.0):
        return "grey"
    angle = degrees(atan2(sqrt(3) * (green - blue), 2 * red - green - blue)) % 360
    return HUES[round(angle / 60) % 6]
