"""Estimates with 95 % intervals: closed forms where crops are independent, else the patient bootstrap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Generic

import numpy as np

from convert.evaluate.document import Estimate
from convert.evaluate.resampling import Bootstrap, Scalars
from convert.evaluate.sample import Index, Mask, R, Rows
from convert.evaluate.shares import Share
from convert.statistics import wilson

Interval = tuple[float, float, str]  # low, high, method
BOOTSTRAP = "patient bootstrap"
BIASED = frozenset({"ece"})  # every resample raises it: a percentile interval can miss the value itself


@dataclass(frozen=True, slots=True)
class Scope(Generic[R]):
    """What is estimated of a kind of sample: scalars, shares with their counts, and closed intervals of scalars.

    ``positive``: the crops on the side that is asked about, None where there are more than two. All take the sample
    and the cut of its truth, which means nothing where the truth is a class.
    """

    scalars: Callable[[R, float], Scalars]
    shares: Callable[[R, float], dict[str, Share]]
    closed: Callable[[R, float], dict[str, Interval]]
    positive: Callable[[R, float], Mask | None]


@dataclass(frozen=True, slots=True)
class Estimator:
    """Estimates scalars and shares of samples at one cut."""

    cut: float
    bootstrap: Bootstrap

    def estimate(self, sample: R, scope: Scope[R], tick: Callable[[], None]) -> dict[str, Estimate]:
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
        if sample.repeats:
            intervals |= _edge_shares(shares, sample)
        else:
            intervals |= {**_wilson(shares), **scope.closed(sample, self.cut)}
        found = {key: _estimate(value, intervals.get(key)) for key, value in values.items()}
        return {key: _of_area(estimate) if key.startswith("auc_") else estimate for key, estimate in found.items()}


def _wilson(shares: dict[str, Share]) -> dict[str, Interval]:
    return {key: (*wilson(share.hits, share.total), "Wilson") for key, share in shares.items() if share.total}


def _edge_shares(shares: dict[str, Share], sample: Rows) -> dict[str, Interval]:
    return {
        key: _by_patients(share, sample) for key, share in shares.items() if share.total and share.value in (0.0, 1.0)
    }


def _by_patients(share: Share, sample: Rows) -> Interval:
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
