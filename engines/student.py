"""Quantiles of Student's t distribution, for whole degrees of freedom, without a library of statistics."""

from __future__ import annotations

from functools import lru_cache
from math import atan, cos, pi, sin, sqrt

LARGEST = 1e6  # far beyond every quantile that an interval asks for
HALVINGS = 200


def two_sided(t: float, freedom: int) -> float:
    """Return P(|T| <= t), t >= 0, for ``freedom`` >= 1 degrees of freedom.

    The finite series of Abramowitz and Stegun, 26.7.3 and 26.7.4.
    """
    angle = atan(t / sqrt(freedom))
    odd = freedom % 2 == 1
    term = cos(angle) if odd else 1.0
    total = 0.0
    for step in range(freedom // 2):
        total += term
        term *= cos(angle) ** 2 * ((2 * step + 2) / (2 * step + 3) if odd else (2 * step + 1) / (2 * step + 2))
    return 2 / pi * (angle + sin(angle) * total) if odd else sin(angle) * total


@lru_cache(maxsize=64)
def quantile(level: float, freedom: int) -> float:
    """Return t with P(|T| <= t) = ``level``, 0 < level < 1, by bisection."""
    low, high = 0.0, LARGEST
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if two_sided(middle, freedom) < level else (low, middle)
    return high
