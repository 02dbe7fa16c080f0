"""The one door to linuxpy: grabbers as Linux sees them (Video for Linux 2), by its own calls and structures."""

from __future__ import annotations

import errno
import logging
import mmap
import os
import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from edge_app.capture.base import SourceError
from edge_app.capture.fields import FieldOrder
from edge_app.capture.modes import Mode
from edge_app.capture.pixelformats import Matrix, PixelFormat, least_stride

try:
    from linuxpy.video import device as v4l2
except ImportError as error:
    what, cure = "Grabbers cannot be used", "on Linux: pip install 'linuxpy>=0.20,<1'"
    raise SourceError(what, f"linuxpy is not usable here ({error})", cure) from error

logging.getLogger("linuxpy").setLevel(logging.CRITICAL)  # it warns of formats that nobody asked for

BUFFERS = 4  # one is filled, one is read, two for a reader that is late
CAPTURE = v4l2.BufferType.VIDEO_CAPTURE
MMAP = v4l2.Memory.MMAP
HD_LINES = 720  # from here on video is BT.709, where the driver does not say
_MATRICES: dict[int, Matrix] = {1: "601", 2: "709", 3: "601", 4: "709"}  # V4L2_YCBCR_ENC_601, _709, _XV601, _XV709
_COMMON_FPS = (25.0, 30.0, 50.0, 60.0)  # asked of a grabber that takes any rate
_GONE = (errno.ENODEV, errno.ENXIO, errno.EIO, errno.EPIPE, errno.ENOENT)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Identity:
    """What a grabber calls itself."""

    name: str
    driver: str
    bus: str


@dataclass(frozen=True, slots=True)
class Stamp:
    """Of one captured picture: the kernel's monotonic time, the driver's running number, and how its fields lie."""

    time_s: float | None
    number: int
    order: FieldOrder


class GrabberError(Exception):
    """The grabber refuses or is gone; ``number`` is the system's (``errno``)."""

    def __init__(self, number: int) -> None:
        super().__init__(os.strerror(number))
        self.number = number

    @property
    def gone(self) -> bool:
        """Whether it was unplugged, or its driver has given up."""
        return self.number in _GONE


def device_files() -> list[Path]:
    """Return the device files of video, those that capture nothing among them."""
    return sorted(v4l2.iter_video_files(), key=lambda path: (len(path.name), path.name))


class Grabber:
    """One open device; no call waits longer than it is told to.

    Raises
    ------
    GrabberError
        It cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        with _explained():
            self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._maps: list[mmap.mmap] = []
        self._streaming = False
        self._format = v4l2.raw.v4l2_pix_format()

    def identity(self) -> Identity:
        """Return name, driver and bus."""
        facts = self._call(v4l2.read_capabilities)
        return Identity(*(_text(text) for text in (facts.card, facts.driver, facts.bus_info)))

    def captures(self) -> bool:
        """Return whether it gives pictures by streaming; many devices have a second file for other data."""
        facts = self._call(v4l2.read_capabilities)
        able = facts.device_caps or facts.capabilities
        both = v4l2.Capability.VIDEO_CAPTURE | v4l2.Capability.STREAMING
        return bool(able & both == both)

    def modes(self) -> list[Mode]:
        """Return what it can send, as far as it says."""
        with _explained():
            return [mode for fourcc in self._fourccs() for mode in self._modes_of(fourcc)]

    def native(self) -> tuple[int, int] | None:
        """Return the size of the picture at its input, where the driver can tell (HDMI and SDI bridges)."""
        timings = v4l2.raw.v4l2_dv_timings()
        try:
            v4l2.ioctl(self._fd, v4l2.IOC.QUERY_DV_TIMINGS, timings)
            v4l2.ioctl(self._fd, v4l2.IOC.S_DV_TIMINGS, timings)
        except OSError:  # a USB grabber scales by itself; one without a signal has no size
            return None
        size = (int(timings.bt.width), int(timings.bt.height))
        return size if min(size) > 0 else None

    def start(self, mode: Mode) -> None:
        """Ask for a mode and begin to stream; what it really sends is in ``layout`` and ``fps``."""
        self.stop()
        self._call(v4l2.set_format, CAPTURE, mode.width, mode.height, mode.fourcc)
        self._format = self._call(v4l2.get_raw_format, CAPTURE).fmt.pix
        if mode.fps is not None:
            with suppress(OSError):  # some take no rate and send at the one they are at
                v4l2.set_fps(self._fd, CAPTURE, mode.fps)
        granted = self._call(v4l2.request_buffers, CAPTURE, MMAP, BUFFERS).count
        for index in range(granted):
            buffer = self._call(v4l2.query_buffer, CAPTURE, MMAP, index)
            with _explained():
                self._maps.append(v4l2.mmap_from_buffer(self._fd, buffer))
            self._call(v4l2.enqueue_buffer, CAPTURE, MMAP, buffer.length, index)
        self._call(v4l2.stream_on, CAPTURE)
        self._streaming = True

    @property
    def layout(self) -> PixelFormat:
        """How a picture lies in a buffer, once started."""
        pix = self._format
        fourcc = v4l2.human_pixel_format(pix.pixelformat)
        stride = int(pix.bytesperline) or least_stride(fourcc, pix.width)
        return PixelFormat(fourcc, int(pix.width), int(pix.height), stride, _matrix(pix), _full(pix, fourcc))

    @property
    def fps(self) -> float | None:
        """Frames per second as the driver says, once started."""
        try:
            return float(v4l2.get_fps(self._fd, CAPTURE)) or None
        except (OSError, ZeroDivisionError):
            return None

    def newest(self, within_s: float, use: Callable[[memoryview], T]) -> tuple[T, Stamp] | None:
        """Wait for a picture, and return what ``use`` makes of the newest one; None if none came in time.

        ``use`` must not keep the bytes: the buffer goes back to the driver. A picture that the driver marks as
        damaged is left out.
        """
        with _explained():
            poll = select.poll()
            poll.register(self._fd, select.POLLIN | select.POLLPRI)
            if not poll.poll(within_s * 1000):
                return None
        buffer = self._newest_buffer()
        if buffer is None:
            return None
        try:
            with memoryview(self._maps[buffer.index]) as whole, whole[: buffer.bytesused or None] as data:
                made = use(data)
        finally:
            self._give_back(buffer)
        return made, Stamp(_time_s(buffer), int(buffer.sequence), _order(buffer.field))

    def stop(self) -> None:
        """Stop streaming and let go of the buffers; a device that is gone has stopped."""
        with suppress(OSError):
            if self._streaming:
                v4l2.stream_off(self._fd, CAPTURE)
        self._streaming = False
        for mapped in self._maps:
            mapped.close()
        if self._maps:
            with suppress(OSError):
                v4l2.free_buffers(self._fd, CAPTURE, MMAP)
        self._maps.clear()

    def close(self) -> None:
        """Stop and close; may be called again."""
        if self._fd >= 0:
            self.stop()
            os.close(self._fd)
        self._fd = -1

    def _newest_buffer(self) -> v4l2.raw.v4l2_buffer | None:
        """Take all that is ready; keep the last whole one, give the others back."""
        newest = None
        while True:
            try:
                buffer = v4l2.dequeue_buffer(self._fd, CAPTURE, MMAP)
            except OSError as error:
                if error.errno == errno.EAGAIN:
                    return newest
                raise GrabberError(error.errno or errno.EIO) from error
            damaged = bool(buffer.flags & v4l2.BufferFlag.ERROR)
            if damaged or newest is not None:
                self._give_back(buffer if damaged else newest)
            if not damaged:
                newest = buffer

    def _give_back(self, buffer: v4l2.raw.v4l2_buffer) -> None:
        self._call(v4l2.enqueue_buffer, CAPTURE, MMAP, buffer.length, buffer.index)

    def _fourccs(self) -> Iterator[str]:
        for found in v4l2.iter_read_formats(self._fd, CAPTURE):
            yield found.pixel_format.human_str()

    def _modes_of(self, fourcc: str) -> Iterator[Mode]:
        code = v4l2.raw.v4l2_fourcc(*fourcc)
        sizes = [size for found in v4l2.iter_read_frame_sizes(self._fd, code) for size in _sizes(found)]
        for width, height in sizes or [self._size_now()]:
            for fps in self._rates(code, width, height):
                yield Mode(fourcc, width, height, fps)

    def _rates(self, code: int, width: int, height: int) -> list[float | None]:
        rates: list[float | None] = []
        for found in v4l2.iter_read_frame_intervals(self._fd, code, width, height):
            ends = sorted((float(found.min_fps), float(found.max_fps)))
            if ends[0] == ends[1]:
                rates.append(ends[1] or None)
            else:
                rates += [fps for fps in _COMMON_FPS if ends[0] <= fps <= ends[1]] or [ends[1]]
        return rates or [None]

    def _size_now(self) -> tuple[int, int]:
        pix = v4l2.get_raw_format(self._fd, CAPTURE).fmt.pix
        return int(pix.width), int(pix.height)

    def _call(self, function: Callable[..., v4l2.raw.Struct], *arguments: object) -> v4l2.raw.Struct:
        with _explained():
            return function(self._fd, *arguments)


@contextmanager
def _explained() -> Iterator[None]:
    """Turn what the system says into ``GrabberError``."""
    try:
        yield
    except OSError as error:
        raise GrabberError(error.errno or errno.EIO) from error


def _sizes(found: v4l2.FrameSize) -> Iterator[tuple[int, int]]:
    """Yield the sizes of an entry; of a range, the usual ones inside it and its largest."""
    info = found.info
    if found.type == v4l2.FrameSizeType.DISCRETE:
        yield int(info.width), int(info.height)
        return
    largest = (int(info.max_width), int(info.max_height))
    for width, height in {(1920, 1080), (1280, 1024), (1280, 720), (1024, 768), (800, 600), (720, 576), (640, 480)}:
        if info.min_width <= width <= largest[0] and info.min_height <= height <= largest[1]:
            yield width, height
    yield largest


def _text(text: bytes) -> str:
    return text.split(b"\0")[0].decode(errors="replace").strip()


def _time_s(buffer: v4l2.raw.v4l2_buffer) -> float | None:
    """Return the time of capture by the monotonic clock; None where the driver keeps another or none."""
    if not buffer.flags & v4l2.BufferFlag.TIMESTAMP_MONOTONIC:
        return None
    return float(buffer.timestamp.secs) + float(buffer.timestamp.usecs) / 1e6


def _order(field: int) -> FieldOrder:
    names: dict[int, FieldOrder] = {
        v4l2.Field.TOP: "top",
        v4l2.Field.BOTTOM: "bottom",
        v4l2.Field.INTERLACED: "interlaced",
        v4l2.Field.INTERLACED_TB: "interlaced",
        v4l2.Field.INTERLACED_BT: "interlaced",
        v4l2.Field.SEQ_TB: "top over bottom",
        v4l2.Field.SEQ_BT: "bottom over top",
    }
    return names.get(field, "progressive")


def _matrix(pix: v4l2.raw.v4l2_pix_format) -> Matrix:
    """Return the matrix as the V4L2 API defines its defaults (V4L2_MAP_YCBCR_ENC_DEFAULT)."""
    if pix.ycbcr_enc in _MATRICES:
        return _MATRICES[pix.ycbcr_enc]
    if pix.colorspace in (v4l2.raw.Colorspace.REC709, v4l2.raw.Colorspace.DCI_P3):
        return "709"
    unknown = pix.colorspace == v4l2.raw.Colorspace.DEFAULT
    return "709" if unknown and pix.height >= HD_LINES else "601"


def _full(pix: v4l2.raw.v4l2_pix_format, fourcc: str) -> bool:
    """Return whether levels are 0 to 255, as the V4L2 API defines its defaults (V4L2_MAP_QUANTIZATION_DEFAULT)."""
    if pix.quantization != v4l2.raw.Quantization.DEFAULT:
        return bool(pix.quantization == v4l2.raw.Quantization.FULL_RANGE)
    rgb_or_jpeg = fourcc in ("RGB3", "BGR3", "BGR4", "XR24", "GREY")
    return rgb_or_jpeg or pix.colorspace == v4l2.raw.Colorspace.JPEG
