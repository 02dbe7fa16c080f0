"""Estimates with 95 % intervals: closed forms where crops are independent, else the patient bootstrap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite, sqrt

import numpy as np
from scipy import stats

from convert.boundaries import CKD_LIMIT as P_LIMIT
from convert.evaluate.agreement import agreement_scalars, correlation, limit_error, line, proportional_bias
from convert.evaluate.categories import category_scalars
from convert.evaluate.discrimination import auc
from convert.evaluate.document import Estimate
from convert.evaluate.reliability import reliability_scalars
from convert.evaluate.resampling import Bootstrap, Scalars
from convert.evaluate.sample import Index, Sample
from convert.evaluate.shares import Share, all_shares, plain_shares
from convert.statistics import Z95, area, pearson, wilson

Interval = tuple[float, float, str]  # low, high, method
BOOTSTRAP = "patient bootstrap"
BIASED = frozenset({"ece"})  # every resample raises it: a percentile interval can miss the value itself


def auc_scalars(sample: Sample, cut: float) -> Scalars:
    """Return the AUC of both heads for "below the cut"."""
    below = sample.truth < cut
    return {"auc_p": auc(sample.probability, below), "auc_egfr": auc(-sample.egfr, below)}


@dataclass(frozen=True, slots=True)
class Scope:
    """What is estimated: scalars, and shares with their counts."""

    scalars: Callable[[Sample, float], Scalars]
    shares: Callable[[Sample, float], dict[str, Share]]


def full_scalars(sample: Sample, cut: float) -> Scalars:
    """Return every scalar of the report that is no share."""
    return {
        **agreement_scalars(sample.egfr, sample.truth),
        **auc_scalars(sample, cut),
        "width": float((sample.high - sample.low).mean()),
        **category_scalars(sample.truth, sample.egfr),
        **reliability_scalars(sample.probability, sample.truth < P_LIMIT),
    }


def stratum_scalars(sample: Sample, cut: float) -> Scalars:
    """Return the scalars that subgroups are described by."""
    error = sample.egfr - sample.truth
    return {
        "r": correlation(sample.egfr, sample.truth),
        "bias": float(error.mean()),
        "mae": float(np.abs(error).mean()),
        "auc_p": auc(sample.probability, sample.truth < cut),
        "width": float((sample.high - sample.low).mean()),
    }


FULL = Scope(full_scalars, all_shares)
STRATUM = Scope(stratum_scalars, plain_shares)


@dataclass(frozen=True, slots=True)
class Estimator:
    """Estimates scalars and shares of samples at one cut."""

    cut: float
    bootstrap: Bootstrap

    def estimate(self, sample: Sample, scope: Scope, tick: Callable[[], None]) -> dict[str, Estimate]:
        """Return every scalar and share with its interval.

        Closed forms (Fisher z, t, DeLong, Wilson) hold for independent crops only: where patients repeat,
        all intervals come from drawing patients. A share of 0 or 1, which no resample can move, then
        gets Wilson's interval of that share among its patients.
        """

        def points(index: Index) -> Scalars:
            drawn = sample.rows(index)
            shares = {key: share.value for key, share in scope.shares(drawn, self.cut).items()}
            return {**scope.scalars(drawn, self.cut), **shares}

        values = points(np.arange(len(sample)))
        shares = scope.shares(sample, self.cut)
        drawn = self.bootstrap.intervals(sample.patients, points, tick)
        intervals: dict[str, Interval] = {
            key: (low, high, BOOTSTRAP) for key, (low, high) in drawn.items() if key not in BIASED
        }
        intervals |= _edge_shares(shares, sample) if sample.repeats else self._closed(shares, sample)
        found = {key: _estimate(value, intervals.get(key)) for key, value in values.items()}
        return {key: _of_area(estimate) if key.startswith("auc_") else estimate for key, estimate in found.items()}

    def _closed(self, shares: dict[str, Share], sample: Sample) -> dict[str, Interval]:
        found: dict[str, Interval] = {
            key: (*wilson(share.hits, share.total), "Wilson") for key, share in shares.items() if share.total
        }
        return {**found, **_closed_agreement(sample), **self._closed_areas(sample)}

    def _closed_areas(self, sample: Sample) -> dict[str, Interval]:
        below = sample.truth < self.cut
        if min(below.sum(), (~below).sum()) < 2:
            return {}
        head, value = area(sample.probability, below), area(-sample.egfr, below)
        return {"auc_p": (head.low, head.high, "DeLong"), "auc_egfr": (value.low, value.high, "DeLong")}


def _edge_shares(shares: dict[str, Share], sample: Sample) -> dict[str, Interval]:
    return {
        key: _by_patients(share, sample) for key, share in shares.items() if share.total and share.value in (0.0, 1.0)
    }


def _closed_agreement(sample: Sample) -> dict[str, Interval]:
    n, error = len(sample), sample.egfr - sample.truth
    if n < 4:
        return {}
    bias, sd = float(error.mean()), float(error.std(ddof=1))
    half, limit = float(stats.t.ppf(0.975, n - 1)) * sd / sqrt(n), Z95 * limit_error(sd, n)
    low, high = bias - Z95 * sd, bias + Z95 * sd
    slope, fitted = proportional_bias(sample.egfr, sample.truth), line(sample.egfr, sample.truth)
    return {
        "r": (*pearson(sample.egfr, sample.truth)[1:], "Fisher z"),
        "bias": (bias - half, bias + half, "t"),
        "loa_low": (low - limit, low + limit, "Bland-Altman 1999"),
        "loa_high": (high - limit, high + limit, "Bland-Altman 1999"),
        "proportional_bias": (slope.slope - slope.slope_half, slope.slope + slope.slope_half, "t"),
        "egfr_slope": (fitted.slope - fitted.slope_half, fitted.slope + fitted.slope_half, "t"),
    }


def _by_patients(share: Share, sample: Sample) -> Interval:
    patients = len(np.unique(sample.patients[share.base]))
    return (*wilson(share.value * patients, patients), "Wilson by patient")


def _of_area(found: Estimate) -> Estimate:
    if found.value is None or found.low is None or found.high is None:
        return found
    return area_estimate(found.value, (found.low, found.high), found.method)


def area_estimate(value: float, ends: tuple[float, float] | None, method: str) -> Estimate:
    """Return an AUC with its interval; none where the classes are separated, which leaves no spread to go by."""
    interval = None if ends is None or ends[0] == ends[1] else (*ends, method)
    return _estimate(value, interval)


def _estimate(value: float, interval: Interval | None) -> Estimate:
    if not isfinite(value):
        return Estimate(value=None, low=None, high=None, method="undefined here")
    if interval is None or not (isfinite(interval[0]) and isfinite(interval[1])):
        return Estimate(value=value, low=None, high=None, method="no interval")
    low, high, method = interval
    return Estimate(value=value, low=low, high=high, method=method)
