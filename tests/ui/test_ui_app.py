"""The run without a display: what it prints, saves and leaves behind; and how the app ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edge_app import app
from edge_app.app import RunOptions
from edge_app.ui._qt import QApplication, QImage, QTimer

conftest = sys.modules[next(name for name in sys.modules if name.endswith("ui.conftest"))]


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch, dark: QApplication) -> Any:
    """The worker that ``run`` gets in place of a process."""
    fake = conftest.FakeWorker()
    monkeypatch.setattr("edge_app.live.supervisor.Supervisor", lambda plan: fake)
    return fake


def test_a_run_with_a_number_tells_it_saves_it_masked_and_ends_well(
    worker: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    worker.put_frame()
    measured = conftest.crop_message(conftest.report(state="FROZEN"))
    refusal = conftest.Report(report=conftest.refused())
    worker.inbox += [conftest.started(), refusal, measured, measured]
    target = tmp_path / "deep" / "shot.png"
    assert app.run(RunOptions(offscreen_seconds=0.4, screenshot=target)) == 0
    said = capsys.readouterr().out
    assert (
        said.count("eGFR 43 mL/min/1.73 m²  |  28–64 (90 %)  |  G2–G4  |  P(eGFR < 60) 86 %  |  SYNTHETIC MODEL") == 1
    )
    assert "FROZEN" in said
    assert "No number: No length markers are seen: freeze" in said
    assert str(target) in said
    picture = QImage(str(target))
    assert (picture.width(), picture.height()) == (1280, 800)
    assert max(picture.pixelColor(x, y).value() for x in range(20, 290, 2) for y in range(96, 128, 2)) < 20  # the name
    assert [path.name for path in target.parent.iterdir()] == ["shot.png"]
    assert worker.closed == 1


def test_the_lines_say_which_value_is_stale_and_how_old_but_once(
    worker: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    worker.put_frame()
    ages = (3200.0, 4200.0, 5200.0)
    gone = [conftest.readout(stale=True, age_ms=age_ms) for age_ms in ages]
    worker.inbox += [conftest.started(), conftest.crop_message(conftest.report())]
    worker.inbox += [conftest.Report(report=conftest.refused(state="STALE", readout=old)) for old in gone]
    worker.inbox += [conftest.Report(report=conftest.report(state="STALE", readout=old)) for old in gone]
    app.run(RunOptions(offscreen_seconds=0.3, screenshot=tmp_path / "shot.png"))
    said = capsys.readouterr().out
    assert said.count("STALE") == 2
    assert re.search(r"LIVE +No number: .*STALE value: eGFR 43, 28–64 \(90 %\), frame 12, 3 s old\n", said)
    assert re.search(r"LIVE +eGFR 43 .*STALE value of frame 12, 3 s old\n", said)


def test_the_lines_mark_a_number_out_of_domain(worker: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    worker.put_frame()
    outside = conftest.report(readout=conftest.readout(in_domain=False))
    worker.inbox += [conftest.started(), conftest.crop_message(outside)]
    app.run(RunOptions(offscreen_seconds=0.3, screenshot=tmp_path / "shot.png"))
    said = capsys.readouterr().out
    assert "eGFR 43? mL/min" in said
    assert "OUT OF DOMAIN: do not rely on this  |  Kidney length 10.7 cm (calipers)" in said


def test_a_run_without_a_number_says_so_and_ends_with_one(
    worker: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    worker.put_frame()
    worker.inbox += [conftest.started(), conftest.Report(report=conftest.refused())]
    assert app.run(RunOptions(offscreen_seconds=0.3, screenshot=tmp_path / "shot.png")) == 1
    assert "No number came within 0.3 s" in capsys.readouterr().out
    assert worker.closed == 1


def test_a_signal_ends_the_worker_too(worker: Any, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    QTimer.singleShot(100, lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert app.run(RunOptions(offscreen_seconds=20, screenshot=tmp_path / "shot.png")) == 128 + signal.SIGTERM
    assert worker.closed == 1
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_defect_in_the_window_ends_it_and_the_worker(
    worker: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(worker, "newest_frame", broken)
    assert app.run(RunOptions(offscreen_seconds=20, screenshot=tmp_path / "shot.png")) == 70
    assert "ZeroDivisionError" in capsys.readouterr().err
    assert worker.closed == 1


def test_a_picture_that_cannot_be_saved_is_one_sentence(worker: Any, tmp_path: Path) -> None:
    from engines.errors import UsageError

    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UsageError, match=r"cannot be written, because .*: choose another place"):
        app.run(RunOptions(offscreen_seconds=0.1, screenshot=tmp_path / "file" / "shot.png"))
    assert worker.closed == 1


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, False),
        ({"DISPLAY": ":0"}, True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, True),
        ({"DISPLAY": ":0", "QT_QPA_PLATFORM": "offscreen"}, False),
        ({"QT_QPA_PLATFORM": "eglfs"}, True),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="only a Unix can be without a display")
def test_a_display_is_found_by_its_environment(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: bool
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert app.has_display() is expected


def test_without_pyqt_the_import_is_fine_and_the_use_names_the_cure() -> None:
    program = (
        "import sys; sys.modules['PyQt6'] = None\n"
        "import edge_app.app, edge_app.ui\n"
        "from engines.errors import UsageError\n"
        "try:\n    edge_app.app.run(edge_app.app.RunOptions(offscreen_seconds=1))\n"
        "except UsageError as error:\n    print(error.sentence)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert "The window cannot open, because PyQt6 is not usable here" in done.stdout
    assert "pip install 'PyQt6>=6.7,<6.12'" in done.stdout
