"""Frame and FrameSource: what every source of pictures gives and promises."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from engines.errors import EchoGFRError


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

    ``pixels`` is uint8 (H, W, 3) RGB, read-only. ``t_ms`` is the stream's own time in milliseconds
    since its start (arrival time where the stream has none); it never goes back. ``truth`` is set by
    the phantom alone and is never read by anything on the path to a number.
    """

    index: int
    t_ms: float
    pixels: NDArray[np.uint8]
    regions: tuple[ScreenRegion, ...] = ()
    truth: object | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What a source says of itself, after it was entered."""

    uri: str  # "phantom:", "file:/x/y.mp4"
    title: str  # for a person, without identity
    live: bool  # True: frames arrive in real time and may be dropped; False: read at the reader's pace
    fps: float | None  # None for stills: each frame is a picture of its own
    size: tuple[int, int] | None  # width, height of the first frame, pixels


@runtime_checkable
class FrameSource(Protocol):
    """Enter, read until None, exit. No threads inside; all waiting is in ``read``."""

    @property
    def info(self) -> SourceInfo: ...

    def __enter__(self) -> FrameSource: ...

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def read(self) -> Frame | None:
        """Return the next frame, or None when the source has ended.

        Raises
        ------
        SourceError
            The source failed; the sentence says what to do.
        """
        ...
