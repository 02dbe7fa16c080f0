"""Area: which part of a clip's pictures is ultrasound image in all of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from edge_app.capture.base import Frame
from edge_app.deidentify.plan import RefusedFileError, Rules, Tick
from edge_app.imaging.evidence import EvidenceMemory
from edge_app.imaging.redact import Redactor
from edge_app.imaging.sector import SectorSearch

Mask = NDArray[np.bool_]
LOOK_MS = 4000.0  # of the recording, between two looks for the image
SMALLEST_COMMON = 0.5  # of the largest image seen: less is another layout


def redactor_for(frames: Iterator[Frame], rules: Rules, what: str, tick: Tick) -> tuple[Redactor, int]:
    """Look through a recording, and return what of its pictures may be shown, and how many there are.

    Raises
    ------
    RefusedFileError
        No image was seen, its place changes, or the picture changes its size. ``what`` begins the sentence.
    """
    survey = _Survey(rules, what)
    for frame in frames:
        survey.add(frame)
        tick()
    return Redactor(survey.area(), rules.read, rules.hide), survey.count


class _Survey:
    """Gathers where the image is seen."""

    def __init__(self, rules: Rules, what: str) -> None:
        self._rules = rules
        self._what = what
        self._memory = EvidenceMemory()
        self._last: Frame | None = None
        self._looked_ms = -np.inf
        self._fresh = 0
        self._found: list[Mask] = []
        self.count = 0

    def add(self, frame: Frame) -> None:
        """Take the next frame in."""
        if self._last is not None and frame.pixels.shape != self._last.pixels.shape:
            raise self._changes("its picture changes its size on the way")
        self._last = frame
        self.count += 1
        if self._rules.area is not None:
            return
        if self._memory.add(frame.pixels, frame.t_ms):
            self._fresh += 1
        if self._fresh >= 8 and frame.t_ms - self._looked_ms >= LOOK_MS:
            self._look(frame)

    def area(self) -> Mask:
        """Return bool (H, W): what is image in every look."""
        if self._last is None:
            raise RefusedFileError("no-picture", self._what, "it holds no picture", "check it in a viewer")
        shape = self._last.pixels.shape[:2]
        if self._rules.area is not None:
            return _rectangle(self._rules.area, (shape[0], shape[1]))
        if self._fresh:
            self._look(self._last)
        if not self._found:
            cure = "give the image's place by --area X0,Y0,X1,Y1"
            raise RefusedFileError("no-image-area", self._what, "no ultrasound image is seen in it", cure)
        common = np.logical_and.reduce(self._found)
        if common.sum() < SMALLEST_COMMON * max(int(mask.sum()) for mask in self._found):
            raise self._changes("the image's place changes on the way")
        return np.asarray(common, dtype=np.bool_)

    def _look(self, frame: Frame) -> None:
        height, width = frame.pixels.shape[:2]
        self._looked_ms, self._fresh = frame.t_ms, 0
        search = SectorSearch(self._memory.evidence(), (width, height), frame.regions)
        while not search.step():
            pass
        if search.images:  # both of two images side by side
            self._found.append(np.logical_or.reduce([image.mask for image in search.images]))

    def _changes(self, because: str) -> RefusedFileError:
        cure = "cut the recording there, or give the image's place by --area"
        return RefusedFileError("layout-changes", self._what, because, cure)


def _rectangle(box: tuple[int, int, int, int], shape: tuple[int, int]) -> Mask:
    mask = np.zeros(shape, np.bool_)
    mask[max(0, box[1]) : max(0, box[3]), max(0, box[0]) : max(0, box[2])] = True
    return mask
