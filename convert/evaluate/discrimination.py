"""ROC curves, and the paired comparison of two scores on the same crops; higher means: below the cut."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan, nan, sqrt

import numpy as np
from scipy import stats

from convert.evaluate.sample import Index, Mask, Vector
from convert.statistics import Z95, clustered_delong


@dataclass(frozen=True, slots=True)
class PairedTest:
    """First minus second AUC with its 95 % interval, z and two-sided p; nan where they cannot be had."""

    first: float
    second: float
    difference: float
    low: float
    high: float
    z: float
    p: float


def roc(score: Vector, positive: Mask) -> tuple[Vector, Vector]:
    """Return the curve as (1 - specificity, sensitivity), from (0, 0) to (1, 1); equal scores share a point."""
    order = np.argsort(-score, kind="stable")
    last = np.append(np.diff(score[order]) != 0, True)
    hits, alarms = np.cumsum(positive[order])[last], np.cumsum(~positive[order])[last]
    x = np.concatenate([[0], alarms])
    y = np.concatenate([[0], hits])
    corner = np.ones(len(x), np.bool_)  # points inside a straight run say nothing
    corner[1:-1] = np.diff(x)[:-1] * np.diff(y)[1:] != np.diff(x)[1:] * np.diff(y)[:-1]
    return x[corner] / max(1, int(x[-1])), y[corner] / max(1, int(y[-1]))


def auc(score: Vector, positive: Mask) -> float:
    """Return the area under the curve; nan if a class is empty."""
    m, n = int(positive.sum()), int((~positive).sum())
    if m == 0 or n == 0:
        return nan
    ranks = stats.rankdata(score)
    return float((ranks[positive].sum() - m * (m + 1) / 2) / (m * n))


def paired_test(scores: Vector, positive: Mask, patients: Index) -> PairedTest:
    """Test two scores (2, N) for equal AUC (DeLong 1988; clustered by patient where patients repeat)."""
    if min(len(np.unique(patients[positive])), len(np.unique(patients[~positive]))) < 2:
        first, second = auc(scores[0], positive), auc(scores[1], positive)
        return PairedTest(first, second, first - second, nan, nan, nan, nan)
    areas, covariance = clustered_delong(scores, positive, patients)
    difference = float(areas[0] - areas[1])
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    error = sqrt(max(0.0, variance))
    z = _z(difference, error)
    p = nan if isnan(z) else float(2 * stats.norm.sf(abs(z)))
    half = nan if isnan(z) else Z95 * error  # separated classes: no spread to go by, not certainty
    return PairedTest(float(areas[0]), float(areas[1]), difference, difference - half, difference + half, z, p)


def _z(difference: float, error: float) -> float:
    if error > 1e-12:
        return difference / error
    return 0.0 if abs(difference) < 1e-12 else nan
