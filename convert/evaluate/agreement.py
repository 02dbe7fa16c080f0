"""Agreement of two measurements of the eGFR: Bland-Altman, ICC, concordance; arrays (N,), mL/min/1.73 m2."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan, sqrt

import numpy as np
from scipy import special

from convert.evaluate.sample import Mask, Vector
from convert.statistics import Z95, agreement


@dataclass(frozen=True, slots=True)
class Line:
    """A least-squares line with the half width of the slope's 95 % interval; nan where there is none."""

    intercept: float
    slope: float
    slope_half: float


NO_LINE = Line(nan, nan, nan)


def line(x: Vector, y: Vector) -> Line:
    """Return the least-squares line of ``y`` on ``x``; nan for fewer than three points or a constant ``x``."""
    if len(x) < 3 or np.ptp(x) == 0:
        return NO_LINE
    centred = x - x.mean()
    sxx = float(centred @ centred)
    slope = float(centred @ (y - y.mean())) / sxx
    intercept = float(y.mean()) - slope * float(x.mean())
    rest = y - intercept - slope * x
    half = float(special.stdtrit(len(x) - 2, 0.975)) * sqrt(float(rest @ rest) / (len(x) - 2) / sxx)
    return Line(intercept, slope, half)


def proportional_bias(predicted: Vector, truth: Vector) -> Line:
    """Return the line of prediction minus truth on the mean of both (Bland and Altman 1986)."""
    return line((predicted + truth) / 2, predicted - truth)


def limit_error(sd: float, count: int) -> float:
    """Return the standard error of a limit of agreement: s sqrt(1/n + 1.96^2 / (2 (n - 1))) (Bland and Altman 1999)."""
    return sd * sqrt(1 / count + Z95**2 / (2 * (count - 1))) if count > 1 else nan


def within(predicted: Vector, truth: Vector, share: float) -> Mask:
    """Tell which predictions lie within ``share`` of the truth: P30 is the mean for 0.3."""
    return np.asarray(np.abs(predicted - truth) <= share * truth + 1e-9)


def icc_agreement(first: Vector, second: Vector) -> float:
    """Return ICC(A,1), two-way, absolute agreement, single measurement (McGraw and Wong 1996)."""
    pairs = np.stack([first, second], axis=1)
    n, k = pairs.shape
    if n < 2 or np.ptp(pairs) == 0:
        return nan
    grand = pairs.mean()
    rows = k * float(((pairs.mean(axis=1) - grand) ** 2).sum()) / (n - 1)
    columns = n * float(((pairs.mean(axis=0) - grand) ** 2).sum()) / (k - 1)
    total = float(((pairs - grand) ** 2).sum())
    error = (total - rows * (n - 1) - columns * (k - 1)) / ((n - 1) * (k - 1))
    return float((rows - error) / (rows + (k - 1) * error + k * (columns - error) / n))


def concordance(first: Vector, second: Vector) -> float:
    """Return Lin's concordance correlation coefficient, moments divided by n (Lin 1989)."""
    a, b = first - first.mean(), second - second.mean()
    scale = float(a @ a + b @ b) / len(a) + (float(first.mean()) - float(second.mean())) ** 2
    return 2 * float(a @ b) / len(a) / scale if scale > 0 else nan


def correlation(first: Vector, second: Vector) -> float:
    """Return Pearson's r; nan where one side is constant."""
    a, b = first - first.mean(), second - second.mean()
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return nan
    return float(a @ b) / sqrt(float(a @ a) * float(b @ b))


def agreement_scalars(predicted: Vector, truth: Vector) -> dict[str, float]:
    """Return every agreement measure by its key in the catalogue; nan where undefined."""
    error = predicted - truth
    total = agreement("all", predicted, truth)
    spread = float(((truth - truth.mean()) ** 2).sum())
    fitted = line(predicted, truth)
    return {
        "r": correlation(predicted, truth),
        "r2": 1 - float(error @ error) / spread if spread > 0 else nan,
        "mae": total.mae,
        "rmse": sqrt(float(error @ error) / len(error)),
        "bias": total.bias,
        "median_bias": float(np.median(error)),
        "sd": total.sd,
        "loa_low": total.low,
        "loa_high": total.high,
        "proportional_bias": proportional_bias(predicted, truth).slope,
        "icc": icc_agreement(predicted, truth),
        "ccc": concordance(predicted, truth),
        "egfr_slope": fitted.slope,
        "egfr_intercept": fitted.intercept,
    }
