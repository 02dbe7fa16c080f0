"""Fusion: from single readings to what the screen says, and for how long it may say it.

Pure: time comes in with the frames. The states of a picture and its value::

             signal gone (value dropped at once)
    LOST  <------------------------------------------ any
      |  signal                                        ^
      v             scanner frozen                     |
    LIVE  <----------------------------->  FROZEN      |
      |                                       |        |
      |  value not confirmed for 1 s          |        |
      +--------------->  STALE  <-------------+        |
                           |   30 s: value dropped, then LIVE or FROZEN

A value is confirmed by a frame that was read, or that shows the very crop that was read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import hypot

from edge_app.live import reports
from edge_app.live.joining import LEAST, join_members, seen_in
from edge_app.live.medians import median_values
from edge_app.live.report import Readout, State
from engines.reading import Reading, agree
from engines.values import Value

WINDOW_MS = 3000.0  # readings this much older than the newest are not fused with it
STALE_MS = 1000.0  # a result must be greyed within 1 s of un-freeze or frame change (clinic-and-paper 4.3)
DROP_MS = 30000.0  # a greyed value helps to remember for a moment, then it only misleads
SAME_POLES = 0.05  # of the length: markers that moved farther mark something else

Ends = tuple[float, float, float, float]  # x1, y1, x2, y2 of the two poles, pixels


@dataclass(frozen=True, slots=True)
class Moment:
    """What one frame tells the fusion.

    ``reading``: of this frame; ``same``: it shows the crop of the newest reading once more. Both need
    ``poles``.
    """

    frame: int
    t_ms: float
    generation: int
    signal: bool
    frozen: bool
    poles: Ends | None = None
    reading: Reading | None = None
    same: bool = False


@dataclass(frozen=True, slots=True)
class _Entry:
    moment: Moment
    reading: Reading
    poles: Ends


class Fusion:
    """Keeps the readings that belong together; ``update`` is called once a frame, in order of time."""

    def __init__(self) -> None:
        self._entries: tuple[_Entry, ...] = ()
        self._confirmed_ms = 0.0

    @property
    def waiting(self) -> tuple[int, int] | None:
        """Members seen and in all, where too few have been seen for a number; else None."""
        if not self._entries:
            return None
        readings = [entry.reading for entry in self._entries]
        seen, total = len(seen_in(readings)), readings[-1].members_total
        return (seen, total) if seen < min(LEAST, total) else None

    def update(self, moment: Moment) -> tuple[State, Readout | None]:
        """Return the state of the picture and the value that may be shown with it, if any."""
        self._forget(moment)
        if moment.reading is not None and moment.poles is not None:
            self._take(_Entry(replace(moment, reading=None), moment.reading, moment.poles))
        elif moment.same and self._marks_the_same(moment):
            self._confirmed_ms = moment.t_ms
        readout = self._readout(moment)
        if not moment.signal:
            return "LOST", None
        if readout is not None and readout.stale:
            return "STALE", readout
        return "FROZEN" if moment.frozen else "LIVE", readout

    def _forget(self, moment: Moment) -> None:
        if not self._entries:
            return
        other = moment.generation != self._entries[-1].moment.generation
        if other or not moment.signal or moment.t_ms - self._confirmed_ms > DROP_MS:
            self._entries = ()

    def _take(self, entry: _Entry) -> None:
        newest = self._entries[-1].moment if self._entries else None
        kept = self._entries if self._marks_the_same(entry.moment) else ()
        if newest is not None and newest.frozen != entry.moment.frozen:
            kept = ()  # freeze and un-freeze change the picture, even between the same handles
        if kept and _source(kept[-1].reading) != _source(entry.reading):
            kept = ()  # a server and this machine that stands in for it are not mixed in one number
        oldest_ms = entry.moment.t_ms - WINDOW_MS
        self._entries = (*(old for old in kept if old.moment.t_ms >= oldest_ms), entry)
        self._confirmed_ms = entry.moment.t_ms

    def _marks_the_same(self, moment: Moment) -> bool:
        if not self._entries or moment.poles is None:
            return False
        return same_poles(moment.poles, self._entries[-1].poles)

    def _readout(self, moment: Moment) -> Readout | None:
        if not self._entries:
            return None
        if self.waiting is not None:
            return None
        newest = self._entries[-1].moment
        stale = moment.t_ms - self._confirmed_ms > STALE_MS
        age_ms = max(0.0, moment.t_ms - newest.t_ms)
        return fuse([entry.reading for entry in self._entries], newest, age_ms, stale)


def same_poles(one: Ends, other: Ends) -> bool:
    """Tell whether two pairs of poles mark the same thing; the order of the ends does not matter."""
    limit = SAME_POLES * hypot(one[2] - one[0], one[3] - one[1])
    swapped = (other[2], other[3], other[0], other[1])
    return any(
        max(hypot(one[0] - ends[0], one[1] - ends[1]), hypot(one[2] - ends[2], one[3] - ends[3])) <= limit
        for ends in (other, swapped)
    )


def fuse(readings: list[Reading], newest: Moment, age_ms: float, stale: bool) -> Readout:
    """Fuse readings of one kidney into the value that is shown.

    Each head by itself: values, bounds and probabilities are medians over the readings, and the bounds are then
    widened by the spread between frames (``edge_app.live.medians``). Where members took turns, the newest answer of
    each is joined instead (``edge_app.live.joining``).

    Parameters
    ----------
    readings : list of Reading
        At least one; the last is of ``newest``.
    """
    joined = _joined(readings)
    return Readout(
        values=tuple(reports.value(value) for value in joined.values),
        readings=joined.readings,
        frame=newest.frame,
        t_ms=newest.t_ms,
        age_ms=age_ms,
        stale=stale,
        in_domain=all(reading.in_domain for reading in readings),
        heads_agree=joined.heads_agree,
        members_seen=joined.members_seen,
        members_total=readings[-1].members_total,
        runtime=f"{readings[-1].runtime} {readings[-1].precision}",
        note=readings[-1].note,
    )


def _source(reading: Reading) -> tuple[str, str]:
    return reading.runtime, reading.precision


@dataclass(frozen=True, slots=True, eq=False)
class _Fused:
    values: tuple[Value, ...]
    readings: int
    members_seen: int
    heads_agree: bool


def _joined(readings: list[Reading]) -> _Fused:
    """Join by member where members took turns, else by medians of whole readings."""
    if all(reading.whole for reading in readings):
        fused = median_values([reading.values for reading in readings], widened=True)
        agreed = all(reading.heads_agree for reading in readings)
        return _Fused(fused, len(readings), readings[-1].members_total, agreed)
    joined = join_members(readings)
    return _Fused(joined.values, joined.readings, len(joined.seen), agree(joined.values))
