"""What is estimated of an eGFR: agreement, discrimination at a cut, categories, calibration of P(eGFR < 60)."""

from __future__ import annotations

from math import sqrt

import numpy as np
from scipy import stats

from convert.boundaries import CKD_LIMIT as P_LIMIT
from convert.evaluate.agreement import agreement_scalars, correlation, limit_error, line, proportional_bias
from convert.evaluate.categories import category_scalars
from convert.evaluate.discrimination import auc
from convert.evaluate.estimate import Interval, Scope
from convert.evaluate.reliability import reliability_scalars
from convert.evaluate.resampling import Scalars
from convert.evaluate.sample import Mask, Sample
from convert.evaluate.shares import all_shares, plain_shares
from convert.statistics import Z95, area, pearson


def is_below(sample: Sample, cut: float) -> Mask:
    """Tell which crops have a reference eGFR below the cut."""
    return np.asarray(sample.truth < cut)


def full_scalars(sample: Sample, cut: float) -> Scalars:
    """Return every scalar of the report that is no share."""
    found = {
        **agreement_scalars(sample.egfr, sample.truth),
        "auc_egfr": auc(-sample.egfr, is_below(sample, cut)),
        **_optional(sample, cut),
        **category_scalars(sample.truth, sample.egfr),
    }
    if sample.probability is not None:
        found |= reliability_scalars(sample.probability, is_below(sample, P_LIMIT))
    return found


def stratum_scalars(sample: Sample, cut: float) -> Scalars:
    """Return the scalars that subgroups are described by."""
    error = sample.egfr - sample.truth
    return {
        "r": correlation(sample.egfr, sample.truth),
        "bias": float(error.mean()),
        "mae": float(np.abs(error).mean()),
        **_optional(sample, cut),
    }


def closed(sample: Sample, cut: float) -> dict[str, Interval]:
    """Return the intervals of independent crops: Fisher z, t, Bland-Altman 1999, DeLong."""
    return {**_closed_agreement(sample), **_closed_areas(sample, cut)}


def _optional(sample: Sample, cut: float) -> Scalars:
    """Return what a model without P, or without an interval, has not."""
    found: Scalars = {}
    if sample.probability is not None:
        found["auc_p"] = auc(sample.probability, is_below(sample, cut))
    if sample.width is not None:
        found["width"] = float(sample.width.mean())
    return found


def _closed_areas(sample: Sample, cut: float) -> dict[str, Interval]:
    below = is_below(sample, cut)
    if min(below.sum(), (~below).sum()) < 2:
        return {}
    scores = {"auc_egfr": -sample.egfr}
    if sample.probability is not None:
        scores["auc_p"] = sample.probability
    areas = {key: area(values, below) for key, values in scores.items()}
    return {key: (found.low, found.high, "DeLong") for key, found in areas.items()}


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


FULL = Scope(full_scalars, all_shares, closed, is_below)
STRATUM = Scope(stratum_scalars, plain_shares, closed, is_below)
