"""GStreamer pipelines, for cameras and decoders that only GStreamer drives (Jetson): ``gst:PIPELINE``."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING

from edge_app.capture.base import LONGEST_WAIT_S, Frame, SourceError, SourceInfo, Waiting
from edge_app.capture.clock import StreamClock
from edge_app.capture.naming import shown

if TYPE_CHECKING:
    from edge_app.capture._gst import Pipeline

ASSUMED_FPS = 25.0


class GstSource:
    """The pictures of a pipeline, live and newest only; without an appsink in it, one is put behind it."""

    def __init__(self, text: str) -> None:
        if not text.strip():
            cure = "write gst:v4l2src ! videoconvert, or another pipeline that gives video"
            raise SourceError("gst: cannot be opened", "it names no pipeline", cure)
        self._text = text
        self._pipeline: Pipeline | None = None
        self._clock = StreamClock(1000 / ASSUMED_FPS)
        self._size: tuple[int, int] | None = None
        self._index = 0

    @property
    def info(self) -> SourceInfo:
        """The first element in the title; the size known once the first picture came."""
        title = f"GStreamer, {self._text.split()[0]}"
        return SourceInfo(shown(f"gst:{self._text}"), title, True, ASSUMED_FPS, self._size)

    def __enter__(self) -> GstSource:
        from edge_app.capture._gst import Pipeline, PipelineError

        try:
            self._pipeline = Pipeline(self._text)
        except PipelineError as error:
            raise self._failed("cannot be started", shown(str(error))) from error
        self._clock = StreamClock(1000 / ASSUMED_FPS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pipeline is not None:
            self._pipeline.close()
        self._pipeline = None

    def read(self) -> Frame | Waiting | None:
        """Return the newest picture, ``Waiting`` if none came in time, None at the end.

        Raises
        ------
        SourceError
            The pipeline has failed.
        """
        from edge_app.capture._gst import PipelineError

        if self._pipeline is None:
            return None
        try:
            sample = self._pipeline.newest(LONGEST_WAIT_S)
        except PipelineError as error:
            raise self._failed("has failed", shown(str(error))) from error
        except EOFError:
            return None
        if sample is None:
            return Waiting("the pipeline has given no picture yet")
        height, width = sample.pixels.shape[:2]
        self._size = (width, height)
        frame = Frame(self._index, self._clock.at(sample.time_s, time.monotonic()), sample.pixels)
        self._index += 1
        return frame

    def _failed(self, how: str, because: str) -> SourceError:
        because = f"GStreamer says: {because[:1].lower()}{because[1:]}"
        return SourceError(f"The pipeline {how}", because, "try it with gst-launch-1.0 and autovideosink first")
