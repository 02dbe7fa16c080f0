"""What became of each file; nothing in it tells who the patient is: no names of originals, no paths."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Kind = Literal["dicom", "still", "video", "other"]
Outcome = Literal["written", "refused", "left out"]  # left out: no kind of picture, in a folder of pictures
Residue = Literal["passed", "not run"]
Code = Literal["no-image-area", "words-remain", "unreadable", "no-picture", "layout-changes", "cannot-write"]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FileReport(_Model):
    """One file; ``number`` in the order of the originals' names, ``file`` its copy in the folder."""

    number: int
    kind: Kind
    outcome: Outcome
    file: str | None = None
    frames: int = 0
    shown: float = 0.0  # share of the picture that is kept
    hidden: int = 0  # places inside the image that were overwritten
    residue: Residue | None = None  # whether words were looked for in what was written, in how many pictures
    inspected: int = 0
    burned_in_annotation: Literal["YES", "NO"] | None = None  # of a DICOM file
    removed: int = 0  # DICOM attributes
    refusal: Code | None = None


class Report(_Model):
    """The whole run: ``report.json``."""

    program: str
    profile: str
    dates: Literal["remove", "shift"]
    words_checked: bool
    interrupted: bool
    files: tuple[FileReport, ...]

    def count(self, outcome: Outcome) -> int:
        """Return how many files have an outcome."""
        return sum(file.outcome == outcome for file in self.files)
