"""Scores side by side on the same crops: ROC curves, and paired tests of two areas."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan

import numpy as np

from convert.evaluate.discrimination import auc, paired_test, roc
from convert.evaluate.document import Comparison, Curve, Estimate
from convert.evaluate.estimate import BOOTSTRAP, area_estimate
from convert.evaluate.resampling import Bootstrap
from convert.evaluate.sample import Index, Mask, Vector
from convert.evaluate.ticker import Ticker
from convert.statistics import area

TEST, CLUSTERED_TEST = "DeLong", "DeLong by patient (Obuchowski 1997)"


@dataclass(frozen=True, slots=True, eq=False)
class Score:
    """A number per crop (N,), higher: more likely on the side that is asked about; nan where there is none."""

    name: str
    values: Vector

    @property
    def given(self) -> Mask:
        """Where there is a number."""
        return ~np.isnan(self.values)


@dataclass(frozen=True, slots=True, eq=False)
class Contest:
    """Crops, classes and patients that scores are compared on."""

    positive: Mask
    patients: Index
    bootstrap: Bootstrap

    def curve(self, score: Score, ticker: Ticker) -> Curve:
        """Return the ROC curve of a score and its area, on the crops that have it."""
        given = score.given
        values, positive, patients = score.values[given], self.positive[given], self.patients[given]
        false, hits = roc(values, positive)
        points = tuple(zip(false.tolist(), hits.tolist(), strict=True))
        found = self._area(values, positive, patients, ticker)
        return Curve(name=score.name, images=len(values), area=found, points=points)

    def comparison(self, first: Score, second: Score) -> Comparison:
        """Return the paired test on the crops that have both scores."""
        given = first.given & second.given
        scores = np.stack([first.values[given], second.values[given]])
        patients = self.patients[given]
        found = paired_test(scores, self.positive[given], patients)
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

    def _area(self, values: Vector, positive: Mask, patients: Index, ticker: Ticker) -> Estimate:
        value = auc(values, positive)
        if isnan(value):
            return Estimate(value=None, low=None, high=None, method="undefined here")
        if len(np.unique(patients)) == len(patients) and min(positive.sum(), (~positive).sum()) >= 2:
            found = area(values, positive)
            ticker.skip(self.bootstrap.resamples)
            return area_estimate(value, (found.low, found.high), TEST)
        drawn = self.bootstrap.intervals(patients, lambda index: {"auc": auc(values[index], positive[index])}, ticker)
        return area_estimate(value, drawn.get("auc"), BOOTSTRAP)


def _or_none(value: float) -> float | None:
    return None if isnan(value) else value
