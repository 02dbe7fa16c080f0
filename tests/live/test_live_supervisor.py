"""The supervisor: whatever becomes of the worker, the window knows it at once, goes on, and leaves nothing behind."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest

from edge_app.live import supervisor as supervisor_module
from edge_app.live.link import FrameView
from edge_app.live.messages import ClearPoles, Failed, Lost, Message, Poles, Report, SetPoles, WorkerPlan
from edge_app.live.supervisor import Supervisor

ROOT = Path(__file__).resolve().parents[2]
SHARED_MEMORY = Path("/dev/shm")
START_S = 15.0  # for a worker on a busy computer


def left_of(names: set[str]) -> list[str]:
    """Those of the shared memory's names that are still there."""
    return [name for name in sorted(names) if (SHARED_MEMORY / name).exists()]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Twenty seconds at 20 frames/s; each frame is one grey, a little brighter than the one before."""
    path = tmp_path_factory.mktemp("clip") / "grey.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 20.0, (320, 240))
    for index in range(400):
        writer.write(np.full((240, 320, 3), 20 + index % 200, np.uint8))
    writer.release()
    return f"file:{path}"


class Watch:
    """A window that polls every 10 ms and remembers what it heard, and when."""

    def __init__(self, plan: WorkerPlan) -> None:
        self.supervisor = Supervisor(plan)
        self.heard: list[tuple[float, Message]] = []
        self.slowest_poll_s = 0.0
        self.rings: set[str] = set()
        self.supervisor.start()

    def poll(self) -> None:
        start_s = time.monotonic()
        messages = self.supervisor.poll()
        now_s = time.monotonic()
        self.slowest_poll_s = max(self.slowest_poll_s, now_s - start_s)
        self.heard += [(now_s, message) for message in messages]
        if self.supervisor._ring is not None:
            self.rings.add(self.supervisor._ring.name)

    def until(self, happened: Callable[[], object], timeout_s: float = START_S) -> None:
        end_s = time.monotonic() + timeout_s
        while not happened():
            assert time.monotonic() < end_s, [message for _, message in self.heard if not isinstance(message, Report)]
            self.poll()
            time.sleep(0.01)

    def for_s(self, seconds: float) -> None:
        end_s = time.monotonic() + seconds
        self.until(lambda: time.monotonic() >= end_s)

    def first(self, kind: type[Message], after_s: float = 0.0) -> float | None:
        return next((at for at, message in self.heard if isinstance(message, kind) and at > after_s), None)

    def live(self) -> None:
        self.until(lambda: self.first(Report) and self.supervisor.newest_frame() is not None)

    @property
    def pid(self) -> int:
        pid = self.supervisor.status.pid
        assert pid is not None
        return pid


@pytest.fixture
def watch(clip: str) -> Iterator[Watch]:
    made = Watch(WorkerPlan(source=clip))
    yield made
    pid = made.supervisor.status.pid
    made.supervisor.close()
    gc.collect()
    assert pid is None or not psutil.pid_exists(pid)
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("echogfr")] == []
    assert left_of(made.rings) == []


def test_pictures_and_reports_come_and_fit_together(watch: Watch) -> None:
    watch.live()
    watch.for_s(0.5)
    reports = [message.report for _, message in watch.heard if isinstance(message, Report)]
    assert [report.frame for report in reports] == sorted({report.frame for report in reports})
    view = watch.supervisor.newest_frame()
    assert view is not None
    assert view.pixels.shape == (240, 320, 3)
    grey = int(view.pixels[100, 100, 0])
    assert not view.intact or abs(grey - (20 + view.index % 200)) <= 3, "the picture is that of its index"


def test_without_a_bundle_the_preview_goes_on_and_the_reason_is_said(clip: str, tmp_path: Path) -> None:
    watch = Watch(WorkerPlan(source=clip, bundle=str(tmp_path / "none")))
    try:
        watch.live()
        failures = [message for _, message in watch.heard if isinstance(message, Failed)]
        assert [failure.scope for failure in failures] == ["model"]
        assert "no such directory" in failures[0].sentence
        assert watch.supervisor.status.phase == "running"
    finally:
        watch.supervisor.close()


def test_a_killed_worker_is_lost_within_half_a_second_and_live_again_within_three(watch: Watch) -> None:
    begun_s = time.monotonic()
    watch.live()
    start_s = time.monotonic() - begun_s  # on a busy computer, nothing starts within three seconds
    generation = watch.supervisor.status.generation
    killed_s = time.monotonic()
    os.kill(watch.pid, signal.SIGKILL)
    watch.until(lambda: watch.first(Lost))
    lost_s = watch.first(Lost)
    watch.until(lambda: watch.first(Report, after_s=lost_s or 0.0))
    live_s = watch.first(Report, after_s=lost_s or 0.0)
    assert lost_s is not None
    assert live_s is not None
    assert lost_s - killed_s < 0.5
    assert live_s - killed_s < max(3.0, 1.5 * start_s)
    assert watch.supervisor.status.restarts == 1
    assert watch.supervisor.status.generation > generation, "what the dead worker said is void"
    assert watch.slowest_poll_s < 0.2


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="this system cannot stop a process")
def test_a_hanging_worker_is_lost_within_half_a_second_and_replaced(watch: Watch) -> None:
    watch.live()
    pid, stopped_s = watch.pid, time.monotonic()
    os.kill(pid, signal.SIGSTOP)
    watch.until(lambda: watch.first(Lost))
    lost_s = watch.first(Lost)
    assert lost_s is not None
    assert lost_s - stopped_s < 0.5
    watch.until(lambda: watch.first(Report, after_s=lost_s), timeout_s=10.0)
    assert watch.pid != pid
    assert not psutil.pid_exists(pid)


def test_a_worker_that_pauses_for_a_moment_recovers_without_a_restart(watch: Watch) -> None:
    watch.live()
    os.kill(watch.pid, signal.SIGSTOP)
    watch.until(lambda: watch.first(Lost))
    os.kill(watch.pid, signal.SIGCONT)
    watch.until(lambda: watch.supervisor.status.phase == "running", timeout_s=2.0)
    assert watch.supervisor.status.restarts == 0


def test_a_window_that_was_busy_blames_nobody(watch: Watch) -> None:
    watch.live()
    time.sleep(1.0)
    watch.for_s(0.5)
    assert watch.first(Lost) is None


def test_a_worker_that_cannot_be_kept_alive_is_given_up_in_words(clip: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor_module, "RESTARTS_S", (0.0, 0.0))
    watch = Watch(WorkerPlan(source=clip))
    try:
        for _ in range(3):
            watch.until(lambda: watch.supervisor.status.pid is not None)
            os.kill(watch.pid, signal.SIGKILL)
            watch.until(lambda: watch.supervisor.status.pid is None)
        failures = [message for _, message in watch.heard if isinstance(message, Failed) and message.scope == "worker"]
        assert len(failures) == 1
        assert "3 times in a row" in failures[0].sentence
        assert watch.supervisor.status.phase == "failed"
        watch.for_s(0.3)
        assert watch.supervisor.status.pid is None
    finally:
        watch.supervisor.close()


def test_a_source_that_cannot_be_opened_is_said_once(tmp_path: Path) -> None:
    watch = Watch(WorkerPlan(source=f"file:{tmp_path / 'none.mp4'}"))
    try:
        watch.until(lambda: watch.supervisor.status.phase == "failed")
        watch.for_s(0.5)
        failures = [message for _, message in watch.heard if isinstance(message, Failed) and message.scope == "source"]
        assert len(failures) == 1
        assert "no such file" in failures[0].sentence
        assert watch.supervisor.status.restarts == 0
    finally:
        watch.supervisor.close()


def test_handles_start_a_new_generation_and_older_reports_are_dropped(watch: Watch) -> None:
    watch.live()
    generation = watch.supervisor.send(SetPoles(poles=Poles(x1=50, y1=50, x2=150, y2=150)))
    told_s = time.monotonic()
    watch.until(lambda: watch.first(Report, after_s=told_s))
    later = [message.report for at, message in watch.heard if isinstance(message, Report) and at > told_s]
    assert {report.generation for report in later} == {generation}
    assert watch.supervisor.send(ClearPoles()) == generation + 1


def test_handles_outlive_the_worker(watch: Watch) -> None:
    watch.live()
    watch.supervisor.send(SetPoles(poles=Poles(x1=50, y1=50, x2=150, y2=150)))
    os.kill(watch.pid, signal.SIGKILL)
    watch.until(lambda: watch.first(Lost))
    lost_s = watch.first(Lost) or 0.0
    watch.until(lambda: watch.first(Report, after_s=lost_s))
    reports = [message.report for at, message in watch.heard if isinstance(message, Report) and at > lost_s]
    assert all(report.generation == watch.supervisor.status.generation for report in reports)


def test_a_still_is_held_and_answers_to_handles(tmp_path: Path) -> None:
    path = tmp_path / "still.png"
    cv2.imwrite(str(path), np.full((240, 320, 3), 90, np.uint8))
    watch = Watch(WorkerPlan(source=str(path)))
    try:
        watch.live()
        generation = watch.supervisor.send(SetPoles(poles=Poles(x1=50, y1=50, x2=150, y2=150)))
        watch.until(
            lambda: any(
                isinstance(message, Report) and message.report.generation == generation for _, message in watch.heard
            )
        )
        watch.for_s(0.7)
        assert watch.first(Lost) is None, "a still is not a lost picture"
        reports = [message.report for _, message in watch.heard if isinstance(message, Report)]
        assert {report.frame for report in reports} == {0}
    finally:
        watch.supervisor.close()


def test_pictures_of_changing_size_are_all_shown(tmp_path: Path) -> None:
    for index, width in enumerate((64, 640, 320)):
        cv2.imwrite(str(tmp_path / f"{index}.png"), np.full((48, width, 3), 50, np.uint8))
    watch = Watch(WorkerPlan(source=f"folder:{tmp_path}"))
    seen: set[tuple[int, ...]] = set()

    def look() -> bool:
        view: FrameView | None = watch.supervisor.newest_frame()
        if view is not None:
            seen.add(view.pixels.shape)
        return seen == {(48, 64, 3), (48, 640, 3), (48, 320, 3)}

    try:
        watch.until(look)
    finally:
        watch.supervisor.close()


def test_a_view_that_is_still_held_survives_the_end(watch: Watch) -> None:
    watch.live()
    view = watch.supervisor.newest_frame()
    watch.supervisor.close()
    assert view is not None
    assert view.pixels.shape == (240, 320, 3)
    assert int(view.pixels.max()) >= 0
    del view
    watch.supervisor.close()


PARENT = """
import sys, time
from edge_app.live.messages import WorkerPlan
from edge_app.live.supervisor import Supervisor

def main():
    supervisor = Supervisor(WorkerPlan(source=sys.argv[1]))
    supervisor.start()
    seen = set()
    end_s = time.monotonic() + 15
    while "report" not in seen or supervisor.newest_frame() is None:
        assert time.monotonic() < end_s
        seen |= {message.kind for message in supervisor.poll()}
        time.sleep(0.01)
    print(supervisor.status.pid, supervisor._ring.name, flush=True)
    if sys.argv[2] == "wait":
        time.sleep(60)
    supervisor.close()

if __name__ == "__main__":
    main()
"""


def start_parent(tmp_path: Path, clip: str, end: str) -> subprocess.Popen[str]:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}
    return subprocess.Popen(
        [sys.executable, str(script), clip, end],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def test_an_orderly_end_says_nothing_and_leaves_nothing(tmp_path: Path, clip: str) -> None:
    parent = start_parent(tmp_path, clip, "close")
    out, err = parent.communicate(timeout=30)
    assert parent.returncode == 0, err
    assert err == ""
    pid, ring = out.split()
    assert not psutil.pid_exists(int(pid))
    assert left_of({ring}) == []


def test_when_the_window_dies_the_worker_goes_and_the_memory_is_freed(tmp_path: Path, clip: str) -> None:
    parent = start_parent(tmp_path, clip, "wait")
    assert parent.stdout is not None
    pid, ring = parent.stdout.readline().split()
    assert left_of({ring}) == [ring]
    parent.kill()
    parent.communicate(timeout=10)
    end_s = time.monotonic() + 3.0
    while time.monotonic() < end_s and (runs(int(pid)) or left_of({ring})):
        time.sleep(0.05)
    assert not runs(int(pid))
    assert left_of({ring}) == []


def runs(pid: int) -> bool:
    """True while the process does anything; one that nobody has reaped does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
