"""The axis of the trend: fixed where the head has a natural one, so that the eye compares like with like. No Qt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from edge_app.live.phrases import amount
from engines.manifest import HeadSpec, RegressionHead

SPLITS = 4  # of an axis that is made from the data
LEAST = 10.0  # smallest differences that matter: an axis is never shorter


@dataclass(frozen=True, slots=True)
class Axis:
    """``low`` to ``high`` from bottom to top; ``ticks`` with their labels; ``dashed``: the one tick that stands out."""

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    dashed: float | None = None

    def part(self, value: float) -> float:
        """Return where a value lies, 0 at the bottom to 1 at the top; one beyond lies at the edge."""
        return (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)


EGFR = Axis(0.0, 120.0, tuple((float(at), str(at)) for at in (0, 30, 60, 90, 120)), 60.0)  # mL/min/1.73 m2
PERCENT = Axis(0.0, 100.0, tuple((float(at), str(at)) for at in (0, 25, 50, 75, 100)))
NOTHING = Axis(0.0, 1.0, ())


def axis_of(head: HeadSpec | None, ends: Sequence[float]) -> Axis:
    """Return the axis for the main head, given the ends of all that is to be seen on it, in its unit."""
    if head is None:
        return NOTHING
    if not isinstance(head, RegressionHead):
        return PERCENT
    if head.quantity == "egfr":
        return EGFR
    return _of_boundaries(head, ends) if head.boundaries else _of_data(head, ends)


def _of_boundaries(head: RegressionHead, ends: Sequence[float]) -> Axis:
    """Return the boundaries with as much room at both sides as they are apart, and more where the data needs it."""
    first, last = head.boundaries[0], head.boundaries[-1]
    several = len(head.boundaries) > 1
    room = (last - first) / (len(head.boundaries) - 1) if several else max(abs(first), LEAST * head.resolution)
    low, high = min([first - room, *ends]), max([last + room, *ends])
    low = low if head.lowest is None else max(head.lowest, low)
    return Axis(low, max(high, low + room), tuple((at, _label(at, head.resolution)) for at in head.boundaries))


def _of_data(head: RegressionHead, ends: Sequence[float]) -> Axis:
    """Return round numbers around the data."""
    if not ends:
        return NOTHING
    least = LEAST * head.resolution
    middle, width = (min(ends) + max(ends)) / 2, max(least, max(ends) - min(ends))
    step = _round_step(width / SPLITS)
    first, last = floor((middle - width / 2) / step), ceil((middle + width / 2) / step)
    if head.lowest is not None:
        first = max(first, floor(head.lowest / step))
    ticks = tuple((at * step, _label(at * step, step)) for at in range(first, last + 1))
    return Axis(first * step, last * step, ticks)


def _round_step(wanted: float) -> float:
    """Return 1, 2 or 5 times a power of ten, not below what is wanted."""
    power = 10.0 ** floor(log10(wanted))
    return next(times * power for times in (1.0, 2.0, 5.0, 10.0) if times * power >= wanted * (1 - 1e-9))


def _label(at: float, resolution: float) -> str:
    text = amount(at, resolution)
    return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", "−")
