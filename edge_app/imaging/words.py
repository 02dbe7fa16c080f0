"""Words: what stands written around the image, and lengths in it, read bit by bit: the picture never waits for it.

Everything stays in memory: the words of a screen name the patient.
"""

from __future__ import annotations

import re
from concurrent.futures import Future, wait
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.imaging._ocr import Box, TextLine
from edge_app.imaging.evidence import brightest_channel, over
from edge_app.imaging.overlaid import find_overlaid
from edge_app.imaging.printed import parse_lengths
from edge_app.imaging.scene import Sector
from edge_app.imaging.scribe import SCRIBE, Lines, Scribe
from edge_app.imaging.slices import Sliced, finish
from edge_app.imaging.strokes import pieces_of, stroke_map
from engines.errors import RuntimeUnavailableError

Grey = NDArray[np.uint8]
FINE_ROWS = 720  # a picture of so many rows or more is looked at in half its size
INK = 45  # grey levels of a letter over what surrounds it
LETTER = (0.008, 0.045)  # least and most height of a line, share of the picture's height
MOST_ON_RIM = 0.4  # of a line's box
GAP = 0.035  # between the words of one line, share of the picture's height
CHANGED = 70  # grey levels: more than compression does to a letter
FEW_CHANGED = 4  # pixels of the sample
ONE_DIGIT = 2  # pixels of a line: what two digits differ in at the least
MEASURE = re.compile(r"\d\s?[cm]m", re.IGNORECASE)
MOST_LINES = 200
DONE = object()
SAMPLE = 4  # every so many pixels are compared to see whether something was written


@dataclass(frozen=True, slots=True)
class WordRules:
    """How often lines are looked for and read; milliseconds of the stream's own time."""

    look_ms: float = 3000.0  # at the latest
    look_changed_ms: float = 800.0  # where something has changed around the image
    look_stirred_ms: float = 120.0  # the same, while something is new: a freeze, markers that were set
    stirred_ms: float = 1500.0
    read_live_ms: float = 250.0  # between two lines in a moving picture
    lines_frozen: int = 3  # read in one frozen picture
    lines_still: int = 80  # read in a picture that has no next one


@dataclass(slots=True, eq=False)
class _Line:
    """A place with words; ``text`` None: not read yet. ``born`` is the look at which it came or changed.

    ``inside``: over the image, where some of what looks like a line is tissue, and where notes about it are written.
    """

    box: Box
    grey: Grey
    born: int
    text: TextLine | None = None
    read: bool = False
    inside: bool = False

    @property
    def counts(self) -> bool:
        """Whether what was read is to be heeded: over the image, a result alone."""
        return self.text is not None and (not self.inside or bool(parse_lengths(self.text.text)))

    @property
    def measures(self) -> bool:
        """Whether it states a length: that must never be an old one."""
        return self.text is not None and MEASURE.search(self.text.text) is not None


class ScreenWords:
    """Follows the lines of text on one screen: the newest are read first, the same are read once.

    Without the OCR library there are no words, and ``unavailable`` says why. The scribe may read on a thread of its
    own: the words are then there a picture or two later.
    """

    def __init__(self, rules: WordRules | None = None, scribe: Scribe = SCRIBE) -> None:
        self._rules = rules or WordRules()
        self._scribe = scribe
        self._asked: tuple[list[_Line], Future[Lines]] | None = None
        self._lines: list[_Line] = []
        self._sample: Grey = np.zeros((0, 0), np.uint8)
        self._looks = 0
        self._look_on: Sliced[None] | None = None
        self._look_ms = self._check_ms = self._read_ms = self._stirred_ms = -np.inf
        self._inside = self._inside_due = False
        self.unavailable = ""

    @property
    def lines(self) -> tuple[TextLine, ...]:
        """What has been read and still stands on the screen, from top to bottom."""
        known = [line.text for line in self._lines if line.text is not None and line.counts]
        return tuple(sorted(known, key=lambda line: (line.box[1], line.box[0])))

    @property
    def boxes(self) -> tuple[Box, ...]:
        """Where words stand, read or not; over the image, where a result was read."""
        return tuple(line.box for line in self._lines if line.counts or not line.inside)

    @property
    def waiting(self) -> int:
        """Lines that stand on the screen and were not read yet."""
        return sum(not line.read for line in self._lines)

    @property
    def looking(self) -> bool:
        """Whether a look goes on in the next picture."""
        return self._look_on is not None

    def stir(self, t_ms: float) -> None:
        """Look often for a while: something has been frozen or measured, and its result is about to stand there."""
        self._stirred_ms = t_ms

    def follow(self, pixels: NDArray[np.uint8], t_ms: float, sector: Sector | None, *, frozen: bool) -> None:
        """Look at the next RGB uint8 (H, W, 3) picture of the stream, and read a little of it."""
        self._take()
        if self.unavailable:
            return
        self._drop_inside(frozen)
        if self._look_on is None and self._is_due(pixels, t_ms, None if frozen else sector):
            self._look_ms, self._inside_due = t_ms, True
            self._look_on = self._look(pixels, sector)
        elif self._look_on is None and self._inside_due and frozen and sector is not None:
            self._inside_due = False  # a picture later: half the work in each
            self._look_inside(pixels, sector)
        if self._look_on is not None and next(self._look_on, DONE) is not DONE:
            return
        self._look_on = None
        if frozen:
            self._read(pixels, self._rules.lines_frozen)
        elif t_ms - self._read_ms >= self._rules.read_live_ms:
            self._read_ms = t_ms
            self._read(pixels, 1)

    def _is_due(self, pixels: NDArray[np.uint8], t_ms: float, sector: Sector | None) -> bool:
        """Tell whether to look for lines again."""
        since = t_ms - self._look_ms
        stirred = t_ms - self._stirred_ms <= self._rules.stirred_ms
        rest_ms = self._rules.look_stirred_ms if stirred else self._rules.look_changed_ms
        if since >= self._rules.look_ms:
            return True
        if min(since, t_ms - self._check_ms) < rest_ms:
            return False
        self._check_ms = t_ms
        return self._changed(pixels, sector)

    def read_still(self, pixels: NDArray[np.uint8], sector: Sector | None) -> None:
        """Read all of a picture that has no next one, and wait for it."""
        if not self.unavailable:
            finish(self._look(pixels, sector))
            if sector is not None:
                self._look_inside(pixels, sector)
            self._read(pixels, self._rules.lines_still)
        if self._asked is not None:
            wait([self._asked[1]])
            self._take()

    def _changed(self, pixels: NDArray[np.uint8], sector: Sector | None) -> bool:
        """Tell whether something has been written or wiped since the last look, be it one digit.

        ``sector`` is the image, where it moves: what changes in it does not count.
        """
        if any(not same_ink(line.grey, _seen(pixels, line.box)) for line in self._lines if line.measures):
            return True
        if self._sample.shape != pixels[::SAMPLE, ::SAMPLE, 1].shape:
            return True
        change = over(np.asarray(cv2.absdiff(_sample(pixels), self._sample), dtype=np.uint8), CHANGED)
        if sector is not None:
            change[sector.mask[::SAMPLE, ::SAMPLE]] = 0
        # The sample misses a digit that became another: a result that is still being measured.
        return int(np.count_nonzero(change)) >= FEW_CHANGED or any(
            not same_ink(line.grey, _seen(pixels, line.box)) for line in self._lines
        )

    def _drop_inside(self, frozen: bool) -> None:
        """Forget what was read over an image that moves again."""
        if not frozen and self._inside:
            self._lines = [line for line in self._lines if not line.inside]
        self._inside = frozen

    def _look(self, pixels: NDArray[np.uint8], sector: Sector | None) -> Sliced[None]:
        """Find the lines around the image anew; those that have not changed keep their words."""
        self._looks += 1
        self._sample = _sample(pixels)
        found = yield from searching_lines(pixels, sector)
        self._take_over(pixels, found, inside=False)

    def _look_inside(self, pixels: NDArray[np.uint8], sector: Sector) -> None:
        self._take_over(pixels, find_overlaid(pixels, sector.bbox), inside=True)

    def _take_over(self, pixels: NDArray[np.uint8], boxes: list[Box], *, inside: bool) -> None:
        known = [line for line in self._lines if line.inside == inside]
        self._lines = [line for line in self._lines if line.inside != inside]
        for box in boxes:
            before = next((line for line in known if _alike(line.box, box)), None)
            if before is not None and same_ink(before.grey, _seen(pixels, before.box)):
                self._lines.append(before)
            else:
                self._lines.append(_Line(box, _seen(pixels, box), self._looks, inside=inside))

    def _read(self, pixels: NDArray[np.uint8], count: int) -> None:
        """Ask for the newest lines that are not read yet, unless an answer is still to come."""
        unread = sorted((line for line in self._lines if not line.read), key=lambda line: -line.born)[:count]
        if self._asked is None and unread:
            self._asked = unread, self._scribe.request(pixels, [line.box for line in unread])
            self._take()

    def _take(self) -> None:
        """Take the answer if it has come."""
        if self._asked is None or not self._asked[1].done():
            return
        (lines, answer), self._asked = self._asked, None
        try:
            for line, text in zip(lines, answer.result(), strict=True):
                line.text, line.read = text, True
        except RuntimeUnavailableError as error:
            self.unavailable = error.sentence
            self._lines = []


def find_lines(pixels: NDArray[np.uint8], sector: Sector | None) -> list[Box]:
    """Return boxes of lines of bright text in RGB uint8 (H, W, 3) ``pixels`` outside ``sector``."""
    return finish(searching_lines(pixels, sector))


def searching_lines(pixels: NDArray[np.uint8], sector: Sector | None) -> Sliced[list[Box]]:
    """Do what ``find_lines`` does in slices; ``pixels`` must not change until it is done."""
    height, width = pixels.shape[:2]
    step = 2 if height >= FINE_ROWS else 1
    grey = _bright(pixels) if step == 1 else _halved(pixels)
    rows = grey.shape[0]
    ink = over(stroke_map(grey, round(0.03 * rows)), INK)
    rim = np.zeros(ink.shape, np.uint8)
    if sector is not None:
        inner, rim = _inner_and_rim(sector, step, ink.shape, rows)
        ink[inner > 0] = 0
    yield
    ink = _without_large(ink, rows)
    joined = np.asarray(cv2.morphologyEx(ink, cv2.MORPH_CLOSE, np.ones((1, round(GAP * rows)), np.uint8)), np.uint8)
    count, _, stats, _ = pieces_of(joined)
    found = []
    for x, y, w, h, area in stats[1:count].tolist():
        if LETTER[0] * rows <= h <= LETTER[1] * rows and w >= 1.2 * h and area >= 0.25 * w * h:
            if rim[y : y + h, x : x + w].mean() > MOST_ON_RIM:
                continue
            pad = max(2, round(0.3 * h))
            box = (x - pad, y - pad, x + w + pad, y + h + pad)
            x0, y0, x1, y1 = (step * side for side in box)
            found.append((max(0, x0), max(0, y0), min(width, x1), min(height, y1)))
    return found[:MOST_LINES]


def _bright(pixels: NDArray[np.uint8]) -> Grey:
    """Return the brighter of red and green: nobody writes results in blue."""
    red, green = cv2.extractChannel(pixels, 0), cv2.extractChannel(pixels, 1)
    return np.asarray(cv2.max(red, green, dst=red), dtype=np.uint8)


def _halved(pixels: NDArray[np.uint8]) -> Grey:
    """Return the brightest of each two by two pixels, so that the thinnest letter stays."""
    height, width = pixels.shape[0] // 2 * 2, pixels.shape[1] // 2 * 2
    rows = cv2.max(pixels[0:height:2, :width], pixels[1:height:2, :width])
    twos = _bright(np.asarray(rows, dtype=np.uint8)).reshape(height // 2, width // 2, 2)
    return np.asarray(cv2.max(cv2.extractChannel(twos, 0), cv2.extractChannel(twos, 1)), dtype=np.uint8)


def _inner_and_rim(sector: Sector, step: int, shape: tuple[int, ...], rows: int) -> tuple[Grey, Grey]:
    """Return the sector without its rim, where words may reach in, and with it, where it looks like letters itself."""
    mask = np.ascontiguousarray(sector.mask[::step, ::step][: shape[0], : shape[1]].astype(np.uint8))
    kernel = np.ones((2 * round(0.008 * rows) + 1,) * 2, np.uint8)
    inner, outer = cv2.erode(mask, kernel, borderValue=(0,)), cv2.dilate(mask, kernel)
    return np.asarray(inner, dtype=np.uint8), np.asarray(outer, dtype=np.uint8)


def _without_large(ink: Grey, rows: int) -> Grey:
    """Return the ink without what is no letter: frames, bars, the edge of the image."""
    count, labels, stats, _ = pieces_of(ink)
    large = (stats[:, cv2.CC_STAT_HEIGHT] > LETTER[1] * rows) | (stats[:, cv2.CC_STAT_WIDTH] > 8 * LETTER[1] * rows)
    for index in range(1, count):
        if large[index]:
            x, y, w, h = stats[index, :4].tolist()
            part = (slice(y, y + h), slice(x, x + w))
            ink[part][labels[part] == index] = 0
    return ink


def _alike(one: Box, other: Box) -> bool:
    """Tell whether two boxes are of one line of text."""
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    if across <= 0 or down <= 0:
        return False
    areas = ((one[2] - one[0]) * (one[3] - one[1]), (other[2] - other[0]) * (other[3] - other[1]))
    return across * down > 0.7 * max(areas)


def _sample(pixels: NDArray[np.uint8]) -> Grey:
    """Return every fourth pixel, green: most strokes of a new line have some of them."""
    return np.ascontiguousarray(pixels[::SAMPLE, ::SAMPLE, 1])


def _seen(pixels: NDArray[np.uint8], box: Box) -> Grey:
    x0, y0, x1, y1 = box
    return brightest_channel(np.ascontiguousarray(pixels[y0:y1, x0:x1]))


def same_ink(one: Grey, other: Grey) -> bool:
    """Tell whether two grey pictures of one place show the same letters, but for a codec's noise."""
    if one.shape != other.shape:
        return False
    return int(np.count_nonzero(over(np.asarray(cv2.absdiff(one, other), dtype=np.uint8), CHANGED))) < ONE_DIGIT
