"""StreamClock: times of a source that never go back, whatever its own clock does."""

from __future__ import annotations

from math import inf, isfinite

LONGEST_STEP_S = 5.0  # a longer step of a live stream's clock is a new beginning: a source gives up before that

SHORTEST_STEP_S = 1e-6  # no clock of a source is finer


class StreamClock:
    """Gives each frame its time: milliseconds since the first, always later than the one before.

    Trusts the stream's own clock from frame to frame. A step that it cannot have made (backwards, or live and longer
    than ``LONGEST_STEP_S``: a sender that was started anew, a counter that ran over) is replaced by the arrival times.

    Parameters
    ----------
    step_ms : float
        Between two frames where neither clock tells; above 0.
    """

    def __init__(self, step_ms: float) -> None:
        self._step_ms = step_ms
        self._told_s: float | None = None
        self._arrived_s: float | None = None
        self._t_ms: float | None = None

    def at(self, told_s: float | None, arrived_s: float | None = None) -> float:
        """Return the time of the next frame.

        Parameters
        ----------
        told_s : float or None
            By the stream's or the kernel's clock, seconds; its zero does not matter.
        arrived_s : float or None
            By this computer's monotonic clock, seconds; None for a recording, whose arrival says nothing.
        """
        if self._t_ms is None:
            self._t_ms = 0.0
        else:
            longest_s = inf if arrived_s is None else LONGEST_STEP_S
            step_s = _step_s(self._told_s, told_s, longest_s)
            if step_s is None:
                step_s = _step_s(self._arrived_s, arrived_s, inf)
            self._t_ms += self._step_ms if step_s is None else step_s * 1000
        self._told_s, self._arrived_s = told_s, arrived_s
        return self._t_ms


def _step_s(before_s: float | None, now_s: float | None, longest_s: float) -> float | None:
    """Return a step that can be believed, else None."""
    if before_s is None or now_s is None:
        return None
    step_s = now_s - before_s
    return step_s if SHORTEST_STEP_S <= step_s <= longest_s and isfinite(step_s) else None
