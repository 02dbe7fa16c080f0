"""Supervisor: the window's side of the scanner worker. Starts it, watches it, restarts it, ends it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from math import inf

from edge_app.live.choices import Choices
from edge_app.live.link import FrameView, LinkError, Ring
from edge_app.live.messages import (
    Command,
    Counts,
    Ended,
    Failed,
    Heartbeat,
    LossCause,
    Lost,
    Message,
    NeedRing,
    Opened,
    Recovered,
    Recovering,
    Report,
    SetAgain,
    SetLength,
    SourceDown,
    SourceSummary,
    Started,
    Stop,
    UpMessage,
    UseRing,
    WorkerPlan,
)
from edge_app.live.process import WorkerProcess
from edge_app.live.states import WITHOUT_PICTURE, Event, Phase, after, wait_s

SILENCE_S = 0.4  # then LOST is said: heartbeats come every 0.1 s, and the window must know within 0.5 s
HANG_S = 2.0  # a silent worker is given this long to come back before it is ended
START_HANG_S = 20.0  # a worker that was never heard: the computer may be busy starting up
NO_FRAMES_S = 0.45  # a live picture that does not change its frame for so long is no picture
START_NO_FRAMES_S = 2.0  # the same while the model is opened, which keeps the worker busy
SLOW_SOURCE_FRAMES = 2.5  # a source slower than that is given so many of its own periods
WINDOW_PAUSE_S = 0.25  # a longer pause between polls is the window's own: the worker is not blamed for it
STUCK_S = {"open": 20.0, "read": 8.0}  # a call of the source that took so long is waited for no more
STUCK_PATIENCES = 4.0  # and no less than so many times what its pictures are waited for
RESTARTS_S = (0.0, 0.5, 1.0, 2.0, 4.0)  # wait before each restart in a row; after the last it is given up
STEADY_S = 10.0  # a worker that was ready for so long died anew, not again
COUNTS_S = 0.5  # between two counts told to the window

DIED = "The scanner worker has stopped; it is being restarted."
SILENT = "The scanner worker does not answer."
NO_FRAMES = "No new picture comes from the scanner: check the cable."
STUCK = "The source of the pictures does not answer any more: check the device and its cable. It is opened anew."


@dataclass(frozen=True, slots=True)
class Status:
    """A snapshot of the supervisor; the only view of its state from outside."""

    phase: Phase
    pid: int | None
    restarts: int
    generation: int


class Supervisor:
    """Owned by the window, called on its thread alone; no call blocks (but ``close``, up to its limit).

    What follows on what stands in ``edge_app.live.states``. Two kinds of trouble are mended here by a new worker:
    one that died or hangs, and one whose source never comes back from a call. A source that fails in words is
    opened again by the worker itself, which keeps its model.
    """

    def __init__(self, plan: WorkerPlan) -> None:
        self._plan = plan
        self._generation = plan.generation
        self._choices = Choices()
        self._phase: Phase = "idle"
        self._worker: WorkerProcess | None = None
        self._dying: list[WorkerProcess] = []  # killed, but not gone yet
        self._ring: Ring | None = None
        self._retired: list[Ring] = []  # unlinked, but a view of theirs may still live
        self._undelivered: Command | None = None
        self._restarts = 0
        self._deaths = self._attempts = 0  # in a row; attempts count those of a stuck source too
        self._restart_at_s = self._polled_s = self._excused_s = self._lost_s = self._counted_s = 0.0
        self._said_lost: Lost | None = None
        self._said_recovering: Recovering | None = None
        self._begin_anew(0.0)

    def _begin_anew(self, now_s: float) -> None:
        """Forget what was known of the worker before."""
        self._beat = Heartbeat(frames=0)
        self._frames_s, self._frames_limit_s = now_s, NO_FRAMES_S
        self._started_s = inf  # a worker that was never ready does not live, however long it takes to die
        self._opened = self._ready = self._down = self._ended = False

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

        Notices a dead or silent worker, a source that fails, hangs or gives no pictures (``Lost`` within 0.5 s)
        and has it tried again (``Recovering``). Reports of an older generation are dropped.
        """
        now_s = time.monotonic()
        if now_s - self._polled_s > WINDOW_PAUSE_S:
            self._excused_s = now_s
        self._polled_s = now_s
        self._retired = [ring for ring in self._retired if not ring.close()]
        self._dying = [worker for worker in self._dying if not worker.gone()]
        if self._worker is None:
            if self._phase == "starting":
                return self._bury("worker_died", DIED, now_s)  # there was no process to be had
            if self._phase == "recovering" and now_s >= self._restart_at_s:
                self._restart()
            return []
        told = [answer for message in self._worker.messages() for answer in self._take(message, now_s)]
        self._deliver()
        return [*told, *self._watch(now_s), *self._count_up(now_s)]

    def newest_frame(self) -> FrameView | None:
        """Return the newest picture, or None while there is none."""
        return None if self._ring is None else self._ring.newest()

    def frame(self, index: int) -> FrameView | None:
        """Return the picture with this index if the ring still has it."""
        return None if self._ring is None else self._ring.frame(index)

    def send(self, command: Command) -> int:
        """Send a command; return the generation that it starts (reports of older ones are dropped)."""
        self._choices.obey(command)
        if isinstance(command, SetLength):  # changes no crop, so it starts no generation
            if self._worker is not None:
                self._worker.send(command)
            return self._generation
        self._generation += 1
        command = command.model_copy(update={"generation": self._generation})
        self._undelivered = command
        self._deliver()
        return self._generation

    def close(self, timeout_s: float = 2.0) -> None:
        """End the worker, in order or by force; leaves no process, thread or shared memory."""
        if self._worker is not None:
            self._worker.send(Stop())
            self._worker.end(timeout_s)
        for worker in self._dying:
            worker.bury()
        self._worker, self._dying = None, []
        self._retire_ring()
        self._retired = [ring for ring in self._retired if not ring.close()]
        self._on("close")

    def _on(self, event: Event) -> None:
        self._phase = after(self._phase, event)

    def _launch(self) -> None:
        self._begin_anew(time.monotonic())
        self._on("begin")
        self._undelivered = None
        try:
            plan = {"generation": self._generation, "kept": self._choices.kept()}
            self._worker = WorkerProcess(self._plan.model_copy(update=plan))
        except OSError:  # no process or no pipe left on this computer: the next poll counts it as a death
            return

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
            return self._count(message, now_s)
        if isinstance(message, NeedRing):
            return self._make_ring(message.frame_bytes)
        if isinstance(message, Report):
            return self._reported(message)
        if isinstance(message, SetAgain):
            self._choices.settle(message)
            return [message]
        if isinstance(message, SourceDown):
            return self._source_failed(message, now_s)
        if isinstance(message, Opened):
            return self._source_opened(message, now_s)
        if isinstance(message, Started):
            return self._worker_ready(message, now_s)
        if isinstance(message, Ended):
            self._ended = True
        elif message.scope != "model":
            self._on("give_up")
        return [message]

    def _reported(self, message: Report) -> list[Message]:
        if message.report.generation < self._generation:
            return []
        report = message.report
        still = self.newest_frame() if report.frozen else None  # which is the same picture
        self._choices.see(report, self.frame(report.frame) or still)
        return [message]

    def _count(self, beat: Heartbeat, now_s: float) -> list[Message]:
        if beat.frames != self._beat.frames or self._ended:
            self._frames_s = now_s if self._ended else now_s - beat.frame_s
        self._beat = beat
        return []

    def _count_up(self, now_s: float) -> list[Message]:
        if self._worker is None or not self._ready or now_s - self._counted_s < COUNTS_S:
            return []
        self._counted_s = now_s
        return [Counts(captured=self._beat.frames, skipped=self._beat.skipped)]

    def _source_opened(self, message: Opened, now_s: float) -> list[Message]:
        self._frames_limit_s = _patience_s(message.source)
        if not self._opened:
            self._frames_s = now_s
        self._opened, self._down = True, False
        return [message] if self._ready else []  # until then Started says it

    def _source_failed(self, message: SourceDown, now_s: float) -> list[Message]:
        lost = self._lose("source_down", message.reason, now_s)
        self._on("source_down")
        self._down, self._frames_s = True, -inf  # only a new picture ends the loss
        return [*lost, self._recover(message.attempt, message.wait_s, message.reason)]

    def _worker_ready(self, message: Started, now_s: float) -> list[Message]:
        self._ready, self._started_s = True, now_s
        self._opened, self._frames_limit_s = True, _patience_s(message.source)
        if self._phase in WITHOUT_PICTURE and not self._flows(now_s):  # Started alone would take the loss back
            said = (self._said_lost, self._said_recovering if self._phase == "recovering" else None)
            return [message, *(again for again in said if again is not None)]
        self._on("ready")
        self._frames_s = max(now_s, self._frames_s)
        return [message]

    def _make_ring(self, frame_bytes: int) -> list[Message]:
        self._retire_ring()
        try:
            self._ring = Ring(frame_bytes)
        except LinkError as error:
            self._end_worker()  # it would read pictures that nobody sees
            self._on("give_up")
            return [Failed(scope="worker", sentence=error.sentence)]
        if self._worker is not None:
            self._worker.send(UseRing(name=self._ring.name))
        return []

    def _end_worker(self) -> None:
        if self._worker is not None:
            self._worker.kill()
            self._dying.append(self._worker)
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
            return self._bury("worker_died", DIED, now_s)
        silent_s = self._silent_s(now_s)
        if silent_s > (HANG_S if self._ready else START_HANG_S):
            return self._bury("worker_died", DIED, now_s)
        if self._is_stuck():
            return self._bury("source_stuck", STUCK, now_s)
        if self._phase == "running" and silent_s > SILENCE_S:
            return self._quiet("worker_silent", SILENT, now_s)
        if self._phase in ("starting", "running") and self._opened and not self._pictured(now_s):
            return self._quiet("no_frames", NO_FRAMES, now_s)
        if self._phase in WITHOUT_PICTURE and silent_s <= SILENCE_S and self._flows(now_s):
            self._on("flow" if self._ready else "begin")
            return [Recovered(after_ms=(now_s - self._lost_s) * 1000)]
        return []

    def _silent_s(self, now_s: float) -> float:
        return inf if self._worker is None else now_s - max(self._worker.heard_s, self._excused_s)

    def _is_stuck(self) -> bool:
        call = self._beat.call
        if call is None:
            return False
        patience_s = 0.0 if call == "open" or self._frames_limit_s == inf else self._frames_limit_s
        limit_s = max(STUCK_S[call], STUCK_PATIENCES * patience_s)
        return self._beat.call_s > limit_s

    def _pictured(self, now_s: float) -> bool:
        """Whether the last picture is new enough; a window that was busy blames nobody."""
        limit_s = self._frames_limit_s if self._ready else max(self._frames_limit_s, START_NO_FRAMES_S)
        return now_s - max(self._frames_s, self._excused_s) <= limit_s

    def _flows(self, now_s: float) -> bool:
        """Whether pictures come again, as opposed to: it is not known yet that they do not."""
        return self._opened and not self._down and now_s - self._frames_s <= self._frames_limit_s

    def _quiet(self, cause: LossCause, reason: str, now_s: float) -> list[Message]:
        lost = self._lose(cause, reason, now_s)
        self._on("quiet")
        return lost

    def _lose(self, cause: LossCause, reason: str, now_s: float) -> list[Message]:
        """Say that the picture is lost, unless that has been said."""
        if self._phase in WITHOUT_PICTURE:
            return []
        self._lost_s = now_s
        self._said_lost = Lost(cause=cause, reason=reason)
        return [self._said_lost]

    def _recover(self, attempt: int, pause_s: float, reason: str) -> Recovering:
        self._said_recovering = Recovering(attempt=attempt, wait_s=pause_s, reason=reason)
        return self._said_recovering

    def _bury(self, cause: LossCause, reason: str, now_s: float) -> list[Message]:
        """End what is left of a dead or hanging worker, and plan its restart or give it up."""
        stuck, lasting = cause == "source_stuck", self._beat.lasting
        lost = self._lose(cause, reason, now_s)
        self._end_worker()
        if (self._frames_s if stuck else now_s) - self._started_s > STEADY_S:
            self._deaths = self._attempts = 0
        self._attempts += 1
        self._deaths += not (stuck and lasting)  # a device that hangs may be mended at any time: never given up
        if self._deaths > len(RESTARTS_S):
            self._on("give_up")
            return [*lost, Failed(scope="worker", sentence=_given_up(self._deaths, stuck))]
        self._on("died")
        pause_s = wait_s(self._attempts) if stuck else RESTARTS_S[self._deaths - 1]
        self._restart_at_s = now_s + pause_s
        return [*lost, self._recover(self._attempts, pause_s, reason)]


def _given_up(deaths: int, stuck: bool) -> str:
    what = "its source did not answer" if stuck else "it stopped"
    return (
        f"The scanner worker cannot be kept running, because {what} {deaths} times in a row: "
        "restart the program, and run 'echogfr doctor' if that does not help."
    )


def _patience_s(source: SourceSummary) -> float:
    """How long a source may be without a new frame before its picture counts as lost."""
    if source.stills:
        return inf
    return max(NO_FRAMES_S, SLOW_SOURCE_FRAMES / source.fps) if source.fps else NO_FRAMES_S
