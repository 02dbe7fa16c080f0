"""Meters: medians and rates over the last two seconds, by the window's clock. No Qt."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from statistics import median

WINDOW_MS = 2000.0


class StageMeter:
    """Median duration of each stage, milliseconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, Mapping[str, float]]] = deque()

    def add(self, now_ms: float, timings_ms: Mapping[str, float]) -> None:
        """Take in the timings of one report."""
        self._seen.append((now_ms, timings_ms))
        while self._seen and self._seen[0][0] < now_ms - WINDOW_MS:
            self._seen.popleft()

    def medians_ms(self) -> dict[str, float]:
        """Return the median by stage, in the order in which stages were first seen."""
        stages = dict.fromkeys(name for _, timings in self._seen for name in timings)
        return {name: median(t[name] for _, t in self._seen if name in t) for name in stages}


class RateMeter:
    """Events a second."""

    def __init__(self) -> None:
        self._seen: deque[float] = deque()

    def tick(self, now_ms: float) -> None:
        """Count one event."""
        self._seen.append(now_ms)

    def per_second(self, now_ms: float) -> float:
        """Return the rate over the last two seconds, up to now."""
        while self._seen and self._seen[0] < now_ms - WINDOW_MS:
            self._seen.popleft()
        return len(self._seen) / (WINDOW_MS / 1000)


class CountMeter:
    """Events a second, from what somebody else counts."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def add(self, now_ms: float, count: int) -> None:
        """Take in a count; one that goes back has begun anew."""
        if self._seen and count < self._seen[-1][1]:
            self._seen.clear()
        self._seen.append((now_ms, count))

    def per_second(self, now_ms: float) -> float:
        """Return the rate over the last two seconds; 0 while fewer than two counts of them are known."""
        while self._seen and self._seen[0][0] < now_ms - WINDOW_MS:
            self._seen.popleft()
        if len(self._seen) < 2:
            return 0.0
        (first_ms, first), (last_ms, last) = self._seen[0], self._seen[-1]
        return (last - first) / max(last_ms - first_ms, 1.0) * 1000


class DropMeter:
    """Counts frames of the stream that never reached the screen, by the gaps in their index."""

    def __init__(self) -> None:
        self._last: int | None = None
        self.dropped = 0

    def see(self, index: int) -> None:
        """Take in the index of a frame on screen; a stream that begins anew is no gap."""
        if self._last is not None and index > self._last + 1:
            self.dropped += index - self._last - 1
        self._last = index
