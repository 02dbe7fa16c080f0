"""Freeze: the scanner's own freeze, seen as an image that stands still while markers may be drawn on it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.imaging.scene import Sector

TILES = (16, 12)  # across, down
LARGE_ROWS = 700
DRAWN = 40  # grey steps at once: a marker, not speckle or compression noise


@dataclass(frozen=True, slots=True)
class FreezeRules:
    """When an image stands still; differences are mean absolute grey levels of two frames (clinic-and-paper 7.1)."""

    hold_ms: float = 240.0  # longer than the pauses of a slow scanner in a fast stream, shorter than 350 ms
    still: float = 0.5  # where nothing is known of the stream
    still_most: float = 1.0  # of a noisy stream
    of_live: float = 0.3  # of the stream's own difference while it moved
    quantile: float = 75.0  # over the tiles: markers and a cursor change few of them
    lit: float = 8.0  # mean grey of a tile that can show movement


@dataclass(frozen=True, slots=True)
class Motion:
    """What changed since the last frame. ``drawn``: something was drawn, or the image moves.

    ``repeated_ms``: for so long not one pixel has changed on the whole screen. Seconds of that are a freeze; but
    a minute in which not even the scanner's clock moves may as well be a grabber that repeats its last picture,
    and nothing in the picture can tell the two apart.
    """

    frozen: bool
    difference: float
    drawn: bool
    repeated_ms: float = 0.0


class FreezeWatch:
    """Watches the image inside the sector from frame to frame."""

    def __init__(self, rules: FreezeRules | None = None) -> None:
        self._rules = rules or FreezeRules()
        self._previous: NDArray[np.uint8] | None = None  # the last picture
        self._green: NDArray[np.uint8] | None = None  # of its image, every ``_step``th row
        self._bbox: tuple[int, int, int, int] | None = None
        self._inside = np.ones(TILES[::-1], dtype=np.bool_)
        self._still_since_ms: float | None = None
        self._same_since_ms = 0.0
        self._live: deque[float] = deque(maxlen=60)

    def observe(self, pixels: NDArray[np.uint8], t_ms: float, sector: Sector | None) -> Motion:
        """Compare RGB uint8 (H, W, 3) ``pixels`` at ``t_ms`` with the frame before; neither may change any more."""
        bbox = (0, 0, pixels.shape[1], pixels.shape[0]) if sector is None else sector.bbox
        previous, self._previous = self._previous, pixels
        before, self._green = self._green, _green(pixels, bbox)
        if previous is None or before is None or previous.shape != pixels.shape or bbox != self._bbox:
            self._begin(bbox, sector)
            self._still_since_ms = t_ms if previous is None else None
            self._same_since_ms = t_ms
            return Motion(False, 0.0, True)
        difference = self._difference(before, self._green)
        self._note(difference, t_ms)
        # all three channels: a marker that turns from green to yellow changes in red alone
        moving = self._still_since_ms is None
        drawn = moving or (previous is not pixels and _most(_rows(pixels, bbox), _rows(previous, bbox)) > DRAWN)
        if drawn or difference > 0.0 or not _repeated(pixels, previous):
            self._same_since_ms = t_ms
        return Motion(self._frozen(t_ms), difference, drawn, t_ms - self._same_since_ms)

    def _begin(self, bbox: tuple[int, int, int, int], sector: Sector | None) -> None:
        self._bbox = bbox
        if sector is not None:
            x0, y0, x1, y1 = bbox
            share = cv2.resize(sector.mask[y0:y1, x0:x1].astype(np.float32), TILES, interpolation=cv2.INTER_AREA)
            self._inside = np.asarray(share > 0.6, dtype=np.bool_)
        else:
            self._inside = np.ones(TILES[::-1], dtype=np.bool_)

    def _difference(self, before: NDArray[np.uint8], green: NDArray[np.uint8]) -> float:
        """Return the upper quantile over lit tiles of the difference, each pixel's cut at 31 grey levels."""
        change = cv2.absdiff(green, before)
        tiles = _tiles(np.asarray(cv2.convertScaleAbs(change, dst=change, alpha=8.0), dtype=np.uint8)) / 8.0
        lit = self._inside & (_tiles(green) > self._rules.lit)
        chosen = tiles[lit] if np.count_nonzero(lit) >= 4 else tiles[self._inside]
        return float(np.percentile(chosen, self._rules.quantile)) if chosen.size else 0.0

    def _note(self, difference: float, t_ms: float) -> None:
        if difference < self._threshold():
            self._still_since_ms = t_ms if self._still_since_ms is None else self._still_since_ms
            return
        self._still_since_ms = None
        self._live.append(difference)

    def _threshold(self) -> float:
        if len(self._live) < 5:
            return self._rules.still
        level = float(np.median(self._live))
        return float(np.clip(self._rules.of_live * level, self._rules.still, self._rules.still_most))

    def _frozen(self, t_ms: float) -> bool:
        return self._still_since_ms is not None and t_ms - self._still_since_ms >= self._rules.hold_ms


def _rows(pixels: NDArray[np.uint8], bbox: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """Return the image's part of a picture; of a large one every second row, which no marker is thinner than."""
    x0, y0, x1, y1 = bbox
    return pixels[y0 : y1 : 2 if pixels.shape[0] >= LARGE_ROWS else 1, x0:x1]


def _green(pixels: NDArray[np.uint8], bbox: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    return np.asarray(cv2.extractChannel(_rows(pixels, bbox), 1), dtype=np.uint8)


def _most(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    return float(cv2.norm(one, other, cv2.NORM_INF))


def _repeated(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> bool:
    """Whether two pictures are the same one; every second row is compared."""
    return one is other or _most(one[::2], other[::2]) == 0


def _tiles(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the means of the tiles, float32 (down, across)."""
    for _ in range(2):
        half = (max(TILES[0], grey.shape[1] // 2), max(TILES[1], grey.shape[0] // 2))
        even = grey[: 2 * half[1], : 2 * half[0]]
        grey = np.asarray(cv2.resize(even, half, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return np.asarray(cv2.resize(grey.astype(np.float32), TILES, interpolation=cv2.INTER_AREA), dtype=np.float32)
