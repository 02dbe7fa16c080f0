"""Video files that FFmpeg reads, and stills that OpenCV reads."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.capture.base import Frame, SourceError, SourceInfo
from edge_app.capture.clock import StreamClock
from edge_app.capture.files import frozen, require_file
from edge_app.capture.pace import Pace

if TYPE_CHECKING:
    from edge_app.capture._av import Media, Picture

FALLBACK_FPS = 25.0  # where the container claims nothing that can be
_CONVERT_AGAIN = "check that it plays in a video player, or convert it to MP4"


def read_still(path: Path) -> NDArray[np.uint8]:
    """Read a still as uint8 (H, W, 3) RGB, read-only.

    Raises
    ------
    SourceError
        The file is missing, empty or no picture.
    """
    require_file(path)
    _silence_opencv()
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
    """A video file by FFmpeg; times are the stream's own, or counted from its frame rate."""

    def __init__(self, path: Path, *, realtime: bool = False) -> None:
        self._path = path
        self._pace = Pace(realtime)
        self._media: Media | None = None
        self._first: Picture | None = None
        self._fps = FALLBACK_FPS
        self._clock = StreamClock(1000 / FALLBACK_FPS)
        self._size: tuple[int, int] | None = None
        self._index = 0

    @property
    def info(self) -> SourceInfo:
        """A recorded stream; size and frame rate known once it was entered."""
        fps = self._fps if self._size else None
        shape = "" if self._media is None else self._media.shape.said
        return SourceInfo(f"file:{self._path}", f"video file{shape}", False, fps, self._size)

    def __enter__(self) -> VideoSource:
        from edge_app.capture._av import CONTAINERS, Media, MediaError

        require_file(self._path)
        # "file" alone: a play list or a damaged file must not make us ask the network for anything.
        options = {"protocol_whitelist": "file", "format_whitelist": CONTAINERS}
        try:
            self._media = Media(f"file:{self._path}", options, live=False)
            self._first = self._media.next()
        except MediaError as error:
            raise SourceError(f"{self._path} cannot be read", error.because, _CONVERT_AGAIN) from error
        if self._first is None:
            self._close()
            raise SourceError(f"{self._path} cannot be read", "it is no video or is damaged", _CONVERT_AGAIN)
        height, width = self._first.pixels.shape[:2]
        self._size = (width, height)
        self._fps = self._media.fps or FALLBACK_FPS
        self._clock = StreamClock(1000 / self._fps)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def read(self) -> Frame | None:
        """Return the next frame, or None at the end; waits for its time when in real time."""
        picture, self._first = self._first, None
        if picture is None and self._media is not None:
            picture = self._media.next()
        if picture is None:
            return None
        t_ms = self._clock.at(picture.time_s)
        self._pace.wait(t_ms)
        frame = Frame(self._index, t_ms, picture.pixels)
        self._index += 1
        return frame

    def _close(self) -> None:
        if self._media is not None:
            self._media.close()
        self._media, self._first = None, None


def _silence_opencv() -> None:
    logging = getattr(getattr(cv2, "utils", None), "logging", None)
    if logging is not None:  # some builds of OpenCV come without it
        logging.setLogLevel(logging.LOG_LEVEL_SILENT)
