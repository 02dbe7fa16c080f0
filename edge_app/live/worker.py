"""The scanner worker: a process of its own, so that a decoder or a driver that dies takes no window along.

Three threads: the main one hears commands and beats the heart, one captures, one reads with the model.
Heavy libraries are imported on the thread that needs them: the first heartbeat does not wait for them.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from edge_app.live.capturing import Captured, Capturing
from edge_app.live.messages import (
    ClearPoles,
    Command,
    DownMessage,
    Failed,
    Heartbeat,
    Opened,
    Report,
    SetAgain,
    SetLength,
    SetPoles,
    SourceSummary,
    Started,
    Stop,
    UpMessage,
    UseRing,
    WorkerPlan,
    decode_down,
    encode,
)
from edge_app.live.newest import Newest
from edge_app.live.preview import Preview
from edge_app.log import NAMES, Log
from engines.errors import EchoGFRError

if TYPE_CHECKING:
    from edge_app.capture.base import Frame
    from edge_app.imaging.observer import SceneObserver
    from edge_app.live.model import OpenModel
    from edge_app.live.pipeline import Outcome, Pipeline
    from edge_app.live.proposing import Proposer
    from edge_app.live.report import FrameReport

HEARTBEAT_S = 0.1
HELD_S = 0.3  # a still that waits for the next one is looked at this often
NICENESS = 5  # the window goes first: it paints, and it must stay smooth on two cores
END_S = 1.5  # for the threads to finish their frame; then the process ends without them
SLOW_MODEL_S = 0.1  # a slower model rests after each run as long as it ran, so that the overlay keeps up
EXIT_CRASHED = 70  # EX_SOFTWARE
EXIT_ORPHANED = 71


def main(plan_json: str, up: Connection, down: Connection) -> None:
    """Run the worker until it is told to stop or the window is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the window decides what ends
    os.nice(NICENESS)
    _Worker(WorkerPlan.model_validate_json(plan_json), up, down).run()


class _Worker:
    """Owns the threads and what they share."""

    def __init__(self, plan: WorkerPlan, up: Connection, down: Connection) -> None:
        self._plan = plan
        self._up = up
        self._down = down
        self._up_lock = threading.Lock()
        self._stop = threading.Event()
        self._started = threading.Event()
        self._frames: Newest[Captured] = Newest()
        self._source: Newest[SourceSummary] = Newest()
        self._commands: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self._preview = Preview(self._say)
        self._capturing = Capturing(plan.source, self._stop, self._tell, self._take_in)
        self._captured, self._captured_s = 0, time.monotonic()
        self._log = Log(None if plan.logs is None else Path(plan.logs), NAMES[1])

    def run(self) -> None:
        jobs = (("capture", self._capturing.run), ("inference", self._infer), ("words", self._read_words))
        threads = [
            threading.Thread(target=_guarded, args=(job, self._log), name=name, daemon=True) for name, job in jobs
        ]
        for thread in threads:
            thread.start()
        self._listen()
        self._stop.set()
        self._started.set()
        end_s = time.monotonic() + END_S
        for thread in threads:
            thread.join(max(0.0, end_s - time.monotonic()))
        if any(thread.is_alive() for thread in threads):
            _leave(0)  # a source that waits for a frame cannot be asked to end, and may be writing to the ring
        self._preview.close()
        self._log.close()

    def _listen(self) -> None:
        while True:
            self._say(self._heartbeat())
            try:
                if self._down.poll(HEARTBEAT_S) and not self._obey(decode_down(self._down.recv_bytes())):
                    return
            except (EOFError, OSError):
                _leave(EXIT_ORPHANED)

    def _heartbeat(self) -> Heartbeat:
        call, call_s = self._capturing.stuck() or (None, 0.0)
        return Heartbeat(
            frames=self._captured,
            frame_s=time.monotonic() - self._captured_s,
            skipped=self._frames.replaced,
            call=call,
            call_s=call_s,
            lasting=self._capturing.lasting,
        )

    def _obey(self, message: DownMessage) -> bool:
        if isinstance(message, Stop):
            return False
        if isinstance(message, UseRing):
            self._preview.use(message.name)
        else:
            self._commands.put(message)
        return True

    def _say(self, message: UpMessage) -> None:
        try:
            with self._up_lock:
                self._up.send_bytes(encode(message))
        except OSError:
            _leave(EXIT_ORPHANED)

    def _tell(self, message: UpMessage) -> None:
        """Say what the capture thread has to say; the inference thread waits for the first opening."""
        self._say(message)
        if isinstance(message, Opened):
            self._source.put(message.source)

    def _take_in(self, captured: Captured, fresh: bool) -> None:
        self._preview.show(captured.frame)
        self._frames.put(captured)
        if fresh:
            self._captured_s = time.monotonic()
            self._captured += 1

    def _infer(self) -> None:
        import cv2

        cv2.setNumThreads(1)  # frames are small: threads would only take the cores from the model and the window
        with ExitStack() as stack:
            opened = self._open_model(stack)
            proposer, proposes = self._open_proposer(stack)
            source = self._wait_for_source()
            if source is None:
                return
            reading = _Reading(self._plan, opened, proposer)
            summary = None if opened is None else opened.summary
            self._started.set()
            self._say(Started(pid=os.getpid(), source=source, model=summary, localizer=proposes))
            self._read_frames(reading)

    def _read_words(self) -> None:
        """Read words beside the pictures: inline each line would hold them up for 15 ms, and the first for more."""
        from edge_app.imaging.scribe import SCRIBE

        SCRIBE.serve(self._stop.is_set, self._started)  # the model is loaded first

    def _open_model(self, stack: ExitStack) -> OpenModel | None:
        from edge_app.live.journal import first_line
        from edge_app.live.model import ModelPlan, open_model

        try:
            plan = self._plan
            model = ModelPlan(
                bundle=plan.bundle,
                runtime=plan.runtime,
                precision=plan.precision,
                server=plan.server,
                fallback=plan.fallback,
                rotate=plan.rotate,
                signatures=plan.signatures,
                asked=plan.asked,
            )
            opened = stack.enter_context(open_model(model))
            self._log.begin(first_line(opened.summary))
            return opened
        except EchoGFRError as error:
            self._log.begin(first_line(None, error.sentence))
            self._say(Failed(scope="model", sentence=error.sentence))
            return None

    def _open_proposer(self, stack: ExitStack) -> tuple[Proposer | None, str]:
        """Return what proposes poles and its name, or None and why; all else works without it."""
        from edge_app.live.proposing import open_proposer

        try:
            proposer = stack.enter_context(open_proposer(self._plan.localizer, self._plan.signatures))
        except EchoGFRError as error:
            return None, error.sentence
        return proposer, "none: switched off" if proposer is None else proposer.told

    def _wait_for_source(self) -> SourceSummary | None:
        while not self._stop.is_set():
            source = self._source.take(HEARTBEAT_S)
            if source is not None:
                return source
        return None

    def _read_frames(self, reading: _Reading) -> None:
        rested_s = 0.0
        while not self._stop.is_set():
            captured = self._frames.take(HEARTBEAT_S)
            while not self._commands.empty():
                reading.obey(self._commands.get())
            if captured is None:
                captured = reading.held() if self._capturing.holds else None
            if captured is None:
                continue
            pipeline = reading.pipeline(captured)
            ready = time.monotonic() >= rested_s and reading.restored
            outcome = pipeline.process(captured.frame, infer=ready)
            cost_s = outcome.report.timings_ms.get("infer", 0.0) / 1000
            if cost_s > SLOW_MODEL_S:
                rested_s = time.monotonic() + cost_s
            self._say(_report(outcome))
            if not reading.restored and (done := reading.restore(captured.frame, outcome.report)) is not None:
                self._say(done)


class _Reading:
    """The pipeline of each opening of the source; the operator's handles stay from one to the next."""

    def __init__(self, plan: WorkerPlan, opened: OpenModel | None, proposer: Proposer | None) -> None:
        from edge_app.imaging.thresholds import load_thresholds
        from edge_app.live import pipeline
        from edge_app.live.restoring import Restoring

        self._limits = load_thresholds(None if plan.quality is None else Path(plan.quality))
        self._module = pipeline
        self._plan = plan
        self._opened = opened
        self._proposer = proposer
        self._pipeline: Pipeline | None = None
        self._generation = plan.generation
        self._opening = 0
        self._handles: SetPoles | ClearPoles | None = None
        self._last: tuple[Captured, float] | None = None
        self._held_s = 0.0
        self._restoring = None if plan.kept is None else Restoring(plan.kept)

    @property
    def restored(self) -> bool:
        """False while what was set before this worker was started is not set again: nothing is to be read then."""
        return self._restoring is None or self._restoring.done

    def restore(self, frame: Frame, report: FrameReport) -> SetAgain | None:
        """Set it again if this is the picture; once that is over, return what became of it."""
        if self._restoring is None or self._pipeline is None:
            return None
        done = self._restoring.step(self._pipeline, frame, report)
        if done is not None and self._restoring.placed is not None:
            self._handles = SetPoles(poles=self._restoring.placed, generation=self._generation)
        return done

    def obey(self, command: Command) -> None:
        """Do what came from the window. All but the handles is of the picture at hand: another opening forgets it."""
        if not isinstance(command, SetLength):
            self._generation = command.generation
        if isinstance(command, (SetPoles, ClearPoles)):
            self._handles = command
        if self._restoring is not None:
            self._restoring.heed(command)
        if self._pipeline is not None:
            self._pipeline.obey(command)

    def held(self) -> Captured | None:
        """Return the last still once more, if it is time: handles still work on it, and its number stays of now."""
        now_s = time.monotonic()
        if self._last is None or now_s - self._held_s < HELD_S:
            return None
        self._held_s = now_s
        last, taken_s = self._last
        return replace(last, frame=replace(last.frame, t_ms=last.frame.t_ms + (now_s - taken_s) * 1000))

    def pipeline(self, captured: Captured) -> Pipeline:
        """Return the pipeline for this frame: after a loss nothing is carried over, neither scene nor value."""
        if self._last is None or self._last[0].frame.index != captured.frame.index:
            self._last = (captured, time.monotonic())
        if self._pipeline is None or captured.opening != self._opening:
            self._opening = captured.opening
            self._pipeline = self._made(captured.stills)
            if isinstance(self._handles, SetPoles):
                self._pipeline.set_poles(self._handles.poles, self._generation)
        return self._pipeline

    def _made(self, stills: bool) -> Pipeline:
        plan, opened = self._plan, self._opened
        reader, rotates = (None, False) if opened is None else (opened.reader, opened.rotates)
        allowed, limits = plan.allow_out_of_domain, self._limits
        settings = self._module.PipelineSettings(allowed, self._generation, stills, rotates, limits)
        if self._proposer is not None:
            self._proposer.forget()
        return self._module.Pipeline(reader, settings, _observer(stills), self._proposer)


def _observer(stills: bool) -> SceneObserver:
    """Return what looks at one opening of the source, with what the operator set right on known layouts."""
    from edge_app.imaging.observer import SceneObserver
    from edge_app.imaging.presets import Presets
    from edge_app.settings import layouts_file

    try:
        return SceneObserver(stills, presets=Presets(layouts_file()))
    except EchoGFRError as error:
        return SceneObserver(stills, presets=Presets(problem=error.sentence))


def _report(outcome: Outcome) -> Report:
    crop = outcome.crop_rgb
    if crop is None:
        return Report(report=outcome.report)
    return Report(report=outcome.report, crop_rgb=crop.tobytes(), crop_size=(crop.shape[1], crop.shape[0]))


def _guarded(job: Callable[[], None], log: Log) -> None:
    """Run a thread's job; a defect of ours ends the whole worker, which the window then restarts."""
    try:
        job()
    except BaseException as error:  # noqa: BLE001 - boundary of a thread: half a worker would be worse than none
        traceback.print_exc()
        _note(error, log)
        _leave(EXIT_CRASHED)


def _note(error: BaseException, log: Log) -> None:
    from edge_app.live.journal import defect, first_line

    log.begin(first_line(None, "the worker has a defect"))
    log.say(defect(type(error), error.__traceback__))


def _leave(code: int) -> None:
    """End the process at once, whatever its threads do."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
