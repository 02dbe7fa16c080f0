"""How machines draw length markers: one row a machine (scanner screens 1), each drawn anew with some jitter."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import hypot, sqrt
from typing import Literal

import numpy as np

from .draw import Colour, Picture, Point, Rng, Stamp, Stroke, Type, between, paint, stamp, toss

Shape = Literal["plus", "cross"]
Edge = Literal["none", "outline", "shadow", "drop", "halo"]
Line = Literal["none", "dots", "dashes", "few"]
Label = Literal["none", "digit", "letters"]
WHITE: Colour = (255, 255, 255)
YELLOW: Colour = (255, 255, 0)
GREEN: Colour = (0, 255, 0)
CYAN: Colour = (0, 255, 255)


@dataclass(frozen=True)
class Glyph:
    """One marker: arms and strokes in pixels of the picture it is drawn into."""

    shape: Shape
    arms: tuple[float, float]  # half widths, x and y
    thick: tuple[float, float]  # of the stroke along x, along y
    gap: float  # half of the hole in the middle
    colour: Colour
    edge: Edge = "none"
    edge_px: int = 1
    edge_colour: Colour = (0, 0, 0)
    opacity: float = 1.0
    smooth: bool = False

    @property
    def reach(self) -> float:
        """From the centre to the farthest drawn pixel."""
        return max(self.arms) + self.edge_px + 1

    def aligned(self, at: Point) -> Point:
        """Return the place nearest to ``at`` where strokes fall on whole pixels; ``at`` itself if smooth."""
        if self.smooth:
            return at
        shift = 0.0 if round(self.thick[0]) % 2 else 0.5
        return round(at[0] - shift) + shift, round(at[1] - shift) + shift

    def strokes(self, at: Point) -> list[Stroke]:
        """Return the two strokes, or the four of a hollow marker."""
        ax, ay = self.arms
        if self.shape == "plus":
            ways = [((1.0, 0.0), ax, self.thick[0]), ((0.0, 1.0), ay, self.thick[1])]
        else:
            far = hypot(ax, ay)
            ways = [((ax / far, ay / far), far, self.thick[0]), ((ax / far, -ay / far), far, self.thick[1])]
        out = []
        for (ux, uy), reach, thick in ways:
            reach = reach + (0.5 if self.shape == "plus" and not self.smooth and thick % 2 else 0.0)
            parts = [(-reach, reach)] if not self.gap else [(-reach, -self.gap), (self.gap, reach)]
            out += [Stroke((at[0] + ux * a, at[1] + uy * a), (at[0] + ux * b, at[1] + uy * b), thick) for a, b in parts]
        return out

    def draw(self, pixels: Picture, at: Point) -> None:
        """Draw with the edge below, in place; ``at`` is exact, see ``aligned``."""
        core = stamp(self.strokes(at), smooth=self.smooth, margin=3 + 2 * self.edge_px)
        _edge(pixels, core, self)
        paint(pixels, core, self.colour, self.opacity)


def _edge(pixels: Picture, core: Stamp, glyph: Glyph) -> None:
    if glyph.edge == "outline":
        paint(pixels, core.grown(glyph.edge_px), glyph.edge_colour)
    elif glyph.edge == "shadow":
        for step in range(1, glyph.edge_px + 1):
            paint(pixels, core.moved(step, step), glyph.edge_colour)
    elif glyph.edge == "drop":  # an outline that has slipped down and to the right
        paint(pixels, core.grown(glyph.edge_px).moved(1, 1), glyph.edge_colour)
    elif glyph.edge == "halo":
        paint(pixels, core.blurred(0.8 + 0.5 * glyph.edge_px, 2.2), glyph.edge_colour, 0.7)


@dataclass(frozen=True)
class Look:
    """A machine's way: sizes in pixels of a screen of 720 lines; ranges are drawn from anew for each screen."""

    name: str
    shape: Shape
    arm: tuple[float, float]
    thick: tuple[int, ...]
    gap: tuple[float, float]
    colours: tuple[Colour, ...]
    edge: Edge
    line: Line
    step: tuple[float, float]
    dot: tuple[int, ...]
    line_level: tuple[float, float] = (1.0, 1.0)  # brightness of the line against the marker
    label: Label = "none"
    legend: bool = False
    second_shape: Shape | None = None  # of the second pair
    active: Literal["none", "green", "white"] = "none"  # one end still to be set
    stretch: tuple[float, float] = (0.95, 1.05)  # horizontal against vertical arm
    thin: float = 1.0  # horizontal stroke's thickness against the vertical's


LOOKS: tuple[Look, ...] = (
    Look("logiq", "plus", (7, 9), (1, 2), (0, 0), (YELLOW,), "none", "dots", (3.6, 4.4), (1,), label="digit"),
    Look(
        *("logiq-active", "plus", (7, 9), (1, 2), (0, 0), (YELLOW,), "none", "dots", (3.6, 4.4), (1,)),
        label="digit",
        active="green",
    ),
    Look(
        *("voluson", "plus", (8.5, 13), (1, 2, 3), (1.2, 3.0), ((220, 222, 169), (214, 212, 140), (235, 230, 120))),
        *("halo", "dots", (5.5, 11), (1,), (0.35, 0.9), "digit"),
    ),
    Look(
        *("mindray", "plus", (3.6, 5), (1,), (0, 0), (WHITE, (240, 240, 240)), "outline", "dots", (3.5, 6), (1,)),
        line_level=(0.8, 1.0),
        label="digit",
    ),
    Look(
        *("epiq", "plus", (7, 10), (2, 3), (1.5, 3.0), (WHITE,), "outline", "few", (22, 30), (2, 3)),
        legend=True,
    ),
    Look(
        *("cx50", "plus", (5, 8), (2,), (0, 0), (WHITE, (235, 235, 235)), "shadow", "dashes", (5, 9), (2,)),
        legend=True,
    ),
    Look(
        *("philips-old", "plus", (5.5, 8), (1, 2), (1.2, 2.2), (WHITE, (230, 230, 230)), "outline", "none", (9, 9)),
        *((1,),),
        legend=True,
        second_shape="cross",
    ),
    Look(
        *("sonosite-x", "cross", (6, 9), (2, 3), (1.8, 3.2), (WHITE,), "outline", "dots", (14, 18), (1, 2)),
        line_level=(0.35, 0.7),
        legend=True,
        second_shape="plus",
        stretch=(0.85, 1.2),
    ),
    Look(
        *("sonosite-plus", "plus", (5.5, 8), (2, 3), (1.5, 3.0), (WHITE,), "outline", "dots", (14, 18), (1, 2)),
        line_level=(0.35, 0.7),
        legend=True,
        second_shape="cross",
        stretch=(1.1, 1.55),
        thin=0.6,
    ),
    Look(
        *("canon-grey", "plus", (7, 12), (1, 2, 3), (0, 0), ((163, 163, 163), (120, 120, 120), (195, 195, 195))),
        *("drop", "dots", (9, 18), (2, 3), (0.8, 1.0), "letters"),
        active="white",
    ),
    Look(
        *("canon-grey-x", "cross", (6, 11), (1, 2, 3), (0, 0), ((163, 163, 163), (140, 140, 140), (215, 215, 215))),
        *("drop", "dots", (9, 18), (2, 3), (0.8, 1.0), "letters"),
        active="white",
    ),
    Look(
        *("canon-cyan", "cross", (5.5, 8.5), (1, 2), (0, 0), (CYAN, (60, 230, 240)), "none", "dots", (6, 12), (1, 2)),
        label="letters",
    ),
)


def mixed(rng: Rng, coloured: bool) -> Look:
    """Return a look between the machines: any shape, size, edge and line that occurs."""
    tints: tuple[Colour, ...] = (
        (255, 255, 0),
        (235, 225, 110),
        (0, 255, 0),
        (90, 235, 90),
        (0, 255, 255),
        (255, 170, 40),
    )
    greys: tuple[Colour, ...] = ((255, 255, 255), (230, 230, 230), (200, 200, 200), (170, 170, 170))
    colour = (tints if coloured else greys)[rng.integers(6 if coloured else 4)]
    hollow = toss(rng, 0.45)
    edges: tuple[Edge, ...] = ("outline", "shadow", "halo", "none") if coloured else ("outline", "shadow")
    lines: tuple[Line, ...] = ("dots", "dots", "dashes", "none", "few")
    labels: tuple[Label, ...] = ("none", "digit", "letters")
    seconds: tuple[Shape | None, ...] = ("plus", "cross", None)
    shape: Shape = "plus" if toss(rng, 0.6) else "cross"
    return Look(
        name="mixed-colour" if coloured else "mixed-grey",
        shape=shape,
        arm=(4.5, 11),
        thick=(1, 2, 3),
        gap=(1.2, 3.2) if hollow else (0, 0),
        colours=(colour,),
        edge=edges[rng.integers(len(edges))],
        line=lines[rng.integers(len(lines))],
        step=(3.5, 20),
        dot=(1, 2, 3),
        line_level=(0.4, 1.0),
        label=labels[rng.integers(3)],
        legend=toss(rng, 0.5),
        second_shape=seconds[rng.integers(3)],
        stretch=(0.9, 1.15),
    )


LOOK_NAMES = (*(look.name for look in LOOKS), "mixed-colour", "mixed-grey")


def look_named(name: str, rng: Rng) -> Look:
    """Return the look of a name; a mixed one is drawn."""
    if name.startswith("mixed"):
        return mixed(rng, name == "mixed-colour")
    return next(look for look in LOOKS if look.name == name)


def draw_glyph(look: Look, unit: float, rng: Rng, shape: Shape | None = None) -> Glyph:
    """Return one marker of a look for a screen of ``720 * unit`` lines."""
    arm = between(rng, *look.arm) * unit
    thick = max(1.0, float(round(int(look.thick[rng.integers(len(look.thick))]) * min(unit, 1.7))))
    thick = min(thick, max(1.0, float(round(arm / 2.2))))
    smooth, gap = toss(rng, 0.4), between(rng, *look.gap) * unit
    if gap:
        gap = max(1.0, min(gap, 0.45 * arm))
    arms = (arm * sqrt(between(rng, *look.stretch)), arm)
    flat = max(1.0, round(thick * look.thin)) if look.thin < 1 else thick
    if round(flat) % 2 != round(thick) % 2 and not smooth:
        flat = thick  # both strokes on the pixel grid
    if not smooth:
        arms = (float(round(arms[0])), float(round(arms[1])))
        gap = float(round(gap) + (0.5 if round(thick) % 2 else 0.0)) if gap else 0.0
        if round(thick) % 2 == 0 and shape != "cross":
            arms = (arms[0], arms[1])
    return Glyph(
        shape=shape or look.shape,
        arms=arms,
        thick=(flat, thick),
        gap=gap,
        colour=look.colours[rng.integers(len(look.colours))],
        edge=look.edge,
        edge_px=1 if unit < 1.4 or toss(rng, 0.5) else 2,
        edge_colour=(0, 0, 0) if toss(rng, 0.5) else (18, 18, 18),
        smooth=smooth,
    )


@dataclass(frozen=True)
class Drawn:
    """A pair as it was drawn."""

    first: Point
    second: Point
    shape: Shape
    reach: float  # half of a marker's span


def draw_pair(
    pixels: Picture, ends: tuple[Point, Point], look: Look, glyph: Glyph, unit: float, rng: Rng, number: int = 1
) -> Drawn:
    """Draw two markers, the line between them and their label, in place; return where they are exactly."""
    first, second = glyph.aligned(ends[0]), glyph.aligned(ends[1])
    one = other = glyph
    if look.active == "green":
        other, line_colour = replace(glyph, colour=GREEN), GREEN
    elif look.active == "white" and toss(rng, 0.6):
        other, line_colour = replace(glyph, colour=(245, 245, 245)), glyph.colour
    else:
        line_colour = glyph.colour
    if look.line != "none":
        draw_line(pixels, (first, second), look, glyph, unit, line_colour, rng)
    one.draw(pixels, first)
    other.draw(pixels, second)
    _label(pixels, (first, second), look, one, unit, number)
    return Drawn(first, second, glyph.shape, max(glyph.arms))


def draw_line(
    pixels: Picture, ends: tuple[Point, Point], look: Look, glyph: Glyph, unit: float, colour: Colour, rng: Rng
) -> None:
    """Draw the dots, dashes or few dots between two markers, in place."""
    (x0, y0), (x1, y1) = ends
    length, level = hypot(x1 - x0, y1 - y0), between(rng, *look.line_level)
    ux, uy = (x1 - x0) / max(length, 1e-6), (y1 - y0) / max(length, 1e-6)
    step = between(rng, *look.step) * unit
    if look.line == "few":
        step = length / 4.0 if length > 3 * step else step
    size = max(1, round(int(look.dot[rng.integers(len(look.dot))]) * min(unit, 1.6)))
    dimmed = (round(colour[0] * level), round(colour[1] * level), round(colour[2] * level))
    for at in np.arange(step, length - step / 2.0, step):
        x, y = round(x0 + ux * at), round(y0 + uy * at)
        if look.line == "dashes":
            half = 0.28 * step
            bar = Stroke((x - ux * half, y - uy * half), (x + ux * half, y + uy * half), size)
            dash = stamp([bar], smooth=glyph.smooth, margin=2)
            if glyph.edge == "shadow":
                paint(pixels, dash.moved(1, 1), glyph.edge_colour)
            paint(pixels, dash, dimmed)
            continue
        if glyph.edge in ("shadow", "drop") or (glyph.edge == "outline" and size > 1):
            _block(pixels, x + 1, y + 1, size, glyph.edge_colour)
        _block(pixels, x, y, size, dimmed)


def _block(pixels: Picture, x: int, y: int, size: int, colour: Colour) -> None:
    left, top = max(0, x - size // 2), max(0, y - size // 2)
    pixels[top : max(0, y - size // 2 + size), left : max(0, x - size // 2 + size)] = colour


def _label(pixels: Picture, ends: tuple[Point, Point], look: Look, glyph: Glyph, unit: float, number: int) -> None:
    size, colour = 0.9 * max(11.0 * unit, 8.0), glyph.colour
    away = max(glyph.arms) + 3 * unit
    if look.label == "digit":
        Type(size, colour).words(pixels, str(number), (ends[0][0] - away - size * 0.5, ends[0][1] - away - size))
    elif look.label == "letters":
        names = ("A", "B") if number == 1 else ("C", "D")
        for name, (x, y) in zip(names, ends, strict=True):
            Type(size, colour).words(pixels, name, (x + away, y - away - size * 0.5))
