"""Frame and FrameSource: what every source of pictures gives and promises."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from engines.errors import EchoGFRError

LONGEST_WAIT_S = 0.25  # the window says LOST after 0.45 s without a frame: the reader must hear of it before


class SourceError(EchoGFRError):
    """A source of pictures cannot be opened, or failed while it was read."""


@dataclass(frozen=True, slots=True)
class ScreenRegion:
    """A rectangle of the picture that the file itself declares to be ultrasound (DICOM (0018,6011)).

    ``bbox`` is (x0, y0, x1, y1) in pixels, x1 and y1 exclusive. ``px_per_cm`` is None where the
    units are not centimetres.
    """

    bbox: tuple[int, int, int, int]
    px_per_cm: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture, captured once and never changed.

    ``pixels`` is uint8 (H, W, 3) RGB, read-only. ``index`` counts also the frames that a live source
    left out because the reader was late, where it knows of them. ``t_ms`` is the kernel's or the stream's own
    time in milliseconds since the first frame (arrival time where there is none); it never goes back.
    ``truth`` is set by the phantom alone and is never read by anything on the path to a number.
    """

    index: int
    t_ms: float
    pixels: NDArray[np.uint8]
    regions: tuple[ScreenRegion, ...] = ()
    truth: object | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Waiting:
    """No frame came within ``LONGEST_WAIT_S``; the source is well, as far as it can tell: ask again."""

    reason: str = "no picture has come yet"  # for a person, without a full stop


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What a source says of itself, after it was entered."""

    uri: str  # "phantom:", "file:/x/y.mp4"; user names, passwords and tokens are masked
    title: str  # for a person, without identity
    live: bool  # True: frames arrive in real time and may be dropped; False: read at the reader's pace
    fps: float | None  # None for stills: each frame is a picture of its own
    size: tuple[int, int] | None  # width, height of the first frame, pixels


@runtime_checkable
class FrameSource(Protocol):
    """Enter, read until None, exit. No Python thread inside; all waiting is in ``__enter__`` and ``read``.

    Where the library below can be asked to come back, ``read`` returns ``Waiting`` after ``LONGEST_WAIT_S`` at the
    latest. Where it cannot (a network stream, a file on a share that hangs), its own deadline ends the source with an
    error; a reader that must not wait keeps the source on a thread or in a process of its own, as the worker does.
    """

    @property
    def info(self) -> SourceInfo: ...

    def __enter__(self) -> FrameSource: ...

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def read(self) -> Frame | Waiting | None:
        """Return the next frame, ``Waiting`` if none came in time, or None when the source has ended.

        Raises
        ------
        SourceError
            The source failed; the sentence says what to do.
        """
        ...


def frames(source: FrameSource) -> Iterator[Frame]:
    """Yield the frames of an entered source until it ends, waiting for each as long as the source does."""
    while (got := source.read()) is not None:
        if isinstance(got, Frame):
            yield got
