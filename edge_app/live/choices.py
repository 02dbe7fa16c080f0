"""Choices: what the operator has set on the picture, kept by the window for the day on which the worker dies."""

from __future__ import annotations

from math import hypot

import numpy as np
from numpy.typing import NDArray

from edge_app.imaging.nudge import Nudge
from edge_app.live.link import FrameView
from edge_app.live.messages import (
    Anchor,
    ChooseImage,
    ClearPoles,
    Command,
    Kept,
    MoveImage,
    Poles,
    SetAgain,
    SetLength,
    SetPoles,
)
from edge_app.live.report import FrameReport

HALF = 0.17  # of the kidney's length: half the side of what is remembered around a pole
HALF_PX = (10, 64)


class Choices:
    """Follows commands and reports; ``kept`` says what a new worker is to set again, and on what picture."""

    def __init__(self) -> None:
        self._poles: Poles | None = None
        self._lost = False
        self._length_cm: float | None = None
        self._chosen: tuple[float, float] | None = None
        self._nudge: Nudge | None = None
        self._report: FrameReport | None = None  # this worker's newest with an image
        self._told: Kept | None = None  # this worker at its start
        self._size: tuple[int, int] | None = None
        self._anchored: tuple[Poles, tuple[Anchor, Anchor]] | None = None  # the handles when they were seen last
        self._pending = False  # it has not set that again yet

    def obey(self, command: Command) -> None:
        """Note what was set or taken back."""
        if isinstance(command, (SetPoles, ClearPoles)):
            self._poles, self._lost = (command.poles if isinstance(command, SetPoles) else None), False
            self._anchored = None
        elif isinstance(command, SetLength):
            self._length_cm = command.length_cm
        elif isinstance(command, ChooseImage):
            self._chosen = (command.x, command.y)
        elif isinstance(command, MoveImage):
            by = command.by
            self._nudge = by if by is None or self._nudge is None else self._nudge.and_then(by)

    def see(self, report: FrameReport, view: FrameView | None) -> None:
        """Note where the handles are now and what they lie on, and whether a typed length still holds.

        ``view`` is the picture of the report, if it is still there.
        """
        if self._pending:
            return
        if view is not None:
            self._size = (view.pixels.shape[1], view.pixels.shape[0])
        self._follow(report, view)
        if report.crop is not None and self._held(report) and "operator" not in report.crop.lengths_cm:
            self._length_cm = None  # other markers ended it
        if report.sector is not None:
            self._report = report

    def _follow(self, report: FrameReport, view: FrameView | None) -> None:
        """Note where the handles are, and what the picture looks like there; a still has no tracking."""
        if self._poles is None or (report.tracking is None and not report.frozen):
            return
        if report.tracking is not None:
            x1, y1, x2, y2 = report.tracking.poles
            self._poles = Poles(x1=x1, y1=y1, x2=x2, y2=y2, proposed=self._poles.proposed)
            self._lost = report.tracking.state == "lost"
        cut = None if view is None or self._lost else _anchors(view.pixels, self._poles)
        if cut is not None and view is not None and view.intact:
            self._anchored = (self._poles, cut)

    def _held(self, report: FrameReport) -> bool:
        """Whether the typed length was in force a picture ago."""
        before = None if self._report is None else self._report.crop
        return before is not None and "operator" in before.lengths_cm

    def settle(self, message: SetAgain) -> None:
        """Let go of what the new worker could not set again."""
        self._pending = False
        if "handles" in message.lost:
            self._poles = None
        if "length" in message.lost:
            self._length_cm = None
        if "image" in message.lost:
            self._chosen = self._nudge = None

    def kept(self) -> Kept | None:
        """Return what a worker that starts now is to set again; None: nothing was set."""
        report, told, self._report = self._report, self._told, None
        set_here = (self._poles, self._length_cm, self._chosen, self._nudge)
        self._pending = any(choice is not None for choice in set_here)
        if not self._pending:
            self._told = None
        elif report is not None:
            self._told = self._seen(report)
        else:  # the last worker saw no image: what counts is what the one before it saw
            self._told = self._with_choices(Kept(size=None, images=()) if told is None else told)
        return self._told

    def _seen(self, report: FrameReport) -> Kept:
        images = () if report.sector is None else (report.sector, *report.others)
        crop = report.crop
        of_markers = crop is not None and crop.basis == "calipers" and "operator" in crop.lengths_cm
        seen = Kept(
            size=self._size,
            images=tuple(image.bbox for image in images),
            length_ends=crop.poles if crop is not None and of_markers else None,
        )
        return self._with_choices(seen)

    def _with_choices(self, seen: Kept) -> Kept:
        poles, anchors = (self._poles, None) if self._anchored is None else self._anchored
        handles = {"poles": poles, "anchors": anchors, "lost": self._lost}
        chosen = {"length_cm": self._length_cm, "chosen": self._chosen, "nudge": self._nudge}
        return seen.model_copy(update={**handles, **chosen})


def _anchors(pixels: NDArray[np.uint8], poles: Poles) -> tuple[Anchor, Anchor] | None:
    """Return what the picture looks like around both poles, or None where one is at its border."""
    least, most = HALF_PX
    half = round(min(most, max(least, HALF * hypot(poles.x2 - poles.x1, poles.y2 - poles.y1))))
    first = _anchor(pixels, (round(poles.x1), round(poles.y1)), half)
    second = _anchor(pixels, (round(poles.x2), round(poles.y2)), half)
    return None if first is None or second is None else (first, second)


def _anchor(pixels: NDArray[np.uint8], at: tuple[int, int], half: int) -> Anchor | None:
    x, y = at
    height, width = pixels.shape[:2]
    if not (half <= x < width - half and half <= y < height - half):
        return None
    part = pixels[y - half : y + half + 1, x - half : x + half + 1]
    return Anchor(grey=np.ascontiguousarray(part[..., 1]).tobytes(), side=2 * half + 1)
