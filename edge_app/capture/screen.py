"""A part of this computer's screen, where a scanner's own program or a viewer runs beside EchoGFR."""

from __future__ import annotations

import os
import re
import time
from types import TracebackType
from typing import TYPE_CHECKING

from edge_app.capture.base import Frame, SourceError, SourceInfo
from edge_app.capture.clock import StreamClock

if TYPE_CHECKING:
    from edge_app.capture._mss import Area, Desktop

FPS = 20.0  # a whole screen costs some milliseconds of a core each time
SMALLEST = 64  # pixels each way: no ultrasound picture is smaller
_AREA = re.compile(r"(-?[0-9]{1,5}),(-?[0-9]{1,5}),([0-9]{1,5})[xX]([0-9]{1,5})")
_EXAMPLES = "write screen: for the first screen, screen:2 for the second, or screen:X,Y,WIDTHxHEIGHT"


class ScreenSource:
    """``screen:``, ``screen:2`` or ``screen:X,Y,WIDTHxHEIGHT``; live, ``FPS`` pictures a second at most."""

    def __init__(self, asked: str) -> None:
        self._asked = asked.strip()
        if self._asked and not (_AREA.fullmatch(self._asked) or self._asked.isdecimal()):
            raise self._failed("is not understood", f"'{self._asked}' is no screen and no part of one", _EXAMPLES)
        self._desktop: Desktop | None = None
        self._area: Area | None = None
        self._clock = StreamClock(1000 / FPS)
        self._started_s = 0.0
        self._next = 0

    @property
    def info(self) -> SourceInfo:
        """Which part of the screen; its size known once it was entered."""
        size = None if self._area is None else (self._area.width, self._area.height)
        return SourceInfo(f"screen:{self._asked}", "part of this screen", True, FPS, size)

    def __enter__(self) -> ScreenSource:
        from edge_app.capture._mss import Desktop, ScreenError

        if os.environ.get("WAYLAND_DISPLAY") and not os.environ.get("DISPLAY"):
            raise self._failed("cannot be captured", "this is a Wayland session", "log in to an X11 (Xorg) session")
        try:
            self._desktop = Desktop()
        except ScreenError as error:
            raise self._failed("cannot be captured", str(error), "start EchoGFR in a graphical session") from error
        try:
            self._area = self._chosen(self._desktop)
        except SourceError:
            self._close()
            raise
        self._started_s = time.monotonic()
        self._next = 0
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def read(self) -> Frame | None:
        """Wait until the next picture is due, and return it; pictures that the reader was late for are left out."""
        from edge_app.capture._mss import ScreenError

        if self._desktop is None or self._area is None:
            return None
        self._wait()
        taken_s = time.monotonic()
        try:
            pixels = self._desktop.grab(self._area)
        except ScreenError as error:
            raise self._failed(
                "cannot be captured any more", str(error), "look whether the session is there"
            ) from error
        index, self._next = self._next, self._next + 1
        return Frame(index, self._clock.at(taken_s), pixels)

    def _wait(self) -> None:
        ahead_s = self._started_s + self._next / FPS - time.monotonic()
        if ahead_s > 0:
            time.sleep(ahead_s)
        else:
            self._next += int(-ahead_s * FPS)

    def _chosen(self, desktop: Desktop) -> Area:
        from edge_app.capture._mss import Area

        if match := _AREA.fullmatch(self._asked):
            area = Area(*(int(number) for number in match.groups()))
            if not _inside(area, desktop.whole) or min(area.width, area.height) < SMALLEST:
                whole = desktop.whole
                because = f"the screen is {whole.width}x{whole.height} from {whole.x},{whole.y} on"
                raise self._failed("cannot be captured", because, f"choose at least {SMALLEST}x{SMALLEST} within it")
            return area
        number = int(self._asked or "1")
        if not 1 <= number <= len(desktop.screens):
            raise self._failed("cannot be captured", f"there are {len(desktop.screens)} screens", _EXAMPLES)
        return desktop.screens[number - 1]

    def _failed(self, how: str, because: str, cure: str) -> SourceError:
        return SourceError(f"screen:{self._asked} {how}", because, cure)

    def _close(self) -> None:
        if self._desktop is not None:
            self._desktop.close()
        self._desktop = None


def _inside(area: Area, whole: Area) -> bool:
    across = whole.x <= area.x and area.x + area.width <= whole.x + whole.width
    return across and whole.y <= area.y and area.y + area.height <= whole.y + whole.height
