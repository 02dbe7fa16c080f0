"""Redact: names and numbers burned into the screen, overwritten before anything is written (DICOM PS3.15 E.3.1).

The one door through which pictures of a scanner's screen leave the memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from edge_app.imaging._ocr import Box, TextLine, prepare, read_text
from edge_app.imaging.harmless import suspicious
from edge_app.imaging.overlaid import find_overlaid
from edge_app.imaging.scene import Sector
from engines.errors import EchoGFRError, RuntimeUnavailableError, UsageError

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Reader = Callable[[Pixels], tuple[TextLine, ...]]
ROUNDS = 4  # of hiding what was read and reading again: letters may come out beside those that were hidden
PAD = 0.35  # of a line's height, around its box
BORDER = 60  # pixels, black: the reader misses words less often than in a picture that ends with the image
RIM = (0.06, 0.15)  # of the picture's height and width: around the image, where words begin that reach into it


class ResidueError(EchoGFRError):
    """Words that may name the patient are left in a picture and cannot be hidden: it is not written."""

    def __init__(self, what: str, cure: str = "mark the image's place by --area, or what must go by --hide") -> None:
        super().__init__(what, "words that may name the patient are still read in it", cure)


def mask_identity(pixels: Pixels, sector: Sector | None) -> Pixels:
    """Return a copy of RGB uint8 (H, W, 3) ``pixels``, black outside ``sector``; all black without one.

    The pixels are overwritten, not covered. A sector of another size than the picture's is no sector of it.
    """
    masked = np.zeros_like(pixels)
    if sector is not None and sector.mask.shape == pixels.shape[:2]:
        masked[sector.mask] = pixels[sector.mask]
    return masked


def read_words(pixels: Pixels) -> tuple[TextLine, ...]:
    """Return all words in RGB uint8 (H, W, 3) ``pixels``; about a second. Raises as ``read_text``."""
    return read_text(pixels)


def require_reader() -> None:
    """Refuse early what could not be read before it is written; loads the reader. Raises ``UsageError``."""
    try:
        prepare()
    except RuntimeUnavailableError as error:
        cure = "pip install rapidocr, or consent by --without-ocr to pictures in which words were not looked for"
        raise UsageError("Words that remain in the pictures cannot be looked for", error.because, cure) from error


class Redactor:
    """What of the pictures of one screen may be kept, and what was hidden in it.

    Parameters
    ----------
    keep : bool (H, W)
        The ultrasound image; all else is overwritten.
    read : Reader or None
        Reads the words of a picture. None: by consent, words inside of ``keep`` are not looked for.
    hide : boxes (x0, y0, x1, y1), x1 and y1 exclusive
        Places that the operator marked.
    """

    def __init__(self, keep: Mask, read: Reader | None = read_words, hide: Iterable[Box] = ()) -> None:
        self._keep: Mask = keep.copy()
        self._read = read
        self.hidden: list[Box] = []
        """Places inside the image that are overwritten: the operator's and those where words were read."""
        self.inspected = 0
        """Pictures in which words were looked for and nothing was left that may name the patient."""
        for box in hide:
            self._hide(box)

    @property
    def keep(self) -> Mask:
        """Bool (H, W): what is still shown."""
        return self._keep

    @property
    def reads(self) -> bool:
        """Whether words are looked for."""
        return self._read is not None

    def masked(self, pixels: Pixels) -> Pixels:
        """Return a copy of uint8 (H, W, 3) ``pixels``, black where nothing may be shown."""
        return np.where(self._keep[:, :, None], pixels, np.uint8(0)).astype(np.uint8, copy=False)

    def learn(self, pixels: Pixels) -> bool:
        """Read the image with its rim, and hide what reaches into it: half a word that is masked is still a word.

        ``pixels`` are the screen's own, uint8 (H, W, 3). True: nothing more had to be hidden.
        """
        before = len(self.hidden)
        for line in (*self._suspicious(pixels, self._box(rim=True)), *self._overlaid(pixels)):
            self._hide(_padded(line.box))
        return len(self.hidden) == before

    def inspect(self, masked: Pixels) -> bool:
        """Read what is about to be written; hide from now on what may name the patient. True: there was nothing.

        Read twice, at two sizes: what the reader misses at one it mostly finds at the other.
        """
        if self._read is None:
            return True
        found = self._suspicious(masked, self._box()) or self._suspicious(masked, _whole(masked))
        found = found or self._overlaid(masked)
        for line in found:
            self._hide(_padded(line.box))
        self.inspected += not found
        return not found

    def redacted(self, pixels: Pixels, what: str) -> Pixels:
        """Return one picture as it may be written; ``what`` names it in the error.

        Raises
        ------
        ResidueError
            Words are read in it however often they are hidden.
        """
        self.learn(pixels)
        for _ in range(ROUNDS):
            masked = self.masked(pixels)
            if self.inspect(masked):
                return masked
        raise ResidueError(what)

    def _suspicious(self, pixels: Pixels, box: Box | None) -> tuple[TextLine, ...]:
        """Read what of the picture lies in ``box``, with a black border, and return what may name the patient."""
        if self._read is None or box is None:
            return ()
        x0, y0, x1, y1 = box
        part = np.pad(pixels[y0:y1, x0:x1], ((BORDER, BORDER), (BORDER, BORDER), (0, 0)))
        lines = self._read(np.ascontiguousarray(part))
        return tuple(_moved(line, x0 - BORDER, y0 - BORDER) for line in suspicious(lines, part.shape))

    def _overlaid(self, pixels: Pixels) -> tuple[TextLine, ...]:
        """Return what may name the patient of lines that are told by their letters: the page reader misses some."""
        box = self._box()
        if self._read is not read_words or box is None:
            return ()
        return tuple(suspicious(read_text(pixels, find_overlaid(pixels, box)), pixels.shape))

    def _box(self, *, rim: bool = False) -> Box | None:
        rows, columns = np.flatnonzero(self._keep.any(axis=1)), np.flatnonzero(self._keep.any(axis=0))
        if not len(rows):
            return None
        height, width = self._keep.shape
        down, across = (round(RIM[0] * height), round(RIM[1] * width)) if rim else (0, 0)
        x0, y0 = max(0, int(columns[0]) - across), max(0, int(rows[0]) - down)
        return x0, y0, min(width, int(columns[-1]) + 1 + across), min(height, int(rows[-1]) + 1 + down)

    def _hide(self, box: Box) -> None:
        """Overwrite a place from now on, where anything of it is shown."""
        x0, y0, x1, y1 = max(0, box[0]), max(0, box[1]), box[2], box[3]
        part = self._keep[y0 : max(y0, y1), x0 : max(x0, x1)]
        if part.any():
            part[:] = False
            self.hidden.append((x0, y0, x1, y1))


def redactor_of(
    pixels: Pixels, sector: Sector | None, read: Reader | None = read_words, hide: Iterable[Box] = ()
) -> Redactor:
    """Return a redactor that keeps ``sector`` of pictures like ``pixels``; nothing without one of their size."""
    fits = sector is not None and sector.mask.shape == pixels.shape[:2]
    keep = sector.mask if sector is not None and fits else np.zeros(pixels.shape[:2], np.bool_)
    return Redactor(keep, read, hide)


def _whole(pixels: Pixels) -> Box:
    return 0, 0, pixels.shape[1], pixels.shape[0]


def _padded(box: Box) -> Box:
    x0, y0, x1, y1 = box
    pad = max(2, round(PAD * (y1 - y0)))
    return x0 - pad, y0 - pad, x1 + pad, y1 + pad


def _moved(line: TextLine, dx: int, dy: int) -> TextLine:
    x0, y0, x1, y1 = line.box
    return TextLine(line.text, (x0 + dx, y0 + dy, x1 + dx, y1 + dy), line.confidence)
