"""Clip: decodes a video with OpenCV, and tells which of its crops are worth taking."""

from __future__ import annotations

import os
from collections.abc import Container, Iterator
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # FFmpeg's complaints: ours is the one sentence that is said

import cv2
import numpy as np

from convert.crops.sample import Pixels

VIDEOS = frozenset({".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv"})
PLAUSIBLE_FPS, FALLBACK_FPS = (1.0, 240.0), 25.0  # containers also claim 0 or 90000
SAME_GREY = 2.0  # mean |difference| of two crops of one frozen picture through a lossy codec
CHANGED_GREY = 25.0  # of another view; moving ones change by 1 to 9 from frame to frame and 4 to 19 in half a second


class Clip:
    """An open video; ``frames`` is what the file claims and may be 0."""

    def __init__(self, capture: cv2.VideoCapture) -> None:
        self._capture = capture
        fps = capture.get(cv2.CAP_PROP_FPS)
        self._fps = fps if PLAUSIBLE_FPS[0] <= fps <= PLAUSIBLE_FPS[1] else FALLBACK_FPS
        self.size = (int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)))
        self.frames = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))

    def t_ms(self, index: int) -> float:
        """Return the time of a frame as the frame rate has it, milliseconds."""
        return index * 1000.0 / self._fps

    def read(self, wanted: Container[int] | None) -> Iterator[tuple[int, Pixels | None]]:
        """Yield every frame, counted from 0, as uint8 (H, W, 3) RGB; None for those not ``wanted`` (None: all)."""
        index = 0
        while self._capture.grab():
            pixels = None
            if wanted is None or index in wanted:
                good, found = self._capture.retrieve()
                if not good:
                    return
                pixels = np.ascontiguousarray(found[:, :, ::-1], np.uint8)
            yield index, pixels
            index += 1


@contextmanager
def open_clip(path: Path) -> Iterator[Clip | None]:
    """Yield the video, or None where there is none that OpenCV can decode; close it after use."""
    logging = getattr(getattr(cv2, "utils", None), "logging", None)
    if logging is not None:  # some builds of OpenCV come without it
        logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)  # FFmpeg alone: no sequences of pictures
    try:
        clip = Clip(capture) if capture.isOpened() else None
        yield clip if clip is not None and min(clip.size) > 0 else None
    finally:
        capture.release()


class Thinning:
    """Picks crops of one video so that neighbours are not counted twice.

    A crop is taken when it is another picture than the last one taken (a frozen picture is one, however long), and
    comes ``every_s`` after it or differs so much that it is another view.
    """

    def __init__(self, every_s: float) -> None:
        self._every_ms = every_s * 1000.0
        self._last: tuple[float, Pixels] | None = None

    def takes(self, t_ms: float, crop: Pixels) -> bool:
        """Tell whether to take the crop seen at that time, and remember it if so."""
        if self._last is not None:
            before_ms, before = self._last
            difference = float(cv2.absdiff(crop, before).mean())
            later = t_ms - before_ms >= self._every_ms
            if difference <= SAME_GREY or not (later or difference > CHANGED_GREY):
                return False
        self._last = t_ms, crop
        return True
