"""Video grabbers (HDMI, SDI, composite; USB or built in) as Linux shows them: ``v4l2:DEVICE,OPTIONS``."""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, cast

from edge_app.capture.base import LONGEST_WAIT_S, Frame, SourceError, SourceInfo, Waiting
from edge_app.capture.clock import StreamClock
from edge_app.capture.fields import Deinterlacer
from edge_app.capture.files import frozen
from edge_app.capture.modes import READABLE, WANTED_FPS, Mode, Wish, ranked
from edge_app.capture.pixelformats import U8, Matrix, PixelFormat, to_rgb
from edge_app.capture.pixelshape import PixelShape

if TYPE_CHECKING:
    from edge_app.capture._v4l2 import Grabber, GrabberError

_NO_SIGNAL = (errno.ENOLINK, errno.ENOLCK)  # as HDMI and SDI bridges say it
ANAMORPHIC = frozenset({(720, 576), (720, 480), (704, 576), (704, 480), (1440, 1080)})
"""Sizes that are used for 4:3 and for 16:9, with pixels that are squares in neither or in one of the two."""

SHAPE_UNKNOWN = ", pixels may be no squares: say aspect=4:3 or aspect=16:9"
TRIES = 8  # modes that are asked for until one starts: a USB bus may lack the width for the best
Range = Literal["full", "limited"]
_SIZE = re.compile(r"([0-9]{2,5})[xX]([0-9]{2,5})")
_CAMERA = re.compile(r"cam\b|camera|webcam|facetime", re.IGNORECASE)
_EXAMPLE = (
    "write v4l2:/dev/video0,size=1920x1080,fps=30,format=YUYV,range=full,matrix=709,aspect=16:9, each option if needed"
)


@dataclass(frozen=True, slots=True)
class GrabberPlan:
    """What a ``v4l2:`` name asks for. None: the first grabber, its best mode, what its driver says of its colours."""

    path: Path | None = None
    wish: Wish = field(default_factory=Wish)
    range: Range | None = None
    matrix: Matrix | None = None
    aspect: float | None = None  # width to height of the picture as the scanner shows it; None: pixels are squares


def parse_grabber(asked: str) -> GrabberPlan:
    """Read what follows ``v4l2:``.

    Raises
    ------
    SourceError
        An option is unknown or its value cannot be used.
    """
    device, *options = [part.strip() for part in asked.split(",")]
    plan = GrabberPlan(_device_path(device))
    for option in options:
        key, _, value = option.partition("=")
        try:
            plan = _READERS[key](plan, value)
        except (KeyError, ValueError):
            raise SourceError(f"v4l2:{asked} is not understood", f"'{option}' is no option", _EXAMPLE) from None
    return plan


def _device_path(device: str) -> Path | None:
    if not device:
        return None
    return Path(f"/dev/video{device}") if device.isdecimal() else Path(device)


def _size(plan: GrabberPlan, value: str) -> GrabberPlan:
    match = _SIZE.fullmatch(value)
    if match is None:
        raise ValueError(value)
    return replace(plan, wish=replace(plan.wish, size=(int(match[1]), int(match[2]))))


def _fps(plan: GrabberPlan, value: str) -> GrabberPlan:
    fps = float(value)
    if not 1 <= fps <= 240:
        raise ValueError(value)
    return replace(plan, wish=replace(plan.wish, fps=fps))


def _format(plan: GrabberPlan, value: str) -> GrabberPlan:
    if value.upper() not in READABLE:
        raise ValueError(value)
    return replace(plan, wish=replace(plan.wish, fourcc=value.upper()))


def _range(plan: GrabberPlan, value: str) -> GrabberPlan:
    if value not in ("full", "limited"):
        raise ValueError(value)
    return replace(plan, range=cast("Range", value))


def _matrix(plan: GrabberPlan, value: str) -> GrabberPlan:
    if value not in ("601", "709"):
        raise ValueError(value)
    return replace(plan, matrix=cast("Matrix", value))


def _aspect(plan: GrabberPlan, value: str) -> GrabberPlan:
    across, down = (float(part) for part in value.split(":"))
    if not (down > 0 and 0.5 <= across / down <= 3.0):
        raise ValueError(value)
    return replace(plan, aspect=across / down)


_READERS: dict[str, Callable[[GrabberPlan, str], GrabberPlan]] = {
    "size": _size,
    "fps": _fps,
    "format": _format,
    "range": _range,
    "matrix": _matrix,
    "aspect": _aspect,
}


class V4l2Source:
    """One grabber, live. Newest picture only: those that the reader was too late for are left out and counted."""

    def __init__(self, asked: str) -> None:
        self._uri = f"v4l2:{asked}"
        self._plan = parse_grabber(asked)
        self._path = Path()
        self._grabber: Grabber | None = None
        self._layout: PixelFormat | None = None
        self._title = "video grabber"
        self._fps = WANTED_FPS
        self._clock = StreamClock(1000 / WANTED_FPS)
        self._deinterlace = Deinterlacer()
        self._first: int | None = None  # the driver's number of what is our frame 0
        self._index = -1

    @property
    def info(self) -> SourceInfo:
        """Name and mode of the grabber; size and rate known once it was entered."""
        size = None if self._layout is None else self._shape.size(self._layout.width, self._layout.height)
        return SourceInfo(self._uri, self._title, True, self._fps, size)

    def __enter__(self) -> V4l2Source:
        from edge_app.capture._v4l2 import Grabber, GrabberError

        path = self._path = self._plan.path or self._first_grabber()
        try:
            self._grabber = Grabber(path)
            if not self._grabber.captures():
                raise SourceError(f"{path} cannot be used", "it captures no video", "run: echogfr sources")
            mode = self._start(self._grabber, path)
        except GrabberError as error:
            self._close()
            raise _refused(path, error) from error
        except SourceError:
            self._close()
            raise
        self._fps = self._grabber.fps or mode.fps or WANTED_FPS
        shape = self._shape.said or (SHAPE_UNKNOWN if self._is_unknown(mode) else "")
        self._title = f"{self._grabber.identity().name}, {replace(mode, fps=round(self._fps, 2))}{shape}"
        self._clock = StreamClock(1000 / self._fps)
        self._deinterlace = Deinterlacer()
        self._first, self._index = None, -1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def read(self) -> Frame | Waiting | None:
        """Return the newest picture, or ``Waiting`` if none came in time.

        Raises
        ------
        SourceError
            The grabber was unplugged, or its driver has given up.
        """
        from edge_app.capture._v4l2 import GrabberError

        if self._grabber is None or self._layout is None:
            return None
        try:
            if self._grabber.changed():
                self._start(self._grabber, self._path)
                self._first = None  # the driver counts anew
            layout = self._layout
            got = self._grabber.newest(LONGEST_WAIT_S, lambda data: to_rgb(data, layout))
        except GrabberError as error:
            raise _lost(self._uri, error) from error
        if got is None or got[0] is None:
            return Waiting("the grabber sends nothing" if got is None else "the grabber sends damaged pictures")
        pixels, stamp = got[0], got[1]
        return self._frame(self._deinterlace(pixels, stamp.order), stamp.time_s, stamp.number)

    def _frame(self, pixels: U8, time_s: float | None, number: int) -> Frame:
        if self._first is None:
            self._first = number - (self._index + 1)
        # Drivers that do not count say 0 always.
        self._index = max(self._index + 1, number - self._first)
        return Frame(self._index, self._clock.at(time_s, time.monotonic()), frozen(self._shape.applied(pixels)))

    @property
    def _shape(self) -> PixelShape:
        """The shape that the operator's aspect gives the pixels of the mode that runs."""
        layout, aspect = self._layout, self._plan.aspect
        return PixelShape() if layout is None or aspect is None else PixelShape(aspect * layout.height / layout.width)

    def _is_unknown(self, mode: Mode) -> bool:
        return self._plan.aspect is None and (mode.width, mode.height) in ANAMORPHIC

    def _start(self, grabber: Grabber, path: Path) -> Mode:
        """Start the best mode that the device and its bus can bear."""
        from edge_app.capture._v4l2 import GrabberError

        modes = grabber.modes()
        wanted = ranked(modes, self._plan.wish, grabber.native())
        if not wanted:
            offered = ", ".join(sorted({f"{mode.fourcc} {mode.width}x{mode.height}" for mode in modes})) or "nothing"
            raise SourceError(f"{path} cannot be used as asked", f"it offers {offered}", _EXAMPLE)
        for mode in wanted[:TRIES]:
            try:
                grabber.start(mode)
            except GrabberError as error:
                refused = error
                if error.number not in (errno.ENOSPC, errno.EINVAL, errno.ENOMEM, errno.EPROTO):
                    raise
                continue
            layout = self._corrected(grabber.layout)
            if layout.fourcc in READABLE:
                self._layout = layout
                return Mode(layout.fourcc, layout.width, layout.height, mode.fps)
        raise refused

    def _corrected(self, layout: PixelFormat) -> PixelFormat:
        """Return the layout with what the operator knows better than the driver."""
        full = layout.full if self._plan.range is None else self._plan.range == "full"
        return replace(layout, full=full, matrix=self._plan.matrix or layout.matrix)

    def _first_grabber(self) -> Path:
        """Return the first device that does not call itself a camera, which would show the room."""
        found = grabbers()
        chosen = next((path for path, name in found if not is_camera(name)), None)
        if chosen is not None:
            return chosen
        because = f"only a camera is connected ({found[0][1]})" if found else "none is connected"
        cure = "plug a grabber in, or name the device; echogfr sources lists them"
        raise SourceError("No grabber can be opened", because, cure)

    def _close(self) -> None:
        if self._grabber is not None:
            self._grabber.close()
        self._grabber = None


def grabbers() -> list[tuple[Path, str]]:
    """Return device files that capture video, and their names; also those that refuse to say so, without a name."""
    from edge_app.capture._v4l2 import device_files

    named = [(path, _name_of(path)) for path in device_files()]
    return [(path, name) for path, name in named if name is not None]


def _name_of(path: Path) -> str | None:
    """Return what a grabber calls itself; None if it is none."""
    from edge_app.capture._v4l2 import Grabber, GrabberError

    try:
        grabber = Grabber(path)
    except GrabberError:
        return ""  # it will be said why, when it is opened
    try:
        return grabber.identity().name if grabber.captures() else None
    except GrabberError:
        return None
    finally:
        grabber.close()


def is_camera(name: str) -> bool:
    """Return whether a device calls itself a camera: it looks into the room, not into a scanner."""
    return bool(_CAMERA.search(name))


def holder_of(path: Path, processes: Path = Path("/proc")) -> str | None:
    """Return the name of another program that has the device open; None where it is not ours to see."""
    for process in processes.iterdir():
        if not process.name.isdecimal() or int(process.name) == os.getpid():
            continue
        with suppress(OSError):  # it has ended, or is another user's
            if any(_same(link, path) for link in (process / "fd").iterdir()):
                return f"{(process / 'comm').read_text().strip()} (process {process.name})"
    return None


def _same(link: Path, path: Path) -> bool:
    try:
        return os.readlink(link) == str(path.resolve())
    except OSError:
        return False


def _refused(path: Path, error: GrabberError) -> SourceError:
    what = f"{path} cannot be opened"
    if error.number == errno.EBUSY:
        return SourceError(what, f"{holder_of(path) or 'another program'} uses it", "close that program")
    if error.number in (errno.EACCES, errno.EPERM):
        cure = "add the user to the group video (sudo usermod -aG video USER), then log in again"
        return SourceError(what, "this user may not use it", cure)
    if error.number == errno.ENOENT:
        return SourceError(what, "there is no such device", "run: echogfr sources")
    if error.number == errno.ENOTTY:
        return SourceError(what, "it is no video device", "run: echogfr sources")
    if error.number in _NO_SIGNAL:
        cure = "switch the scanner's video output on, and look after the cable"
        return SourceError(what, "there is no signal at its input", cure)
    if error.number == errno.ENOSPC:
        return SourceError(what, "the USB bus has no room for its pictures", "use a USB 3 socket of its own")
    return SourceError(what, str(error).lower(), "unplug the grabber and plug it in again")


def _lost(uri: str, error: GrabberError) -> SourceError:
    if error.number in _NO_SIGNAL:
        return SourceError(f"{uri} has broken off", "there is no signal at its input", "look after its cables")
    because = "the grabber was unplugged or has given up" if error.gone else str(error).lower()
    return SourceError(f"{uri} has broken off", because, "look after its cables")
