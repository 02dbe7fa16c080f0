"""Supervisor: the window's side of the scanner worker. Starts it, watches it, restarts it, ends it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from math import inf
from typing import Literal

from edge_app.live.link import FrameView, LinkError, Ring
from edge_app.live.messages import (
    ClearPoles,
    Command,
    Ended,
    Failed,
    Heartbeat,
    Lost,
    Message,
    NeedRing,
    Recovered,
    Report,
    SetPoles,
    SourceSummary,
    Started,
    Stop,
    UpMessage,
    UseRing,
    WorkerPlan,
)
from edge_app.live.process import WorkerProcess

Phase = Literal["idle", "starting", "running", "lost", "failed", "closed"]

SILENCE_S = 0.4  # then LOST is said: heartbeats come every 0.1 s, and the window must know within 0.5 s
HANG_S = 2.0  # a silent worker is given this long to come back before it is ended
START_HANG_S = 20.0  # a worker that was never heard: the computer may be busy starting up
NO_FRAMES_S = 0.45  # a live picture that does not change its frame for so long is no picture
SLOW_SOURCE_FRAMES = 2.5  # a source slower than that is given so many of its own periods
WINDOW_PAUSE_S = 0.25  # a longer pause between polls is the window's own: the worker is not blamed for it
RESTARTS_S = (0.0, 0.5, 1.0, 2.0, 4.0)  # wait before each restart in a row; after the last it is given up
STEADY_S = 10.0  # a worker that was ready for so long died anew, not again


@dataclass(frozen=True, slots=True)
class Status:
    """A snapshot of the supervisor; the only view of its state from outside."""

    phase: Phase
    pid: int | None
    restarts: int
    generation: int


class Supervisor:
    """Owned by the window, called on its thread alone; no call blocks (but ``close``, up to its limit).

    ::

        idle --start--> starting --Started--> running <--> lost (silent, or no frames)
                           ^                     |           |
                           +---- dead: Lost, back-off -------+
                                                 |
                           too many deaths or Failed(source): failed       close: closed
    """

    def __init__(self, plan: WorkerPlan) -> None:
        self._plan = plan
        self._generation = plan.generation
        self._poles: SetPoles | None = None
        self._phase: Phase = "idle"
        self._worker: WorkerProcess | None = None
        self._ring: Ring | None = None
        self._retired: list[Ring] = []  # unlinked, but a view of theirs may still live
        self._undelivered: Command | None = None
        self._restarts = 0
        self._deaths = 0  # in a row
        self._started_s = inf  # a worker that was never ready does not live, however long it takes to die
        self._restart_at_s = self._polled_s = self._excused_s = self._lost_s = 0.0
        self._frames, self._frames_s, self._frames_limit_s = 0, 0.0, NO_FRAMES_S
        self._ended = False

    @property
    def status(self) -> Status:
        """The state as of the last ``poll``."""
        pid = None if self._worker is None else self._worker.pid
        return Status(self._phase, pid, self._restarts, self._generation)

    def start(self) -> None:
        """Start the worker."""
        self._polled_s = time.monotonic()
        self._launch()

    def poll(self) -> list[Message]:
        """Return what came since the last call, oldest first; call it every 16 to 50 ms.

        Notices a dead or silent worker (``Lost`` within 0.5 s) and restarts it. Reports of an older
        generation are dropped.
        """
        now_s = time.monotonic()
        if now_s - self._polled_s > WINDOW_PAUSE_S:
            self._excused_s = now_s
        self._polled_s = now_s
        self._retired = [ring for ring in self._retired if not ring.close()]
        if self._worker is None:
            if self._phase == "starting":
                return self._bury(now_s)  # there was no process to be had
            if self._phase == "lost" and now_s >= self._restart_at_s:
                self._restart()
            return []
        told = [answer for message in self._worker.messages() for answer in self._take(message, now_s)]
        self._deliver()
        return [*told, *self._watch(now_s)]

    def newest_frame(self) -> FrameView | None:
        """Return the newest picture, or None while there is none."""
        return None if self._ring is None else self._ring.newest()

    def frame(self, index: int) -> FrameView | None:
        """Return the picture with this index if the ring still has it."""
        return None if self._ring is None else self._ring.frame(index)

    def send(self, command: Command) -> int:
        """Send a command; return the generation that it starts (reports of older ones are dropped)."""
        self._generation += 1
        command = command.model_copy(update={"generation": self._generation})
        if isinstance(command, (SetPoles, ClearPoles)):
            self._poles = command if isinstance(command, SetPoles) else None
        self._undelivered = command
        self._deliver()
        return self._generation

    def close(self, timeout_s: float = 2.0) -> None:
        """End the worker, in order or by force; leaves no process, thread or shared memory."""
        if self._worker is not None:
            self._worker.send(Stop())
            self._worker.end(timeout_s)
        self._worker = None
        self._retire_ring()
        self._retired = [ring for ring in self._retired if not ring.close()]
        self._phase = "closed"

    def _launch(self) -> None:
        self._frames_s, self._started_s = time.monotonic(), inf
        self._frames, self._ended = 0, False
        self._phase = "starting"
        self._undelivered = None
        try:
            self._worker = WorkerProcess(self._plan.model_copy(update={"generation": self._generation}))
        except OSError:  # no process or no pipe left on this computer: the next poll counts it as a death
            return
        if self._poles is not None:
            self.send(self._poles)

    def _restart(self) -> None:
        self._restarts += 1
        self._generation += 1  # what the dead worker still said is void
        self._launch()

    def _deliver(self) -> None:
        if self._worker is not None and self._undelivered is not None and self._worker.send(self._undelivered):
            self._undelivered = None

    def _take(self, message: UpMessage, now_s: float) -> list[Message]:
        """Act on a message; return what the window should hear of it."""
        if self._phase == "failed":
            return [message] if isinstance(message, Failed) else []  # a model that is ready late revives nothing
        if isinstance(message, Heartbeat):
            return self._count(message.frames, now_s)
        if isinstance(message, NeedRing):
            return self._make_ring(message.frame_bytes)
        if isinstance(message, Report):
            return [] if message.report.generation < self._generation else [message]
        if isinstance(message, Started):
            self._phase = "running"
            self._frames_limit_s = _patience_s(message.source)
            self._frames_s = self._started_s = now_s
        elif isinstance(message, Ended):
            self._ended = True
        elif message.scope != "model":
            self._phase = "failed"
        return [message]

    def _count(self, frames: int, now_s: float) -> list[Message]:
        if frames != self._frames or self._ended:
            self._frames, self._frames_s = frames, now_s
        return []

    def _make_ring(self, frame_bytes: int) -> list[Message]:
        self._retire_ring()
        try:
            self._ring = Ring(frame_bytes)
        except LinkError as error:
            self._end_worker()  # it would read pictures that nobody sees
            self._phase = "failed"
            return [Failed(scope="worker", sentence=error.sentence)]
        if self._worker is not None:
            self._worker.send(UseRing(name=self._ring.name))
        return []

    def _end_worker(self) -> None:
        if self._worker is not None:
            self._worker.kill()
        self._worker = None

    def _retire_ring(self) -> None:
        if self._ring is not None:
            self._ring.unlink()
            self._retired.append(self._ring)
            self._ring = None

    def _watch(self, now_s: float) -> list[Message]:
        if self._worker is None or self._phase == "failed":
            return []
        if self._worker.dead:
            return self._bury(now_s)
        silent_s = now_s - max(self._worker.heard_s, self._excused_s)
        if silent_s > (START_HANG_S if self._phase == "starting" else HANG_S):
            return self._bury(now_s)
        if self._phase == "running" and silent_s > SILENCE_S:
            return self._lose("worker_silent", "The scanner worker does not answer.", now_s)
        if self._phase == "running" and now_s - max(self._frames_s, self._excused_s) > self._frames_limit_s:
            return self._lose("no_frames", "No new picture comes from the scanner: check the cable.", now_s)
        if self._phase == "lost" and silent_s <= SILENCE_S and now_s - self._frames_s <= self._frames_limit_s:
            self._phase = "running"
            return [Recovered(after_ms=(now_s - self._lost_s) * 1000)]
        return []

    def _lose(
        self, cause: Literal["worker_died", "worker_silent", "no_frames"], reason: str, now_s: float
    ) -> list[Message]:
        self._phase, self._lost_s = "lost", now_s
        return [Lost(cause=cause, reason=reason)]

    def _bury(self, now_s: float) -> list[Message]:
        """End what is left of a dead or hanging worker, and plan its restart or give it up."""
        lost_already = self._phase == "lost"
        self._end_worker()
        self._deaths = 1 if now_s - self._started_s > STEADY_S else self._deaths + 1
        lost = self._lose("worker_died", "The scanner worker has stopped; it is being restarted.", now_s)
        if self._deaths > len(RESTARTS_S):
            self._phase = "failed"
            sentence = (
                f"The scanner worker cannot be kept running, because it stopped {self._deaths} times in a row: "
                "restart the program, and run 'echogfr doctor' if that does not help."
            )
            return [*lost, Failed(scope="worker", sentence=sentence)]
        self._restart_at_s = now_s + RESTARTS_S[self._deaths - 1]
        return [] if lost_already else lost


def _patience_s(source: SourceSummary) -> float:
    """How long a source may be without a new frame before its picture counts as lost."""
    if source.stills:
        return inf
    return max(NO_FRAMES_S, SLOW_SOURCE_FRAMES / source.fps) if source.fps else NO_FRAMES_S
