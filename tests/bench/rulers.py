"""Depth rulers of many looks beside a fan or a linear image: right, wrong and unread scales, and the time.

``python -m tests.bench.rulers [COUNT]`` on one core. A scale is right within 1 %.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from dataclasses import dataclass
from time import thread_time

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.imaging.printed import stated_depths
from edge_app.imaging.ruler import find_scale
from edge_app.imaging.scene import Sector
from edge_app.imaging.words import ScreenWords

Picture = NDArray[np.uint8]
SIZES = ((640, 480), (800, 600), (960, 720), (1024, 768), (1280, 960), (1920, 1080))
COLOURS = ((170, 170, 100), (255, 255, 255), (200, 200, 200), (120, 200, 255), (255, 200, 60), (110, 110, 110))
LINEAR_STEPS = ((0.5, 2), (0.2, 5), (0.1, 10), (0.5, 0), (1.0, 0))  # centimetres, period of long ticks
FAN_STEPS = ((1.0, 5), (0.5, 2), (1.0, 0), (0.5, 10), (1.0, 5))
RIGHT = 0.01


@dataclass(frozen=True)
class Look:
    """How a ruler is drawn; lengths in pixels at 720 rows."""

    linear: bool
    depth_cm: float
    step_cm: float
    long_every: int  # 0: all alike
    longer: float
    mark: str  # 'tick', 'dot', 'tee'
    side: str  # 'right', 'left', 'inside', 'away'
    colour: tuple[int, int, int]
    numbers: int  # every so many ticks, 0: none
    stated: str  # how the depth is written, '' if it is not


def looks(chance: random.Random) -> Look:
    """Return one of the looks that scanners have."""
    linear = chance.random() < 0.3
    depth_cm = float(chance.choice((3, 4, 5, 6) if linear else (9, 11, 12, 13, 15, 16, 18, 20, 24)))
    step_cm, long_every = chance.choice(LINEAR_STEPS if linear else FAN_STEPS)
    numbers = chance.choice((0, 0, long_every or 5))
    return Look(
        linear, depth_cm, step_cm, long_every, chance.choice((1.5, 2.0, 3.0)), chance.choice(("tick", "dot", "tee")),
        chance.choice(("right", "right", "left", "inside", "away")), chance.choice(COLOURS), numbers,
        chance.choice(("", "{:g}cm", "Depth {:.1f} cm", "D {:.1f}", "{:.0f} mm")),
    )  # fmt: skip


def fan(size: tuple[int, int], look: Look, seed: int) -> tuple[Picture, Sector, float, float]:
    """Return a screen with its image, the image's place, pixels per centimetre and the row of depth zero."""
    width, height = size
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.normal(0, 1, (height, width)).astype(np.float32), (0, 0), 1.6 * height / 720)
    y, x = np.mgrid[:height, :width].astype(np.float64)
    top, per_cm = 0.10 * height, 0.78 * height / look.depth_cm
    if look.linear:
        half = min(0.3 * width, 2.0 * per_cm)
        mask = (np.abs(x - width / 2) <= half) & (y >= top) & (y <= top + look.depth_cm * per_cm)
        left, right, bottom = width / 2 - half, width / 2 + half, top + look.depth_cm * per_cm
        outline = ((left, top), (right, top), (right, bottom), (left, bottom))
        kind = "linear"
    else:
        radius, angle = 5.0 * per_cm, 0.55
        apex = top - radius
        far, turn = np.hypot(x - width / 2, y - apex), np.arctan2(x - width / 2, y - apex)
        mask = (np.abs(turn) <= angle) & (far >= radius) & (far <= radius + look.depth_cm * per_cm)
        arc = np.linspace(-angle, angle, 24)
        ends = [(radius, arc), (radius + look.depth_cm * per_cm, arc[::-1])]
        outline = tuple((width / 2 + r * np.sin(t), apex + r * np.cos(t)) for r, turns in ends for t in turns)
        kind = "convex"
    grey = np.where(mask, np.clip(85 + 30 * noise / noise.std(), 10, 230), 0).astype(np.uint8)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    bbox = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    sector = Sector(kind, bbox, outline, mask, 1.0)  # type: ignore[arg-type]
    return np.ascontiguousarray(np.dstack([grey] * 3)), sector, per_cm, top


def draw(pixels: Picture, look: Look, sector: Sector, per_cm: float, top: float) -> None:
    """Draw the ruler, its numbers and the depth."""
    height, width = pixels.shape[:2]
    unit = height / 720
    x0, _, x1, _ = sector.bbox
    beside = {"right": x1 + 12 * unit, "left": x0 - 24 * unit, "inside": x1 - 14 * unit, "away": 0.97 * width}
    at = round(min(max(beside[look.side], 4), width - 16 * unit))
    for number in range(int(look.depth_cm / look.step_cm + 1e-6) + 1):
        y = top + number * look.step_cm * per_cm
        is_long = look.long_every > 0 and number % look.long_every == 0
        mark(pixels, look, (at, y), unit * (look.longer if is_long else 1.0))
        if look.numbers and number % look.numbers == 0 and number:
            words = f"{number * look.step_cm:g}"
            place = (round(at - 26 * unit), round(y + 5 * unit))
            cv2.putText(pixels, words, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45 * unit, (210, 210, 210), 1, cv2.LINE_AA)
    if look.stated:
        words = look.stated.format(look.depth_cm * (10 if "mm" in look.stated else 1))
        at_left = (round(12 * unit), round(80 * unit))
        cv2.putText(pixels, words, at_left, cv2.FONT_HERSHEY_SIMPLEX, 0.55 * unit, (220, 220, 220), 1, cv2.LINE_AA)


def mark(pixels: Picture, look: Look, at: tuple[int, float], size: float) -> None:
    """Draw one mark with its upper left corner at x."""
    thick = max(1, round(pixels.shape[0] / 720))
    x, y = at[0], round(at[1])
    if look.mark == "dot":
        radius = max(1, round(1.6 * size))
        cv2.circle(pixels, (x, y), radius, look.colour, -1)
        return
    length = max(3, round(5 * size))
    cv2.rectangle(pixels, (x, y), (x + length, y + thick - 1), look.colour, -1)
    if look.mark == "tee" and size > 1.2 * pixels.shape[0] / 720:
        cv2.rectangle(pixels, (x + length, y - 2 * thick), (x + length + thick, y + 3 * thick), look.colour, -1)


def damage(pixels: Picture, chance: random.Random) -> tuple[Picture, float]:
    """Return the screen after JPEG and a grabber's scaling, and its factor."""
    factor = chance.choice((1.0, 1.0, 0.67, 0.8, 1.5, 2.0)) if pixels.shape[0] < 1000 else chance.choice((1.0, 0.67))
    factor = 1.0 if pixels.shape[0] * factor < 450 else factor
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    pixels = np.asarray(cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=how), dtype=np.uint8)
    quality = chance.choice((None, 60, 75, 90))
    if quality is None:
        return pixels, factor
    _, data = cv2.imencode(".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return np.ascontiguousarray(decoded[:, :, ::-1], dtype=np.uint8), factor  # type: ignore[index]


def moved(sector: Sector, factor: float, shape: tuple[int, ...]) -> Sector:
    """Return the sector on the scaled screen."""
    mask = cv2.resize(sector.mask.astype(np.uint8), (shape[1], shape[0]), interpolation=cv2.INTER_NEAREST) > 0
    x0, y0, x1, y1 = (round(side * factor) for side in sector.bbox)
    outline = tuple((x * factor, y * factor) for x, y in sector.outline)
    return Sector(sector.kind, (x0, y0, x1, y1), outline, np.asarray(mask, dtype=np.bool_), 1.0)


def main(count: int, first: int = 0) -> None:
    """Read ``count`` rulers and say how many scales came out right."""
    cv2.setNumThreads(1)
    outcome: Counter[str] = Counter()
    times_ms = []
    for seed in range(first, first + count):
        chance = random.Random(seed)
        look = looks(chance)
        pixels, sector, per_cm, top = fan(chance.choice(SIZES), look, seed % 7)
        draw(pixels, look, sector, per_cm, top)
        pixels, factor = damage(pixels, chance)
        sector = moved(sector, factor, pixels.shape)
        words = ScreenWords()
        words.read_still(pixels, sector)
        start = thread_time()
        scale = find_scale(pixels, sector, (), stated_depths(words.lines))
        times_ms.append(1e3 * (thread_time() - start))
        away = np.inf if scale is None else abs(scale.px_per_cm / (per_cm * factor) - 1)
        told = "unread" if scale is None else "right" if away < RIGHT else "wrong"
        outcome[told] += 1
        if told != "right":
            said = sorted(stated_depths(words.lines))
            print(seed, told, scale and round(scale.px_per_cm / (per_cm * factor), 3), pixels.shape[:2], look, said)
    p50, p95 = np.percentile(times_ms, (50, 95))
    print(f"{count} rulers: {dict(outcome)}; {p50:.1f} ms, p95 {p95:.1f} ms")


if __name__ == "__main__":
    main(*(int(value) for value in sys.argv[1:] or ["200"]))
