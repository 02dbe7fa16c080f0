"""What is not a length marker and looks like one: drawn wherever machines draw it, never near a real marker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import cos, hypot, pi, sin

import cv2
import numpy as np

from .chrome import RESULTS, Theme
from .draw import Colour, Mask, Picture, Point, Rng, Type, between, toss
from .marks import GREEN, WHITE, YELLOW, Glyph, Look, draw_glyph

WORDS = (
    "RK",
    "LT KIDNEY",
    "LIVER",
    "x",
    "t",
    "+",
    "RT KIDNEY SAG",
    "A",
    "B",
    "CORTEX",
    "Rt",
    "I",
    "T x 2",
    "+ L",
    "TRX",
)


@dataclass(frozen=True, eq=False)
class Scenery:
    """What a decoy is drawn into: the picture, where the image is, the screen's style, places to keep away from."""

    pixels: Picture
    mask: Mask
    theme: Theme
    look: Look
    glyph: Glyph
    keep_off: tuple[Point, ...]
    rng: Rng

    @property
    def box(self) -> tuple[int, int, int, int]:
        """The image's box, x1 and y1 exclusive."""
        rows, columns = np.flatnonzero(self.mask.any(axis=1)), np.flatnonzero(self.mask.any(axis=0))
        return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1

    def free(self, room: float) -> Point | None:
        """Return a place in the image with room around it; None where there is none."""
        x0, y0, x1, y1 = self.box
        for _ in range(40):
            x, y = between(self.rng, x0, x1 - 1), between(self.rng, y0, y1 - 1)
            if self.mask[int(y), int(x)] and self.clear((x, y), room):
                return x, y
        return None

    def clear(self, at: Point, room: float) -> bool:
        """Tell whether a place is far from all real markers."""
        away = room + 3.0 * self.glyph.reach
        return all(hypot(at[0] - x, at[1] - y) > away for x, y in self.keep_off)


def legend(s: Scenery) -> bool:
    """Result text that repeats the glyph in front of each line."""
    u, (height, width) = s.theme.unit, s.pixels.shape[:2]
    rows, size = int(s.rng.integers(1, 4)), between(s.rng, 9, 13)
    left = between(s.rng, 0.01, 0.06) * width if toss(s.rng, 0.7) else between(s.rng, 0.62, 0.74) * width
    top = between(s.rng, 0.11, 0.2) * height if toss(s.rng, 0.5) else between(s.rng, 0.76, 0.88) * height
    if not all(s.clear((left + dx * u, top + 20 * u), 40 * u) for dx in (0, 60, 120)):
        return False
    if toss(s.rng, 0.3):
        corner = round(left + 150 * u), round(top + rows * 22 * u)
        cv2.rectangle(s.pixels, (round(left - 6 * u), round(top - 6 * u)), corner, (0, 0, 0), -1)
        cv2.rectangle(s.pixels, (round(left - 6 * u), round(top - 6 * u)), corner, (0, 192, 80), 1)
    for row in range(rows):
        y = top + row * 22 * u
        mark = s.glyph
        if row and s.look.second_shape:
            mark = replace(mark, shape=s.look.second_shape)
        small = replace(mark, arms=(mark.arms[0] * 0.8, mark.arms[1] * 0.8)) if toss(s.rng, 0.4) else mark
        small.draw(s.pixels, small.aligned((left + 8 * u, y + size * u / 2)))
        text = f"{s.rng.choice(RESULTS)} {between(s.rng, 0.4, 13):.2f} cm"
        Type(size * u, s.theme.words if s.theme.back[0] < 100 else WHITE, s.theme.face).words(
            s.pixels, text, (left + 24 * u, y)
        )
    return True


def cursor(s: Scenery) -> bool:
    """The caliper that is not set yet: green, often hollow; or a pointer."""
    at = s.free(10 * s.theme.unit)
    if at is None:
        return False
    if toss(s.rng, 0.75):
        green = s.glyph.colour[1] > 200 > 1.2 * s.glyph.colour[0]
        colour = WHITE if green else GREEN if toss(s.rng, 0.75) else (90, 235, 90)
        live = replace(draw_glyph(s.look, s.theme.unit, s.rng, s.glyph.shape), colour=colour)
        live.draw(s.pixels, live.aligned(at))
        return True
    u = s.theme.unit
    shape = np.array([(0, 0), (0, 15), (4, 12), (7, 18), (9, 17), (6, 11), (11, 11)], np.float64) * u + np.array(at)
    cv2.fillPoly(s.pixels, [shape.astype(np.int32)], (245, 245, 245), cv2.LINE_AA)
    return True


def focus(s: Scenery) -> bool:
    """A focus mark beside the image: hour-glass, triangle, diamond or bracket."""
    _, y0, x1, y1 = s.box
    u, height, width = s.theme.unit, s.pixels.shape[0], s.pixels.shape[1]
    colours: tuple[Colour, ...] = (YELLOW, WHITE, (0, 220, 120), (240, 160, 30))
    colour = colours[s.rng.integers(4)]
    x = min(width - 8.0, x1 + between(s.rng, -2, 20) * u)
    y = between(s.rng, y0 + 0.2 * (y1 - y0), y0 + 0.8 * (y1 - y0))
    r = between(s.rng, 5, 8) * u
    if not s.clear((x, y), r) or y + r > height:
        return False
    kinds = (
        [(-r, -r), (r, -r), (-r, r), (r, r)],
        [(-r, 0), (r, -r), (r, r)],
        [(-r, 0), (0, -r), (r, 0), (0, r)],
    )
    points = np.array(kinds[s.rng.integers(3)], np.float64) + np.array((x, y))
    if toss(s.rng, 0.5):
        cv2.fillPoly(s.pixels, [np.round(points).astype(np.int32)], colour)
    else:
        cv2.polylines(s.pixels, [np.round(points).astype(np.int32)], True, colour, 1)
    return True


def ecg(s: Scenery) -> bool:
    """A trace with spikes along the image's lower edge."""
    x0, _, x1, y1 = s.box
    u = s.theme.unit
    xs = np.arange(x0, x1, 2.0)
    beat = (xs - x0) / (95.0 * u) % 1.0
    ys = y1 - 24 * u - 26 * u * np.exp(-(((beat - 0.5) / 0.02) ** 2)) + 7 * u * np.exp(-(((beat - 0.55) / 0.02) ** 2))
    points = np.stack([xs, ys - 5 * u * np.exp(-(((beat - 0.8) / 0.06) ** 2))], axis=1)
    if not all(s.clear((x, y), 0) for x, y in points[::12]):
        return False
    cv2.polylines(s.pixels, [np.round(points).astype(np.int32)], False, (40, 220, 60), 1, cv2.LINE_AA)
    return True


def biopsy(s: Scenery) -> bool:
    """One or two rows of dots along a needle's way, slanting through the image."""
    x0, y0, x1, y1 = s.box
    u, slope = s.theme.unit, between(s.rng, -0.9, 0.9)
    colour = (YELLOW, WHITE, (0, 220, 120))[s.rng.integers(3)]
    start = between(s.rng, x0 + 0.3 * (x1 - x0), x0 + 0.7 * (x1 - x0))
    step = between(s.rng, 9, 18) * u
    for line in range(int(s.rng.integers(1, 3))):
        for y in np.arange(y0 + 6.0, y1, step):
            x = start + slope * (y - y0) + 22 * u * line
            if x0 <= x < x1 and s.mask[int(y), int(x)] and s.clear((x, y), 0):
                cv2.circle(s.pixels, (round(x), round(y)), max(1, round(1.2 * u)), colour, -1)
    return True


def letters(s: Scenery) -> bool:
    """Words or single letters typed onto the image."""
    u = s.theme.unit
    for _ in range(int(s.rng.integers(1, 4))):
        text, size = str(s.rng.choice(WORDS)), between(s.rng, 9, 17) * u
        at = s.free(size)
        if at is None or not s.clear((at[0] + size * len(text), at[1] + size), size):
            continue
        colour = (WHITE, (200, 200, 200), YELLOW, (80, 220, 240))[s.rng.integers(4)]
        Type(size, colour, s.theme.face, 1 if toss(s.rng, 0.6) else 2).words(s.pixels, text, at)
    return True


def arrow(s: Scenery) -> bool:
    """Arrows that point at something."""
    u = s.theme.unit
    for _ in range(int(s.rng.integers(1, 3))):
        at = s.free(40 * u)
        if at is None:
            continue
        angle, long = between(s.rng, 0, 2 * pi), between(s.rng, 16, 36) * u
        end = round(at[0] + long * cos(angle)), round(at[1] + long * sin(angle))
        colour = (WHITE, YELLOW, (220, 220, 220))[s.rng.integers(3)]
        cv2.arrowedLine(
            s.pixels, end, (round(at[0]), round(at[1])), colour, max(1, round(1.5 * u)), cv2.LINE_AA, 0, 0.4
        )
    return True


def zone(s: Scenery) -> bool:
    """A zone bar with its ends marked and x2 or x3 beside it."""
    _, y0, x1, y1 = s.box
    u, width = s.theme.unit, s.pixels.shape[1]
    x = round(min(width - 30 * u, x1 + between(s.rng, -26, 8) * u))
    top, bottom = (round(y0 + f * (y1 - y0)) for f in (between(s.rng, 0.1, 0.3), between(s.rng, 0.5, 0.85)))
    if not all(s.clear((x, y), 30 * u) for y in (top, (top + bottom) // 2, bottom)):
        return False
    cv2.line(s.pixels, (x, top), (x, bottom), (200, 200, 200), 1)
    for y in (top, bottom):
        cv2.line(s.pixels, (round(x - 5 * u), y), (round(x + 5 * u), y), (230, 230, 230), max(1, round(u)))
    Type(9 * u, WHITE, s.theme.face).words(s.pixels, ("x2", "x3")[s.rng.integers(2)], (x + 5 * u, (top + bottom) / 2))
    return True


def body_mark(s: Scenery) -> bool:
    """A little trunk with the probe on it, in the screen's or the image's lower corner."""
    height, width = s.pixels.shape[:2]
    u = s.theme.unit
    x, y = round(between(s.rng, 0.8, 0.9) * width), round(between(s.rng, 0.8, 0.88) * height)
    colour: Colour = YELLOW if toss(s.rng, 0.4) else (190, 190, 190)
    if not s.clear((x + 15 * u, y + 20 * u), 40 * u):
        return False
    cv2.ellipse(s.pixels, (round(x + 15 * u), round(y + 20 * u)), (round(13 * u), round(22 * u)), 0, 0, 360, colour, 1)
    cv2.line(s.pixels, (round(x + 18 * u), round(y + 14 * u)), (round(x + 27 * u), round(y + 14 * u)), colour, 2)
    cv2.line(s.pixels, (round(x + 18 * u), round(y + 10 * u)), (round(x + 18 * u), round(y + 18 * u)), colour, 1)
    return True


def crosshair(s: Scenery) -> bool:
    """A line right through the image, such as an M-mode or Doppler line with its gate."""
    x0, y0, x1, y1 = s.box
    x = between(s.rng, x0 + 0.3 * (x1 - x0), x0 + 0.7 * (x1 - x0))
    end = x + between(s.rng, -0.25, 0.25) * (x1 - x0)
    colour: Colour = (0, 200, 80) if toss(s.rng, 0.5) else (210, 210, 210)
    cv2.line(s.pixels, (round(x), y0), (round(end), y1 - 1), colour, 1, cv2.LINE_AA)
    share, gate = between(s.rng, 0.3, 0.8), 5 * s.theme.unit
    for step in (-1, 1):
        y = y0 + share * (y1 - y0) + step * gate
        at = x + (end - x) * share
        if s.clear((at, y), gate):
            cv2.line(s.pixels, (round(at - gate), round(y)), (round(at + gate), round(y)), colour, 1)
    return True


def thumbnails(s: Scenery) -> bool:
    """A strip of small pictures along one side of the screen."""
    height, width = s.pixels.shape[:2]
    x0, y0, x1, y1 = s.box
    wide = round(0.07 * width)
    if width - x1 < 1.3 * wide:
        return False
    small = cv2.resize(s.pixels[y0:y1, x0:x1], (wide, round(0.75 * wide)), interpolation=cv2.INTER_AREA)
    for number in range(int(s.rng.integers(2, 6))):
        y = round(0.15 * height) + number * (small.shape[0] + 6)
        if y + small.shape[0] < height and s.clear((width - wide / 2, y), wide):
            s.pixels[y : y + small.shape[0], width - wide - 2 : width - 2] = small
    return True


def needle(s: Scenery) -> bool:
    """A needle guide: a dashed band through the image."""
    x0, y0, x1, y1 = s.box
    a = np.array((between(s.rng, x0, x1), y0 + 4.0))
    b = np.array((between(s.rng, x0, x1), y1 - 4.0))
    count = 40
    for number in range(0, count, 2):
        p, q = a + (b - a) * number / count, a + (b - a) * (number + 1) / count
        if s.clear((float(p[0]), float(p[1])), 0):
            ends = (round(float(p[0])), round(float(p[1]))), (round(float(q[0])), round(float(q[1])))
            cv2.line(s.pixels, *ends, (240, 150, 40), 1, cv2.LINE_AA)
    return True


def colour_box(s: Scenery) -> bool:
    """The frame of a colour box, slanted now and then, with or without flow in it."""
    x0, y0, x1, y1 = s.box
    wide, high = between(s.rng, 0.25, 0.45) * (x1 - x0), between(s.rng, 0.25, 0.4) * (y1 - y0)
    left, top = between(s.rng, x0, x1 - wide), between(s.rng, y0 + 0.15 * (y1 - y0), y1 - high)
    lean = between(s.rng, -0.3, 0.3) * high if toss(s.rng, 0.4) else 0.0
    corners = np.array([(left, top), (left + wide, top), (left + wide + lean, top + high), (left + lean, top + high)])
    for _ in range(int(s.rng.integers(0, 5))):
        at = (round(left + between(s.rng, 0.2, 0.8) * wide), round(top + between(s.rng, 0.2, 0.8) * high))
        colour: Colour = (200, 40, 20) if toss(s.rng, 0.5) else (30, 60, 210)
        cv2.ellipse(s.pixels, at, (round(0.09 * wide), round(0.05 * high)), between(s.rng, 0, 90), 0, 360, colour, -1)
    cv2.polylines(s.pixels, [np.round(corners).astype(np.int32)], True, (0, 200, 60) if toss(s.rng, 0.5) else WHITE, 1)
    return True


def grid(s: Scenery) -> bool:
    """A lattice of faint dots over the image."""
    x0, y0, x1, y1 = s.box
    step = round(between(s.rng, 30, 60) * s.theme.unit)
    for y in range(y0 + step // 2, y1, step):
        for x in range(x0 + step // 2, x1, step):
            if s.mask[y, x] and s.clear((x, y), 0):
                s.pixels[y : y + 2, x : x + 2] = (150, 150, 150)
    return True


def side_mark(s: Scenery) -> bool:
    """The orientation mark above the image: a letter, a dot or a ring."""
    x0, y0, x1, _ = s.box
    u = s.theme.unit
    at = x0 + between(s.rng, 0.05, 0.4) * (x1 - x0), max(8 * u, y0 + between(s.rng, -8, 10) * u)
    if not s.clear(at, 10 * u):
        return False
    colour = ((90, 130, 240), (60, 220, 160), WHITE)[s.rng.integers(3)]
    if toss(s.rng, 0.5):
        cv2.circle(s.pixels, (round(at[0]), round(at[1])), round(6 * u), colour, -1 if toss(s.rng, 0.5) else 1)
    else:
        Type(12 * u, colour, s.theme.face, 2).words(s.pixels, ("P", "V", "GE", "C")[s.rng.integers(4)], at)
    return True


DECOYS: dict[str, Callable[[Scenery], bool]] = {
    "legend": legend,
    "cursor": cursor,
    "focus": focus,
    "ecg": ecg,
    "biopsy": biopsy,
    "letters": letters,
    "arrow": arrow,
    "zone": zone,
    "body-mark": body_mark,
    "crosshair": crosshair,
    "thumbnails": thumbnails,
    "needle": needle,
    "colour-box": colour_box,
    "grid": grid,
    "side-mark": side_mark,
}
