"""What ``echogfr deidentify`` was asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from edge_app.deidentify.pseudonyms import Pseudonyms
from edge_app.deidentify.report import Code
from edge_app.imaging._ocr import Box
from edge_app.imaging.redact import Reader, read_words
from engines.errors import EchoGFRError

Names = Literal["number", "keep"]
Dates = Literal["remove", "shift"]
Tick = Callable[[], None]


class RefusedFileError(EchoGFRError):
    """A file is not written; ``code`` says why without naming it."""

    def __init__(self, code: Code, what: str, because: str, cure: str) -> None:
        super().__init__(what, because, cure)
        self.code: Code = code


@dataclass(frozen=True, slots=True)
class Rules:
    """What is done to each file. ``area`` and ``hide`` are (x0, y0, x1, y1), pixels, ends exclusive."""

    area: Box | None = None  # the image's place, instead of where it is seen
    hide: tuple[Box, ...] = ()
    read: Reader | None = read_words  # None: by consent, words are not looked for
    dates: Dates = "remove"
    pseudonyms: Pseudonyms = field(default_factory=Pseudonyms)


@dataclass(frozen=True, slots=True)
class DeidentifyPlan:
    """From where, to where, and how."""

    source: Path
    out: Path
    names: Names = "number"
    rules: Rules = field(default_factory=Rules)
