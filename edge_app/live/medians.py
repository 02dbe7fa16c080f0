"""Medians of several readings, head by head: a single odd frame changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum
from statistics import median

from engines.errors import UsageError
from engines.values import Chance, Graded, Regressed, Value, categories

NORMAL_MAD = 1.4826  # median absolute deviation -> standard deviation of a normal distribution


def median_values(readings: Sequence[Sequence[Value]], *, widened: bool) -> tuple[Value, ...]:
    """Return one value a head, without maps; the order of the readings does not matter.

    Parameters
    ----------
    readings : sequence of sequences of Value
        At least one, all of one model.
    widened : bool
        Widen an interval by the spread between the readings, which a single reading cannot know.
    """
    return tuple(_median(of_head, widened) for of_head in zip(*readings, strict=True))


def _median(values: Sequence[Value], widened: bool) -> Value:
    regressed = [value for value in values if isinstance(value, Regressed)]
    chances = [value for value in values if isinstance(value, Chance)]
    graded = [value for value in values if isinstance(value, Graded)]
    if len(regressed) == len(values):
        return _regressed(regressed, widened)
    if len(chances) == len(values):
        return _chance(chances)
    if len(graded) == len(values):
        return _graded(graded)
    raise UsageError("The readings cannot be fused", "they are of different models", "fuse those of one bundle")


def _regressed(values: Sequence[Regressed], widened: bool) -> Regressed:
    head = values[0].head
    value = median(one.value for one in values)
    low, high = _bounds(values, value, widened)
    ends = (value, value) if low is None or high is None else (low, high)
    spread = median(one.spread for one in values)
    members = _columns([one.members for one in values])
    return Regressed(head, value, low, high, values[0].level, spread, members, categories(head, *ends), None)


def _bounds(values: Sequence[Regressed], value: float, widened: bool) -> tuple[float | None, float | None]:
    """Return the medians of both ends; none where the head was not calibrated."""
    lows = [one.low for one in values if one.low is not None]
    highs = [one.high for one in values if one.high is not None]
    if len(lows) < len(values) or len(highs) < len(values):
        return None, None
    between = NORMAL_MAD * median(abs(one.value - value) for one in values) if widened else 0.0
    low, lowest = median(lows) - between, values[0].head.lowest
    return low if lowest is None else max(lowest, low), median(highs) + between


def _chance(values: Sequence[Chance]) -> Chance:
    p, spread = median(one.p for one in values), median(one.spread for one in values)
    return Chance(values[0].head, p, spread, _columns([one.members for one in values]), None)


def _graded(values: Sequence[Graded]) -> Graded:
    p = _shares([one.p for one in values])
    members = tuple(_shares(of_member) for of_member in zip(*(one.members for one in values), strict=True))
    return Graded(values[0].head, p, p.index(max(p)), members, None)


def _columns(rows: Sequence[tuple[float, ...]]) -> tuple[float, ...]:
    return tuple(median(column) for column in zip(*rows, strict=True))


def _shares(rows: Sequence[tuple[float, ...]]) -> tuple[float, ...]:
    """Return the median of each grade, made to add up to 1; the mean where readings that contradict leave no median."""
    found = _columns(rows)
    if fsum(found) <= 0.0:
        found = tuple(fsum(column) for column in zip(*rows, strict=True))
    return tuple(one / fsum(found) for one in found)
