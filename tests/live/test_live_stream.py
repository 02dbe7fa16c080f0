"""A network stream over a real socket, in a real worker: it dies, is refused, returns in another size, and stalls."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge_app.live.messages import Lost, Message, Recovered, Recovering, Report, WorkerPlan
from edge_app.live.supervisor import Supervisor

senders = pytest.importorskip("tests.capture.senders", reason="this version reads no network streams")

START_S = 20.0  # for a worker on a busy computer


class Studio:
    """A sender of MPEG-TS on one port of the loopback; the test opens and closes its door."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.ends = threading.Event()

    @contextmanager
    def sends(self, clip: bytes, seconds: float, then_stalls: bool = False) -> Iterator[None]:
        """Send to whoever comes, at the speed of the recording."""
        self.ends.clear()
        with socket.create_server(("127.0.0.1", self.port), reuse_port=False) as door:
            door.settimeout(0.05)
            thread = threading.Thread(target=self._serve, args=(door, clip, seconds, then_stalls))
            thread.start()
            try:
                yield
            finally:
                self.ends.set()
                thread.join()

    def _serve(self, door: socket.socket, clip: bytes, seconds: float, then_stalls: bool) -> None:
        while not self.ends.is_set():
            try:
                receiver, _ = door.accept()
            except TimeoutError:
                continue
            with receiver:
                try:
                    for packet in senders.paced(clip, seconds, self.ends):
                        receiver.sendall(packet)
                    if then_stalls:
                        self.ends.wait(START_S)
                except OSError:
                    continue  # the receiver has gone


class Window:
    """Polls every 10 ms and keeps what it hears."""

    def __init__(self, port: int, bundle: Path) -> None:
        self.supervisor = Supervisor(WorkerPlan(source=f"tcp://127.0.0.1:{port}", bundle=str(bundle)))
        self.heard: list[Message] = []
        self.widths: list[int] = []

    def until(self, happened: Callable[[], object]) -> None:
        end_s = time.monotonic() + START_S
        while not happened():
            assert time.monotonic() < end_s, [m for m in self.heard if not isinstance(m, Report)]
            self.heard += self.supervisor.poll()
            view = self.supervisor.newest_frame()
            if view is not None and view.pixels.shape[1] not in self.widths[-1:]:
                self.widths.append(view.pixels.shape[1])
            del view
            time.sleep(0.01)

    def of(self, kind: type[Message]) -> list[Message]:
        return [message for message in self.heard if isinstance(message, kind)]


@pytest.fixture
def studio() -> Studio:
    return Studio()


@pytest.fixture
def window(studio: Studio, tmp_path: Path) -> Iterator[Window]:
    made = Window(studio.port, tmp_path / "none")
    made.supervisor.start()
    yield made
    made.supervisor.close()


def test_a_sender_that_dies_and_returns_in_another_size_is_taken_up_again(studio: Studio, window: Window) -> None:
    with studio.sends(senders.recording(75), 3.0):
        window.until(lambda: window.of(Report))
        pid = window.supervisor.status.pid
    window.until(lambda: len(window.of(Recovering)) >= 2)  # once for the end, and at least once refused
    lost = window.of(Lost)[0]
    assert isinstance(lost, Lost) and lost.cause == "source_down"
    assert "127.0.0.1" in lost.reason
    window.heard.clear()
    with studio.sends(senders.recording(75, size=(640, 480)), 3.0):
        window.until(lambda: window.of(Recovered) and window.of(Report) and 640 in window.widths)
    assert window.widths == [320, 640]
    assert window.supervisor.status.pid == pid, "the worker and its model are kept"


def test_a_sender_that_stalls_is_lost_long_before_the_stream_gives_up(studio: Studio, window: Window) -> None:
    with studio.sends(senders.recording(40), 1.6, then_stalls=True):
        window.until(lambda: window.of(Lost))
        lost = window.of(Lost)[0]
        assert isinstance(lost, Lost) and lost.cause == "no_frames"
        assert window.of(Recovering) == [], "it may still go on"
        window.until(lambda: window.of(Recovering))
        window.until(lambda: window.of(Recovered))  # connected anew


def test_a_sender_that_is_not_there_yet_is_waited_for(studio: Studio, window: Window) -> None:
    window.until(lambda: window.of(Recovering))
    assert window.supervisor.status.phase == "recovering"
    with studio.sends(senders.recording(75), 3.0):
        window.until(lambda: window.supervisor.status.phase == "running" and window.of(Report))
