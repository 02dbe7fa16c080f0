"""The capture thread's job, run here without thread or process: what is opened again, and what is over."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import SimpleNamespace, TracebackType

import numpy as np
import pytest

from edge_app.capture import open as opening
from edge_app.capture.base import Frame, SourceError, SourceInfo, Waiting
from edge_app.live import capturing as capturing_module
from edge_app.live.capturing import Captured, Capturing
from edge_app.live.messages import Ended, Failed, Opened, SourceDown, UpMessage

Step = Frame | Waiting | SourceError | None
BROKEN = SourceError("The grabber gives no picture", "it was unplugged", "plug it in")


def frame(index: int) -> Frame:
    return Frame(index, 40.0 * index, np.zeros((4, 4, 3), np.uint8))


class Scripted:
    """A source that gives what the test wrote."""

    def __init__(self, info: SourceInfo, steps: list[Step]) -> None:
        self._info, self._steps = info, steps

    @property
    def info(self) -> SourceInfo:
        return self._info

    def __enter__(self) -> Scripted:
        if self._steps and isinstance(self._steps[0], SourceError):
            raise self._steps.pop(0)  # type: ignore[misc]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def read(self) -> Frame | Waiting | None:
        step = self._steps.pop(0)
        if isinstance(step, SourceError):
            raise step
        return step


class Bench:
    """Runs the job over scripted openings; time is the test's, and stands still but for ``passes``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.said: list[UpMessage] = []
        self.taken: list[tuple[Captured, bool]] = []
        self.pauses_s: list[float] = []
        self.now_s = 100.0
        self.passes_s = 0.0  # with each frame
        self.openings: list[Scripted] = []
        self.stop = threading.Event()
        self.patch = monkeypatch
        monkeypatch.setattr(capturing_module, "time", SimpleNamespace(monotonic=lambda: self.now_s))
        monkeypatch.setattr(self.stop, "wait", self._wait)

    def _wait(self, seconds: float) -> bool:
        self.pauses_s.append(seconds)
        self.now_s += seconds
        if not self.openings:
            self.stop.set()
        return self.stop.is_set()

    def run(self, *openings: Scripted, lasting: bool) -> None:
        self.openings = list(openings)

        def open_source(uri: str, *, realtime: bool) -> Scripted:
            return self.openings.pop(0)

        self.patch.setattr(opening, "open_source", open_source)
        self.patch.setattr(opening, "endless", lambda uri: lasting)
        Capturing("scripted:", self.stop, self.said.append, self._take).run()

    def _take(self, captured: Captured, fresh: bool) -> None:
        self.now_s += self.passes_s
        self.taken.append((captured, fresh))

    def kinds(self) -> list[type[UpMessage]]:
        return [type(message) for message in self.said]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


def live(*steps: Step) -> Scripted:
    return Scripted(SourceInfo("scripted:", "Grabber", True, 25.0, (4, 4)), list(steps))


def recorded(*steps: Step) -> Scripted:
    return Scripted(SourceInfo("scripted:", "Clip", False, 25.0, (4, 4)), list(steps))


def stills(*steps: Step) -> Scripted:
    return Scripted(SourceInfo("scripted:", "Folder", False, None, None), list(steps))


def test_index_and_time_go_on_across_openings(bench: Bench) -> None:
    bench.passes_s = 0.04
    bench.run(live(frame(0), frame(1), BROKEN), live(frame(0), frame(1), None), live(frame(0), BROKEN), lasting=True)
    seen = [captured for captured, _ in bench.taken]
    assert [one.frame.index for one in seen] == [0, 1, 2, 3, 4]
    assert [one.opening for one in seen] == [1, 1, 2, 2, 3]
    times = [one.frame.t_ms for one in seen]
    assert times == sorted(times)
    assert times[2] - times[1] > 400, "the pause is in it"
    assert bench.kinds() == [Opened, SourceDown] * 3


def test_pauses_grow_until_pictures_have_come_for_a_while(bench: Bench) -> None:
    bench.run(*[live(BROKEN) for _ in range(6)], lasting=True)
    assert bench.pauses_s == [0.5, 1.0, 2.0, 4.0, 8.0, 15.0]
    again = Bench(bench.patch)
    again.passes_s = 3.0
    again.run(live(BROKEN), live(BROKEN), live(*map(frame, range(4)), BROKEN), lasting=True)
    downs = [message for message in again.said if isinstance(message, SourceDown)]
    assert [message.attempt for message in downs] == [1, 2, 1]


def test_the_end_of_a_live_stream_is_a_loss_and_that_of_a_recording_is_the_end(bench: Bench) -> None:
    bench.run(live(frame(0), None), lasting=True)
    assert bench.kinds() == [Opened, SourceDown]
    clip = Bench(bench.patch)
    clip.run(recorded(frame(0), frame(1), None), lasting=True)  # a recording behind an address
    assert clip.kinds() == [Opened, Ended]
    assert [fresh for _, fresh in clip.taken[:2]] == [True, True]


def test_a_file_that_fails_is_said_once_and_over(bench: Bench) -> None:
    bench.run(recorded(frame(0), BROKEN), lasting=False)
    assert bench.kinds() == [Opened, Failed]
    failed = bench.said[-1]
    assert isinstance(failed, Failed) and failed.scope == "source" and "unplugged" in failed.sentence


def test_a_name_that_is_wrong_is_not_tried_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(uri: str) -> bool:
        raise SourceError("x:y cannot be opened", "x: is no source", "write another")

    bench.patch.setattr(opening, "endless", unknown)
    Capturing("x:y", bench.stop, bench.said.append, bench._take).run()
    assert bench.kinds() == [Failed]


def test_a_source_that_waits_is_not_stuck_and_holds_its_last_still(bench: Bench) -> None:
    asked: list[tuple[bool, object]] = []
    job = Capturing("scripted:", bench.stop, bench.said.append, bench._take)

    def ask(answer: Callable[[], Waiting]) -> Waiting:
        asked.append((job.holds, job.stuck()))
        return answer()

    class Asking(Scripted):
        def read(self) -> Frame | Waiting | None:
            bench.now_s += 0.25
            step = super().read()
            return ask(lambda: step) if isinstance(step, Waiting) else step

    source = Asking(stills().info, [frame(0), Waiting(), Waiting(), BROKEN])
    bench.patch.setattr(opening, "open_source", lambda uri, realtime: source)
    bench.patch.setattr(opening, "endless", lambda uri: True)
    job.run()
    assert asked == [(False, ("read", 0.25)), (True, ("read", 0.25))]
    assert not job.holds and job.stuck() is None
