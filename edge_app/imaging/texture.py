"""Texture: which lit pixels of a screen are an ultrasound image, and in which pieces they lie."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.imaging.evidence import Evidence

Mask = NDArray[np.bool_]
Labels = NDArray[np.int32]

STROKES = 45.0  # local standard deviation above which small pixels belong to letters, not to tissue
THIN = 0.03  # of the picture: a strip so thin is a grey or a colour bar


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """Connected pieces of lit texture: not text, panels, bars or rulers.

    ``labels`` int32 (h, w), 0 for none; ``boxes`` int (n, 4) as x, y, w, h; ``weights`` (n,): textured pixels of each,
    moving ones first where time is known.
    """

    labels: Labels
    boxes: Labels
    weights: NDArray[np.float64]

    @property
    def main(self) -> int:
        """The heaviest piece, 0 where there is none."""
        return int(np.argmax(self.weights)) if self.weights.max(initial=0.0) > 0 else 0

    def mask(self, chosen: list[int]) -> Mask:
        """Return the bool (h, w) picture of the chosen pieces."""
        table = np.zeros(len(self.weights), np.bool_)
        table[chosen] = True
        return np.take(table, self.labels)

    def belonging(self) -> list[int]:
        """Return the main piece and those over and under it that are the same image with a dark stretch between."""
        main, weight = self.main, self.weights
        others = [n for n in np.flatnonzero(weight > 0.01 * weight[main]).tolist() if n not in (0, main)]
        return [main, *(n for n in others if self._belongs(n, float(weight[n] / weight[main])))]

    def _belongs(self, other: int, share: float) -> bool:
        x0, x1 = self._across(self.main)
        a0, a1 = self._across(other)
        common = min(x1, a1) - max(x0, a0)
        inside = a0 >= x0 - 2 and a1 <= x1 + 2
        if inside and common > 0.85 * (x1 - x0):  # as wide as a linear array's picture
            return True
        return share > 0.08 and (inside or common > 0.6 * min(x1 - x0, a1 - a0))

    def _across(self, piece: int) -> tuple[int, int]:
        x, _, w, _ = self.boxes[piece].tolist()
        return x, x + w


NO_PIECES = Pieces(np.zeros((1, 1), np.int32), np.zeros((1, 4), np.int32), np.zeros(1))


def find_pieces(evidence: Evidence, lit: Mask) -> Pieces:
    """Return the pieces of the lit pixels, bool (h, w), that may be ultrasound image."""
    spread = _spread(evidence)
    solid = without_bars(opened(lit.astype(np.uint8)))
    joined = cv2.morphologyEx(solid, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8))
    count, found, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=4)
    labels = np.where(solid > 0, np.asarray(found, dtype=np.int32), 0).astype(np.int32)
    boxes = np.asarray(stats[:, : cv2.CC_STAT_AREA], dtype=np.int32)
    return Pieces(labels, boxes, _weights(evidence, spread, labels, count))


def opened(lit: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Remove what is one small pixel thin, in place of the picture: text strokes, frames, tick marks."""
    kernel = np.ones((2, 2), np.uint8)
    eroded = cv2.erode(lit, kernel, anchor=(0, 0))
    return np.asarray(cv2.dilate(eroded, kernel, anchor=(1, 1)), dtype=np.uint8)


def without_bars(lit: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Remove title bars, soft keys and side panels."""
    lit = lit.copy()
    for turned, across in ((lit, 1), (lit[::-1], 1), (lit.T, 0), (lit.T[::-1], 0)):
        share = cv2.reduce(lit, across, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel() / lit.shape[across]
        turned[: _full_run(share if turned.strides[0] > 0 else share[::-1])] = 0
    _, labels, stats, _ = cv2.connectedComponentsWithStats(lit, connectivity=4)
    keep = ~_bars(np.asarray(stats, dtype=np.int32), lit.shape)
    keep[0] = False
    return np.take(keep, np.asarray(labels, dtype=np.int32)).view(np.uint8)


def _full_run(share: NDArray[np.float64]) -> int:
    """Return how many rows from the border are lit along most of their length, where they end soon and sharply."""
    reach = int(0.14 * len(share))
    full = np.flatnonzero(share[:reach] > 0.7)
    if len(full) == 0:
        return 0
    end = int(full[-1]) + 1
    return end if share[end : end + 4].min() < 0.4 else 0


def _bars(stats: NDArray[np.int32], shape: tuple[int, ...]) -> Mask:
    """Return which components are thin: title bars, soft keys and side panels along the picture's border, grey bars."""
    height, width = shape
    margin = 0.02 * height
    x0, y0 = stats[:, cv2.CC_STAT_LEFT], stats[:, cv2.CC_STAT_TOP]
    w, h = stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]
    level = (h < 0.12 * height) & (w > 3 * h) & ((y0 < margin) | (y0 + h > height - margin))
    upright = (w < 0.12 * width) & (h > 3 * w) & ((x0 < margin) | (x0 + w > width - margin))
    thin = (w < THIN * width) & (h > 4 * w)  # grey bars stand anywhere
    return np.asarray(level | upright | thin, dtype=np.bool_)


def _spread(evidence: Evidence) -> NDArray[np.float32]:
    """Return the standard deviation of 5 x 5 pixels about each."""
    grey = evidence.brightest.astype(np.float32)
    mean = cv2.blur(grey, (5, 5))
    return np.asarray(cv2.sqrt(np.maximum(cv2.blur(grey * grey, (5, 5)) - mean * mean, 0)), dtype=np.float32)


def _weights(evidence: Evidence, spread: NDArray[np.float32], labels: Labels, count: int) -> NDArray[np.float64]:
    """Return for each component its count of textured pixels, times its share of moving ones where time is known."""
    solid = labels > 0
    textured = solid & (spread > 1.0) & (spread < STROKES) & (evidence.brightest < 250)
    weights = np.bincount(labels[textured], minlength=count).astype(np.float64)
    if evidence.pictures > 2:
        moving = np.bincount(labels[solid & (evidence.movement > 5)], minlength=count).astype(np.float64)
        if moving[1:].sum() > 0.01 * labels.size:
            weights = 0.1 * weights + moving
    weights[0] = 0
    return weights
