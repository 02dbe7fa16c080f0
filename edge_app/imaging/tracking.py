"""Tracking: the operator's two poles follow the kidney through breathing, or are said to be lost.

Two witnesses for each pole. The flow of a patch of points from frame to frame (pyramidal Lucas-Kanade, kept only
where it leads back again: Kalal 2010) is quick, but drifts. A template of the pole as it was placed (normalised
cross-correlation) does not drift, but sees only near by. The flow moves the pole, the template pulls it back; where
the template no longer knows the place, the poles are lost, and they come back only where it knows both again.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import hypot
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.imaging.scene import Point, Sector

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
TrackState = Literal["following", "held", "lost"]
_PX_A_LENGTH = 120.0  # about so many pixels from pole to pole in the shrunk picture: enough for a tenth of one
_AROUND = 0.6  # of the length around both poles is looked at: farther no breath carries them
_REPEATED = 0.25  # mean |difference|, grey levels: the picture before once more, through a lossy grabber perhaps
_GRID = 5  # points across and down a patch


@dataclass(frozen=True, slots=True)
class TrackingRules:
    """Lengths are shares of the distance of the poles as placed; scores are correlations, -1..1."""

    patch: float = 0.17  # half side of a pole's patch
    near: float = 0.05  # how far from the flow's answer the template looks
    far: float = 0.22  # how far from the last known place, when the flow has no answer or the poles are lost
    leads_back_px: float = 1.0  # forward and backward flow end within this of where they began
    enough: float = 0.3  # share of a patch's points whose flow leads back
    pull: float = 0.3  # of the way from the flow's answer to the template's, in one frame
    learn: int = 20  # pictures whose mean is the template: speckle differs in each, the anatomy does not
    settled: int = 5  # pictures after which the usual score is known
    learn_usual: float = 0.75  # of the usual score: what fits less teaches nothing, or a slow sweep would be learned
    lose: float = 0.42  # mean score below which a pole is lost, whatever it was
    of_usual: float = 0.65  # of what a pole's score was while the template was learned: below that it is lost too
    found: float = 0.62  # score of both poles at which lost ones are found again
    found_usual: float = 0.8  # the same, of the usual score
    smooth: float = 0.2  # of a new score in the mean
    stretch: float = 0.2  # change of the length that no breath makes
    apart: float = 0.06  # two poles found again moved alike, within this
    confirm: int = 3  # frames in a row that find them


@dataclass(frozen=True, slots=True)
class Tracked:
    """Where the poles are, frame pixels; last known places where they are lost. ``confidence`` 0..1."""

    state: TrackState
    first: Point
    second: Point
    confidence: float
    why: str = ""  # lost: what the witnesses say


@dataclass(slots=True, eq=False)
class _Pole:
    """One pole in the small picture: where it is, what it looks like, and how well that was seen lately."""

    at: F32  # (2,)
    template: F32
    score: float = 1.0
    seen: int = 1  # pictures in the template
    usual: float = 1.0  # mean score while it was learned


@dataclass(frozen=True, slots=True, eq=False)
class _Window:
    """The part of the frame that is tracked in, and how much it is shrunk; fixed for a placement."""

    box: tuple[int, int, int, int]
    factor: int  # frame pixels a pixel of the small picture
    inside: U8 = field(repr=False)  # of the small picture
    near: F32 = field(repr=False)  # share of the sector around each pixel, where it is outside

    def small(self, pixels: U8) -> U8:
        """Return the grey small picture; beyond the sector's edge it goes on smoothly, so that nothing stands there."""
        x0, y0, x1, y1 = self.box
        green = cv2.extractChannel(pixels[y0:y1, x0:x1], 1)
        small = cv2.resize(green, self.inside.shape[::-1], interpolation=cv2.INTER_AREA)
        kept = cv2.bitwise_and(small, small, mask=self.inside)
        around = cv2.divide(cv2.blur(kept, (25, 25), borderType=cv2.BORDER_CONSTANT).astype(np.float32), self.near)
        filled = np.where(self.inside > 0, kept, np.clip(around, 0, 255).astype(np.uint8))
        return np.asarray(cv2.GaussianBlur(filled, (0, 0), 1.0), dtype=np.uint8)

    def to_small(self, point: Point) -> F32:
        """Frame position to position in the small picture, float32 (2,)."""
        at = [(value + 0.5 - edge) / self.factor - 0.5 for value, edge in zip(point, self.box[:2], strict=True)]
        return np.array(at, np.float32)

    def to_frame(self, at: F32) -> Point:
        """Position in the small picture to frame position."""
        x, y = ((float(value) + 0.5) * self.factor for value in at)
        return x + self.box[0] - 0.5, y + self.box[1] - 0.5


class PoleTracker:
    """Follows one placement of two poles; a new placement is a new tracker.

    Parameters
    ----------
    first, second : Point
        As placed, frame pixels of the first picture that ``follow`` is given.
    """

    def __init__(self, first: Point, second: Point, rules: TrackingRules | None = None) -> None:
        self._rules = rules or TrackingRules()
        self._placed = (first, second)
        self._answer = Tracked("held", first, second, 1.0)
        self._window: _Window | None = None
        self._size: tuple[int, int] = (0, 0)
        self._length = 0.0  # as placed, small pixels
        self._poles: tuple[_Pole, ...] = ()
        self._previous: U8 | None = None
        self._found = 0  # frames in a row that found lost poles again

    def follow(self, pixels: U8, sector: Sector, frozen: bool) -> Tracked:
        """Return where the poles are in the next frame, uint8 (H, W, 3) RGB; nothing moves in a frozen picture."""
        size = (pixels.shape[1], pixels.shape[0])
        if self._window is None:
            self._begin(pixels, sector, size)
            self._answer = replace(self._answer, state="held" if frozen else "following")
        elif size != self._size:
            self._lose("the picture changed its size")
        elif frozen:
            held: TrackState = "lost" if self._answer.state == "lost" else "held"
            self._answer = replace(self._answer, state=held)
        else:
            self._step(self._window, self._window.small(pixels), sector)
        return self._answer

    # -- beginning ------------------------------------------------------------------------------------

    def _begin(self, pixels: U8, sector: Sector, size: tuple[int, int]) -> None:
        self._size = size
        length_px = hypot(self._placed[1][0] - self._placed[0][0], self._placed[1][1] - self._placed[0][1])
        self._window = window = _window(sector, self._placed, length_px)
        self._previous = small = window.small(pixels)
        ends = [window.to_small(point) for point in self._placed]
        self._length = float(np.linalg.norm(ends[1] - ends[0]))
        self._poles = tuple(_Pole(at, _patch(small, at, self._half)) for at in ends)

    @property
    def _half(self) -> int:
        """Half side of a patch, small pixels; the patch is twice that and one."""
        return max(6, round(self._rules.patch * self._length))

    # -- one frame ------------------------------------------------------------------------------------

    def _step(self, window: _Window, small: U8, sector: Sector) -> None:
        previous = self._previous
        if previous is None or self._answer.state == "lost":
            self._previous = small
            self._search(window, small, sector)
            return
        if float(cv2.norm(previous, small, cv2.NORM_L1)) < _REPEATED * small.size:
            self._answer = replace(self._answer, state="following")
            return
        self._previous = small
        moves = self._flow(previous, small)
        if moves is None:
            self._search(window, small, sector)
            return
        for pole, move in zip(self._poles, moves, strict=True):
            self._anchor(pole, pole.at + move, small)
        self._judge(window, sector)

    def _flow(self, before: U8, after: U8) -> tuple[F32, ...] | None:
        """Return how far each pole moved, by the median of its patch; None where too few points lead back."""
        points = np.concatenate([_points(pole.at, self._half) for pole in self._poles])
        there, ok = _lucas_kanade(before, after, points)
        back, ok_back = _lucas_kanade(after, before, there)
        error = np.linalg.norm(back - points, axis=1)
        good = (ok & ok_back & (error < self._rules.leads_back_px)).reshape(len(self._poles), -1)
        steps = (there - points).reshape(len(self._poles), -1, 2)
        known = [step[kept] for step, kept in zip(steps, good, strict=True)]
        if all(kept.mean() < self._rules.enough for kept in good):
            return None
        other = np.concatenate(known)
        return tuple(
            np.median(step if kept.mean() >= self._rules.enough else other, axis=0).astype(np.float32)
            for step, kept in zip(known, good, strict=True)
        )

    def _anchor(self, pole: _Pole, at: F32, small: U8) -> None:
        """Pull the pole from the flow's answer towards the template's, and learn or doubt."""
        peak, score = _match(small, pole.template, at, round(max(2.0, self._rules.near * self._length)))
        pole.score += self._rules.smooth * (score - pole.score)
        known = score > self._least(pole)
        pole.at = at + np.float32(self._rules.pull if known else 0.0) * (peak - at)
        fits = pole.seen < self._rules.settled or score > self._rules.learn_usual * pole.usual
        if known and fits and pole.seen < self._rules.learn:
            pole.seen += 1
            pole.usual += (score - pole.usual) / (pole.seen - 1)
            pole.template += (_patch(small, pole.at, self._half) - pole.template) / pole.seen

    def _least(self, pole: _Pole) -> float:
        """Return the score below which a pole is lost."""
        return max(self._rules.lose, self._rules.of_usual * pole.usual * (pole.seen >= self._rules.settled))

    def _judge(self, window: _Window, sector: Sector) -> None:
        """Say where the poles are, or that they are lost and why."""
        score = min(pole.score for pole in self._poles)
        first, second = (window.to_frame(pole.at) for pole in self._poles)
        if any(pole.score < self._least(pole) for pole in self._poles):
            return self._lose("the picture at the poles has changed")
        if self._stretched():
            return self._lose("the poles moved apart or together")
        if not (_inside(sector, first) and _inside(sector, second)):
            return self._lose("a pole left the ultrasound image")
        self._answer = Tracked("following", first, second, max(0.0, min(1.0, score)))

    def _stretched(self) -> bool:
        length = float(np.linalg.norm(self._poles[1].at - self._poles[0].at))
        return abs(length / self._length - 1.0) > self._rules.stretch

    def _lose(self, why: str) -> None:
        self._found = 0
        self._answer = replace(self._answer, state="lost", confidence=0.0, why=why)

    # -- finding again --------------------------------------------------------------------------------

    def _search(self, window: _Window, small: U8, sector: Sector) -> None:
        """Look for both templates around the last known places; lost until both are seen, moved alike, repeatedly."""
        radius = round(self._rules.far * self._length)
        homes = [window.to_small(point) for point in (self._answer.first, self._answer.second)]
        pairs = zip(self._poles, homes, strict=True)
        found = [_match(small, pole.template, home, radius) for pole, home in pairs]
        shifts = [peak - home for (peak, _), home in zip(found, homes, strict=True)]
        alike = float(np.linalg.norm(shifts[0] - shifts[1])) < self._rules.apart * self._length
        enough = all(
            score >= max(self._rules.found, self._rules.found_usual * pole.usual * (pole.seen >= self._rules.settled))
            for pole, (_, score) in zip(self._poles, found, strict=True)
        )
        if not (alike and enough):
            self._lose(self._answer.why or "the picture jumped")
            return
        for pole, (peak, score) in zip(self._poles, found, strict=True):
            pole.at, pole.score = peak, score
        self._found += 1
        if self._answer.state == "lost" and self._found < self._rules.confirm:
            return
        self._judge(window, sector)


def _window(sector: Sector, ends: tuple[Point, Point], length_px: float) -> _Window:
    """Return the part of the sector around the poles, whole multiples of the factor by which it is shrunk."""
    factor, reach = max(1, round(length_px / _PX_A_LENGTH)), max(16.0, _AROUND * length_px)
    low = [
        max(edge, int(min(pair) - reach)) for edge, pair in zip(sector.bbox[:2], zip(*ends, strict=True), strict=True)
    ]
    high = [
        min(edge, int(max(pair) + reach)) for edge, pair in zip(sector.bbox[2:], zip(*ends, strict=True), strict=True)
    ]
    columns, rows = (max(1, (end - start) // factor) for start, end in zip(low, high, strict=True))
    x0, y0, x1, y1 = low[0], low[1], low[0] + columns * factor, low[1] + rows * factor
    share = cv2.resize(sector.mask[y0:y1, x0:x1].astype(np.uint8) * 255, (columns, rows), interpolation=cv2.INTER_AREA)
    inside = cv2.erode(np.asarray(share >= 255, np.uint8) * 255, np.ones((3, 3), np.uint8))
    near = cv2.blur((inside > 0).astype(np.float32), (25, 25), borderType=cv2.BORDER_CONSTANT)
    known = np.maximum(near, 0.01).astype(np.float32)
    return _Window((x0, y0, x1, y1), factor, np.asarray(inside, np.uint8), known)


def _patch(small: U8, at: F32, half: int) -> F32:
    side = 2 * half + 1
    # replicates the border where the patch reaches beyond the picture
    return np.asarray(
        cv2.getRectSubPix(small, (side, side), (float(at[0]), float(at[1])), patchType=cv2.CV_32F), dtype=np.float32
    )


def _points(at: F32, half: int) -> F32:
    line = np.linspace(-0.8 * half, 0.8 * half, _GRID, dtype=np.float32)
    grid = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    return np.asarray(grid + at, dtype=np.float32)


def _lucas_kanade(before: U8, after: U8, points: F32) -> tuple[F32, NDArray[np.bool_]]:
    """Return where points (N, 2) went, and which were found."""
    unused = np.zeros((len(points), 1, 2), np.float32)
    there, found, _ = cv2.calcOpticalFlowPyrLK(before, after, points[:, None], unused, winSize=(15, 15), maxLevel=3)
    return np.asarray(there, dtype=np.float32)[:, 0], np.asarray(found)[:, 0].astype(np.bool_)


def _match(small: U8, template: F32, at: F32, radius: int) -> tuple[F32, float]:
    """Return where within ``radius`` of ``at`` the template fits best, to a fraction of a pixel, and its score."""
    half = template.shape[0] // 2
    area = _patch(small, at, half + radius)
    raw = np.asarray(cv2.matchTemplate(area, template, cv2.TM_CCOEFF_NORMED), dtype=np.float32)
    scores = np.nan_to_num(raw, posinf=0.0, neginf=0.0)  # a plain area has no correlation
    _, best, _, (column, row) = cv2.minMaxLoc(scores)
    shift = (column + _vertex(scores[row], column) - radius, row + _vertex(scores[:, column], row) - radius)
    return np.asarray(at + np.array(shift, np.float32), dtype=np.float32), float(best)


def _vertex(line: F32, at: int) -> float:
    """Return the offset, -0.5..0.5, of the vertex of the parabola through a peak and its two neighbours."""
    if not 0 < at < len(line) - 1:
        return 0.0
    before, peak, after = (float(value) for value in line[at - 1 : at + 2])
    bend = before - 2.0 * peak + after
    return 0.0 if bend >= 0 else max(-0.5, min(0.5, 0.5 * (before - after) / bend))


def _inside(sector: Sector, point: Point) -> bool:
    """Tell whether a point lies in the sector's mask, give or take a fiftieth of its side."""
    x0, y0, x1, y1 = sector.bbox
    slack = 0.02 * max(x1 - x0, y1 - y0)
    height, width = sector.mask.shape
    left, top = max(0, int(point[0] - slack)), max(0, int(point[1] - slack))
    right, bottom = min(width, int(point[0] + slack) + 2), min(height, int(point[1] + slack) + 2)
    return right > left and bottom > top and bool(sector.mask[top:bottom, left:right].any())
