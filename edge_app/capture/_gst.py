"""The one door to GStreamer (PyGObject): runs a pipeline and takes the newest picture out of its appsink."""

from __future__ import annotations

import importlib
import sys
import warnings
from dataclasses import dataclass
from types import ModuleType
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from edge_app.capture.base import SourceError
from edge_app.capture.files import frozen

NAME = "echogfr"
SINK = f"appsink name={NAME} drop=true max-buffers=1 sync=false"
TAIL = f"videoconvert ! video/x-raw,format=RGB ! {SINK}"
SYSTEM_PACKAGES = "/usr/lib/python3/dist-packages"  # where Debian, Ubuntu and JetPack keep PyGObject
NO_TIME = (1 << 64) - 1  # GST_CLOCK_TIME_NONE
CURE = (
    "use EchoGFR from its sources or from pip (docs/sources.md): this package does without it"
    if getattr(sys, "frozen", False)
    else "install it with: sudo apt install python3-gi gir1.2-gst-plugins-base-1.0 gstreamer1.0-plugins-good, "
    "and use the system's own Python version"
)


class _Buffer(Protocol):
    pts: int

    def extract_dup(self, offset: int, size: int) -> bytes: ...

    def get_size(self) -> int: ...


class _Sample(Protocol):
    def get_caps(self) -> object: ...

    def get_buffer(self) -> _Buffer: ...


class _AppSink(Protocol):
    def emit(self, signal: str, timeout_ns: int) -> _Sample | None: ...

    def get_property(self, name: str) -> object: ...

    def set_property(self, name: str, value: object) -> None: ...


class PipelineError(Exception):
    """The pipeline is none, or has failed; the text is GStreamer's, one line."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One picture: uint8 (H, W, 3) RGB, read-only, and when it is shown by the pipeline's clock, seconds."""

    pixels: NDArray[np.uint8]
    time_s: float | None


def complete(text: str) -> str:
    """Return a pipeline that ends in our appsink: as it is if it has one, else with one behind it."""
    text = text.strip().rstrip("!").rstrip()
    return text if "appsink" in text else f"{text} ! {TAIL}"


class Pipeline:
    """A pipeline that plays; its threads are GStreamer's own.

    Raises
    ------
    PipelineError
        It cannot be built or started.
    """

    def __init__(self, text: str) -> None:
        self._gst = _library()
        try:
            self._pipeline = self._gst.parse_launch(complete(text))
        except self._glib_error as error:
            raise PipelineError(_line(error)) from error
        if not isinstance(self._pipeline, self._gst.Pipeline):
            raise PipelineError("it is a single element")
        self._sink = self._find_sink()
        self._bus = self._pipeline.get_bus()
        if self._pipeline.set_state(self._gst.State.PLAYING) == self._gst.StateChangeReturn.FAILURE:
            failed = self._failure() or PipelineError("it cannot be started")
            self.close()
            raise failed

    def newest(self, within_s: float) -> Sample | None:
        """Return the newest picture, or None if none came in time.

        Raises
        ------
        PipelineError
            The pipeline has failed.
        EOFError
            It has ended.
        """
        sample = self._sink.emit("try-pull-sample", int(within_s * 1e9))
        if sample is not None:
            return self._read(sample)
        failed = self._failure()
        if failed is not None:
            raise failed
        if self._sink.get_property("eos"):
            raise EOFError
        return None

    def close(self) -> None:
        """Stop it; may be called again."""
        self._pipeline.set_state(self._gst.State.NULL)

    @property
    def _glib_error(self) -> type[Exception]:
        kind: type[Exception] = _repository("GLib").Error
        return kind

    def _find_sink(self) -> _AppSink:
        named = self._pipeline.get_by_name(NAME)
        if named is not None:
            return cast("_AppSink", named)
        found = self._pipeline.iterate_all_by_element_factory_name("appsink")
        outcome, sink = found.next()
        if outcome != self._gst.IteratorResult.OK:
            raise PipelineError("it has no appsink")
        for name, value in (("drop", True), ("max-buffers", 1), ("sync", False)):
            sink.set_property(name, value)
        sink.set_property("caps", self._gst.Caps.from_string("video/x-raw,format=RGB"))
        return cast("_AppSink", sink)

    def _read(self, sample: _Sample) -> Sample:
        info = _repository("GstVideo").VideoInfo.new_from_caps(sample.get_caps())
        if info is None or info.finfo.name != "RGB":
            raise PipelineError(
                "its pictures are not RGB: put videoconvert ! video/x-raw,format=RGB before the appsink"
            )
        buffer = sample.get_buffer()
        raw = np.frombuffer(buffer.extract_dup(0, buffer.get_size()), np.uint8)
        rows = raw[: info.stride[0] * info.height].reshape(info.height, info.stride[0])
        pixels = frozen(rows[:, : info.width * 3].reshape(info.height, info.width, 3))
        return Sample(pixels, None if buffer.pts == NO_TIME else buffer.pts / 1e9)

    def _failure(self) -> PipelineError | None:
        message = self._bus.pop_filtered(self._gst.MessageType.ERROR)
        return None if message is None else PipelineError(_line(message.parse_error()[0]))


def _line(error: object) -> str:
    lines = str(getattr(error, "message", error)).splitlines()
    return lines[0].strip().rstrip(".") if lines else "it has failed"


def _repository(name: str) -> ModuleType:
    return importlib.import_module(f"gi.repository.{name}")


def _library() -> ModuleType:
    """Return ``Gst``, initialised.

    Raises
    ------
    SourceError
        PyGObject, GStreamer or its description for Python is missing.
    """
    what = "GStreamer cannot be used"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyGObject uses an old way of importing
            gi = _gi()
            for name in ("Gst", "GstApp", "GstVideo"):
                gi.require_version(name, "1.0")
            gst = _repository("Gst")
            _repository("GstApp")
            _repository("GstVideo")
    except (ImportError, ValueError) as error:
        raise SourceError(what, str(error).rstrip("."), CURE) from error
    started, _ = gst.init_check(None)
    if not started:
        raise SourceError(what, "it does not start", "run gst-inspect-1.0, which says why")
    return gst


def _gi() -> ModuleType:
    """Import PyGObject, from the system's packages if the virtual environment hides them, as it does on a Jetson."""
    try:
        return importlib.import_module("gi")
    except ModuleNotFoundError:
        sys.path.append(SYSTEM_PACKAGES)
    try:
        return importlib.import_module("gi")
    finally:
        sys.path.remove(SYSTEM_PACKAGES)
