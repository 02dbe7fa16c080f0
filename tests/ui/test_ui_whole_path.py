"""The whole app on the phantom: real worker process, real shared memory, real model, real window, offscreen."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import psutil
import pytest
from pytestqt.qtbot import QtBot

from edge_app import app
from edge_app.app import RunOptions
from edge_app.bundles import SHIPPED
from edge_app.live.link import Ring
from edge_app.live.messages import WorkerPlan
from edge_app.live.supervisor import Supervisor
from edge_app.log import NAMES
from edge_app.ui._qt import QApplication, QImage
from edge_app.ui.main_window import MainWindow

PHANTOM = "phantom:size=960x720,seed=3,egfr=40,cycle=0.5/0.6/60"
SHM = Path("/dev/shm")

pytestmark = [
    pytest.mark.skipif(not (SHIPPED / "manifest.json").is_file(), reason="the stand-in bundle was not built here"),
    pytest.mark.timeout(90),
]


def left_behind(rings: list[str]) -> list[str]:
    """Workers and shared memory that are still there (the resource tracker of Python itself stays)."""
    workers = [child for child in psutil.Process().children() if "resource_tracker" not in " ".join(child.cmdline())]
    assert rings  # else nothing was looked for
    return [str(child) for child in workers] + [name for name in rings if (SHM / name.lstrip("/")).exists()]


@pytest.fixture
def shared_memory(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the rings that the test makes; another program's are none of its business."""
    made: list[str] = []

    class Noted(Ring):
        def __init__(self, frame_bytes: int) -> None:
            super().__init__(frame_bytes)
            assert not SHM.is_dir() or (SHM / self.name.lstrip("/")).exists()
            made.append(self.name)

    monkeypatch.setattr("edge_app.live.supervisor.Ring", Noted)
    return made


def test_the_phantom_gives_a_marked_number_and_a_picture_and_nothing_stays_behind(
    dark: QApplication, tmp_path: Path, capsys: pytest.CaptureFixture[str], shared_memory: list[str]
) -> None:
    target = tmp_path / "first-light.png"
    logs = tmp_path / "logs"
    options = RunOptions(source=PHANTOM, offscreen_seconds=12, screenshot=target, logs=logs, asked="nothing by name")
    code = app.run(options)
    said = capsys.readouterr().out
    assert code == 0, said
    assert re.search(
        r"FROZEN +eGFR .*mL/min/1\.73 m²  \|  \d+–\d+ \(\d+ %\)  \|  G.*\|  P\(eGFR < 60\).*SYNTHETIC", said
    )
    assert "No number" in said  # while it scanned there were no length markers
    picture = QImage(str(target))
    amber = sum(picture.pixelColor(x, y).name() == "#e3a53c" for x in range(790, 1270, 2) for y in range(10, 80, 2))
    assert amber > 30  # the synthetic mark
    for name in NAMES:  # of both processes
        first = (logs / name).read_text().splitlines()[0]
        assert "EchoGFR" in first and "runs onnxruntime" in first and "asked for: nothing by name" in first
    assert left_behind(shared_memory) == []


def test_a_killed_worker_is_lost_within_half_a_second_and_comes_back_by_itself(
    dark: QApplication, qtbot: QtBot, shared_memory: list[str]
) -> None:
    supervisor = Supervisor(WorkerPlan(source=PHANTOM))
    window = MainWindow(supervisor)
    qtbot.addWidget(window)
    window.show()
    window.start()
    qtbot.waitUntil(lambda: window.readout.number_is_shown, timeout=30_000)
    pid = supervisor.status.pid
    assert pid is not None
    before_ms = window.bridge.now_ms
    os.kill(pid, signal.SIGKILL)
    qtbot.waitUntil(lambda: window.panel.badge in ("LOST", "RECOVERING"), timeout=3000)
    assert window.bridge.now_ms - before_ms < 500
    assert not window.readout.number_is_shown
    qtbot.waitUntil(lambda: window.readout.number_is_shown, timeout=30_000)
    assert supervisor.status.pid != pid
    window.close()
    assert left_behind(shared_memory) == []


def test_handles_that_were_placed_are_what_is_read(dark: QApplication, qtbot: QtBot, shared_memory: list[str]) -> None:
    window = MainWindow(Supervisor(WorkerPlan(source=PHANTOM)))
    qtbot.addWidget(window)
    window.show()
    window.start()

    def crop_basis() -> str | None:
        report = window.situation.report
        return report.crop.basis if report is not None and report.crop is not None else None

    qtbot.waitUntil(lambda: crop_basis() == "calipers", timeout=30_000)
    window.live.place_handles()
    window.live.accept_handles()
    handles = window.live.handles
    assert handles is not None
    qtbot.waitUntil(lambda: crop_basis() == "poles", timeout=10_000)
    report = window.situation.report
    assert report is not None and report.crop is not None
    assert report.crop.poles == pytest.approx((*handles.first, *handles.second), abs=1e-6)
    window.live.clear_handles()
    qtbot.waitUntil(lambda: crop_basis() == "calipers", timeout=10_000)
    window.close()
    assert left_behind(shared_memory) == []
