"""The preview: every captured frame goes to the window's ring, newest first, whatever the model does."""

from __future__ import annotations

import time
from collections.abc import Callable

from edge_app.capture.base import Frame
from edge_app.live.link import RingWriter
from edge_app.live.messages import NeedRing, UpMessage
from edge_app.live.newest import Newest

RING_WAIT_S = 0.2  # the window polls every 16 to 50 ms
RING_AGAIN_S = 1.0  # an unanswered call for a ring is repeated


class Preview:
    """Writes every frame to the ring that the window gave, and asks for one that is large enough."""

    def __init__(self, say: Callable[[UpMessage], None]) -> None:
        self._say = say
        self._names: Newest[str] = Newest()
        self._ring: RingWriter | None = None
        self._asked_bytes = 0
        self._asked_s = 0.0

    def use(self, name: str) -> None:
        """Take this ring from the next frame on; called on the main thread."""
        self._names.put(name)

    def show(self, frame: Frame) -> None:
        """Write a frame, or ask for a ring; called on the capture thread alone."""
        self._attach(0.0)
        size = frame.pixels.nbytes
        if not self._holds(size) and self._may_ask(size):
            self._say(NeedRing(frame_bytes=size))
            self._attach(RING_WAIT_S)  # so that not even the first picture of a size is missed
        if self._ring is not None and self._holds(size):
            self._ring.write(frame.index, frame.t_ms, frame.pixels)

    def _holds(self, size: int) -> bool:
        return self._ring is not None and self._ring.holds(size)

    def _may_ask(self, size: int) -> bool:
        now_s = time.monotonic()
        if size == self._asked_bytes and now_s - self._asked_s < RING_AGAIN_S:
            return False
        self._asked_bytes, self._asked_s = size, now_s
        return True

    def close(self) -> None:
        """Let go of the ring; the window unlinks it."""
        if self._ring is not None:
            self._ring.close()
        self._ring = None

    def _attach(self, timeout_s: float) -> None:
        name = self._names.take(timeout_s)
        if name is None:
            return
        self.close()
        try:
            self._ring = RingWriter(name)
        except FileNotFoundError:
            self._asked_bytes = 0  # the window has replaced it meanwhile: ask again
