"""The scanner worker: a process of its own, so that a decoder or a driver that dies takes no window along.

Three threads: the main one hears commands and beats the heart, one captures, one reads with the model.
Heavy libraries are imported on the thread that needs them: the first heartbeat does not wait for them.
"""

from __future__ import annotations

import os
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

from edge_app.live.messages import (
    ClearPoles,
    DownMessage,
    Ended,
    Failed,
    Heartbeat,
    Report,
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
from engines.errors import EchoGFRError

if TYPE_CHECKING:
    from edge_app.capture.base import Frame, FrameSource
    from edge_app.live.model import OpenModel
    from edge_app.live.pipeline import Outcome, Pipeline

HEARTBEAT_S = 0.1
HELD_S = 0.1  # a source that has ended shows its last picture this often: handles still work on it
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
        self._frames: Newest[Frame] = Newest()
        self._source: Newest[SourceSummary] = Newest()
        self._handles: Newest[SetPoles | ClearPoles] = Newest()
        self._lengths: Newest[SetLength] = Newest()
        self._preview = Preview(self._say)
        self._captured = 0

    def run(self) -> None:
        threads = [
            threading.Thread(target=_guarded, args=(job,), name=name, daemon=True)
            for name, job in (("capture", self._capture), ("inference", self._infer), ("words", self._read_words))
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

    def _listen(self) -> None:
        while True:
            self._say(Heartbeat(frames=self._captured))
            try:
                if self._down.poll(HEARTBEAT_S) and not self._obey(decode_down(self._down.recv_bytes())):
                    return
            except (EOFError, OSError):
                _leave(EXIT_ORPHANED)

    def _obey(self, message: DownMessage) -> bool:
        if isinstance(message, Stop):
            return False
        if isinstance(message, UseRing):
            self._preview.use(message.name)
        elif isinstance(message, SetLength):
            self._lengths.put(message)
        else:
            self._handles.put(message)
        return True

    def _say(self, message: UpMessage) -> None:
        try:
            with self._up_lock:
                self._up.send_bytes(encode(message))
        except OSError:
            _leave(EXIT_ORPHANED)

    def _capture(self) -> None:
        from edge_app.capture.open import open_source
        from edge_app.live.reports import summary_of

        try:
            with open_source(self._plan.source, realtime=True) as source:
                self._source.put(summary_of(source))
                last = self._pump(source)
        except EchoGFRError as error:
            self._say(Failed(scope="source", sentence=error.sentence))
            return
        if last is not None and not self._stop.is_set():
            self._say(Ended(frames=last.index + 1))
            self._hold(last)

    def _pump(self, source: FrameSource) -> Frame | None:
        from edge_app.capture.base import Waiting

        last = None
        while not self._stop.is_set():
            frame = source.read()
            if frame is None:
                break
            if isinstance(frame, Waiting):
                continue
            self._publish(frame)
            last = frame
        return last

    def _hold(self, frame: Frame) -> None:
        start_s = time.monotonic()
        while not self._stop.wait(HELD_S):
            self._publish(replace(frame, t_ms=frame.t_ms + (time.monotonic() - start_s) * 1000))

    def _publish(self, frame: Frame) -> None:
        self._preview.show(frame)
        self._frames.put(frame)
        self._captured += 1

    def _infer(self) -> None:
        import cv2

        from edge_app.imaging.thresholds import load_thresholds
        from edge_app.live.pipeline import Pipeline, PipelineSettings

        cv2.setNumThreads(1)  # frames are small: threads would only take the cores from the model and the window
        with ExitStack() as stack:
            opened = self._open_model(stack)
            source = self._wait_for_source()
            if source is None:
                return
            summary = None if opened is None else opened.summary
            self._started.set()
            self._say(Started(pid=os.getpid(), source=source, model=summary))
            reader, rotates = (None, False) if opened is None else (opened.reader, opened.rotates)
            plan = self._plan
            limits = load_thresholds(None if plan.quality is None else Path(plan.quality))
            settings = PipelineSettings(plan.allow_out_of_domain, plan.generation, source.stills, rotates, limits)
            self._read_frames(Pipeline(reader, settings))

    def _read_words(self) -> None:
        """Read words beside the pictures: inline each line would hold them up for 15 ms, and the first for more."""
        from edge_app.imaging.scribe import SCRIBE

        SCRIBE.serve(self._stop.is_set, self._started)  # the model is loaded first

    def _open_model(self, stack: ExitStack) -> OpenModel | None:
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
            )
            return stack.enter_context(open_model(model))
        except EchoGFRError as error:
            self._say(Failed(scope="model", sentence=error.sentence))
            return None

    def _wait_for_source(self) -> SourceSummary | None:
        while not self._stop.is_set():
            source = self._source.take(HEARTBEAT_S)
            if source is not None:
                return source
        return None

    def _read_frames(self, pipeline: Pipeline) -> None:
        rested_s = 0.0
        while not self._stop.is_set():
            frame = self._frames.take(HEARTBEAT_S)
            self._apply(pipeline)
            if frame is None:
                continue
            outcome = pipeline.process(frame, infer=time.monotonic() >= rested_s)
            cost_s = outcome.report.timings_ms.get("infer", 0.0) / 1000
            if cost_s > SLOW_MODEL_S:
                rested_s = time.monotonic() + cost_s
            self._say(_report(outcome))

    def _apply(self, pipeline: Pipeline) -> None:
        command = self._handles.take(0.0)
        if command is not None:
            pipeline.set_poles(command.poles if isinstance(command, SetPoles) else None, command.generation)
        typed = self._lengths.take(0.0)
        if typed is not None:
            pipeline.set_length(typed.length_cm)


def _report(outcome: Outcome) -> Report:
    crop = outcome.crop_rgb
    if crop is None:
        return Report(report=outcome.report)
    return Report(report=outcome.report, crop_rgb=crop.tobytes(), crop_size=(crop.shape[1], crop.shape[0]))


def _guarded(job: Callable[[], None]) -> None:
    """Run a thread's job; a defect of ours ends the whole worker, which the window then restarts."""
    try:
        job()
    except BaseException:  # noqa: BLE001 - boundary of a thread: half a worker would be worse than none
        traceback.print_exc()
        _leave(EXIT_CRASHED)


def _leave(code: int) -> None:
    """End the process at once, whatever its threads do."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
