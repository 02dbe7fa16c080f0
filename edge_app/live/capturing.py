"""Capturing: the job of the worker's capture thread. Opens the source, passes frames on, and opens it again.

A source that never ends by itself (a grabber, a network stream, a watched folder) is opened again when it fails
or ends, with a growing pause; anything else that fails is said once and over.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, Protocol

from edge_app.live.messages import Ended, Failed, Opened, SourceDown, SourceSummary, UpMessage
from edge_app.live.states import wait_s
from engines.errors import EchoGFRError

if TYPE_CHECKING:
    from edge_app.capture.base import Frame, FrameSource

HELD_S = 0.1  # a source that has ended shows its last picture this often: handles still work on it
STEADY_S = 2.0  # a source that gave frames for so long failed anew, not again
STREAM_ENDED = "The stream of pictures has ended: look at the scanner, its cable and the device that sends."

Call = Literal["open", "read"]


@dataclass(frozen=True, slots=True, eq=False)
class Captured:
    """A frame, and how often the source had been opened when it came; index and time go on across openings."""

    frame: Frame
    opening: int
    stills: bool


class Sink(Protocol):
    """Where captured frames go."""

    def __call__(self, captured: Captured, fresh: bool) -> None:
        """Take a frame; not ``fresh``: the last one, shown once more."""
        ...


class Capturing:
    """Owns the source while ``run`` runs, on one thread; ``stuck`` may be asked from another."""

    def __init__(self, uri: str, stop: threading.Event, say: Callable[[UpMessage], None], sink: Sink) -> None:
        self._uri = uri
        self._stop = stop
        self._say = say
        self._sink = sink
        self._call: tuple[Call, float] | None = None
        self._lasting = False
        self._stills = False
        self._recorded = False  # its end is the end, though it came over a network
        self._opening = 0
        self._attempt = 0  # in a row
        self._index, self._t_ms = 0, 0.0  # of the first frame of this opening
        self._start_s = time.monotonic()
        self._last: Frame | None = None
        self._frames_since_s: float | None = None
        self._waits = False

    @property
    def lasting(self) -> bool:
        """True for a source that never ends by itself."""
        return self._lasting

    def stuck(self) -> tuple[Call, float] | None:
        """Return the call of the source that has not come back yet, and for how many seconds; None if none is due.

        A source that is well and has no picture comes back all the same (``Waiting``).
        """
        call = self._call
        return None if call is None else (call[0], time.monotonic() - call[1])

    @property
    def holds(self) -> bool:
        """True while a source of stills is well and has no newer one: what it gave last is what there is to see."""
        return self._waits and self._stills

    def run(self) -> None:
        """Capture until the end or until ``stop`` is set."""
        from edge_app.capture.open import endless

        try:
            self._lasting = endless(self._uri)
        except EchoGFRError as error:
            self._say(Failed(scope="source", sentence=error.sentence))
            return
        while not self._stop.is_set():
            reason = self._once()
            if reason is None or self._stop.is_set():
                break
            self._rest(reason)
        if self._last is not None and not self._stop.is_set():
            self._say(Ended(frames=self._last.index + 1))
            self._hold(self._last)

    def _once(self) -> str | None:
        """Open and read to the end; return why it must be opened again, or None if it is over."""
        try:
            self._frames_since_s = None
            source = self._named()
            self._begin("open")
            with source as entered:
                self._call = None
                self._opened(entered)
                self._pump(entered)
        except EchoGFRError as error:
            if self._lasting:
                return error.sentence
            self._last = None
            self._say(Failed(scope="source", sentence=error.sentence))
            return None
        finally:
            self._call, self._waits = None, False
        return STREAM_ENDED if self._lasting and not self._recorded else None

    def _named(self) -> FrameSource:
        """Return the source; a name that is wrong, or a library that is missing, will not mend by itself."""
        from edge_app.capture.open import open_source

        try:
            source = open_source(self._uri, realtime=True)
        except EchoGFRError:
            self._lasting = False
            raise
        self._lasting = self._lasting or source.info.live
        return source

    def _opened(self, source: FrameSource) -> None:
        from edge_app.live.reports import summary_of

        summary: SourceSummary = summary_of(source)
        self._stills = summary.stills
        self._recorded = not summary.live and not summary.stills
        self._opening += 1
        if self._last is not None:
            self._index = self._last.index + 1
            self._t_ms = max(self._last.t_ms, (time.monotonic() - self._start_s) * 1000)
        self._say(Opened(source=summary))

    def _pump(self, source: FrameSource) -> None:
        from edge_app.capture.base import Waiting

        while not self._stop.is_set():
            self._begin("read")
            got = source.read()
            self._call = None
            if got is None:
                return
            self._waits = isinstance(got, Waiting)
            if not isinstance(got, Waiting):
                self._pass_on(got)

    def _pass_on(self, frame: Frame) -> None:
        now_s = time.monotonic()
        self._frames_since_s = now_s if self._frames_since_s is None else self._frames_since_s
        if now_s - self._frames_since_s > STEADY_S:
            self._attempt = 0
        if self._index:
            frame = replace(frame, index=frame.index + self._index, t_ms=frame.t_ms + self._t_ms)
        self._last = frame
        self._sink(Captured(frame, self._opening, self._stills), True)

    def _rest(self, reason: str) -> None:
        self._attempt += 1
        pause_s = wait_s(self._attempt)
        self._say(SourceDown(reason=reason, attempt=self._attempt, wait_s=pause_s))
        self._stop.wait(pause_s)

    def _hold(self, frame: Frame) -> None:
        start_s = time.monotonic()
        while not self._stop.wait(HELD_S):
            held = replace(frame, t_ms=frame.t_ms + (time.monotonic() - start_s) * 1000)
            self._sink(Captured(held, self._opening, self._stills), False)

    def _begin(self, call: Call) -> None:
        self._call = (call, time.monotonic())
