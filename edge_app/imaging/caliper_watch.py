"""Caliper watch: the markers of one stream. No frame waits for a search; known markers are looked at again in place."""

from __future__ import annotations

from math import hypot

import numpy as np
from numpy.typing import NDArray

from edge_app.imaging.calipers import Search, Survey, searching
from edge_app.imaging.glyph import Glyph, look_again
from edge_app.imaging.scene import CaliperPair, Sector

SLICE_MS, MOST_SLICES = 12.0, 8
"""A frame does one step of a search, of some two milliseconds, for so much of the stream's time since the last frame.
Counted in the stream's time, not the clock's: the same frames give the same answer on every machine."""
LARGE_ROWS, LARGER = 1000, 1.5
"""Pictures with so many rows have longer steps, and as much longer a time for each."""
STILL_THERE = 0.5
"""Probability that a known marker needs to stay one."""
MOVED = 1.5
"""Pixels at 720 rows by which a known marker may seem to move in a noisy picture."""


class CaliperWatch:
    """What is known of the markers, and the search that is going on, if any."""

    def __init__(self) -> None:
        self.survey = Survey()
        self._search: Search | None = None
        self._slice_ms = SLICE_MS

    @property
    def searching(self) -> bool:
        """Whether a search is going on."""
        return self._search is not None

    def forget(self) -> None:
        """Drop what is known, and the search."""
        self.survey, self._search = Survey(), None

    def begin(self, pixels: NDArray[np.uint8], sector: Sector | None) -> None:
        """Begin a search in RGB uint8 ``pixels`` (H, W, 3), which must not change any more."""
        self._search = searching(pixels, sector)
        self._slice_ms = SLICE_MS * (LARGER if pixels.shape[0] >= LARGE_ROWS else 1.0)

    def go_on(self, elapsed_ms: float = 33.0, others: int = 0) -> bool:
        """Go on with the search for so much of the stream's time; return whether it ended, with a new ``survey``.

        ``others``: slices of other work that this frame does; they are done in place of as many of the search's.
        """
        if self._search is None:
            return False
        try:
            for _ in range(max(1, min(MOST_SLICES, round(elapsed_ms / self._slice_ms)) - others)):
                next(self._search)
        except StopIteration as done:
            self.survey, self._search = done.value, None
            return True
        return False

    def holds(self, pixels: NDArray[np.uint8]) -> bool:
        """Whether every known marker still stands where it was found, in RGB uint8 ``pixels`` (H, W, 3)."""
        pairs = self.survey.pairs
        places = [(*end, pair.arm_px) for pair in pairs for end in (pair.first, pair.second)]
        glyphs = look_again(pixels, places)
        near = MOVED * max(1.0, pixels.shape[0] / 720)
        ends = [(pair, end) for pair in pairs for end in (pair.first, pair.second)]
        return bool(pairs) and all(
            _same(glyph, pair, end, near) for glyph, (pair, end) in zip(glyphs, ends, strict=True)
        )


def _same(glyph: Glyph, pair: CaliperPair, end: tuple[float, float], near: float) -> bool:
    away = hypot(glyph.x - end[0], glyph.y - end[1])
    return glyph.confidence >= STILL_THERE and glyph.shape == pair.shape and away <= near
