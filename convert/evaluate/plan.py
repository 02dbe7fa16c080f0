"""EvaluationPlan: all that is decided before a picture is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engines.errors import UsageError

ReaderMeaning = Literal["score", "egfr"]
EGFR_RANGE = (0.0, 250.0)  # mL/min/1.73 m2 that a label may have
RESAMPLES = (100, 100_000)
WHAT = "The evaluation cannot start"


@dataclass(frozen=True, slots=True)
class Contender:
    """What the bundle is compared with, paired on the same crops: a column of readers or another bundle."""

    reader_column: str | None = None
    reader_means: ReaderMeaning = "score"  # "score": higher is more likely below the cut; "egfr": an estimate
    bundle: Path | None = None

    def __post_init__(self) -> None:
        """Refuse two contenders at once.

        Raises
        ------
        UsageError
            A column and a bundle are both given.
        """
        if self.reader_column is not None and self.bundle is not None:
            raise UsageError(WHAT, "a reader column and a second bundle are both given", "compare with one at a time")


@dataclass(frozen=True, slots=True)
class EvaluationPlan:
    """One evaluation. ``cut`` is fixed before the data are seen, mL/min/1.73 m2."""

    bundle: Path
    data: Path  # the table, CSV
    out: Path
    cut: float = 60.0
    precision: str = "fp32"  # the reference: the same numbers on any machine
    split: str | None = None
    contender: Contender = Contender()
    resamples: int = 1000
    seed: int = 2019
    force: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be evaluated.

        Raises
        ------
        UsageError
            The cut, the number of resamples or the seed is outside its range.
        """
        if not 5.0 <= self.cut <= 150.0:
            raise UsageError(WHAT, f"the cut is {self.cut:g} mL/min/1.73 m2", "choose a cut from 5 to 150")
        low, high = RESAMPLES
        if not low <= self.resamples <= high:
            raise UsageError(WHAT, f"{self.resamples} resamples are asked for", f"choose {low} to {high}")
        if self.seed < 0:
            raise UsageError(WHAT, f"the seed is {self.seed}", "choose 0 or more")
