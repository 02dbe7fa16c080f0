"""Line: whether dots or dashes are drawn between two markers."""

from __future__ import annotations

from math import hypot

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.imaging.evidence import brightest_channel
from edge_app.imaging.glyph import Glyph
from edge_app.imaging.strokes import chroma, stroke_map

BESIDE = (-11.0, -9.0, -7.0, -5.0, 5.0, 7.0, 9.0, 11.0)
"""Pixels at 720 rows beside the line: what a line there shows is chance."""
BRIGHTEST = 70.0
"""Grey levels over the surroundings that count at most: one bright speck is no line."""
DARKER, DOUBTFUL, SURE = -1.5, 2.2, 7.0
"""Spreads of what lies beside by which the line stands out."""
TINTED = 0.2
"""Tint of both ends from which on a line may be seen by its colour."""
BEYOND = 6.0
"""Arms beyond a marker in which a line of its own does not go on."""
GOES_ON = 0.5
"""Share of the line's own strength beyond a marker: more, and it is some other line that passes there."""

STEPS = (3.0, 30.0)
"""Pixels from one dot to the next, the larger at 720 rows."""
LEAST_STEPS = 24
"""Pixels of a line in which a rhythm can be heard."""
RHYTHM_CHANCE = 0.2
"""Of the rhythm beside the line: it may be so much stronger on it by chance."""

Way = NDArray[np.float64]


class Lines:
    """The strokes of RGB uint8 (H, W, 3) ``pixels``, in which lines between glyphs are looked for."""

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        self._pixels, self._maps = pixels, dict[bool, NDArray[np.uint8]]()

    def between(self, a: Glyph, b: Glyph) -> float:
        """Return 0..1: how surely a line is drawn between two glyphs, that ends at both.

        Dots and dashes of any spacing count; the glyphs themselves and what stands near them do not. A line that goes
        on at both ends, such as a needle guide or the edge of a box, is none.
        """
        length, arm = hypot(b.x - a.x, b.y - a.y), max(a.reach, b.reach)
        start = 1.5 * arm
        if length - 2 * start < 8:
            return 0.0
        seen = _Way(self._strokes(min(a.tint, b.tint) > TINTED), a, b)
        way = np.arange(start, length - start, 0.5)
        on, chance = seen.excess(way)
        spreads = on / chance
        if DARKER < spreads < SURE:
            spreads = max(spreads, seen.rhythm(way))
        line = float(np.clip((spreads - DOUBTFUL) / (SURE - DOUBTFUL), 0.0, 1.0))
        if line == 0.0:
            return 0.0
        beyond = np.arange(start, start + min(BEYOND * arm, 0.4 * length), 0.5)
        passing = sum(seen.excess(way)[0] > GOES_ON * on for way in (-beyond, length + beyond))
        return line * (1.0, 0.6, 0.0)[passing]

    def _strokes(self, coloured: bool) -> NDArray[np.uint8]:
        """Return the stroke map of brightness, for coloured ends of chroma too; each is made once."""
        if coloured not in self._maps:
            side = round(5 * max(1.0, self._pixels.shape[0] / 720))
            grey = cv2.extractChannel(self._pixels, 1) if not coloured else brightest_channel(self._pixels)
            strokes = stroke_map(np.asarray(grey, dtype=np.uint8), side)
            if coloured:
                strokes = np.asarray(cv2.max(strokes, stroke_map(chroma(self._pixels), side)), dtype=np.uint8)
            self._maps[coloured] = strokes
        return self._maps[coloured]


class _Way:
    """The straight way from one glyph to the other in a stroke map."""

    def __init__(self, strokes: NDArray[np.uint8], a: Glyph, b: Glyph) -> None:
        self._strokes, self._scale = strokes, max(1.0, strokes.shape[0] / 720)
        self._from, length = (a.x, a.y), hypot(b.x - a.x, b.y - a.y)
        self._along = (b.x - a.x) / length, (b.y - a.y) / length

    def excess(self, at: Way) -> tuple[float, float]:
        """Return by how much the way shows more strokes than lines beside it, and how much that may be by chance."""
        means = np.array([self._profile(at, aside * self._scale).mean() for aside in (0.0, *BESIDE)])
        beside = means[1:]
        return float(means[0] - beside.mean()), max(float(beside.std()), 0.12 * float(beside.mean()), 0.6)

    def rhythm(self, at: Way) -> float:
        """Return by how many spreads the line repeats itself in even steps more than lines beside it do."""
        if len(at) < 2 * LEAST_STEPS:
            return 0.0
        profiles = np.stack([self._profile(at, aside * self._scale) for aside in (0.0, *BESIDE)])
        profiles = (profiles - profiles.mean(axis=1, keepdims=True)) * np.hanning(len(at))
        power = np.abs(np.fft.rfft(profiles, 4 * len(at), axis=1))
        period = 2 * len(at) / np.maximum(1, np.arange(power.shape[1]))  # pixels
        steps = (period >= STEPS[0]) & (period <= min(STEPS[1] * self._scale, len(at) / 8))
        if not steps.any():
            return 0.0
        strong = power[:, steps].max(axis=1)
        beside = strong[1:]
        return float(strong[0] - beside.mean()) / max(float(beside.std()), RHYTHM_CHANCE * float(beside.mean()), 1e-6)

    def _profile(self, at: Way, aside: float) -> NDArray[np.float32]:
        """Return the strokes at distances ``at`` along a way ``aside`` pixels beside the line."""
        (ux, uy), off = self._along, np.array([[aside - 1.0], [aside], [aside + 1.0]])
        x, y = self._from[0] + ux * at - uy * off, self._from[1] + uy * at + ux * off
        ink = cv2.remap(self._strokes, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR).max(axis=0)
        return np.asarray(np.minimum(ink, BRIGHTEST), dtype=np.float32)
