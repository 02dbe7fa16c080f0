"""Pace: holds a recorded source back to the speed at which it was recorded."""

from __future__ import annotations

import time


class Pace:
    """Sleeps until a frame is due; the first frame is due at once.

    Parameters
    ----------
    realtime : bool
        False: never sleeps.
    """

    def __init__(self, realtime: bool) -> None:
        self._realtime = realtime
        self._start_s: float | None = None

    def wait(self, t_ms: float) -> None:
        """Return when the frame of stream time ``t_ms`` is due."""
        if not self._realtime:
            return
        now_s = time.monotonic()
        if self._start_s is None:
            self._start_s = now_s - t_ms / 1000
        late_s = now_s - self._start_s - t_ms / 1000
        if late_s < 0:
            time.sleep(-late_s)
