"""What machines show around the image: header, parameters, grey bar, ruler, results, icons. Invented words only."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .draw import FACES, Colour, Mask, Picture, Rng, Type, between, toss

NAMES = ("MUSTER, ERIKA", "DOE JANE A", "PHANTOM^TEST", "ROSSI MARIO", "SPECIMEN, X T", "TEST+TEST")
PROBES = ("C1-6", "C5-1", "6C1 HD", "SC6-1U", "CA1-7A", "rC60xi", "i8CX1", "C2-9-D")
PRESETS = ("Male Abdomen", "*Renal", "Abd Gen", "Kidney", "Abdomen XT", "Urology x2")
ROWS = ("FR 22", "Frq 4.0", "Gn 56", "S/A 1/1", "Map F/0", "D 15.0", "DR 63", "AO% 100", "28Hz", "2D 60%",
        "Dyn R 58", "P Low", "HGen", "TIS0.5", "MI 1.2", "THI", "diffT 5.0", "23fps", "A.Pure+", "ZSI 0",
        "Res/Pen", "x2")  # fmt: skip
RESULTS = ("Rt Kidney", "Lt Kidney L", "Dist", "D1", "1 L", "Length", "RK Long", "Cist Mag", "Kidney H", "A-B Dist")


@dataclass(frozen=True)
class Theme:
    """Colours and type of one screen's surroundings; ``unit`` is 1 on a screen of 720 lines."""

    back: Colour
    bar: Colour | None
    words: Colour
    face: int
    unit: float
    smooth: bool

    def type(self, height: float, colour: Colour | None = None) -> Type:
        """Return type of a height in pixels at 720 lines."""
        return Type(max(6.0, height * self.unit), colour or self.words, self.face, 1, self.smooth)


def draw_theme(rng: Rng, height: int) -> Theme:
    """Choose: mostly black, some grey, blue or light-grey surroundings."""
    kind = rng.random()
    back: Colour = (0, 0, 0)
    words: Colour = (215, 215, 215)
    if kind > 0.93:
        back, words = (196, 198, 200), (30, 30, 36)
    elif kind > 0.86:
        back = (44, 48, 54)
    elif kind > 0.74:
        back = (12, 12, 14)
    bars: tuple[Colour | None, ...] = (None, None, (58, 80, 130), (30, 32, 40), (90, 94, 100))
    face = FACES[rng.integers(len(FACES))]
    return Theme(back, bars[rng.integers(len(bars))], words, face, height / 720.0, toss(rng, 0.75))


def paint_surroundings(pixels: Picture, free: Mask, theme: Theme, rng: Rng) -> None:
    """Draw the surroundings, in place, but nothing into ``~free``."""
    canvas = pixels.copy()
    width, u = pixels.shape[1], theme.unit
    if theme.bar is not None:
        canvas[: round(between(rng, 46, 74) * u)] = theme.bar
    words, small = theme.type(between(rng, 10, 14)), theme.type(between(rng, 8, 10))
    words.words(canvas, str(rng.choice(NAMES)), (between(rng, 10, 70) * u, 10 * u))
    small.words(
        canvas, f"{rng.integers(10**6, 10**7)}  {rng.integers(1, 29)}.{rng.integers(1, 13)}.1961", (16 * u, 36 * u)
    )
    small.words(canvas, f"{rng.choice(PROBES)} / {rng.choice(PRESETS)}", (0.55 * width, 12 * u))
    small.words(canvas, "MI 1.2  TIs 0.5", (0.55 * width, 34 * u))
    left = toss(rng, 0.4)
    x = (12 if left else -between(rng, 84, 110)) * u
    for row, text in enumerate(rng.permutation(ROWS)[: rng.integers(5, 13)]):
        small.words(canvas, str(text), (x if left else width + x, (between(rng, 110, 112) + 22 * row) * u))
    if toss(rng, 0.8):
        _grey_bar(canvas, rng, u)
    if toss(rng, 0.3):
        _soft_keys(canvas, theme, rng)
    np.copyto(pixels, canvas, where=free[..., None])


def _grey_bar(canvas: Picture, rng: Rng, u: float) -> None:
    width = canvas.shape[1]
    x = round((4 if toss(rng, 0.5) else width / u - 26) * u)
    top, long, wide = round(between(rng, 90, 120) * u), round(between(rng, 60, 150) * u), round(between(rng, 7, 14) * u)
    ramp = np.linspace(255, 0, long).astype(np.uint8)[:, None, None]
    canvas[top : top + long, x : x + wide] = ramp
    if toss(rng, 0.5):
        cv2.rectangle(canvas, (x, top), (x + wide, top + long), (200, 200, 200), 1)


def _soft_keys(canvas: Picture, theme: Theme, rng: Rng) -> None:
    height, width = canvas.shape[:2]
    top = height - round(28 * theme.unit)
    for number in range(6):
        x = round((0.14 + 0.12 * number) * width)
        cv2.rectangle(canvas, (x, top), (x + round(0.11 * width), height - 4), (70, 74, 84), -1)
        theme.type(8, (210, 210, 210)).words(
            canvas, str(rng.choice(("Gen", "Dual", "Clips", "S", "x2", "+ Pen"))), (x + 6, top + 8)
        )


def ruler(pixels: Picture, x: int, span: tuple[int, int], theme: Theme, rng: Rng) -> None:
    """Draw depth ticks down a column, in place: bars, dots or crosses, with or without numbers."""
    width, u = pixels.shape[1], theme.unit
    colours: tuple[Colour, ...] = ((170, 170, 100), (190, 190, 190), (140, 140, 140), (255, 255, 0), (0, 200, 220))
    colour, kind = colours[rng.integers(len(colours))], int(rng.integers(4))
    count = int(rng.integers(8, 19))
    for number in range(count + 1):
        y = round(span[0] + (span[1] - span[0]) * number / count)
        size = round((9 if number % 5 == 0 else 5) * u)
        if kind < 2:
            cv2.rectangle(pixels, (x, y), (x + size, y + (1 if u > 1.2 else 0)), colour, -1)
        elif kind == 2:
            cv2.circle(pixels, (x + 3, y), max(1, round((3 if number % 5 == 0 else 1.5) * u)), colour, -1)
        else:
            half = size // 2 + 1
            cv2.line(pixels, (x - half + 4, y), (x + half + 4, y), colour, 1)
            cv2.line(pixels, (x + 4, y - half), (x + 4, y + half), colour, 1)
        if number % 5 == 0 and kind != 1 and x + 40 * u < width:
            theme.type(8, colour).words(pixels, str(number), (x + 14 * u, y - 4 * u))
