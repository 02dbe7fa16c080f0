"""Scores side by side on the same crops: ROC curves and paired tests of both heads and the contender."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isnan

import numpy as np

from convert.evaluate.discrimination import auc, paired_test, roc
from convert.evaluate.document import Comparison, Curve, Estimate
from convert.evaluate.estimate import BOOTSTRAP, area_estimate
from convert.evaluate.plan import ReaderMeaning
from convert.evaluate.resampling import Bootstrap
from convert.evaluate.sample import Index, Mask, Sample, Vector
from convert.evaluate.ticker import Ticker
from convert.statistics import area

P_HEAD, EGFR_HEAD = "P(eGFR < 60)", "minus predicted eGFR"
TEST, CLUSTERED_TEST = "DeLong", "DeLong by patient (Obuchowski 1997)"


@dataclass(frozen=True, slots=True, eq=False)
class Score:
    """A number per crop (N,), higher: more likely below the cut; nan where there is none."""

    name: str
    values: Vector

    @property
    def given(self) -> Mask:
        """Where there is a number."""
        return ~np.isnan(self.values)


@dataclass(frozen=True, slots=True, eq=False)
class Party:
    """Whoever makes decisions: a name, its answers in the place of the bundle's, the rules that apply."""

    name: str
    sample: Sample
    rules: tuple[str, ...]  # "p", "egfr"
    agreement: bool  # its eGFR can be compared with the reference


def head_scores(sample: Sample, of: str = "") -> tuple[Score, Score]:
    """Return the scores of both heads; ``of`` names another bundle."""
    tail = f", {of}" if of else ""
    return Score(P_HEAD + tail, sample.probability), Score(EGFR_HEAD + tail, -sample.egfr)


def reader_score(column: str, values: Vector, means: ReaderMeaning) -> Score:
    """Return the score of a reader column, turned round if it holds eGFR estimates."""
    return Score(f"readers ({column})", -values if means == "egfr" else values)


def reader_party(column: str, values: Vector, means: ReaderMeaning, sample: Sample) -> Party | None:
    """Return the reader as a party, on the rows with a value; None for a score without a cut of its own."""
    given = ~np.isnan(values)
    part, said = sample.rows(given), values[given]
    name = f"readers ({column})"
    if means == "egfr":
        return Party(name, replace(part, egfr=said), ("egfr",), agreement=True)
    if set(np.unique(said).tolist()) <= {0.0, 1.0}:
        return Party(name, replace(part, probability=said), ("p",), agreement=False)
    return None


@dataclass(frozen=True, slots=True, eq=False)
class Contest:
    """Crops, classes and patients that scores are compared on."""

    below: Mask
    patients: Index
    bootstrap: Bootstrap

    def curve(self, score: Score, ticker: Ticker) -> Curve:
        """Return the ROC curve of a score and its area, on the crops that have it."""
        given = score.given
        values, below, patients = score.values[given], self.below[given], self.patients[given]
        false, hits = roc(values, below)
        points = tuple(zip(false.tolist(), hits.tolist(), strict=True))
        found = self._area(values, below, patients, ticker)
        return Curve(name=score.name, images=len(values), area=found, points=points)

    def comparison(self, first: Score, second: Score) -> Comparison:
        """Return the paired test on the crops that have both scores."""
        given = first.given & second.given
        scores = np.stack([first.values[given], second.values[given]])
        patients = self.patients[given]
        found = paired_test(scores, self.below[given], patients)
        clustered = len(np.unique(patients)) < len(patients)
        return Comparison(
            first=first.name,
            second=second.name,
            images=len(patients),
            patients=len(np.unique(patients)),
            first_area=_or_none(found.first),
            second_area=_or_none(found.second),
            difference=Estimate(
                value=_or_none(found.difference),
                low=_or_none(found.low),
                high=_or_none(found.high),
                method=CLUSTERED_TEST if clustered else TEST,
            ),
            z=_or_none(found.z),
            p=_or_none(found.p),
        )

    def _area(self, values: Vector, below: Mask, patients: Index, ticker: Ticker) -> Estimate:
        value = auc(values, below)
        if isnan(value):
            return Estimate(value=None, low=None, high=None, method="undefined here")
        if len(np.unique(patients)) == len(patients) and min(below.sum(), (~below).sum()) >= 2:
            found = area(values, below)
            ticker.skip(self.bootstrap.resamples)
            return area_estimate(value, (found.low, found.high), TEST)
        drawn = self.bootstrap.intervals(patients, lambda index: {"auc": auc(values[index], below[index])}, ticker)
        return area_estimate(value, drawn.get("auc"), BOOTSTRAP)


def pairs(heads: tuple[Score, Score], others: Sequence[Score]) -> list[tuple[Score, Score]]:
    """Return who meets whom: the heads each other, then like with like, or both heads one reader."""
    if len(others) == 2:
        return [heads, (heads[0], others[0]), (heads[1], others[1])]
    return [heads, *((head, other) for other in others for head in heads)]


def _or_none(value: float) -> float | None:
    return None if isnan(value) else value
