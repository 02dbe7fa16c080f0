"""A source that fails, hangs, ends, changes its size or takes the worker along: the window knows and comes back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from edge_app.live import supervisor as supervisor_module
from edge_app.live import worker
from edge_app.live.messages import Counts, Lost, Message, Opened, Recovered, Recovering, Report, WorkerPlan
from edge_app.live.report import FrameReport
from edge_app.live.supervisor import Supervisor

from . import faulty

START_S = 20.0  # for a worker on a busy computer
SHARED_MEMORY = Path("/dev/shm")


class Bedside:
    """A window that polls every 10 ms, and the file that tells the source what to do."""

    def __init__(self, order: Path) -> None:
        self._order = order
        self.heard: list[tuple[float, Message]] = []
        self.slowest_poll_s = 0.0
        self.late_s = 0.0  # how long this computer let the window wait for its turn
        self.rings: set[str] = set()
        self.pids: set[int] = set()
        self.supervisor = Supervisor(WorkerPlan(source=f"fault:{order}", bundle=str(order / "none")))

    def order(self, what: str) -> float:
        """Tell the source; return when that was."""
        fresh = self._order.with_suffix(".new")
        fresh.write_text(what)
        fresh.replace(self._order)
        return time.monotonic()

    def poll(self) -> None:
        start_s = time.monotonic()
        messages = self.supervisor.poll()
        now_s = time.monotonic()
        self.slowest_poll_s = max(self.slowest_poll_s, now_s - start_s)
        self.heard += [(now_s, message) for message in messages]
        if self.supervisor._ring is not None:
            self.rings.add(self.supervisor._ring.name)
        if self.supervisor.status.pid is not None:
            self.pids.add(self.supervisor.status.pid)

    def until(self, happened: Callable[[], object], timeout_s: float = START_S) -> float:
        end_s = time.monotonic() + timeout_s
        while not happened():
            assert time.monotonic() < end_s, [message for _, message in self.heard if not isinstance(message, Report)]
            self.poll()
            before_s = time.monotonic()
            time.sleep(0.01)
            self.late_s = max(self.late_s, time.monotonic() - before_s - 0.01)
        return time.monotonic()

    @property
    def at_once_s(self) -> float:
        """Half a second, and what a busy computer took: twice, for the worker has to wait for its turn as well."""
        return 0.5 + 2 * self.late_s

    def after(self, since_s: float, kind: type[Message]) -> list[Message]:
        return [message for at, message in self.heard if at >= since_s and isinstance(message, kind)]

    def shows(self, width: int) -> bool:
        view = self.supervisor.newest_frame()
        return view is not None and view.pixels.shape[1] == width and view.intact

    def live(self, since_s: float = 0.0) -> float:
        return self.until(lambda: self.after(since_s, Report))


@pytest.fixture
def bedside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bedside]:
    monkeypatch.syspath_prepend(Path(__file__).parents[1])  # where the spawned process finds the faulty source
    monkeypatch.setattr(worker, "main", faulty.main)
    made = Bedside(tmp_path / "order")
    made.order("640x480")
    made.supervisor.start()
    yield made
    made.supervisor.close()
    assert [pid for pid in made.pids if psutil.pid_exists(pid)] == []
    assert [name for name in made.rings if (SHARED_MEMORY / name).exists()] == []
    assert made.slowest_poll_s < 0.3, "the window was held up"


@pytest.mark.parametrize("fault", ["fail", "end"])
def test_a_source_that_dies_is_lost_at_once_and_opened_again_with_the_model_kept(bedside: Bedside, fault: str) -> None:
    bedside.live()
    pid = bedside.supervisor.status.pid
    broken_s = bedside.order(fault)
    assert bedside.until(lambda: bedside.after(broken_s, Recovering)) - broken_s < bedside.at_once_s
    lost, recovering = bedside.after(broken_s, Lost)[0], bedside.after(broken_s, Recovering)[0]
    assert isinstance(lost, Lost) and lost.cause == "source_down"
    assert isinstance(recovering, Recovering) and (recovering.attempt, recovering.wait_s) == (1, 0.5)
    assert ("unplugged" if fault == "fail" else "has ended") in recovering.reason
    bedside.until(lambda: len(bedside.after(broken_s, Recovering)) == 2)
    mended_s = bedside.order("640x480")
    bedside.until(lambda: bedside.after(mended_s, Recovered))
    bedside.live(bedside.until(lambda: bedside.supervisor.status.phase == "running"))
    assert bedside.supervisor.status.pid == pid, "the worker and its model are kept"
    reports = [message.report for message in bedside.after(0.0, Report) if isinstance(message, Report)]
    assert [report.frame for report in reports] == sorted({report.frame for report in reports})
    assert [report.t_ms for report in reports] == sorted(report.t_ms for report in reports), "time never goes back"


def test_a_source_that_is_not_there_at_the_start_is_waited_for(bedside: Bedside) -> None:
    started_s = bedside.order("unplugged")
    bedside.until(lambda: bedside.after(started_s, Recovering) or bedside.after(started_s, Report))
    bedside.until(lambda: bedside.supervisor.status.phase == "recovering")
    bedside.live(bedside.order("640x480"))
    assert bedside.supervisor.status.phase == "running"


def test_a_source_that_never_comes_back_from_a_call_is_left_with_its_worker(
    bedside: Bedside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "STUCK_S", {"open": 2.0, "read": 1.0})
    monkeypatch.setattr(supervisor_module, "STUCK_PATIENCES", 1.0)
    bedside.live()
    pid = bedside.supervisor.status.pid
    blocked_s = bedside.order("block")
    assert bedside.until(lambda: bedside.after(blocked_s, Lost)) - blocked_s < bedside.at_once_s + 2 / faulty.FPS
    bedside.until(lambda: bedside.after(blocked_s, Recovering))
    bedside.until(lambda: bedside.supervisor.status.pid not in (None, pid))
    mended_s = bedside.order("640x480")
    bedside.live(mended_s)
    assert bedside.supervisor.status.phase == "running"
    assert pid is not None and not psutil.pid_exists(pid)


def test_a_stream_that_stalls_is_lost_and_waited_for_without_a_restart(
    bedside: Bedside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "STUCK_S", {"open": 0.5, "read": 0.5})  # it is well, and says so
    monkeypatch.setattr(supervisor_module, "STUCK_PATIENCES", 1.0)
    bedside.live()
    stalled_s = bedside.order("stall")
    assert bedside.until(lambda: bedside.after(stalled_s, Lost)) - stalled_s < bedside.at_once_s + 2 / faulty.FPS
    lost = bedside.after(stalled_s, Lost)[0]
    assert isinstance(lost, Lost) and lost.cause == "no_frames"
    ended_s = time.monotonic() + 1.5
    bedside.until(lambda: time.monotonic() > ended_s)
    assert bedside.supervisor.status.phase == "lost"
    flows_s = bedside.order("640x480")
    assert bedside.until(lambda: bedside.after(flows_s, Recovered)) - flows_s < bedside.at_once_s + 0.2
    assert bedside.supervisor.status.restarts == 0


def test_a_driver_that_takes_the_worker_along_is_lost_and_comes_back(bedside: Bedside) -> None:
    bedside.live()
    crashed_s = bedside.order("crash")
    assert bedside.until(lambda: bedside.after(crashed_s, Lost)) - crashed_s < bedside.at_once_s
    bedside.live(bedside.order("640x480"))
    assert bedside.supervisor.status.restarts >= 1


def test_a_stream_that_changes_its_size_is_shown_in_it_within_half_a_second(bedside: Bedside) -> None:
    bedside.live()
    waits_s = []
    for width, height in ((1920, 1080), (640, 480), (1280, 1024), (320, 240), (2560, 1440), (1024, 768)):
        changed_s = bedside.order(f"{width}x{height}")
        waits_s.append(bedside.until(lambda width=width: bedside.shows(width)) - changed_s)  # type: ignore[misc]
    assert sorted(waits_s)[len(waits_s) // 2] < bedside.at_once_s, waits_s
    assert bedside.after(0.0, Lost) == []
    bedside.until(lambda: any(isinstance(m, Counts) and m.captured > 20 for m in bedside.after(0.0, Counts)))


def test_another_opening_tells_the_window_its_source(bedside: Bedside) -> None:
    bedside.live()
    assert bedside.after(0.0, Opened) == [], "Started said it"
    broken_s = bedside.order("end")
    bedside.until(lambda: bedside.after(broken_s, Recovering))
    bedside.order("640x480")
    bedside.until(lambda: bedside.after(broken_s, Opened))


def test_torn_frames_of_a_stream_are_counted_not_read_and_then_named(bedside: Bedside) -> None:
    """A grabber that gives its pictures away half written."""

    def newest() -> FrameReport | None:
        reports = [message.report for message in bedside.after(0.0, Report) if isinstance(message, Report)]
        return reports[-1] if reports else None

    def refused(code: str) -> Callable[[], bool]:
        return lambda: (report := newest()) is not None and report.refusal is not None and report.refusal.code == code

    bedside.order("scan")
    bedside.until(refused("no_calipers"))
    tears_s = bedside.order("tear")
    bedside.until(refused("torn_frame"))
    torn = newest()
    assert torn is not None and torn.torn == 1 and torn.crop is None and torn.state == "LIVE"
    bedside.until(refused("tearing"))
    said = newest()
    assert said is not None and said.refusal is not None and said.torn >= 5
    assert f"{said.torn} torn" in said.refusal.reason and "cable" in said.refusal.reason
    assert bedside.after(tears_s, Lost) == [], "the picture is still shown"
    bedside.order("scan")
    bedside.until(refused("no_calipers"))
