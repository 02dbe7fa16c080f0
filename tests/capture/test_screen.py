"""A part of the screen, on a real X server without a monitor."""

from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess
from collections.abc import Iterator

import numpy as np
import pytest

from edge_app.capture.base import Frame, SourceError
from edge_app.capture.open import endless, open_source

XVFB = shutil.which("Xvfb")
SIZE = (800, 600)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[bytes]]:
    """An X server of our own, with a red screen."""
    if XVFB is None:
        pytest.skip("Xvfb is not installed: the screen cannot be tried")
    read, write = os.pipe()
    command = [XVFB, "-displayfd", str(write), "-screen", "0", f"{SIZE[0]}x{SIZE[1]}x24", "-nolisten", "tcp", "-br"]
    with subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL) as process:
        os.close(write)
        try:
            with os.fdopen(read) as told:
                monkeypatch.setenv("DISPLAY", f":{told.readline().strip()}")
            monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
            yield process
        finally:
            process.terminate()


def paint(ground: int, x: int, y: int, width: int, height: int, colour: int) -> socket.socket:
    """Colour the screen and a window on it (0xRRGGBB), in the X11 protocol itself; the window lives with the socket."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(f"/tmp/.X11-unix/X{os.environ['DISPLAY'].removeprefix(':')}")
    connection.sendall(struct.pack("<BxHHHHxx", ord("l"), 11, 0, 0, 0))
    answers = connection.makefile("rb")
    setup = answers.read(struct.unpack("<6xH", answers.read(8))[0] * 4)
    vendor, formats = struct.unpack_from("<16xH3xB", setup)
    window = struct.unpack_from("<4xI", setup)[0] | 1
    root = struct.unpack_from("<I", setup, 32 + (vendor + 3) // 4 * 4 + 8 * formats)[0]
    connection.sendall(
        struct.pack("<BxHIII", 2, 4, root, 0x2, ground)  # ChangeWindowAttributes: background pixel
        + struct.pack("<BxHIhhHH", 61, 4, root, 0, 0, 0, 0)  # ClearArea
        + struct.pack("<BxHIIhhHHHHIIII", 1, 10, window, root, x, y, width, height, 0, 0, 0, 0x202, colour, 1)
        + struct.pack("<BxHI", 8, 2, window)  # MapWindow
        + struct.pack("<BxH", 43, 1)  # GetInputFocus, to wait for its answer
    )
    answers.read(32)
    return connection


def test_the_whole_screen_comes_in_its_size_and_pace(server: subprocess.Popen[bytes]) -> None:
    with open_source("screen:") as source:
        assert source.info.live
        assert source.info.size == SIZE
        got = [source.read() for _ in range(5)]
    frames = [frame for frame in got if isinstance(frame, Frame)]
    assert len(frames) == 5
    assert frames[0].pixels.shape == (SIZE[1], SIZE[0], 3)
    assert not frames[0].pixels.flags.writeable
    steps = np.diff([frame.t_ms for frame in frames])
    assert np.all(steps > 0)
    assert 100 < sum(steps) < 2000, "four pictures at 20 a second"
    assert endless("screen:")


def test_a_part_of_the_screen_is_that_part_in_its_colours(server: subprocess.Popen[bytes]) -> None:
    with paint(0xFF0000, 110, 120, 50, 60, 0x0000FF), open_source("screen:10,20,320x240") as source:
        frame = source.read()
        assert source.info.size == (320, 240)
    assert isinstance(frame, Frame)
    blue = np.zeros((240, 320), bool)
    blue[100:160, 100:150] = True
    assert np.all(frame.pixels[blue] == (0, 0, 255))
    assert np.all(frame.pixels[~blue] == (255, 0, 0))


@pytest.mark.parametrize(
    ("asked", "because"),
    [
        ("screen:700,500,320x240", "the screen is 800x600 from 0,0 on"),
        ("screen:0,0,8x8", "choose at least 64x64"),
        ("screen:9", "there are 1 screens"),
        ("screen:left half", "no screen and no part of one"),
    ],
)
def test_what_is_no_part_of_the_screen_is_one_sentence(
    server: subprocess.Popen[bytes], asked: str, because: str
) -> None:
    with pytest.raises(SourceError) as caught, open_source(asked):
        pass
    assert because in caught.value.sentence


def test_a_session_that_ends_is_one_sentence(server: subprocess.Popen[bytes]) -> None:
    with open_source("screen:") as source:
        assert source.read() is not None
        server.terminate()
        server.wait()
        with pytest.raises(SourceError, match="cannot be captured any more"):
            for _ in range(3):
                source.read()


def test_without_a_display_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":4999")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(SourceError, match="start EchoGFR in a graphical session"), open_source("screen:"):
        pass


def test_wayland_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(SourceError, match="X11"), open_source("screen:"):
        pass
