"""What is drawn on screens and is no length marker: words, rulers, lines, boxes, arrows, traces, dots."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, pi, sin

import cv2
import numpy as np

from .draw import Colour, Picture, Point, dots, marker, random_colour, random_look, text

WORDS = (
    "Rt Kidney 9.84 cm|Dist 10.21 cm|1 L 8.84 cm|1 D 9.02cm|Left Kidney|A-B|L 10.4cm|x2|x3|LONG RT KIDNEY|SAG|TRV|Vol|"
    "Kidney Length|THI|Gn 56|FR 22|MI 1.2|TIs 0.5|C5-1|28Hz|2D|Dyn R 55|P Low|HGen|Abdomen|Renal|Dist|15|10|5|"
    "RK|LK|CORTEX|D1 98.2mm|Exit|Text|Print|LIVER|txt|fix|max|extra|Ht|Wt|W x H|TP|AP|Upper Pole|diffT 4.0|kHz|%|#|*"
).split("|")


@dataclass(frozen=True, slots=True)
class Pen:
    """Draw a picture, a place in it, and how to draw there; lengths in pixels."""

    picture: Picture
    x: float
    y: float
    reach: float
    thick: int
    colour: Colour
    rng: np.random.Generator

    def line(self, a: Point, b: Point, *, smooth: bool = True) -> None:
        """Draw a line between two places."""
        ends = (round(a[0]), round(a[1])), (round(b[0]), round(b[1]))
        cv2.line(self.picture, *ends, self.colour, self.thick, cv2.LINE_AA if smooth else cv2.LINE_8)

    def away(self, angle: float, far: float) -> Point:
        """Return the place so far away in a direction."""
        return self.x + far * cos(angle), self.y + far * sin(angle)

    def through(self, angle: float, far: float, *, smooth: bool = True) -> None:
        """Draw a line through the place."""
        self.line(self.away(angle + pi, far), self.away(angle, far), smooth=smooth)

    def chance(self, share: float) -> bool:
        """Return True in so many cases."""
        return bool(self.rng.random() < share)

    def between(self, low: float, high: float) -> float:
        """Return a number of a range."""
        return float(self.rng.uniform(low, high))


def decoy(picture: Picture, at: Point, rng: np.random.Generator) -> None:
    """Draw one, in place."""
    reach, thick = float(rng.uniform(4, 13)), int(rng.choice([1, 1, 2, 3]))
    DECOYS[int(rng.integers(len(DECOYS)))](Pen(picture, at[0], at[1], reach, thick, random_colour(rng), rng))


def _words(pen: Pen) -> None:
    text(pen.picture, str(pen.rng.choice(list(WORDS))), (pen.x, pen.y), 1.4 * pen.reach, pen.colour, pen.rng)


def _letter(pen: Pen) -> None:
    letter = str(pen.rng.choice(list("ABDEFHKLMNPRTVYZ123456789tkf#*")))
    text(pen.picture, letter, (pen.x, pen.y), 1.4 * pen.reach, pen.colour, pen.rng)


def _arrow(pen: Pen) -> None:
    x, y = pen.away(pen.between(0, 2 * pi), 3 * pen.reach)
    ends = (round(pen.x), round(pen.y)), (round(x), round(y))
    cv2.arrowedLine(pen.picture, *ends, pen.colour, pen.thick, cv2.LINE_AA, 0, 0.3)


def _focus(pen: Pen) -> None:
    """Draw a triangle, diamond or hour-glass."""
    shapes = ([(0, -1), (1, 1), (-1, 1)], [(0, -1), (1, 0), (0, 1), (-1, 0)], [(-1, -1), (1, 1), (-1, 1), (1, -1)])
    shape = shapes[int(pen.rng.integers(3))]
    points = np.array([(pen.x + 0.8 * pen.reach * u, pen.y + 0.8 * pen.reach * v) for u, v in shape], np.int32)
    if pen.chance(0.5):
        cv2.fillPoly(pen.picture, [points], pen.colour)
    else:
        cv2.polylines(pen.picture, [points], True, pen.colour, pen.thick)


def _ruler(pen: Pen) -> None:
    upright, count, step = pen.chance(0.5), int(pen.rng.integers(4, 12)), pen.between(6, 40)
    both = pen.chance(0.5)
    if pen.chance(0.5):
        end = (pen.x, pen.y + count * step) if upright else (pen.x + count * step, pen.y)
        pen.line((pen.x, pen.y), end, smooth=False)
    for number in range(count):
        side = pen.reach if number % 5 == 0 else 0.5 * pen.reach
        other = side if both else 0.0
        if upright:
            pen.line((pen.x - side, pen.y + number * step), (pen.x + other, pen.y + number * step), smooth=False)
        else:
            pen.line((pen.x + number * step, pen.y - side), (pen.x + number * step, pen.y + other), smooth=False)


def _crossing_lines(pen: Pen) -> None:
    first, second = pen.between(0, pi), pen.between(0.6, 2.4)
    if pen.chance(0.5):
        first, second = (0.0 if pen.chance(0.6) else pi / 4), pi / 2
    far = pen.reach * pen.between(4, 16)
    for angle in (first, first + second):
        pen.through(angle, far)


def _target(pen: Pen) -> None:
    """Draw a ring, with a cross in it now and then."""
    cv2.circle(pen.picture, (round(pen.x), round(pen.y)), round(pen.reach), pen.colour, pen.thick, cv2.LINE_AA)
    if pen.chance(0.6):
        for angle in (0.0, pi / 2):
            pen.through(angle, pen.reach, smooth=False)


def _key(pen: Pen) -> None:
    """Draw a square, with a cross in it now and then."""
    r = pen.reach
    corners = (round(pen.x - r), round(pen.y - r)), (round(pen.x + r), round(pen.y + r))
    cv2.rectangle(pen.picture, *corners, pen.colour, -1 if pen.chance(0.3) else pen.thick)
    if pen.chance(0.4):
        for angle in (pi / 4, -pi / 4):
            pen.through(angle, 1.4 * r - 3, smooth=False)


def _few_arms(pen: Pen) -> None:
    """Draw one arm, two or three."""
    turn = pi / 4 if pen.chance(0.4) else 0.0
    for index in pen.rng.permutation(4)[: int(pen.rng.integers(1, 4))]:
        pen.line((pen.x, pen.y), pen.away(turn + int(index) * pi / 2, pen.reach), smooth=False)


def _trace(pen: Pen) -> None:
    """Draw an ECG, the rim of a Doppler trace."""
    xs = np.arange(0, int(6 * pen.reach))
    ys = pen.y + pen.reach * np.cumsum(pen.rng.normal(0, 0.35, len(xs)))
    points = np.stack([pen.x + xs, ys], 1).astype(np.int32)
    cv2.polylines(pen.picture, [points], False, pen.colour, pen.thick)


def _crossing_dots(pen: Pen) -> None:
    first, far, look = pen.between(0, pi), pen.reach * pen.between(3, 10), random_look(pen.rng)
    for angle in (first, first + pen.between(0.7, 2.4)):
        dots(pen.picture, pen.away(angle + pi, far), pen.away(angle, far), look, pen.rng)


def _star(pen: Pen) -> None:
    count = 3 if pen.chance(0.5) else 4
    for number in range(count):
        pen.through(number * pi / count, pen.reach)


def _blobs(pen: Pen) -> None:
    for _ in range(int(pen.rng.integers(1, 5))):
        x, y = pen.away(pen.between(0, 2 * pi), pen.between(0, 2) * pen.reach)
        axes = round(pen.between(1, 0.5 * pen.reach + 1)), round(pen.between(1, 0.5 * pen.reach + 1))
        cv2.ellipse(pen.picture, (round(x), round(y)), axes, pen.between(0, 180), 0, 360, pen.colour, -1, cv2.LINE_AA)


def _row_of_dots(pen: Pen) -> None:
    """Draw a needle's way, a ruler of dots."""
    angle, step, size = pen.between(0, 2 * pi), pen.between(5, 26), pen.between(0.6, 3.4)
    how = cv2.LINE_AA if pen.chance(0.6) else cv2.LINE_8
    for number in range(int(pen.rng.integers(4, 14))):
        x, y = pen.away(angle, number * step)
        cv2.circle(pen.picture, (round(16 * x), round(16 * y)), round(16 * size), pen.colour, -1, how, 4)


def _row_of_crosses(pen: Pen) -> None:
    """Draw a ruler whose ticks are crosses."""
    upright, step, look = pen.chance(0.7), pen.between(9, 50), random_look(pen.rng)
    for number in range(int(pen.rng.integers(4, 11))):
        x, y = (pen.x, pen.y + number * step) if upright else (pen.x + number * step, pen.y)
        marker(pen.picture, (round(x), round(y)), look)


def _lattice(pen: Pen) -> None:
    step, side = pen.between(14, 40), int(pen.rng.integers(1, 4))
    for number in range(36):
        x, y = round(pen.x + number % 6 * step), round(pen.y + number // 6 * step)
        cv2.rectangle(pen.picture, (x, y), (x + side - 1, y + side - 1), pen.colour, -1)


def _box(pen: Pen) -> None:
    """Draw a colour box, slanted or not, with a line through it now and then."""
    wide, high, lean = (pen.reach * pen.between(*span) for span in ((5, 14), (3, 10), (-2, 2)))
    x, y = pen.x, pen.y
    corners = np.array([(x, y), (x + wide, y), (x + wide + lean, y + high), (x + lean, y + high)], np.int32)
    cv2.polylines(pen.picture, [corners], True, pen.colour, pen.thick)
    if pen.chance(0.6):
        far = 20 * pen.reach
        ends = (round(x + 0.4 * wide), round(y - far)), (round(x + pen.between(0.2, 0.6) * wide), round(y + far))
        cv2.line(pen.picture, *ends, random_colour(pen.rng), 1, cv2.LINE_AA)


def _dashes(pen: Pen) -> None:
    """Draw a needle guide right through."""
    angle, step = pen.between(0, pi), pen.between(5, 14)
    for at in np.arange(-20 * pen.reach, 20 * pen.reach, 2 * step):
        pen.line(pen.away(angle, float(at)), pen.away(angle, float(at) + step))


def _corner(pen: Pen) -> None:
    """Draw the corner of a fan, a bracket."""
    first = pen.between(0, 2 * pi)
    for angle in (first, first + pen.between(0.5, 2.0)):
        pen.line((pen.x, pen.y), pen.away(angle, 3 * pen.reach))


DECOYS: tuple[Callable[[Pen], None], ...] = (
    *(_words, _words, _words, _words, _letter, _arrow, _focus, _ruler, _crossing_lines, _target, _key, _few_arms),
    *(_trace, _crossing_dots, _star, _blobs, _row_of_dots, _row_of_dots, _row_of_crosses, _row_of_crosses),
    *(_lattice, _box, _dashes, _corner),
)
