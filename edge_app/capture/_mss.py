"""The one door to mss: what screens there are, and the pixels of a part of one."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from edge_app.capture.base import SourceError
from edge_app.capture.files import frozen

try:
    from mss import MSS
except ImportError as error:
    what, cure = "The screen cannot be captured", "pip install 'mss>=10.2,<11'"
    raise SourceError(what, f"mss is not usable here ({error})", cure) from error


class ScreenError(Exception):
    """There is no screen to capture, or it has gone; the text is the cause in a few words."""


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle of the desktop, pixels; the desktop may begin left of or above 0."""

    x: int
    y: int
    width: int
    height: int


class Desktop:
    """An open way to the desktop; used on the thread that opened it.

    Raises
    ------
    ScreenError
        There is no desktop, or it cannot be captured.
    """

    def __init__(self) -> None:
        try:
            self._mss = MSS()
            self._monitors = [Area(m["left"], m["top"], m["width"], m["height"]) for m in self._mss.monitors]
        except Exception as error:  # boundary: mss raises its own errors, OSError and assertions alike
            raise ScreenError(_said(error)) from error

    def __enter__(self) -> Desktop:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def whole(self) -> Area:
        """All screens together."""
        return self._monitors[0]

    @property
    def screens(self) -> list[Area]:
        """Each screen."""
        return self._monitors[1:] or self._monitors

    def grab(self, area: Area) -> NDArray[np.uint8]:
        """Return uint8 (H, W, 3) RGB, read-only, without the mouse pointer.

        Raises
        ------
        ScreenError
            The desktop has gone.
        """
        try:
            shot = self._mss.grab((area.x, area.y, area.x + area.width, area.y + area.height))
        except Exception as error:  # as above: a desktop that ends is even an AssertionError
            raise ScreenError(_said(error)) from error
        bgra = np.frombuffer(shot.raw, np.uint8).reshape(shot.height, shot.width, 4)
        return frozen(bgra[:, :, 2::-1])

    def close(self) -> None:
        """Let go of the desktop, which may have gone before."""
        try:
            self._mss.close()
        except Exception:  # noqa: BLE001 - boundary: nothing is lost that was not lost before
            return


def _said(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0].rstrip(".") if lines else "the desktop has gone"
