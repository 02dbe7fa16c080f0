"""Agreement, discrimination and conformal intervals; arrays have one entry a patient unless patients are given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import atanh, ceil, sqrt, tanh

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from convert.labels import band_label

Vector = NDArray[np.float64]
Z95 = 1.959963984540054
KDIGO_EDGES = (15.0, 30.0, 45.0, 60.0, 90.0)
BAND_MINIMUM = 50  # patients an interval band must rest on (clinic-and-paper 7.2)


@dataclass(frozen=True, slots=True)
class Agreement:
    """Bland-Altman of prediction minus truth, in the unit of both."""

    label: str
    patients: int
    bias: float
    sd: float
    low: float  # limits of agreement: bias -/+ 1.96 sd
    high: float
    mae: float


@dataclass(frozen=True, slots=True)
class Area:
    """Area under the ROC curve with its 95 % DeLong interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Bands:
    """Signed residual quantiles by band of the predicted value; fields as ``engines.manifest.IntervalSpec``."""

    edges: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    patients: tuple[int, ...]


def pearson(first: Vector, second: Vector) -> tuple[float, float, float]:
    """Return r and its 95 % interval by Fisher's z; zeros where one side is constant."""
    if first.std() == 0 or second.std() == 0:
        return 0.0, 0.0, 0.0
    r = float(np.corrcoef(first, second)[0, 1])
    if len(first) < 4 or abs(r) >= 1.0:
        return r, r, r
    half = Z95 / sqrt(len(first) - 3)
    return r, tanh(atanh(r) - half), tanh(atanh(r) + half)


def agreement(label: str, predicted: Vector, truth: Vector) -> Agreement:
    """Return bias and limits of agreement (Bland and Altman 1986)."""
    error = predicted - truth
    bias, sd = float(error.mean()), float(error.std(ddof=1)) if len(error) > 1 else 0.0
    mae = float(np.abs(error).mean())
    return Agreement(label, len(error), bias, sd, bias - Z95 * sd, bias + Z95 * sd, mae)


def agreement_by_band(predicted: Vector, truth: Vector, edges: Sequence[float] = KDIGO_EDGES) -> list[Agreement]:
    """Return the agreement of all, and of each band of the TRUE value that holds a patient."""
    rows = [agreement("all", predicted, truth)]
    band = np.searchsorted(edges, truth, side="right")
    for index in np.unique(band):
        inside = band == index
        rows.append(agreement(band_label(int(index), edges), predicted[inside], truth[inside]))
    return rows


def placements(scores: Vector, positive: NDArray[np.bool_]) -> tuple[Vector, Vector, Vector]:
    """Return AUCs (S,) and the placement values of the positives (S, m) and of the negatives (S, n).

    ``scores`` is (S, N), higher means positive. A positive's placement value is the share of negatives below
    it, a negative's the share of positives above it, ties half (DeLong 1988; mid-ranks: Sun and Xu 2014).
    """
    yes, no = scores[:, positive], scores[:, ~positive]
    m, n = yes.shape[1], no.shape[1]
    both = stats.rankdata(np.hstack([yes, no]), axis=1)
    rank_yes, rank_no = stats.rankdata(yes, axis=1), stats.rankdata(no, axis=1)
    areas = both[:, :m].sum(axis=1) / (m * n) - (m + 1) / (2 * n)
    return np.asarray(areas, np.float64), (both[:, :m] - rank_yes) / n, 1 - (both[:, m:] - rank_no) / m


def clustered_delong(scores: Vector, positive: NDArray[np.bool_], patients: NDArray[np.intp]) -> tuple[Vector, Vector]:
    """Return AUCs (S,) and their covariance (S, S) of ``scores`` (S, N) where patients have several crops.

    Obuchowski 1997 (Biometrics 53:567): placement values are summed by patient before their covariance is
    taken, and patients with crops of both classes add a cross term. With one crop a patient it IS DeLong 1988.
    Needs two patients of each class at least.
    """
    areas, by_yes, by_no = placements(scores, positive)
    m, n = by_yes.shape[1], by_no.shape[1]
    count = int(patients.max()) + 1
    yes = _patient_sums(by_yes - areas[:, None], patients[positive], count)
    no = _patient_sums(by_no - areas[:, None], patients[~positive], count)
    with_yes = len(np.unique(patients[positive]))
    with_no, either = len(np.unique(patients[~positive])), len(np.unique(patients))
    cross = yes @ no.T
    covariance = with_yes / (with_yes - 1) * (yes @ yes.T) / m**2 + with_no / (with_no - 1) * (no @ no.T) / n**2
    covariance += either / (either - 1) * (cross + cross.T) / (m * n)
    return areas, covariance


def area(score: Vector, positive: NDArray[np.bool_], patients: NDArray[np.intp] | None = None) -> Area:
    """Return AUC with its 95 % interval; (0.5, 0, 1) where a class has fewer than two patients.

    ``patients``: code (N,) of the patient of each score; None: each is a patient of its own.
    """
    codes = np.arange(len(score)) if patients is None else patients
    if min(len(np.unique(codes[positive])), len(np.unique(codes[~positive]))) < 2:
        return Area(0.5, 0.0, 1.0)
    areas, covariance = clustered_delong(score[None], positive, codes)
    half = Z95 * sqrt(max(0.0, float(covariance[0, 0])))
    return Area(float(areas[0]), max(0.0, float(areas[0]) - half), min(1.0, float(areas[0]) + half))


def wilson(hits: float, total: float) -> tuple[float, float]:
    """Return the 95 % score interval of a share (Wilson 1927); (0, 1) where nothing was counted."""
    if total <= 0:
        return 0.0, 1.0
    share, square = hits / total, Z95**2
    centre = share + square / (2 * total)
    half = Z95 * sqrt(share * (1 - share) / total + square / (4 * total**2))
    scale = 1 + square / total
    return max(0.0, min(share, (centre - half) / scale)), min(1.0, max(share, (centre + half) / scale))  # rounding


def signed_quantiles(residuals: Vector, level: float) -> tuple[float, float]:
    """Return the split-conformal (low, high) of truth minus prediction, half of 1 - level on each side.

    Finite-sample ranks ceil((n + 1) (1 + level) / 2) from either end; the extremes where n is too small.
    """
    ordered, n = np.sort(residuals), len(residuals)
    rank = ceil(round((n + 1) * (1.0 + level) / 2, 9))  # rounded: 40 x 0.95 must not become 38.000000000000004
    return float(ordered[max(n + 1 - rank, 1) - 1]), float(ordered[min(rank, n) - 1])


def conformal_bands(predicted: Vector, truth: Vector, level: float, edges: Sequence[float] = KDIGO_EDGES) -> Bands:
    """Return conformal quantiles by band of the predicted value; bands of fewer than 50 patients are merged."""
    edges = merge_edges(predicted, edges, BAND_MINIMUM)
    band = np.searchsorted(edges, predicted, side="right")
    residuals = truth - predicted
    pairs = [signed_quantiles(residuals[band == index], level) for index in range(len(edges) + 1)]
    counts = tuple(int((band == index).sum()) for index in range(len(edges) + 1))
    return Bands(tuple(edges), tuple(low for low, _ in pairs), tuple(high for _, high in pairs), counts)


def merge_edges(values: Vector, edges: Sequence[float], minimum: int) -> tuple[float, ...]:
    """Return ``edges`` less those that leave a band with fewer than ``minimum`` values."""
    kept = list(edges)
    while kept:
        counts = np.bincount(np.searchsorted(kept, values, side="right"), minlength=len(kept) + 1)
        smallest = int(counts.argmin())
        if counts[smallest] >= minimum:
            break
        left = counts[smallest - 1] if smallest > 0 else np.inf
        right = counts[smallest + 1] if smallest < len(kept) else np.inf
        kept.pop(smallest - 1 if left <= right else smallest)
    return tuple(kept)


def _patient_sums(values: Vector, patients: NDArray[np.intp], count: int) -> Vector:
    return np.stack([np.bincount(patients, weights=row, minlength=count) for row in values])
