"""Drawn screens for the imaging tests: a fan of speckle, and length markers as the makers draw them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from math import cos, hypot, radians, sin

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Point = tuple[float, float]
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Style:
    """How a maker draws a marker (scanner-screens 1); sizes in pixels at 720 rows."""

    shape: str = "plus"
    arm: float = 8.0
    thick: int = 1
    gap: float = 0.0
    colour: Colour = (255, 255, 255)
    outline: Colour | None = None
    shadow: bool = False
    dots: float = 0.0  # spacing of the dotted line, 0: none

    def scaled(self, factor: float) -> Style:
        thick = max(1, round(self.thick * factor))
        return replace(self, arm=self.arm * factor, thick=thick, gap=self.gap * factor, dots=self.dots * factor)


STYLES = {
    "logiq": Style(arm=8.5, thick=1, colour=(255, 255, 0), dots=4),
    "voluson": Style(arm=10, thick=2, gap=2, colour=(220, 222, 110), outline=(20, 20, 20), dots=6),
    "mindray": Style(arm=4.5, thick=1, colour=(255, 255, 255), outline=(10, 10, 10), dots=4),
    "epiq": Style(arm=7.5, thick=3, gap=2, colour=(255, 255, 255), outline=(0, 0, 0), dots=25),
    "cx50": Style(arm=5, thick=2, colour=(255, 255, 255), shadow=True, dots=7),
    "sonosite x": Style("cross", arm=7.5, thick=2, gap=2.5, colour=(255, 255, 255), outline=(5, 5, 5), dots=16),
    "toshiba": Style(arm=7, thick=1, colour=(175, 175, 175), outline=(12, 12, 12), dots=11),
    "toshiba x": Style("cross", arm=6, thick=2, colour=(0, 255, 255), dots=9),
    "green": Style(arm=8, thick=2, colour=(0, 255, 0), dots=5),
    "no line": Style("cross", arm=8, thick=2, colour=(255, 255, 255), outline=(0, 0, 0)),
}


class Studio:
    """Draws screens with a known truth."""

    styles = STYLES

    def fan(
        self, seed: int = 1, size: tuple[int, int] = (960, 720), mean: float = 85.0
    ) -> tuple[Picture, NDArray[np.bool_]]:
        """Return a black screen with a convex fan of speckle, and the fan's mask."""
        pixels, mask = self._fan(seed, size, mean)
        return pixels.copy(), mask

    @lru_cache(maxsize=32)  # noqa: B019 - one studio per session
    def _fan(self, seed: int, size: tuple[int, int], mean: float) -> tuple[Picture, NDArray[np.bool_]]:
        width, height = size
        rng = np.random.default_rng(seed)
        noise = cv2.GaussianBlur(rng.normal(0, 1, (height, width)).astype(np.float32), (0, 0), 1.6 * height / 720)
        slow = cv2.resize(rng.normal(0, 1, (9, 12)).astype(np.float32), size, interpolation=cv2.INTER_CUBIC)
        grey = mean + 12 * noise / noise.std() + 22 * slow / slow.std()
        mask = self.fan_mask(size)
        grey = np.where(mask, np.clip(grey, 12, 235), 0).astype(np.uint8)
        return np.ascontiguousarray(np.dstack([grey] * 3)), mask

    def fan_mask(self, size: tuple[int, int]) -> NDArray[np.bool_]:
        """Return the mask: apex above the screen's top, half angle 33 degrees."""
        width, height = size
        y, x = np.mgrid[:height, :width].astype(np.float64)
        ax, ay = width / 2, -0.08 * height
        radius, angle = np.hypot(x - ax, y - ay), np.arctan2(x - ax, y - ay)
        inside = (np.abs(angle) <= radians(33)) & (radius >= 0.24 * height) & (radius <= 1.02 * height)
        return np.asarray(inside, dtype=np.bool_)

    def marker(self, pixels: Picture, at: Point, style: Style) -> None:
        """Draw one marker, in place, centred on a whole pixel."""
        for grow, colour, move in self._layers(style):
            for (x0, y0), (x1, y1) in self._strokes(at, style):
                ends = (round(x0) + move, round(y0) + move), (round(x1) + move, round(y1) + move)
                cv2.line(pixels, *ends, colour, style.thick + grow, cv2.LINE_8)

    def _layers(self, style: Style) -> list[tuple[int, Colour, int]]:
        layers: list[tuple[int, Colour, int]] = [(0, style.colour, 0)]
        if style.outline is not None:
            layers.insert(0, (2, style.outline, 0))
        if style.shadow:
            layers.insert(0, (1, (10, 10, 10), 1))
        return layers

    def _strokes(self, at: Point, style: Style) -> list[tuple[Point, Point]]:
        turns = (0, 90, 180, 270) if style.shape == "plus" else (45, 135, 225, 315)
        stretch = 1.0 if style.shape == "plus" else 2**0.5
        ways = [(stretch * cos(radians(t)), stretch * sin(radians(t))) for t in turns]
        return [
            ((at[0] + dx * style.gap, at[1] + dy * style.gap), (at[0] + dx * style.arm, at[1] + dy * style.arm))
            for dx, dy in ways
        ]

    def pair(self, pixels: Picture, first: Point, second: Point, style: Style) -> None:
        """Draw two markers and the dotted line between them, in place."""
        length = hypot(second[0] - first[0], second[1] - first[1])
        if style.dots:
            for along in np.arange(style.dots, length - style.dots / 2, style.dots):
                x = round(first[0] + (second[0] - first[0]) * along / length)
                y = round(first[1] + (second[1] - first[1]) * along / length)
                side = max(1, round(style.thick))
                pixels[y : y + side, x : x + side] = style.colour
        self.marker(pixels, first, style)
        self.marker(pixels, second, style)

    def text(self, pixels: Picture, words: str, at: tuple[int, int], scale: float = 0.5) -> None:
        """Write words, in place; ``at`` is the lower left corner."""
        cv2.putText(pixels, words, at, cv2.FONT_HERSHEY_SIMPLEX, scale, (230, 230, 230), 1, cv2.LINE_AA)

    def ruler(self, pixels: Picture, x: int, top: int, spacing: float, ticks: tuple[int, int]) -> None:
        """Draw ``ticks[0]`` ticks, every ``ticks[1]``-th one long, in place."""
        for number in range(ticks[0]):
            y = round(top + number * spacing)
            cv2.rectangle(pixels, (x, y), (x + (10 if number % ticks[1] == 0 else 5), y), (170, 170, 100), -1)

    def jpeg(self, pixels: Picture, quality: int) -> Picture:
        """Return the picture after JPEG with 4:2:0 chroma."""
        bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
        code = [
            cv2.IMWRITE_JPEG_QUALITY,
            quality,
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
        ]
        _, data = cv2.imencode(".jpg", bgr, code)
        return np.asarray(cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB), dtype=np.uint8)

    def scaled(self, pixels: Picture, factor: float) -> Picture:
        """Return the picture resampled as a grabber does."""
        size = (round(pixels.shape[1] * factor), round(pixels.shape[0] * factor))
        how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(pixels, size, interpolation=how), dtype=np.uint8)


@pytest.fixture(scope="session")
def studio() -> Studio:
    return Studio()
