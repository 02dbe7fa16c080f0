"""Intake: what sources hand their crops to, with all that is remarked, wrong or reported on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from convert.crops.door import NO_IMAGE, RESIDUE, UNREAD, Door, Outcome
from convert.crops.sample import Facts, Pixels, Sample, sample
from convert.csvfile import CsvTable, Row
from convert.defects import Defects
from convert.progress import Progress
from engines.manifest import InputSpec

EVERY_S = 0.5  # between two crops of one video
NOT_SQUARE = "{} pictures are not square, as crops of this mode are, and were stretched."
AS_GIVEN = "{} crops were taken as they are: how they were cut is the word of whoever cut them."
SMALLER = "{} crops are smaller than what the model reads and were enlarged."
NO_PATIENTS = "{} crops come without a patient's name, so each picture or video counts as a patient of its own."


@dataclass(slots=True)
class Intake:
    """Gathers the samples of one or several sources.

    ``spec`` is what crops are cut for; ``columns`` the columns of tables whose values are kept. ``several``: sentences
    name the source with each place.
    """

    spec: InputSpec
    columns: tuple[str, ...]
    every_s: float
    progress: Progress
    several: bool = False
    door: Door | None = None  # None: nothing of it is to be written
    defects: Defects = field(default_factory=Defects)
    samples: list[Sample] = field(default_factory=list)
    collected: str = ""  # short hash of the set that is being read; patients of two sets share names by chance only
    _remarks: Counter[str] = field(default_factory=Counter)
    _losses: Counter[str] = field(default_factory=Counter)
    _sentences: dict[str, None] = field(default_factory=dict)
    _source: str = ""
    _number: int = 0

    def begin(self, source: str) -> None:
        """Start with the next source."""
        self._source, self._number, self.collected = source, self._number + 1, ""

    def add(self, pixels: Pixels, facts: Facts, simulated: bool) -> None:
        """Take one crop, uint8 (height, width, 3) RGB; labels of the phantom say nothing of patients: dropped."""
        kept = {} if simulated else {name: text for name, text in facts.labels.items() if name in self.columns}
        known = Facts(facts.where, facts.patient, facts.named, facts.scanner, kept)
        self.samples.append(sample(pixels, known, simulated))
        if not facts.named:
            self.remark(NO_PATIENTS)

    def add_cut(
        self, screen: Pixels, crop: Pixels, cut: Callable[[Pixels], Pixels], facts: Facts, simulated: bool
    ) -> None:
        """Take a crop that was cut from a screen: it is cut again from what of the screen may be written."""
        if self.door is None or simulated:
            self.add(crop, facts, simulated)
        elif (masked := self._masked(self.door.masked(screen, "screen"))) is not None:
            clean = cut(masked)
            self.door.changes.note(crop, clean)
            self.add(clean, facts, simulated)

    def add_crop(self, pixels: Pixels, scale: Callable[[Pixels], Pixels], facts: Facts, simulated: bool) -> None:
        """Take a crop as it came, ``scale`` it to the model's size; before that, what may not be written is hidden."""
        if self.door is None or simulated or self.collected:  # a set was masked when it was collected
            self.add(scale(pixels), facts, simulated)
        elif (masked := self._masked(self.door.masked(pixels, "crop"))) is not None:
            self.door.changes.note(scale(pixels), scale(masked))
            self.add(scale(masked), facts, simulated)

    def _masked(self, found: Pixels | Outcome) -> Pixels | None:
        if isinstance(found, str):
            self.lose(NO_IMAGE if found == "no_image" else RESIDUE)
            return None
        return found

    def remark(self, text: str, times: int = 1) -> None:
        """Count something that is said once in the end; ``{}`` in the text is the count."""
        self._remarks[text] += times

    def lose(self, text: str, times: int = 1) -> None:
        """Count something that was left out; as ``remark``."""
        self._losses[text] += times

    def say(self, sentence: str) -> None:
        """Repeat a sentence of a source."""
        self._sentences[sentence] = None

    @property
    def remarks(self) -> tuple[str, ...]:
        """All sentences, those of sources first."""
        return (*self._sentences, *_counted(self._remarks), *self._of_masking(), *self.losses)

    def _of_masking(self) -> tuple[str, ...]:
        if self.door is None or not self.door.changes.crops:
            return ()
        return (self.door.changes.sentence, *(() if self.door.reads else (UNREAD,)))

    @property
    def losses(self) -> tuple[str, ...]:
        """Sentences on what was left out."""
        return _counted(self._losses)

    def report(self, stage: str, done: int, total: int) -> None:
        """Report progress; with several sources, of this one."""
        self.progress(f"{stage}, source {self._number}" if self.several else stage, done, total)

    def wrong(self, kind: str, where: str) -> None:
        """Add a defect of one place."""
        self.defects.add(kind, self.place(where))

    def place(self, where: str) -> str:
        """Return how a place is named in sentences."""
        return f"{self._source}: {where}" if self.several else where

    def unnamed(self, what: str) -> str:
        """Return what stands for the patient of a picture or video that no table names one for."""
        return f"source {self._number}: {what}"

    def facts(self, table: CsvTable, at: int, what: str) -> Facts | None:
        """Return what row ``at`` of a table says of a picture or video; None, and a defect, where a patient lacks."""
        row, where = table.rows[at], f"line {table.lines[at]}"
        named = "patient" in row
        if named and not row["patient"]:
            self.wrong("no patient is given", where)
            return None
        labels = {name: _plain(row[name], table.comma) for name in self.columns if row.get(name)}
        patient = f"{self.collected} {row['patient']}".strip() if named else self.unnamed(what)
        return Facts(self.place(where), patient, named, row.get("scanner") or row.get("look", ""), labels)


def one_split(table: CsvTable, intake: Intake) -> None:
    """Add a defect for every patient whom a column ``split`` puts on two sides."""
    seen: dict[str, tuple[str, int]] = {}
    for line, row in zip(table.lines, table.rows, strict=True):
        split, first = seen.setdefault(row.get("patient", ""), (row.get("split", ""), line))
        if row.get("patient") and split != row.get("split", ""):
            intake.wrong("a patient is in two splits", f"lines {first} and {line}")


def text_of(row: Row, *names: str) -> str:
    """Return the first value that is there; empty where none is."""
    return next((row[name] for name in names if row.get(name)), "")


def _counted(remarks: Counter[str]) -> tuple[str, ...]:
    return tuple(text.format(times) for text, times in remarks.items())


def _plain(text: str, comma: bool) -> str:
    """Turn a decimal comma into a point, in numbers only."""
    pointed = text.replace(",", ".")
    return pointed if comma and _is_number(pointed) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
