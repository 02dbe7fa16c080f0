"""Tearing: a frame that is made of two, told while the picture moves by what of it is an older frame once more.

A grabber that gives a picture away before it is whole leaves the rest of an older one in it: above or below one row
it is new, on the other side it is, to the noise, a frame of before. Beside a running Doppler trace half a screen that
stands still is as it should be; within one ultrasound image it is not. A band that lies a few pixels beside its place
(lost synchronisation) is told by the shift that puts it back.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.imaging.scene import Sector, TearKind, Tears

Grey = NDArray[np.uint8]
Rows = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class TearRules:
    """Differences are mean absolute grey levels of one row between two frames; shares 0..1."""

    columns: int = 128  # of the image that are looked at
    rows: int = 270
    older: int = 5  # frames: a grabber has about so many buffers
    known: int = 8  # differences that say how much the image moves
    least_known: int = 4
    in_a_row: int = 12  # torn frames: what is held against them is no longer true
    moves: float = 0.4  # a row that changes by less cannot tell
    moves_share: float = 0.35  # of its own usual change: a row that has moved
    still_share: float = 0.2  # a row that is an older one
    noise: float = 0.1  # grey levels, in a part of the width that stands still
    as_before: float = 2.5  # times the usual: an older frame that had come as others do
    too_much: float = 6.0  # times the usual: another picture has come, as in a wipe
    active: float = 0.4  # of the rows must move, else nothing can be told
    again: float = 0.9  # of the rows stand still: the frame before once more
    side: float = 0.12  # of the rows that move, on either side of the seam
    gap: int = 3  # rows beside the seam that a codec mixes
    alike: float = 0.94  # of the rows of either side are as they must be
    across: float = 0.7  # of the image's width moves right beside the seam
    beside: int = 10  # rows right beside the seam
    band: tuple[float, float] = (0.03, 0.85)  # height of a shifted band, share of the image's
    band_much: float = 2.5  # times the usual change
    band_levels: float = 4.0  # and no less than that
    band_left: float = 0.5  # of its difference once it is put back
    band_shift: int = 2  # sampled columns at the least
    often: int = 5  # torn frames in ``often_ms``: no chance any more
    often_ms: float = 4000.0


RULES = TearRules()
TILES = 12  # across


@dataclass(frozen=True, slots=True, eq=False)
class _Whole:
    """A frame that was not torn, as it was sampled, and how each of its rows had changed when it came."""

    grey: Grey
    change: Rows | None


class TearWatch:
    """Looks at one image from frame to frame; begins anew when its place changes."""

    def __init__(self, rules: TearRules = RULES) -> None:
        self._rules = rules
        self._sector: Sector | None = None
        self._mask: Grey = np.zeros((0, 0), np.uint8)
        self._counts: Rows = np.zeros(0, np.float32)
        self._step = (1, 1)
        self._older: deque[_Whole] = deque(maxlen=rules.older)
        self._usual: deque[Rows] = deque(maxlen=rules.known)
        self._in_a_row = 0
        self._last: Grey | None = None  # torn or not
        self._when: deque[float] = deque(maxlen=rules.often)
        self.tears = Tears()
        """As of the last look."""

    def look(self, pixels: NDArray[np.uint8], t_ms: float, sector: Sector | None) -> bool:
        """Tell whether the next RGB uint8 (H, W, 3) frame of a stream, of ``t_ms``, is torn."""
        torn = self._look(pixels, sector)
        if torn is not None:
            self._when.append(t_ms)
        often = len(self._when) == self._rules.often and t_ms - self._when[0] <= self._rules.often_ms
        self.tears = Tears(torn, self.tears.count + (torn is not None), often)
        return torn is not None

    def _look(self, pixels: NDArray[np.uint8], sector: Sector | None) -> TearKind | None:
        if sector is None or sector.mask.shape != pixels.shape[:2]:
            self._sector = None
            return None
        if sector is not self._sector:
            self._begin(sector)
        now = self._sampled(pixels, sector)
        found, self._last = self._torn(now), now
        self._in_a_row = self._in_a_row + 1 if found else 0
        if self._in_a_row > self._rules.in_a_row:
            self._begin(sector)
        elif found is None:
            self._learn(now)
        return found

    def _learn(self, now: Grey) -> None:
        """Keep the frame and how much it has changed, unless it is the one before once more."""
        change = None
        if self._older:
            change = self._change(now, self._older[-1].grey)
            if np.mean(change < self._rules.still_share * self._rules.moves) > self._rules.again:
                return
            self._usual.append(change)
        self._older.append(_Whole(now, change))

    def _begin(self, sector: Sector) -> None:
        x0, y0, x1, y1 = sector.bbox
        self._step = max(1, (y1 - y0) // self._rules.rows), max(1, (x1 - x0) // self._rules.columns)
        self._sector, self._in_a_row, self._last = sector, 0, None
        inside = sector.mask[y0 : y1 : self._step[0], x0 : x1 : self._step[1]]
        self._mask = np.ascontiguousarray(inside, dtype=np.uint8) * np.uint8(255)
        self._counts = np.maximum(inside.sum(axis=1), 1).astype(np.float32)
        self._usual.clear()
        self._older.clear()

    def _sampled(self, pixels: NDArray[np.uint8], sector: Sector) -> Grey:
        x0, y0, x1, y1 = sector.bbox
        return np.ascontiguousarray(pixels[y0 : y1 : self._step[0], x0 : x1 : self._step[1], 1])

    def _change(self, one: Grey, other: Grey) -> Rows:
        """Return how much each row inside the image differs, float32 (rows,)."""
        difference = cv2.bitwise_and(cv2.absdiff(one, other), self._mask)
        sums = cv2.reduce(difference, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32F)
        return np.asarray(sums, dtype=np.float32).ravel() / self._counts

    def _torn(self, now: Grey) -> TearKind | None:
        rules = self._rules
        if len(self._usual) < rules.least_known:
            return None
        usual = np.asarray(np.sort(np.stack(self._usual), axis=0)[-2], dtype=np.float32)
        active = usual > rules.moves
        if np.count_nonzero(active) >= rules.active * len(usual):
            rows = np.flatnonzero(active)
            if any(self._is_seam(now, older, usual, rows) for older in reversed(self._older)):
                return "older part"
        return "shifted band" if self._is_band(now, self._older[-1].grey, usual) else None

    def _is_seam(self, now: Grey, older: _Whole, usual: Rows, at: NDArray[np.intp]) -> bool:
        """Tell whether ``now`` is ``older`` from one row on, or up to one, and has moved on the other side."""
        rules = self._rules
        share = self._change(now, older.grey)[at] / usual[at]
        moved, still = share > rules.moves_share, share < rules.still_share
        if older.change is None or not rules.side <= still.mean() <= 1 - rules.side:
            return False
        before = older.change[at] / usual[at]
        return any(
            self._parts(moved[::way], still[::way], share[::way], before[::way])
            and self._is_whole_width(now, older.grey, usual, at[::way], _seam(moved[::way], still[::way]))
            for way in (1, -1)
        )

    def _parts(self, moved: NDArray[np.bool_], still: NDArray[np.bool_], share: Rows, before: Rows) -> bool:
        """Tell whether the first rows have moved as they use to, and all others stand still.

        ``before``: how much the older frame had changed when it came, share of the usual. Where it stood still then
        already, or where something new had come, a menu lies over the image.
        """
        rules, seam = self._rules, _seam(moved, still)
        first, last = slice(0, max(0, seam - rules.gap)), slice(seam + rules.gap, len(still))
        least = rules.side * len(still)
        if seam - rules.gap < least or len(still) - seam - rules.gap < least:
            return False
        if float(np.median(share[first])) > rules.too_much:
            return False
        came = (before[last] > rules.moves_share) & (before[last] < rules.as_before)
        return bool(min(moved[first].mean(), still[last].mean(), came.mean()) >= rules.alike)

    def _is_whole_width(self, now: Grey, older: Grey, usual: Rows, at: NDArray[np.intp], seam: int) -> bool:
        """Tell whether the picture moves in all of its width before the seam, and stands still in all of it behind.

        A box of colours that is drawn less often has tissue beside it. Before the seam it must have moved since the
        very last frame too: where a page comes down over a frozen picture, it has not.
        """
        rules, last = self._rules, self._last
        if last is None:
            return False
        near = at[max(0, seam - rules.gap - rules.beside) : seam - rules.gap]
        rest = at[seam + rules.gap :]
        moves = self._tiles(now, older, near) > rules.still_share
        still = self._tiles(now, older, rest) < rules.still_share * float(usual[rest].mean()) + rules.noise
        moved = self._change(now, last)[at[: seam - rules.gap]] > rules.moves_share * usual[at[: seam - rules.gap]]
        return bool(np.mean(moves) >= rules.across and np.all(still) and np.mean(moved) >= rules.alike)

    def _tiles(self, one: Grey, other: Grey, rows: NDArray[np.intp]) -> Rows:
        """Return the mean change of some rows in up to twelve parts across, where the image is."""
        change = cv2.bitwise_and(cv2.absdiff(one[rows], other[rows]), self._mask[rows]).sum(axis=0, dtype=np.float64)
        inside = np.count_nonzero(self._mask[rows], axis=0)
        edges = np.linspace(0, len(inside), TILES + 1).astype(np.intp)[:-1]
        changes, counts = np.add.reduceat(change, edges), np.add.reduceat(inside, edges)
        wide = counts >= len(rows)
        return np.asarray(changes[wide] / counts[wide], dtype=np.float32)

    def _is_band(self, now: Grey, before: Grey, usual: Rows) -> bool:
        """Tell whether rows that lie together are those of the frame before, shifted to one side."""
        rules, change = self._rules, self._change(now, before)
        odd = change > np.maximum(rules.band_levels, rules.band_much * usual)
        run = _longest_run(odd)
        low, high = (share * len(odd) for share in rules.band)
        if not low <= run.stop - run.start <= high or np.count_nonzero(odd) > 1.3 * (run.stop - run.start):
            return False
        return _is_shifted(now[run], before[run], rules)


def _seam(moved: NDArray[np.bool_], still: NDArray[np.bool_]) -> int:
    """Return how many rows lie before the seam that parts moved from still ones best."""
    balance = np.cumsum(moved.astype(np.int32) - still.astype(np.int32))
    return int(balance.argmax()) + 1


def _longest_run(odd: NDArray[np.bool_]) -> slice:
    """Return the longest run of rows that are odd; one row that is not does not part it."""
    joined = odd.copy()
    joined[1:-1] |= odd[:-2] & odd[2:]
    edges = np.flatnonzero(np.diff(np.concatenate(([0], joined.astype(np.int8), [0]))))
    if not len(edges):
        return slice(0, 0)
    starts, stops = edges[::2], edges[1::2]
    longest = int((stops - starts).argmax())
    return slice(int(starts[longest]), int(stops[longest]))


def _is_shifted(now: Grey, before: Grey, rules: TearRules) -> bool:
    """Tell whether ``now`` is ``before`` a few columns beside its place."""
    width = now.shape[1]
    here, there = (np.fft.rfft(part.astype(np.float32) - part.mean(axis=1, keepdims=True)) for part in (now, before))
    match = np.fft.irfft((here * np.conj(there)).sum(axis=0), width)
    shift = int(match.argmax())
    shift = shift - width if shift > width // 2 else shift
    if not rules.band_shift <= abs(shift) <= width // 3:
        return False
    back, stays = (now[:, shift:], before[:, :-shift]) if shift > 0 else (now[:, :shift], before[:, -shift:])
    left = float(cv2.absdiff(np.ascontiguousarray(back), np.ascontiguousarray(stays)).mean())
    return left <= rules.band_left * float(cv2.absdiff(now, before).mean())
