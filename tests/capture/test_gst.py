"""GStreamer pipelines, run by GStreamer itself where it is installed."""

from __future__ import annotations

import sys
import threading

import numpy as np
import pytest

from edge_app.capture.base import SourceError, Waiting, frames
from edge_app.capture.open import open_source

SOLID = "videotestsrc pattern=solid-color foreground-color=0xff204060"


class Ticks(threading.Thread):
    """Another thread, which counts how often it could run."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self._end = threading.Event()

    def run(self) -> None:
        while not self._end.wait(0.01):
            self.count += 1

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *failure: object) -> None:
        self._end.set()
        self.join()


@pytest.fixture
def gstreamer() -> None:
    """Skip, aloud, where there is no GStreamer that this Python can load."""
    from edge_app.capture._gst import _library

    try:
        gst = _library()
    except SourceError as error:
        pytest.skip(f"GStreamer cannot be tried: {error.because}")
    for element in ("videotestsrc", "videoconvert", "appsink"):
        if gst.ElementFactory.find(element) is None:
            pytest.skip(f"GStreamer has no {element} here: it cannot be tried")


@pytest.mark.usefixtures("gstreamer")
def test_a_pipeline_without_a_sink_gets_ours() -> None:
    pipeline = f"gst:{SOLID} num-buffers=400 is-live=true ! video/x-raw,width=322,height=240,framerate=100/1"
    with open_source(pipeline) as source:
        assert source.info.live
        got = [frame for frame, _ in zip(frames(source), range(10), strict=False)]
        assert source.info.size == (322, 240)
    assert got[0].pixels.shape == (240, 322, 3), "rows are padded to four bytes by GStreamer"
    assert np.abs(got[0].pixels.astype(int) - (0x20, 0x40, 0x60)).max() <= 2
    steps = np.diff([frame.t_ms for frame in got])
    assert np.allclose(steps / 10, np.rint(steps / 10), atol=0.01), "whole periods by the pipeline's clock"
    assert np.all(steps > 0)
    assert not got[0].pixels.flags.writeable


@pytest.mark.usefixtures("gstreamer")
def test_an_appsink_of_the_users_is_used() -> None:
    pipeline = f"gst:{SOLID} num-buffers=3 ! videoconvert ! appsink"
    with open_source(pipeline) as source:
        got = list(frames(source))
    assert got, "and it ends where the pipeline ends"
    assert np.abs(got[0].pixels[5, 5].astype(int) - (0x20, 0x40, 0x60)).max() <= 2


@pytest.mark.usefixtures("gstreamer")
def test_a_pipeline_that_gives_nothing_is_waited_for() -> None:
    silent = "gst:appsrc is-live=true caps=video/x-raw,format=RGB,width=64,height=64,framerate=5/1"
    others = Ticks()
    with open_source(silent) as source, others:
        assert isinstance(source.read(), Waiting)
    assert others.count > 5, "the wait lets other threads run"


@pytest.mark.usefixtures("gstreamer")
@pytest.mark.parametrize(
    ("pipeline", "because"),
    [
        ("nosuchelement ! videoconvert", "no element"),
        ("videotestsrc ! ! !! videoconvert", "GStreamer says"),
        ("filesrc location=/nonexistent.mp4 ! decodebin", "could not open file|resource not found"),
        ("videotestsrc num-buffers=5 ! video/x-raw,format=I420 ! appsink", "GStreamer says"),
    ],
)
def test_a_pipeline_that_is_none_is_one_sentence(pipeline: str, because: str) -> None:
    with pytest.raises(SourceError, match=f"(?i){because}") as caught, open_source(f"gst:{pipeline}") as source:
        for _ in range(20):
            source.read()
    assert "\n" not in caught.value.sentence


def test_no_pipeline_is_one_sentence() -> None:
    with pytest.raises(SourceError, match="it names no pipeline"):
        open_source("gst:")


def test_without_gstreamer_the_cure_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gi", None)
    with pytest.raises(SourceError, match="apt install python3-gi"), open_source("gst:videotestsrc"):
        pass
