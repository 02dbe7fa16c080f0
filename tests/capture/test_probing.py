"""`echogfr sources`: what is there, what is not and why, and no hanging driver that holds it up."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest
from typer.testing import CliRunner

from edge_app.capture.probing import connected, probe_all
from edge_app.cli import app


@pytest.fixture
def still(tmp_path: Path) -> Path:
    """A red picture with a green left half."""
    pixels = np.full((90, 160, 3), (0, 0, 255), np.uint8)  # BGR
    pixels[:, :80] = (0, 255, 0)
    path = tmp_path / "still.png"
    cv2.imwrite(str(path), pixels)
    return path


@pytest.fixture
def hanging(tmp_path: Path) -> Path:
    """A pipe that nobody writes to: the system never comes back from opening it."""
    path = tmp_path / "hangs"
    os.mkfifo(path)
    return path


def children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "probe" in " ".join(child.cmdline())]


def test_what_is_there_is_described_and_what_hangs_holds_up_nobody(still: Path, hanging: Path) -> None:
    start = time.monotonic()
    seen: list[tuple[int, int]] = []
    good, stuck, missing = probe_all(
        [str(still), f"file:{hanging}", "file:/nonexistent.mp4"], 4.0, lambda done, total: seen.append((done, total))
    )
    assert time.monotonic() - start < 8
    assert good.good
    assert good.size == (160, 90)
    assert good.title == "still picture"
    assert good.thumbnail is not None
    assert good.thumbnail.pixel(2, 2) == (0, 255, 0)
    assert good.thumbnail.pixel(good.thumbnail.width - 3, 2) == (255, 0, 0)
    assert not stuck.good
    assert "gave no picture within 4 s" in stuck.trouble
    assert "there is no such file" in missing.trouble
    assert seen[-1] == (3, 3)
    assert children() == []


def test_passwords_do_not_come_back() -> None:
    (found,) = probe_all(["rtsp://nurse:geheim@127.0.0.1:1/live?token=t0ken"], 8.0)
    assert "nobody listens there" in found.trouble
    assert not any(secret in found.model_dump_json() for secret in ("nurse", "geheim", "t0ken"))


def test_grabbers_and_screens_are_looked_for() -> None:
    assert all(name.startswith(("v4l2:/dev/video", "screen:")) for name in connected(8.0))


def test_the_command_lists_json_without_pictures(still: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("ECHOGFR_SOURCES", json.dumps(["file:/nonexistent.mp4"]))
    done = CliRunner().invoke(app, ["sources", str(still), "--json"])
    assert done.exit_code == 0, done.output
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    found = {line["source"]: line for line in lines if not line["source"].startswith(("v4l2:", "screen:"))}
    assert list(found) == ["phantom:", "file:/nonexistent.mp4", str(still)]
    assert [line["good"] for line in found.values()] == [True, False, True]
    assert found[str(still)]["size"] == [160, 90]
    assert "thumbnail" not in done.stdout


def test_pictures_are_shown_on_request_where_there_are_colours(
    still: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("ECHOGFR_SOURCE", str(still))
    plain = CliRunner().invoke(app, ["sources", "--look"])
    assert "this terminal has no colours" in plain.stdout
    assert "▀" not in plain.stdout
    for name, value in (("FORCE_COLOR", "1"), ("COLORTERM", "truecolor"), ("TERM", "xterm-256color")):
        monkeypatch.setenv(name, value)
    shown = CliRunner().invoke(app, ["sources", "--look"])
    assert "\x1b[38;2;0;255;0;48;2;0;255;0m▀" in shown.stdout


def test_ctrl_c_ends_it_and_leaves_no_process(hanging: Path) -> None:
    code = "from edge_app.cli import main; import sys; sys.argv[0] = 'echogfr'; main()"
    command = [sys.executable, "-c", code, "sources", f"file:{hanging}", "--seconds", "60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True) as process:
        lister = psutil.Process(process.pid)
        until_s = time.monotonic() + 15
        while not any("spawn_main" in " ".join(child.cmdline()) for child in lister.children()):
            assert time.monotonic() < until_s, "it never looked"
            time.sleep(0.05)
        time.sleep(1.0)
        looking = lister.children()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)
    assert process.returncode == 130
    _, alive = psutil.wait_procs(looking, 3)
    assert alive == []
