"""Watch: reads what is about to be written, picture by picture, and has it written anew until nothing is left."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.imaging.redact import RIM, ROUNDS, Redactor, ResidueError

Pixels = NDArray[np.uint8]
EVERY_MS = 1000.0  # of the recording, between two pictures that are read
NEW_LEVELS, NEW_PIXELS = 24, 20  # grey levels and pixels that differ from a picture that was read


class Watch:
    """Follows the attempts at writing one recording of ``count`` frames.

    The first, the last and one frame a second are read, as they are about to be written. Where words are found that
    may name the patient, they are hidden in all frames, and the recording is written anew.
    """

    def __init__(self, redactor: Redactor, count: int, what: str) -> None:
        self._redactor = redactor
        self._count = count
        self._what = what
        self._clean: set[int] = set()
        self._attempts = 0
        self._due_ms = -np.inf
        self._last: Pixels | None = None
        self._last_rim: Pixels | None = None
        self._rim = _rim(redactor.keep)
        self.stained = True
        """Whether words were found in this attempt: what it has written must not be kept."""

    def again(self) -> bool:
        """Begin an attempt where one is needed; raises ``ResidueError`` after the last."""
        if not self.stained:
            return False
        if self._attempts == ROUNDS:
            raise ResidueError(self._what)
        self._attempts += 1
        self._due_ms, self._last, self.stained = -np.inf, None, False
        return True

    def masked(self, index: int, t_ms: float, pixels: Pixels) -> Pixels:
        """Return frame ``index``, uint8 (H, W, 3), as it may be written."""
        due = t_ms >= self._due_ms or index == self._count - 1
        if due:
            self._due_ms = t_ms + EVERY_MS
            self._learn(index, pixels)
        masked = self._redactor.masked(pixels)
        if due:
            self._inspect(index, masked)
        return masked

    def _learn(self, index: int, pixels: Pixels) -> None:
        """Read the rim of the image where it is new; what is hidden then is hidden in the frames before, too."""
        if not self._redactor.reads or index in self._clean:
            return
        rim = np.where(self._rim[:, :, None], pixels, np.uint8(0)).astype(np.uint8, copy=False)
        if self._last_rim is not None and _same(self._last_rim, rim):
            return
        self._last_rim = rim
        if not self._redactor.learn(pixels) and index > 0:
            self.stained = True

    def _inspect(self, index: int, masked: Pixels) -> None:
        if index in self._clean or (self._last is not None and _same(self._last, masked)):
            return
        if self._redactor.inspect(masked):
            self._clean.add(index)
            self._last = masked
        else:
            self.stained = True


def _rim(keep: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return what lies just around the image, bool (H, W)."""
    size = 2 * round(RIM[0] * keep.shape[0]) + 1
    wide = cv2.dilate(keep.astype(np.uint8), np.ones((size, size), np.uint8))
    return np.asarray((wide > 0) & ~keep, dtype=np.bool_)


def _same(one: Pixels, other: Pixels) -> bool:
    """Tell whether two pictures differ by no more than compression does, as those of a frozen scan do."""
    return int(np.count_nonzero(np.max(cv2.absdiff(one, other), axis=2) > NEW_LEVELS)) < NEW_PIXELS
