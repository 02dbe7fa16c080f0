"""Calibration of a probability: recalibration line, Brier score, expected calibration error, reliability bins."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

import numpy as np

from convert.evaluate.document import Estimate, ReliabilityBin
from convert.evaluate.sample import Mask, Vector
from convert.statistics import wilson

BINS = 10
CLIP = 1e-6  # a probability of 0 or 1 has no log-odds
STEPS = 50
STEEPEST = 100.0  # a slope beyond it means separation: there is no finite estimate


@dataclass(frozen=True, slots=True)
class Bin:
    """One of ten equal bins of P that holds a crop."""

    low: float
    high: float
    images: int
    events: int
    mean_p: float


def log_odds(probability: Vector) -> Vector:
    """Return ln(p / (1 - p)) of p clipped to 1e-6 .. 1 - 1e-6."""
    clipped = np.clip(probability, CLIP, 1 - CLIP)
    return np.asarray(np.log(clipped / (1 - clipped)))


def recalibration(probability: Vector, event: Mask) -> tuple[float, float]:
    """Return (intercept, slope) of logit P(event) = a + b logit(p) by maximum likelihood (Cox 1958).

    (0, 1) is perfect; nan where one class is absent, p is constant or the classes are separated.
    """
    x = log_odds(probability)
    if event.all() or not event.any() or np.ptp(x) == 0:
        return nan, nan
    found = _newton(np.stack([np.ones_like(x), x]), event, np.zeros_like(x))
    if found is None or abs(found[1]) > STEEPEST:
        return nan, nan
    return float(found[0]), float(found[1])


def in_the_large(probability: Vector, event: Mask) -> float:
    """Return the intercept of the same line with its slope held at 1: 0 if the mean of P is right."""
    if event.all() or not event.any():
        return nan
    found = _newton(np.ones((1, len(event))), event, log_odds(probability))
    return nan if found is None else float(found[0])


def brier(probability: Vector, event: Mask) -> float:
    """Return the mean squared difference of P and the event (Brier 1950)."""
    return float(np.mean((probability - event) ** 2))


def bins(probability: Vector, event: Mask) -> tuple[Bin, ...]:
    """Return the ten equal bins of P that hold a crop; P = 1 belongs to the last."""
    where = np.minimum((probability * BINS).astype(np.intp), BINS - 1)
    found = []
    for index in np.unique(where).tolist():
        inside = where == index
        mean = float(probability[inside].mean())
        found.append(Bin(index / BINS, (index + 1) / BINS, int(inside.sum()), int(event[inside].sum()), mean))
    return tuple(found)


def expected_error(probability: Vector, event: Mask) -> float:
    """Return the expected calibration error over ten equal bins, weighted by their crops (Naeini 2015)."""
    rows = bins(probability, event)
    return sum(row.images * abs(row.events / row.images - row.mean_p) for row in rows) / len(probability)


def reliability_scalars(probability: Vector, event: Mask) -> dict[str, float]:
    """Return every calibration measure by its key in the catalogue."""
    intercept, slope = recalibration(probability, event)
    return {
        "p_slope": slope,
        "p_intercept": intercept,
        "p_in_the_large": in_the_large(probability, event),
        "brier": brier(probability, event),
        "ece": expected_error(probability, event),
    }


def reliability_bins(probability: Vector, event: Mask) -> tuple[ReliabilityBin, ...]:
    """Return the bins as the document holds them, with Wilson's intervals of images."""
    rows = []
    for row in bins(probability, event):
        low, high = wilson(row.events, row.images)
        observed = Estimate(value=row.events / row.images, low=low, high=high, method="Wilson, images")
        rows.append(ReliabilityBin(low=row.low, high=row.high, images=row.images, mean_p=row.mean_p, observed=observed))
    return tuple(rows)


def _newton(design: Vector, event: Mask, offset: Vector) -> Vector | None:
    """Maximise the logistic likelihood of ``design`` (K, N); None where it has no maximum."""
    beta = np.zeros(len(design))
    for _ in range(STEPS):
        fitted = 1 / (1 + np.exp(-np.clip(beta @ design + offset, -500, 500)))
        information = (design * (fitted * (1 - fitted))) @ design.T
        if np.linalg.det(information) < 1e-12:  # flat: the classes are separated
            return None
        step = np.linalg.solve(information, design @ (event - fitted))
        beta = beta + np.clip(step, -5, 5)
        if np.abs(step).max() < 1e-9:
            return np.asarray(beta)
    return None
