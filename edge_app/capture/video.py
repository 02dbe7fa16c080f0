"""Video files and stills that OpenCV reads. RGB from here on: this is the one place that turns BGR round."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType

# FFmpeg writes its complaints past Python to stderr; ours is the one sentence that the user gets.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.capture.base import Frame, SourceError, SourceInfo
from edge_app.capture.files import frozen, require_file
from edge_app.capture.pace import Pace

PLAUSIBLE_FPS = (1.0, 240.0)  # what scanners and grabbers give; containers also claim 0 or 90000
FALLBACK_FPS = 25.0
# FFmpeg takes any text file for terminal art and paints its letters: that is no video of a scanner.
TEXT_CODECS = frozenset({"ansi", "bintext", "xbin", "idf"})
_CONVERT_AGAIN = "check that it plays in a video player, or convert it to MP4"


def read_still(path: Path) -> NDArray[np.uint8]:
    """Read a still as uint8 (H, W, 3) RGB, read-only.

    Raises
    ------
    SourceError
        The file is missing, empty or no picture.
    """
    require_file(path)
    # By bytes: OpenCV's own file names fail with some characters, and its reader warns on stderr.
    pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise SourceError(f"{path} cannot be read", "it is no picture or is damaged", "export it again as PNG or JPEG")
    return frozen(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False))


def is_still(path: Path) -> bool:
    """Return whether OpenCV takes the file for a still picture; False for a missing file."""
    return path.is_file() and bool(cv2.haveImageReader(str(path))) and path.suffix.lower() != ".gif"


class StillSource:
    """A single picture; one frame at 0 ms."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._frame: Frame | None = None
        self._size: tuple[int, int] | None = None

    @property
    def info(self) -> SourceInfo:
        """A still, its size known once it was entered."""
        return SourceInfo(f"file:{self._path}", "still picture", False, None, self._size)

    def __enter__(self) -> StillSource:
        pixels = read_still(self._path)
        self._size = (pixels.shape[1], pixels.shape[0])
        self._frame = Frame(0, 0.0, pixels)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._frame = None

    def read(self) -> Frame | None:
        """Return the picture, then None."""
        frame, self._frame = self._frame, None
        return frame


class VideoSource:
    """A video file by OpenCV's FFmpeg; times are the stream's own, or counted from its frame rate."""

    def __init__(self, path: Path, *, realtime: bool = False) -> None:
        self._path = path
        self._pace = Pace(realtime)
        self._capture: cv2.VideoCapture | None = None
        self._first: NDArray[np.uint8] | None = None
        self._fps = FALLBACK_FPS
        self._size: tuple[int, int] | None = None
        self._index = 0
        self._t_ms = 0.0

    @property
    def info(self) -> SourceInfo:
        """A recorded stream; size and frame rate known once it was entered."""
        fps = self._fps if self._size else None
        return SourceInfo(f"file:{self._path}", "video file", False, fps, self._size)

    def __enter__(self) -> VideoSource:
        require_file(self._path)
        _silence_opencv()
        # FFmpeg alone: OpenCV would else take "img_01.png" for the first of a sequence.
        self._capture = cv2.VideoCapture(str(self._path), cv2.CAP_FFMPEG)
        self._first = self._decode()
        if self._first is None or _codec(self._capture) in TEXT_CODECS:
            self._close()
            raise SourceError(f"{self._path} cannot be read", "it is no video or is damaged", _CONVERT_AGAIN)
        self._size = (self._first.shape[1], self._first.shape[0])
        claimed = self._capture.get(cv2.CAP_PROP_FPS)
        self._fps = claimed if PLAUSIBLE_FPS[0] <= claimed <= PLAUSIBLE_FPS[1] else FALLBACK_FPS
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def read(self) -> Frame | None:
        """Return the next frame, or None at the end; waits for its time when in real time."""
        pixels, self._first = (self._first, None) if self._first is not None else (self._decode(), None)
        if pixels is None:
            return None
        self._t_ms = self._stream_time_ms()
        self._pace.wait(self._t_ms)
        frame = Frame(self._index, self._t_ms, pixels)
        self._index += 1
        return frame

    def _decode(self) -> NDArray[np.uint8] | None:
        if self._capture is None or not self._capture.isOpened():
            return None
        good, pixels = self._capture.read()
        if not good or pixels is None:
            return None
        return frozen(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False))

    def _stream_time_ms(self) -> float:
        if self._capture is None or self._index == 0:
            return 0.0
        told_ms = float(self._capture.get(cv2.CAP_PROP_POS_MSEC))
        return told_ms if told_ms > self._t_ms else self._t_ms + 1000 / self._fps

    def _close(self) -> None:
        if self._capture is not None:
            self._capture.release()
        self._capture, self._first = None, None


def _codec(capture: cv2.VideoCapture) -> str:
    code = int(capture.get(cv2.CAP_PROP_FOURCC))
    return bytes((code >> shift) & 0xFF for shift in (0, 8, 16, 24)).decode("ascii", "replace").rstrip("\0 ").lower()


def _silence_opencv() -> None:
    logging = getattr(getattr(cv2, "utils", None), "logging", None)
    if logging is not None:  # some builds of OpenCV come without it
        logging.setLogLevel(logging.LOG_LEVEL_SILENT)
