"""Draws length markers in random looks, and things that look like them, into a picture."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import hypot
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Point = tuple[float, float]
Colour = tuple[int, int, int]
Shape = Literal["plus", "cross"]
Rim = Literal["none", "outline", "shadow", "halo"]


@dataclass(frozen=True, slots=True)
class Look:
    """How one marker is drawn; lengths in pixels of the screen it is drawn on."""

    shape: Shape
    arm: tuple[float, float]  # half span across and down
    gap: float  # from the centre to where an arm begins; 0: solid
    thick: int
    thin: int  # thickness of the strokes across, where they are thinner than those down
    colour: Colour
    rim: Rim
    rim_colour: Colour
    rim_width: int
    opacity: float
    smooth: bool


def random_look(rng: np.random.Generator) -> Look:
    """Return one of the looks that scanners have (facts: scanner screens 1), or one between them."""
    return machine_look(rng) if rng.random() < 0.5 else any_look(rng)


@dataclass(frozen=True, slots=True)
class Machine:
    """How a machine draws its markers, in pixels of a screen of 720 rows."""

    shapes: tuple[Shape, ...]
    arm: tuple[float, float]
    thick: tuple[int, ...]
    gap: tuple[float, float]
    colours: tuple[Colour, ...]
    rims: tuple[Rim, ...]
    unequal: tuple[float, float] = (1.0, 1.0)
    thinner: float = 0.0  # how often the strokes across are thinner


WHITES: tuple[Colour, ...] = ((255, 255, 255), (240, 240, 240))
YELLOWS: tuple[Colour, ...] = ((255, 255, 0), (255, 255, 0), (0, 255, 0), (230, 220, 110))
GREYS: tuple[Colour, ...] = ((163, 163, 163), (120, 120, 120), (195, 195, 195), (215, 215, 215), (245, 245, 245))
MACHINES = (
    Machine(("plus",), (5, 11), (1, 1, 2, 3), (0, 0), YELLOWS, ("none",), (0.9, 1.1)),  # LOGIQ
    Machine(("plus",), (4.5, 10), (1, 1, 2), (1, 3), ((220, 222, 169), (235, 225, 110), (0, 255, 0)), ("halo", "none")),
    Machine(("plus",), (3, 5.5), (1, 1, 2), (0, 0), WHITES, ("none", "shadow", "outline")),  # Mindray
    Machine(("plus",), (6.5, 11), (2, 3, 4), (2, 5), WHITES, ("outline",)),  # EPIQ
    Machine(("plus",), (4.5, 8), (1, 2, 2), (0, 0), WHITES, ("shadow", "shadow", "outline")),  # CX50
    Machine(("plus", "cross"), (4, 10), (1, 1, 2), (1, 3.5), WHITES, ("none", "outline")),  # older Philips
    Machine(("cross",), (5.5, 10), (1, 2, 3), (1.2, 3.5), WHITES, ("outline", "outline", "none"), (0.85, 1.2)),
    Machine(("plus",), (5, 10), (2, 2, 3), (1.2, 3.5), WHITES, ("outline", "outline", "none"), (0.75, 1.35), 0.6),
    Machine(("plus", "cross"), (5.5, 12), (1, 2, 3), (0, 0), GREYS, ("shadow", "shadow", "outline")),  # Canon
    Machine(("cross", "plus"), (4, 9), (1, 2), (0, 0), ((0, 255, 255), (60, 230, 240)), ("none", "none", "shadow")),
)


def machine_look(rng: np.random.Generator) -> Look:
    """Return a marker of one of the machines, on a screen of 500 to 1200 rows."""
    machine = MACHINES[int(rng.integers(len(MACHINES)))]
    unit = float(np.exp(rng.uniform(np.log(0.7), np.log(1.65))))
    arm = max(3.0, unit * rng.uniform(*machine.arm))
    thick = int(np.clip(round(int(rng.choice(machine.thick)) * unit), 1, max(1, int(arm / 2.2))))
    gap = unit * rng.uniform(*machine.gap)
    dark = int(rng.choice([0, 0, 10, 20]))
    return Look(
        machine.shapes[int(rng.integers(len(machine.shapes)))],
        (arm * rng.uniform(*machine.unequal), arm),
        float(np.clip(gap, 0.8, 0.5 * arm)) if gap else 0.0,
        thick,
        max(1, thick - 1) if rng.random() < machine.thinner else thick,
        machine.colours[int(rng.integers(len(machine.colours)))],
        machine.rims[int(rng.integers(len(machine.rims)))],
        (dark, dark, dark),
        1 if unit < 1.4 or rng.random() < 0.5 else 2,
        1.0,
        rng.random() < 0.4,
    )


def any_look(rng: np.random.Generator) -> Look:
    """Return what may lie between the machines."""
    arm = float(np.exp(rng.uniform(np.log(3.0), np.log(11.0))))
    unequal = rng.uniform(0.75, 1.35) if rng.random() < 0.35 else 1.0
    thick = int(rng.choice([1, 1, 1, 2, 2, 3])) if arm >= 4.5 else int(rng.choice([1, 1, 1, 2]))
    thick = min(thick, max(1, int(arm / 2.6)))
    gap = 0.0
    if rng.random() < 0.42:
        gap = float(np.clip(rng.uniform(0.12, 0.5) * arm, 0.8, arm - 2.0))
    rims: tuple[Rim, ...] = ("none", "none", "outline", "outline", "shadow", "shadow", "halo")
    dark = int(rng.choice([0, 0, 12, 25, 40]))
    return Look(
        "plus" if rng.random() < 0.6 else "cross",
        (arm, max(2.5, arm * unequal)),
        gap,
        thick,
        thick,
        random_colour(rng),
        rims[int(rng.integers(len(rims)))],
        (dark, dark, dark),
        1 if rng.random() < 0.7 or arm < 5 else 2,
        1.0 if rng.random() < 0.7 else float(rng.uniform(0.72, 0.97)),
        rng.random() < 0.3,
    )


def random_colour(rng: np.random.Generator) -> Colour:
    """Return white, a grey, or a colour, dim ones too."""
    kind = rng.choice(["white", "grey", "yellow", "green", "cyan", "other"], p=[0.3, 0.26, 0.2, 0.1, 0.1, 0.04])
    level = int(rng.integers(190, 256))
    if kind == "white":
        return level, level, level
    if kind == "grey":
        level = int(rng.integers(110, 215))
        return level, level, level
    pale = int(rng.choice([0, 0, 40, 90, 150]) * level / 255)
    if kind == "yellow":
        return level, int(level * rng.uniform(0.82, 1.0)), pale
    if kind == "green":
        return pale, level, pale
    if kind == "cyan":
        return pale, int(level * rng.uniform(0.8, 1.0)), level
    return [(255, 140, 0), (255, 80, 80), (255, 90, 255), (110, 160, 255)][int(rng.integers(4))]


def marker(picture: Picture, at: Point, look: Look) -> None:
    """Draw one marker, in place; its centre may lie between pixels."""
    half = int(2 * max(look.arm)) + 8
    x0, y0 = round(at[0]) - half, round(at[1]) - half
    height, width = picture.shape[:2]
    ink = _ink((at[0] - x0, at[1] - y0), look, 2 * half + 1)
    left, top = max(0, -x0), max(0, -y0)
    right, low = min(2 * half + 1, width - x0), min(2 * half + 1, height - y0)
    if right <= left or low <= top:
        return
    cut = (slice(y0 + top, y0 + low), slice(x0 + left, x0 + right))
    part = picture[cut].astype(np.float32)
    rim = _rim(ink, look)[top:low, left:right, None]
    part = part * (1 - rim) + rim * np.array(look.rim_colour, np.float32)
    own = (look.opacity * ink[top:low, left:right])[..., None]
    part = part * (1 - own) + own * np.array(look.colour, np.float32)
    picture[cut] = np.clip(part + 0.5, 0, 255).astype(np.uint8)


def _ink(at: Point, look: Look, side: int) -> NDArray[np.float32]:
    """Return how much of each pixel the strokes cover, 0..1."""
    ink = np.zeros((side, side), np.uint8)
    ways = ((1, 0), (-1, 0), (0, 1), (0, -1)) if look.shape == "plus" else ((1, 1), (-1, -1), (1, -1), (-1, 1))
    short = 1.0 if look.shape == "plus" else 0.75
    for dx, dy in ways:
        begin = at[0] + dx * look.gap * short, at[1] + dy * look.gap * short
        end = at[0] + dx * look.arm[0] * short, at[1] + dy * look.arm[1] * short
        _stroke(ink, begin, end, look)
    return ink.astype(np.float32) / 255


def _stroke(ink: NDArray[np.uint8], a: Point, b: Point, look: Look) -> None:
    thick = look.thin if a[1] == b[1] else look.thick
    if look.smooth:
        fixed = [(round(p[0] * 16), round(p[1] * 16)) for p in (a, b)]
        cv2.line(ink, fixed[0], fixed[1], (255,), thick, cv2.LINE_AA, 4)
        return
    (x0, y0), (x1, y1) = (round(a[0]), round(a[1])), (round(b[0]), round(b[1]))
    low, high = (thick - 1) // 2, thick // 2
    if look.shape == "plus":
        if x0 != x1:
            y0, y1 = y0 - low, y1 + high
        else:
            x0, x1 = x0 - low, x1 + high
        cv2.rectangle(ink, (min(x0, x1), min(y0, y1)), (max(x0, x1), max(y0, y1)), (255,), -1)
    else:
        for move in range(-low, high + 1):
            cv2.line(ink, (x0 + move, y0), (x1 + move, y1), (255,), 1, cv2.LINE_8)


def _rim(ink: NDArray[np.float32], look: Look) -> NDArray[np.float32]:
    if look.rim == "none":
        return np.zeros_like(ink)
    width = look.rim_width
    if look.rim == "halo":
        soft = cv2.GaussianBlur(cv2.dilate(ink, np.ones((3, 3), np.uint8)), (0, 0), 1.0 + width)
        return np.asarray(np.clip(0.9 * soft, 0, 1), np.float32)
    if look.rim == "outline":
        return np.asarray(cv2.dilate(ink, np.ones((2 * width + 1,) * 2, np.uint8)), np.float32)
    moved = np.zeros_like(ink)
    for step in range(1, width + 1):
        moved[step:, step:] = np.maximum(moved[step:, step:], ink[:-step, :-step])
    return moved


def dots(picture: Picture, a: Point, b: Point, look: Look, rng: np.random.Generator) -> None:
    """Draw the dotted line between two ends, in place."""
    length = hypot(b[0] - a[0], b[1] - a[1])
    step = float(rng.choice([4, 4, 6, 8, 11, 16, 18, 25])) * rng.uniform(0.9, 1.1)
    side = int(rng.choice([1, 1, 1, 2, 2, 3]))
    dim = rng.uniform(0.35, 1.0)
    dash = rng.random() < 0.2
    start = step if rng.random() < 0.5 else 1.4 * max(look.arm)
    for at in np.arange(max(start, 2.0), length - 2, step):
        x, y = a[0] + (b[0] - a[0]) * at / length, a[1] + (b[1] - a[1]) * at / length
        colour = tuple(int(dim * v) for v in look.colour)
        if dash:
            over = min(0.45 * step, 7.0) / length
            end = (round(x + (b[0] - a[0]) * over), round(y + (b[1] - a[1]) * over))
            if look.rim == "shadow":
                cv2.line(picture, (round(x) + 1, round(y) + 1), (end[0] + 1, end[1] + 1), look.rim_colour, side)
            cv2.line(picture, (round(x), round(y)), end, colour, side)
        else:
            cv2.rectangle(picture, (round(x), round(y)), (round(x) + side - 1, round(y) + side - 1), colour, -1)


@lru_cache(maxsize=256)
def _font(index: int, size: int) -> object:
    import matplotlib
    from PIL import ImageFont

    names = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSansMono", "DejaVuSerif", "cmss10", "STIXGeneral")
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return ImageFont.truetype(str(folder / f"{names[index]}.ttf"), size)


def text(picture: Picture, words: str, at: Point, height: float, colour: Colour, rng: np.random.Generator) -> None:
    """Write words in a random face, in place; ``at`` is the upper left corner, ``height`` that of a capital."""
    shade = rng.random() < 0.3
    if rng.random() < 0.35:
        scale, thick = height / 21.0, 1 if height < 14 or rng.random() < 0.5 else 2
        low = round(at[0]), round(at[1] + height)
        how = cv2.LINE_AA if rng.random() < 0.6 else cv2.LINE_8
        if shade:
            cv2.putText(picture, words, (low[0] + 1, low[1] + 1), 0, scale, (10, 10, 10), thick, how)
        cv2.putText(picture, words, low, 0, scale, colour, thick, how)
        return
    from PIL import Image, ImageDraw

    face = _font(int(rng.integers(6)), max(6, round(height / 0.72)))
    size = (int(len(words) * height * 1.6) + 8, int(height * 2) + 8)
    drawn = Image.new("L", size)
    pen = ImageDraw.Draw(drawn)
    pen.fontmode = "L" if rng.random() < 0.7 else "1"
    pen.text((2, 0), words, fill=255, font=face)  # type: ignore[arg-type]
    ink = (np.asarray(drawn, np.float32)[..., None] / 255).astype(np.float32)
    x, y = round(at[0]) - 2, round(at[1]) - round(0.25 * height)
    for move, hue in ((1, (10, 10, 10)), (0, colour)) if shade else ((0, colour),):
        _lay(picture, ink, (x + move, y + move), hue)


def _lay(picture: Picture, ink: NDArray[np.float32], at: tuple[int, int], colour: Colour) -> None:
    x0, y0 = max(0, at[0]), max(0, at[1])
    x1, y1 = min(picture.shape[1], at[0] + ink.shape[1]), min(picture.shape[0], at[1] + ink.shape[0])
    if x1 <= x0 or y1 <= y0:
        return
    own = ink[y0 - at[1] : y1 - at[1], x0 - at[0] : x1 - at[0]]
    part = picture[y0:y1, x0:x1] * (1 - own) + own * np.array(colour, np.float32)
    picture[y0:y1, x0:x1] = np.clip(part + 0.5, 0, 255).astype(np.uint8)
