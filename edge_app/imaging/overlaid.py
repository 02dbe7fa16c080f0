"""Overlaid: lines of text that a scanner has drawn over its image: bright, thin strokes in even letters on a line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.imaging.strokes import chroma, stroke_map

Box = tuple[int, int, int, int]
Grey = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class OverlaidRules:
    """Heights are shares of the picture's; the rest in heights of a letter, or grey levels."""

    rows: int = 1400  # a picture of so many rows or more is looked at in half its size
    letter: tuple[float, float] = (0.008, 0.045)
    ink: int = 60  # over what surrounds it
    bright: int = 165  # of grey letters
    colour: int = 70  # chroma of coloured ones
    thick: float = 0.009  # of a stroke
    slim: tuple[float, float] = (0.06, 1.9)  # width of a letter
    gap: float = 1.8  # between two letters or words
    level: float = 0.3  # feet of the letters of one line lie so close
    even: float = 0.45  # their heights differ by so little
    fewest: int = 4  # letters
    most: int = 6  # lines: each costs a reading
    pad: float = 0.45  # above and below a line
    ends: tuple[float, float] = (1.6, 2.4)  # before and behind it: a digit or a unit that was no letter


RULES: Final = OverlaidRules()


def find_overlaid(pixels: NDArray[np.uint8], area: Box, rules: OverlaidRules = RULES) -> list[Box]:
    """Return boxes (x0, y0, x1, y1) of what may be lines of text in ``area`` of RGB uint8 (H, W, 3) ``pixels``.

    At most ``rules.most``, those of most letters first. What they say is for a reader to find: some are speckle.
    """
    height, width = pixels.shape[:2]
    step = 2 if height >= rules.rows else 1
    x0, y0, x1, y1 = area
    part = np.ascontiguousarray(pixels[y0:y1, x0:x1])
    ink = _ink(part, height, rules)
    if step == 2:
        ink = _halved(ink)
    letters = _letters(ink, height / step, rules)
    lines = sorted(_lines(letters, rules), key=len, reverse=True)[: rules.most]
    return [_box(np.array(line), step, (x0, y0), (width, height), rules) for line in lines]


def _ink(part: NDArray[np.uint8], height: int, rules: OverlaidRules) -> Grey:
    """Return 255 where thin strokes are far brighter, or of another colour, than what surrounds them."""
    red, green = cv2.extractChannel(part, 0), cv2.extractChannel(part, 1)
    bright = np.asarray(cv2.max(red, green), dtype=np.uint8)
    stroke = stroke_map(bright, max(3, round(rules.thick * height)))
    strong = cv2.bitwise_or(
        cv2.threshold(bright, rules.bright - 1, 255, cv2.THRESH_BINARY)[1],
        cv2.threshold(chroma(part), rules.colour - 1, 255, cv2.THRESH_BINARY)[1],
    )
    drawn = cv2.threshold(stroke, rules.ink - 1, 255, cv2.THRESH_BINARY)[1]
    return np.asarray(cv2.bitwise_and(drawn, strong), dtype=np.uint8)


def _halved(ink: Grey) -> Grey:
    height, width = ink.shape[0] // 2 * 2, ink.shape[1] // 2 * 2
    rows = cv2.max(ink[0:height:2, :width], ink[1:height:2, :width])
    return np.asarray(cv2.max(rows[:, 0::2], rows[:, 1::2]), dtype=np.uint8)


def _letters(ink: Grey, height: float, rules: OverlaidRules) -> NDArray[np.int32]:
    """Return x, y, width, height of what has the size and shape of letters, from left to right."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
    boxes = stats[1:, :4].astype(np.int32)
    low, high = (share * height for share in rules.letter)
    tall = (boxes[:, 3] >= low) & (boxes[:, 3] <= high)
    slim = (boxes[:, 2] >= rules.slim[0] * boxes[:, 3]) & (boxes[:, 2] <= rules.slim[1] * boxes[:, 3])
    kept = boxes[tall & slim]
    return kept[np.argsort(kept[:, 0], kind="stable")]


def _lines(letters: NDArray[np.int32], rules: OverlaidRules) -> list[list[NDArray[np.int32]]]:
    """Return rows of letters of one height that stand on one line, side by side."""
    lines: list[list[NDArray[np.int32]]] = []
    for letter in letters:
        for line in lines:
            if _follows(line[-1], letter, rules):
                line.append(letter)
                break
        else:
            lines.append([letter])
    return [line for line in lines if len(line) >= rules.fewest]


def _follows(last: NDArray[np.int32], letter: NDArray[np.int32], rules: OverlaidRules) -> bool:
    size = float(max(last[3], letter[3]))
    gap = float(letter[0] - last[0] - last[2])
    feet = abs(float(last[1] + last[3] - letter[1] - letter[3]))
    uneven = abs(float(last[3] - letter[3]))
    return -0.3 * size <= gap <= rules.gap * size and feet <= rules.level * size and uneven <= rules.even * size


def _box(
    line: NDArray[np.int32], step: int, origin: tuple[int, int], size: tuple[int, int], rules: OverlaidRules
) -> Box:
    """Return the padded box of a line, pixels of the picture: dots and commas are no letters, but belong to it."""
    tall = float(np.median(line[:, 3]))
    left, top = line[:, 0].min() - rules.ends[0] * tall, line[:, 1].min() - rules.pad * tall
    right = (line[:, 0] + line[:, 2]).max() + rules.ends[1] * tall
    bottom = (line[:, 1] + line[:, 3]).max() + rules.pad * tall
    x0, y0 = (max(0, round(step * float(side)) + shift) for side, shift in zip((left, top), origin, strict=True))
    x1, y1 = (
        min(most, round(step * float(side)) + shift)
        for side, shift, most in zip((right, bottom), origin, size, strict=True)
    )
    return x0, y0, x1, y1
