"""Glyph: a '+' or 'x' that was drawn on the screen, read off a crossing by the mark network, with its colour."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from math import atan2, degrees, hypot, sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge_app.imaging.crossings import Crossing, Shape
from edge_app.imaging.mark_net import BATCH, MarkNet, Place, Verdict, mark_net
from edge_app.imaging.patches import Views

Hue = Literal["grey", "red", "yellow", "green", "cyan", "blue", "magenta"]
HUES: tuple[Hue, ...] = ("red", "yellow", "green", "cyan", "blue", "magenta")

PER_REACH = 1.6
"""Arm that is expected where the search saw arms out to one reach."""
LIKELY = 0.12
"""Probability of a marker at first sight for a second look, there where the first one saw it."""
SURELY = 0.95
"""Probability of a marker that need not be read again."""
COLOURED = 0.16
"""Share of the brightest channel by which the dimmest is lower in a colour."""
PALE = 0.25
"""The same up to which a colour may be a grey whose chroma was smeared."""
ONE_HUE = 33.0
"""Degrees by which the hues of two ends differ at most."""


@dataclass(frozen=True, slots=True)
class Glyph:
    """A drawn '+' or 'x': centre in frame pixels (sub-pixel), half its span, its colour, probabilities 0..1."""

    x: float
    y: float
    shape: Shape
    reach: float
    colour: tuple[float, float, float]  # RGB of its strokes
    confidence: float
    worded: float  # that it stands in a line of text

    @property
    def tint(self) -> float:
        """How far its colour is from grey, 0..1."""
        return (max(self.colour) - min(self.colour)) / max(*self.colour, 1.0)

    def looks_like(self, other: Glyph) -> bool:
        """Whether both have one colour; greys may differ, for one end may be the active one."""
        if max(self.tint, other.tint) < PALE:
            return True
        apart = abs(self._angle - other._angle) % 360
        return min(self.tint, other.tint) > 0.5 * COLOURED and min(apart, 360 - apart) <= ONE_HUE

    @property
    def _angle(self) -> float:
        red, green, blue = self.colour
        return degrees(atan2(sqrt(3) * (green - blue), 2 * red - green - blue)) % 360

    @property
    def hue(self) -> Hue:
        """Its colour's name."""
        return "grey" if self.tint < COLOURED else HUES[round(self._angle / 60) % 6]


class Reading:
    """The glyphs of a picture, read off the crossings of one map after another.

    Parameters
    ----------
    pixels : NDArray[np.uint8]
        RGB (H, W, 3).
    """

    def __init__(self, pixels: NDArray[np.uint8], net: MarkNet | None = None) -> None:
        self._pixels, self._views, self._net = pixels, Views(pixels), net or mark_net()
        self._seen: list[Verdict] = []

    def add(self, crossings: list[Crossing]) -> Generator[None, None, None]:
        """Ask the network about crossings: at first sight, then at the place and size that this showed, twice."""
        places = [(c.x, c.y, PER_REACH * c.reach) for c in crossings if not self._known(c)]
        for look in range(3):
            verdicts: list[Verdict] = []
            size = BATCH if look < 2 else BATCH // 4
            for at in range(0, len(places), size):
                verdicts += self._net.ask(self._views, places[at : at + size], mirrored=look == 2)
                yield
            likely = _apart([v for v in verdicts if v.mark >= LIKELY])
            places = [(v.x, v.y, v.arm) for v in likely]
        self._seen = _apart(self._seen + likely)

    def _known(self, c: Crossing) -> bool:
        """Whether the crossing lies in the middle of a glyph that was surely seen."""
        return any(hypot(c.x - v.x, c.y - v.y) < 0.3 * v.arm for v in self._seen if v.mark >= SURELY)

    def glyphs(self) -> list[Glyph]:
        """Return what was seen so far, the surest first."""
        return [_glyph(self._pixels, v) for v in self._seen]


def look_again(pixels: NDArray[np.uint8], places: list[Place], net: MarkNet | None = None) -> list[Glyph]:
    """Return what is now at places (x, y, arm) where glyphs were."""
    return [_glyph(pixels, v) for v in (net or mark_net()).ask(Views(pixels), places)]


def _apart(verdicts: list[Verdict]) -> list[Verdict]:
    """Keep the surest of what lies on each other."""
    kept: list[Verdict] = []
    for one in sorted(verdicts, key=lambda v: -v.mark):
        if not any(hypot(one.x - o.x, one.y - o.y) < 0.7 * max(one.arm, o.arm) for o in kept):
            kept.append(one)
    return kept


def _glyph(pixels: NDArray[np.uint8], v: Verdict) -> Glyph:
    shape: Shape = "plus" if v.plus >= v.cross else "cross"
    return Glyph(v.x, v.y, shape, v.arm, _colour(pixels, v, shape), v.mark, v.worded)


def _colour(pixels: NDArray[np.uint8], v: Verdict, shape: Shape) -> tuple[float, float, float]:
    """Return the mean RGB of the brighter half of the pixels along the arms."""
    along = np.linspace(0.45, 0.85, 5) * v.arm
    ways = ((1, 0), (-1, 0), (0, 1), (0, -1)) if shape == "plus" else ((1, 1), (-1, -1), (1, -1), (-1, 1))
    x = np.concatenate([v.x + dx * along for dx, _ in ways]).round().astype(int)
    y = np.concatenate([v.y + dy * along for _, dy in ways]).round().astype(int)
    x, y = np.clip(x, 0, pixels.shape[1] - 1), np.clip(y, 0, pixels.shape[0] - 1)
    seen = pixels[y, x].astype(np.float32)
    light = seen.max(axis=1)
    red, green, blue = seen[light >= np.median(light)].mean(axis=0)
    return float(red), float(green), float(blue)
