"""Scene: what was seen in a frame. Coordinates are pixels of the frame, (x, y), pixel centres integral."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import hypot
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge_app.imaging.signal import SignalFault

SectorKind = Literal["convex", "phased", "linear", "trapezoid", "unknown"]
Point = tuple[float, float]
# "dual": two images, and nothing says which of them is meant
Mode = Literal["dual", "colour-doppler", "spectral-doppler", "m-mode", "contrast", "other-organ"]
SQUEEZED = 0.12  # of the width; with less, arcs that are drawn roughly may be meant
TearKind = Literal["older part", "shifted band"]


@dataclass(frozen=True, slots=True, eq=False)
class Sector:
    """The part of the screen that is ultrasound image.

    ``bbox`` is (x0, y0, x1, y1), x1 and y1 exclusive; ``outline`` is a closed polygon of (x, y);
    ``mask`` is bool (H, W); ``confidence`` 0..1. ``stretch`` is how wide the picture is for its height: 1 where the
    arcs of a fan are circles, and where there are none to tell.
    """

    kind: SectorKind
    bbox: tuple[int, int, int, int]
    outline: tuple[Point, ...]
    mask: NDArray[np.bool_] = field(repr=False)
    confidence: float
    stretch: float = 1.0

    @property
    def squeezed(self) -> bool:
        """Whether the arcs of a curved probe's image are clearly no circles: something did not keep the aspect."""
        return self.kind == "convex" and abs(self.stretch - 1.0) > SQUEEZED


@dataclass(frozen=True, slots=True)
class CaliperPair:
    """Two length markers that belong together; centres are sub-pixel."""

    first: Point
    second: Point
    shape: Literal["plus", "cross"]
    confidence: float  # 0..1
    arm_px: float = 8.0  # half of a marker's span

    @property
    def length_px(self) -> float:
        """Distance between the two centres, pixels."""
        return hypot(self.second[0] - self.first[0], self.second[1] - self.first[1])


@dataclass(frozen=True, slots=True)
class RefusedMark:
    """Something that looks like a marker and was not taken for one, for the debug view.

    ``reason``: a few words for a person ('part of a text', 'live cursor', 'single'); ``size_px`` its span.
    """

    centre: Point
    size_px: float
    reason: str


@dataclass(frozen=True, slots=True)
class Scale:
    """Pixels per centimetre, and where that came from."""

    px_per_cm: float
    basis: Literal["ruler", "dicom", "operator", "printed"]
    confidence: float


@dataclass(frozen=True, slots=True)
class PrintedLength:
    """A length that the scanner's own result text states, centimetres, as read from the screen."""

    length_cm: float
    text: str  # the words that were read, without anything else of the screen
    confidence: float  # 0..1


@dataclass(frozen=True, slots=True)
class QualityFault:
    """One rule that failed; ``reason`` tells the operator what to do ('too dark: raise gain')."""

    code: str
    reason: str
    hard: bool  # True: no number; False: number with low confidence


@dataclass(frozen=True, slots=True)
class Quality:
    """Measures inside the sector (clinic-and-paper 7.1) and the rules that failed."""

    measures: dict[str, float]
    faults: tuple[QualityFault, ...]
    grade: Literal["diagnostic", "limited", "non-diagnostic"]


@dataclass(frozen=True, slots=True)
class Tears:
    """What was torn of a stream up to now: the newest frame, so many in all, and whether that goes on."""

    torn: TearKind | None = None
    count: int = 0
    often: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """What was seen in one frame. ``calipers``: longest kidney-length candidate first."""

    frame_index: int
    t_ms: float
    size: tuple[int, int]  # width, height
    signal: bool  # False: black, blue or colour-bar picture, nothing connected
    frozen: bool  # the scanner's own freeze, seen in the video
    synthetic: bool  # the picture carries the phantom's mark
    sector: Sector | None
    calipers: tuple[CaliperPair, ...]
    scale: Scale | None
    images: tuple[Sector, ...] = ()  # every ultrasound image on the screen, ``sector`` (the active one) first
    refused: tuple[RefusedMark, ...] = ()  # what was not taken for a caliper, and why
    modes: frozenset[Mode] = frozenset()  # what else than one grey image the screen shows
    layout: str | None = None  # fingerprint of the screen around the image: one scanner, one software, one preset
    by_hand: bool = False  # the operator moved the border of the image
    notice: str | None = None  # a sentence for the operator: what was set could not be kept
    printed: PrintedLength | None = None
    quality: Quality | None = None
    signal_fault: SignalFault | None = None  # what the grabber shows instead, where there is no signal
    repeated_ms: float = 0.0  # for so long the very same picture came, to the last letter around the image
    maker: str | None = None  # of the scanner, as its screen names it
    tears: Tears = field(default_factory=Tears)  # what was torn of the stream up to this frame
