"""Redacting: the one door for pictures, opened for another program: ``python -m edge_app.redacting [--without-ocr]``.

``echogfr-convert`` sends pictures that it is about to write, and gets them back masked; no file is touched. A line of
JSON and the pixels (RGB, uint8, row by row) go in, the same come out; the end of the input is the end of the program.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from edge_app.imaging.redact import Reader, Redactor, ResidueError, read_words, redactor_of, require_reader
from edge_app.imaging.sector import find_sector
from engines.errors import EchoGFRError

Pixels = NDArray[np.uint8]
MOST_PX = 8192  # a side


class Request(BaseModel):
    """A picture that follows: a scanner's whole screen, or a crop that somebody cut from one."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["screen", "crop"]
    width: int = Field(gt=0, le=MOST_PX)
    height: int = Field(gt=0, le=MOST_PX)


class Answer(BaseModel):
    """``masked``: the picture follows. ``no_image``, ``residue``: it may not be written, and does not follow."""

    model_config = ConfigDict(extra="forbid")

    outcome: Literal["ready", "masked", "no_image", "residue", "failed"]
    sentence: tuple[str, str, str] | None = None  # failed: what, because, what to do


def main() -> None:
    """Answer until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends whoever asks, and that ends this
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no answer
    read: Reader | None = None if "--without-ocr" in sys.argv[1:] else read_words
    try:
        if read is not None:
            require_reader()
        _say(answers, Answer(outcome="ready"))
        while (line := sys.stdin.buffer.readline()).strip():
            _serve(Request.model_validate_json(line), answers, read)
    except EchoGFRError as error:
        _say(answers, Answer(outcome="failed", sentence=(error.what, error.because, error.cure)))


def _serve(request: Request, answers: BinaryIO, read: Reader | None) -> None:
    size = request.width * request.height * 3
    data = sys.stdin.buffer.read(size)
    if len(data) < size:
        return
    pixels = np.frombuffer(data, np.uint8).reshape(request.height, request.width, 3)
    try:
        masked = redacted(pixels, request.kind, read)
    except ResidueError:
        return _say(answers, Answer(outcome="residue"))
    if masked is None:
        return _say(answers, Answer(outcome="no_image"))
    return _say(answers, Answer(outcome="masked"), np.ascontiguousarray(masked).tobytes())


def redacted(pixels: Pixels, kind: Literal["screen", "crop"], read: Reader | None = read_words) -> Pixels | None:
    """Return RGB uint8 (H, W, 3) ``pixels`` as they may be written; None for a screen without ultrasound image.

    Raises
    ------
    ResidueError
        Words are read in it however often they are hidden.
    """
    if kind == "crop":
        return Redactor(np.ones(pixels.shape[:2], np.bool_), read).redacted(pixels, "A crop is not written")
    sector = find_sector(pixels)
    return None if sector is None else redactor_of(pixels, sector, read).redacted(pixels, "A screen is not written")


def _say(answers: BinaryIO, answer: Answer, pixels: bytes = b"") -> None:
    answers.write(answer.model_dump_json().encode() + b"\n" + pixels)
    answers.flush()


if __name__ == "__main__":
    main()
