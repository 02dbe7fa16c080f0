"""The ring: the newest picture, whole, and never a torn one in silence."""

from __future__ import annotations

import gc
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_app.live import link
from edge_app.live.link import FrameView, LinkError, Ring, RingWriter

SHAPE = (12, 16, 3)
ROOT = Path(__file__).resolve().parents[2]
# Writes as fast as it can until its standard input ends; frame k is filled with k % 251.
WRITE = """
import os, select, sys
import numpy as np
from edge_app.live.link import RingWriter
from multiprocessing import resource_tracker
resource_tracker.register = lambda name, kind: None  # no spawned child: it would have a tracker of its own
writer, index = RingWriter(sys.argv[1]), 0
while not select.select([0], [], [], 0)[0]:
    writer.write(index, float(index), np.full((200, 300, 3), index % 251, np.uint8))
    index += 1
writer.close()
"""


def picture(value: int, shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    return np.full(shape, value, np.uint8)


@pytest.fixture
def ends() -> Iterator[tuple[Ring, RingWriter]]:
    ring = Ring(picture(0).nbytes)
    writer = RingWriter(ring.name)
    yield ring, writer
    writer.close()
    ring.unlink()
    gc.collect()
    assert ring.close()
    assert not Path("/dev/shm", ring.name).exists()


def test_before_the_first_frame_there_is_none(ends: tuple[Ring, RingWriter]) -> None:
    assert ends[0].newest() is None
    assert ends[0].frame(0) is None


def test_the_newest_frame_wins(ends: tuple[Ring, RingWriter]) -> None:
    ring, writer = ends
    for index in range(20):
        writer.write(index, index * 40.0, picture(index))
    view = ring.newest()
    assert view is not None
    assert (view.index, view.t_ms) == (19, 760.0)
    assert np.all(view.pixels == 19)
    assert view.intact


def test_recent_frames_can_be_asked_for_by_index(ends: tuple[Ring, RingWriter]) -> None:
    ring, writer = ends
    for index in range(10):
        writer.write(index, 0.0, picture(index))
    kept = [index for index in range(10) if ring.frame(index) is not None]
    assert kept == list(range(10 - link.SLOTS, 10))


def test_a_frame_may_be_smaller_than_the_slot(ends: tuple[Ring, RingWriter]) -> None:
    ring, writer = ends
    writer.write(3, 1.0, picture(7, (5, 4, 3)))
    view = ring.newest()
    assert view is not None
    assert view.pixels.shape == (5, 4, 3)
    assert writer.holds(picture(0).nbytes)
    assert not writer.holds(picture(0).nbytes + 1)


def test_the_window_cannot_write(ends: tuple[Ring, RingWriter]) -> None:
    ring, writer = ends
    writer.write(0, 0.0, picture(1))
    view = ring.newest()
    assert view is not None
    with pytest.raises(ValueError, match="read-only"):
        view.pixels[0] = 0


def test_a_view_knows_that_it_was_overwritten(ends: tuple[Ring, RingWriter]) -> None:
    ring, writer = ends
    writer.write(0, 0.0, picture(0))
    view = ring.newest()
    assert view is not None
    for index in range(1, link.SLOTS):
        writer.write(index, 0.0, picture(index))
    assert view.intact
    writer.write(link.SLOTS, 0.0, picture(99))
    assert not view.intact


def test_no_copy_that_calls_itself_intact_is_torn() -> None:
    shape = (200, 300, 3)  # copying takes long enough to be overtaken
    ring = Ring(picture(0, shape).nbytes)
    process = subprocess.Popen([sys.executable, "-c", WRITE, ring.name], stdin=subprocess.PIPE, cwd=ROOT)
    good = torn = 0
    end_s = time.monotonic() + 20.0
    while good < 3000 and time.monotonic() < end_s:
        view = ring.newest()
        if view is None:
            continue
        copy = view.pixels.copy()
        if view.intact:
            good += 1
            assert np.all(copy == view.index % 251)
        else:
            torn += 1
        del view
    process.communicate()
    ring.unlink()
    gc.collect()
    assert ring.close()
    assert good == 3000, f"{good} good, {torn} torn"


def test_a_view_outlives_its_ring_without_noise(capfd: pytest.CaptureFixture[str]) -> None:
    ring = Ring(picture(0).nbytes)
    writer = RingWriter(ring.name)
    writer.write(0, 0.0, picture(5))
    writer.close()
    view = ring.newest()
    assert view is not None
    ring.unlink()
    assert not ring.close(), "still looked at"
    assert np.all(view.pixels == 5)
    del view
    assert ring.close()
    assert capfd.readouterr().err == ""


def test_after_close_a_view_is_not_intact() -> None:
    ring = Ring(picture(0).nbytes)
    writer = RingWriter(ring.name)
    writer.write(0, 0.0, picture(5))
    view = ring.newest()
    assert view is not None
    kept = FrameView(view.index, view.t_ms, view.pixels.copy(), view._slots, view._slot, view._sequence)
    del view
    writer.close()
    ring.unlink()
    assert ring.close()
    assert not kept.intact


def test_a_picture_too_large_for_the_memory_is_refused_in_words() -> None:
    with pytest.raises(LinkError, match="no room"):
        Ring(1 << 50)


def test_a_view_is_never_given_of_a_frame_that_was_overtaken(
    ends: tuple[Ring, RingWriter], monkeypatch: pytest.MonkeyPatch
) -> None:
    ring, writer = ends
    writer.write(0, 0.0, picture(0))
    read_header, overtaken = link._Slots.header, []

    def slowly(slots: link._Slots, slot: int) -> tuple[int, int, float, int, int]:
        header = read_header(slots, slot)
        if not overtaken:
            overtaken.append(slot)
            for index in range(1, link.SLOTS + 1):
                writer.write(index, 0.0, picture(index))
        return header

    monkeypatch.setattr(link._Slots, "header", slowly)
    view = ring.newest()
    assert view is not None
    assert view.index == link.SLOTS, "the newest, not the one that was there when the search began"
    assert np.all(view.pixels == link.SLOTS)
    assert view.intact


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files can only be counted on Linux")
def test_a_ring_that_is_dropped_with_a_view_alive_leaves_no_open_file() -> None:
    ring = Ring(picture(0).nbytes)
    writer = RingWriter(ring.name)
    writer.write(0, 0.0, picture(5))
    writer.close()
    before = len(list(Path("/proc/self/fd").iterdir()))
    view = ring.newest()
    ring.unlink()
    del ring
    gc.collect()
    assert view is not None
    kept = view.pixels
    del view
    gc.collect()
    del kept
    gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) == before - 1
