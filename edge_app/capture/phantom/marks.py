"""Calipers as makers draw them: glyphs, dotted line, index, read-out.

Centres are whole pixels: what is drawn is exactly what the truth says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import hypot
from typing import Literal

import cv2
import numpy as np

from edge_app.capture.phantom.arrays import U8, Point
from edge_app.capture.phantom.layout import Layout, LookName
from edge_app.capture.phantom.looks import WHITE, YELLOW
from edge_app.capture.phantom.text import Colour, Style, write

Stage = Literal["first", "second", "set"]
GREEN: Colour = (0, 255, 0)
PALE: Colour = (220, 222, 169)
WHITE_MARK: Colour = (255, 255, 255)
GREEN_FRAME: Colour = (0, 192, 80)


@dataclass(frozen=True, slots=True)
class Marks:
    """Calipers at one instant: ``first`` alone, both while the second still moves, or both set."""

    stage: Stage
    first: Point
    second: Point | None = None

    @property
    def length_px(self) -> float:
        """Distance of the two centres, pixels; 0 with one caliper."""
        return 0.0 if self.second is None else hypot(self.second[0] - self.first[0], self.second[1] - self.first[1])


def whole(point: Point) -> Point:
    """Return the whole pixel nearest to a point."""
    return float(round(point[0])), float(round(point[1]))


def draw_marks(pixels: U8, layout: Layout, marks: Marks) -> None:
    """Draw calipers into a screen, in place."""
    _PAINTERS[layout.look](pixels, layout, marks)


def _thickness(unit: float) -> int:
    return 1 if unit < 1.2 else 3


def _ge(pixels: U8, layout: Layout, marks: Marks) -> None:
    s, active = layout.unit, GREEN if marks.stage != "set" else YELLOW
    arms, thick = (round(8 * s), round(9 * s)), _thickness(s)
    if marks.second is not None:
        _dots(pixels, (marks.first, marks.second), (4 * s, max(1, round(0.8 * s))), active)
        _plus(pixels, marks.second, arms, thick, active)
    _plus(pixels, marks.first, arms, thick, YELLOW if marks.second is not None else GREEN)
    colour = YELLOW if marks.second is not None else GREEN
    write(pixels, "1", (marks.first[0] - 17 * s, marks.first[1] - 26 * s), Style(15 * s, colour))
    if marks.second is not None:
        _ge_box(pixels, layout, f"1 L {marks.length_px / layout.px_per_cm:.2f} cm")


def _ge_box(pixels: U8, layout: Layout, text: str) -> None:
    s = layout.unit
    x, y = 14 * s, 640 * s
    cv2.rectangle(pixels, (round(x), round(y)), (round(x + 150 * s), round(y + 30 * s)), (0, 0, 0), -1)
    cv2.rectangle(pixels, (round(x), round(y)), (round(x + 150 * s), round(y + 30 * s)), GREEN_FRAME, 1)
    write(pixels, text[0], (x + 7 * s, y + 9 * s), Style(11 * s, YELLOW))
    write(pixels, text[2:], (x + 24 * s, y + 9 * s), Style(11 * s, WHITE))


def _philips(pixels: U8, layout: Layout, marks: Marks) -> None:
    s = layout.unit
    if marks.second is not None:
        step = marks.length_px / 5.0
        _dots(pixels, (marks.first, marks.second), (step, max(2, round(2 * s))), WHITE)
        _hollow_plus(pixels, marks.second, s)
        legend = (14.0 * s, 84.0 * s)
        text = f"Dist {marks.length_px / layout.px_per_cm:.2f} cm"
        box = write(pixels, text, (legend[0] + 22 * s, legend[1]), Style(10 * s, WHITE))
        _hollow_plus(pixels, whole((legend[0] + 7 * s, (box[1] + box[3]) / 2.0)), s)  # the legend repeats the glyph
    _hollow_plus(pixels, marks.first, s)


def _canon(pixels: U8, layout: Layout, marks: Marks) -> None:
    s = layout.unit
    fixed, active = (165, 165, 165), (245, 245, 245)
    if marks.second is not None:
        _dots(pixels, (marks.first, marks.second), (11 * s, max(2, round(2.2 * s))), fixed)
        colour = active if marks.stage == "second" else fixed
        _shadowed_plus(pixels, marks.second, s, colour)
        write(pixels, "B", (marks.second[0] + 11 * s, marks.second[1] - 14 * s), Style(10 * s, fixed))
        text = f"A-B  Dist  {marks.length_px / layout.px_per_cm * 10.0:.1f} mm"
        write(pixels, text, (14 * s, layout.size[1] - 66 * s), Style(10 * s, (210, 210, 210)))
    _shadowed_plus(pixels, marks.first, s, fixed if marks.second is not None else active)
    write(pixels, "A", (marks.first[0] - 20 * s, marks.first[1] - 14 * s), Style(10 * s, fixed))


def _sonosite(pixels: U8, layout: Layout, marks: Marks) -> None:
    s = layout.unit
    arms = _Arms(
        across=(round(8 * s), 1 if s < 1.6 else 3), along=(round(6 * s), _thickness(s * 1.3)), gap=round(2 * s)
    )
    if marks.second is not None:
        _dots(pixels, (marks.first, marks.second), (16 * s, max(1, round(s))), (120, 120, 120))
        _open_plus(pixels, marks.second, arms, WHITE_MARK)
        box = write(pixels, f"{_cm(layout, marks)} cm", (40 * s, 84 * s), Style(10 * s, WHITE))
        _open_plus(pixels, whole((22 * s, (box[1] + box[3]) / 2.0)), arms, WHITE_MARK)  # the legend repeats the glyph
    _open_plus(pixels, marks.first, arms, WHITE_MARK)


def _mindray(pixels: U8, layout: Layout, marks: Marks) -> None:
    s, dim = layout.unit, (222, 222, 222)
    arm, thick = max(5, round(5 * s)), 1 if s < 1.6 else 3
    if marks.second is not None:
        _dots(pixels, (marks.first, marks.second), (5 * s, 1), dim)
        x, y = round(14 * s), round(620 * s)
        cv2.rectangle(pixels, (x, y), (x + round(150 * s), y + round(18 * s)), (40, 70, 160), -1)
        write(pixels, "1 Dist", (x + 8 * s, y + 4 * s), Style(9 * s, WHITE))
        write(pixels, f"{_cm(layout, marks)} cm", (x + 60 * s, y + 26 * s), Style(10 * s, WHITE))
    for end in (marks.first, marks.second):
        if end is not None:
            _plus(pixels, end, (arm + 1, arm + 1), thick + 2, (12, 12, 12))
            _plus(pixels, end, (arm, arm), thick, WHITE_MARK)
    write(pixels, "1", (marks.first[0] - 16 * s, marks.first[1] - 20 * s), Style(10 * s, dim))


def _voluson(pixels: U8, layout: Layout, marks: Marks) -> None:
    s, thick = layout.unit, _thickness(layout.unit)
    arms = _Arms((round(10 * s), thick), (round(10 * s), thick), round(2 * s))
    if marks.second is not None:
        _dots(pixels, (marks.first, marks.second), (7 * s, 1), (150, 152, 112))
        _open_plus(pixels, marks.second, arms, PALE if marks.stage == "set" else GREEN, soft=True)
        text = f"1 D {_cm(layout, marks)}cm"
        write(pixels, text, (layout.size[0] - 130 * s, 640 * s), Style(11 * s, (235, 225, 110)))
    _open_plus(pixels, marks.first, arms, PALE if marks.second is not None else GREEN, soft=True)
    write(pixels, "1", (marks.first[0] - 20 * s, marks.first[1] - 22 * s), Style(11 * s, PALE))


def _cm(layout: Layout, marks: Marks) -> str:
    return f"{marks.length_px / layout.px_per_cm:.2f}"


@dataclass(frozen=True, slots=True)
class _Arms:
    """Reach and thickness of the level and of the upright arms, half of the hole between them; pixels."""

    across: tuple[int, int]
    along: tuple[int, int]
    gap: int


def _open_plus(pixels: U8, at: Point, arms: _Arms, colour: Colour, *, soft: bool = False) -> None:
    """Draw a plus with a hole; its edge is black, or only a darker picture if ``soft``."""
    x, y, (wide, flat), (high, upright) = round(at[0]), round(at[1]), arms.across, arms.along
    strokes = [(arms.gap, wide, flat, 0), (-wide, -arms.gap, flat, 0), (arms.gap, high, upright, 1)]
    strokes.append((-high, -arms.gap, upright, 1))
    boxes = []
    for start, stop, thick, turned in strokes:
        low, up = -(thick // 2), (thick - 1) // 2
        boxes.append((x + low, y + start, x + up, y + stop) if turned else (x + start, y + low, x + stop, y + up))
    for x0, y0, x1, y1 in boxes:
        around = pixels[max(0, y0 - 1) : y1 + 2, max(0, x0 - 1) : x1 + 2]
        around[:] = around // 2 if soft else 0
    for x0, y0, x1, y1 in boxes:
        cv2.rectangle(pixels, (x0, y0), (x1, y1), colour, -1)


def _plus(pixels: U8, at: Point, arms: tuple[int, int], thick: int, colour: Colour) -> None:
    x, y, half = round(at[0]), round(at[1]), thick // 2
    cv2.rectangle(pixels, (x - arms[0], y - half), (x + arms[0], y + half), colour, -1)
    cv2.rectangle(pixels, (x - half, y - arms[1]), (x + half, y + arms[1]), colour, -1)


def _hollow_plus(pixels: U8, at: Point, s: float) -> None:
    x, y = round(at[0]), round(at[1])
    reach, gap, half = round(8 * s), round(2 * s), _thickness(s * 1.3) // 2
    strokes = [
        (gap, -half, reach, half),
        (-reach, -half, -gap, half),
        (-half, gap, half, reach),
        (-half, -reach, half, -gap),
    ]
    for grow, colour in ((1, (0, 0, 0)), (0, (255, 255, 255))):
        for x0, y0, x1, y1 in strokes:
            cv2.rectangle(pixels, (x + x0 - grow, y + y0 - grow), (x + x1 + grow, y + y1 + grow), colour, -1)


def _shadowed_plus(pixels: U8, at: Point, s: float, colour: Colour) -> None:
    arm, thick = round(8 * s), _thickness(s)
    _plus(pixels, (at[0] + 1, at[1] + 1), (arm + 1, arm + 1), thick + 2, (12, 12, 12))
    _plus(pixels, at, (arm, arm), thick, colour)


def _dots(pixels: U8, ends: tuple[Point, Point], spec: tuple[float, int], colour: Colour) -> None:
    """Square dots of ``spec[1]`` pixels every ``spec[0]`` pixels between the ends."""
    (x0, y0), (x1, y1) = ends
    length = hypot(x1 - x0, y1 - y0)
    for at in np.arange(spec[0], length - spec[0] / 2.0, spec[0]):
        x, y = round(x0 + (x1 - x0) * at / length), round(y0 + (y1 - y0) * at / length)
        cv2.rectangle(pixels, (x, y), (x + spec[1] - 1, y + spec[1] - 1), colour, -1)


_PAINTERS: dict[LookName, Callable[[U8, Layout, Marks], None]] = {
    "ge": _ge,
    "philips": _philips,
    "canon": _canon,
    "sonosite": _sonosite,
    "mindray": _mindray,
    "voluson": _voluson,
}
