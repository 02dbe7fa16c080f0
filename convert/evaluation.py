"""What is measured of the fp32 model on patients it never saw; goes into report, card and terminal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convert.boundaries import CKD_LIMIT
from convert.egfr_heads import EGFR
from convert.statistics import Agreement, Area, agreement_by_band, area, pearson
from engines.manifest import IntervalSpec
from engines.values import interval


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One row a patient went in; eGFR in mL/min/1.73 m2."""

    patients: int
    r: tuple[float, float, float]  # value and 95 % interval
    bands: tuple[Agreement, ...]  # first: all; then by true eGFR
    auc: Area | None  # of P(eGFR < 60), where the model gives it
    auc_egfr: Area  # of minus the predicted eGFR: the second head must earn its place
    p_trend: float | None  # correlation of P with the true eGFR; must be negative (polarity, clinic-and-paper 1.6)
    interval_coverage: float | None  # None: the model was not calibrated
    sick: int  # patients with eGFR < 60


def evaluate(
    egfr: NDArray[np.float64],
    probability: NDArray[np.float64] | None,
    truth: NDArray[np.float64],
    spec: IntervalSpec | None,
) -> Evaluation:
    """Measure predictions against truth, one entry a patient each."""
    sick = truth < CKD_LIMIT
    return Evaluation(
        patients=len(truth),
        r=pearson(egfr, truth),
        bands=tuple(agreement_by_band(egfr, truth)),
        auc=None if probability is None else area(probability, sick),
        auc_egfr=area(-egfr, sick),
        p_trend=None if probability is None else pearson(probability, truth)[0],
        interval_coverage=None if spec is None else coverage(spec, egfr, truth),
        sick=int(sick.sum()),
    )


def coverage(spec: IntervalSpec, egfr: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    """Return the share of truths inside the interval that the app would show around their prediction."""
    inside = 0
    for predicted, true in zip(egfr.tolist(), truth.tolist(), strict=True):
        low, high = interval(spec, predicted, EGFR.lowest)
        inside += low <= true <= high
    return inside / len(truth)
