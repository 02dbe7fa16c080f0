"""Values: what each head of a model says of one crop, from raw outputs and the manifest."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from engines.errors import InferenceError
from engines.kdigo import category_range
from engines.manifest import GradesHead, HeadSpec, IntervalSpec, ProbabilityHead, RegressionHead
from engines.session import Outputs
from engines.student import quantile

CKD_LIMIT = 60.0  # mL/min/1.73 m2, KDIGO G2 | G3a
UNDECIDED = (0.4, 0.6)  # a probability in here takes no side
P_SLACK = 1e-3  # rounding of fp16 and int8 around 0 and 1
SUM_SLACK = 1e-2  # the same, of grades that add up to 1

Map = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Regressed:
    """What a regression head says, in ``head.unit``.

    ``value`` is the mean over members, not below ``head.lowest``; ``low`` and ``high`` are its prediction interval of
    ``level`` (0..1), all three None where the head was not calibrated, or where one member of several was seen
    (``unseen_margin``). ``spread`` is the standard deviation over
    members (n - 1; 0 for one member), which says how far members differ, not how far the value is from the
    truth. ``members`` are as the network gave them. ``categories``: the ranges that the interval touches, or that
    of the value where there is no interval, as ``categories`` below names them; empty where the head has none.
    ``map``: float32 (h, w), signed, or None.
    """

    head: RegressionHead
    value: float
    low: float | None
    high: float | None
    level: float | None
    spread: float
    members: tuple[float, ...]
    categories: str
    map: Map | None


@dataclass(frozen=True, slots=True, eq=False)
class Chance:
    """What a probability head says: ``p`` is the mean over members, 0..1; ``spread`` and ``map`` as in Regressed."""

    head: ProbabilityHead
    p: float
    spread: float
    members: tuple[float, ...]
    map: Map | None


@dataclass(frozen=True, slots=True, eq=False)
class Graded:
    """What a head with grades says.

    ``p``: mean over members, one for each of ``head.grades``; ``top``: position of the largest; ``members`` (M, K);
    ``map``: float32 (K, h, w), one for each grade, or None.
    """

    head: GradesHead
    p: tuple[float, ...]
    top: int
    members: tuple[tuple[float, ...], ...]
    map: Map | None

    @property
    def grade(self) -> str:
        """The most probable grade."""
        return self.head.grades[self.top]


Value = Regressed | Chance | Graded


def value_of(head: HeadSpec, row: Outputs, total: int | None = None) -> Value:
    """Return the value of one head from the outputs of one crop, by name and without a batch axis.

    ``total``: members of the whole model, where the row is of some of them; None: it is of all.
    Raises as ``value_from``.
    """
    return value_from(head, row[head.output], None if head.map is None else row[head.map], total)


def value_from(
    head: HeadSpec, members: NDArray[np.floating], map_: Map | None = None, total: int | None = None
) -> Value:
    """Return the value of one head from what k members said: (k), or (k, K) for grades; ``total`` as in ``value_of``.

    Raises
    ------
    InferenceError
        A probability lies outside of 0 to 1, or grades do not add up to 1.
    """
    raw = members.astype(np.float64)
    if isinstance(head, RegressionHead):
        return _regressed(head, raw, map_, len(raw) if total is None else total)
    if isinstance(head, ProbabilityHead):
        p = _probabilities(head.name, raw)
        return Chance(head, float(np.mean(p)), _spread(p), tuple(p.tolist()), map_)
    p = _probabilities(head.name, raw)
    if np.any(np.abs(p.sum(axis=1) - 1.0) > SUM_SLACK):
        raise _unusable(f"the probabilities of the grades of '{head.name}' do not add up to 1")
    mean = p.mean(axis=0)
    said = tuple(tuple(member) for member in p.tolist())
    return Graded(head, tuple(mean.tolist()), int(np.argmax(mean)), said, map_)


def egfr_of(values: Sequence[Value]) -> Regressed | None:
    """Return the value that is an eGFR, if there is one; a manifest has at most one such head."""
    return next((v for v in values if isinstance(v, Regressed) and v.head.quantity == "egfr"), None)


def egfr_below_60_of(values: Sequence[Value]) -> Chance | None:
    """Return the value that is P(eGFR < 60), if there is one; a manifest has at most one such head."""
    return next((v for v in values if isinstance(v, Chance) and v.head.quantity == "egfr_below_60"), None)


def interval(spec: IntervalSpec, predicted: float, lowest: float | None, margin: float = 0.0) -> tuple[float, float]:
    """Return the prediction interval of a predicted value, in its unit, both ends not below the head's ``lowest``.

    The signed residual quantiles are those of the band of the predicted value; a band's lower edge belongs
    to it. Where a strongly biased band would leave the value outside of its own interval, the interval is
    widened to hold it, which can only raise the coverage. Both ends move outwards by ``margin``.
    """
    band = bisect_right(spec.edges, predicted)
    low = predicted + min(0.0, spec.low[band]) - margin
    high = predicted + max(0.0, spec.high[band]) + margin
    return (low, high) if lowest is None else (max(lowest, low), max(lowest, high))


def unseen_margin(spread: float, seen: int, total: int, level: float) -> float | None:
    """Return by how much each end of an interval is widened where ``seen`` of ``total`` members made the mean.

    The interval was calibrated on the mean of all. The mean of k of M exchangeable members lies off that mean by a
    deviation of s sqrt(1/k - 1/M), s the standard deviation over members: sampling without replacement. With s
    estimated from the same k members, normal ones, that ratio has Student's t distribution of k - 1 degrees of
    freedom exactly, so its two-sided quantile at the level of the interval is taken.

    The margin is added to both ends as it is, not in quadrature: the calibrated ends are bare quantiles of residuals
    that need not be normal, and the sum is never narrower (docs/decisions/0008). 0.0 where all were seen; None where
    one of several was, since nothing is known of the spread then.
    """
    if seen >= total:
        return 0.0
    if seen < 2:
        return None
    return quantile(level, seen - 1) * spread * sqrt(1 / seen - 1 / total)


def categories(head: RegressionHead, low: float, high: float) -> str:
    """Return the categories that ``low`` to ``high`` touches: KDIGO's of an eGFR, the head's own of another number.

    ``"G3a-G4"`` (better one first), ``"low-middle"`` (lowest first); one alone where both ends share it; empty
    where the head has none. A boundary belongs to the range above it.
    """
    if head.quantity == "egfr":
        return category_range(low, high)
    if not head.categories:
        return ""
    first, last = (head.categories[bisect_right(head.boundaries, end)] for end in (low, high))
    return first if first == last else f"{first}-{last}"


def heads_agree(egfr: float, p_below_60: float) -> bool:
    """Tell whether an eGFR and P(eGFR < 60) say the same.

    They disagree when the value and the probability lie on opposite sides (60 mL/min/1.73 m2; 0.5) and
    the probability is decided, that is outside of 0.4 to 0.6.
    """
    if UNDECIDED[0] <= p_below_60 <= UNDECIDED[1]:
        return True
    return (egfr < CKD_LIMIT) == (p_below_60 >= 0.5)


def _regressed(head: RegressionHead, raw: NDArray[np.float64], map_: Map | None, total: int) -> Regressed:
    mean, spread = float(np.mean(raw)), _spread(raw)
    value = mean if head.lowest is None else max(head.lowest, mean)
    low = high = level = None
    margin = None if head.interval is None else unseen_margin(spread, len(raw), total, head.interval.level)
    if head.interval is not None and margin is not None:  # its residuals were taken from values that are shown
        (low, high), level = interval(head.interval, value, head.lowest, margin), head.interval.level
    ends = (value, value) if low is None or high is None else (low, high)
    named = categories(head, *ends)
    return Regressed(head, value, low, high, level, spread, tuple(raw.tolist()), named, map_)


def _spread(members: NDArray[np.float64]) -> float:
    return float(np.std(members, ddof=1)) if len(members) > 1 else 0.0


def _probabilities(name: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    if np.any(values < -P_SLACK) or np.any(values > 1 + P_SLACK):
        raise _unusable(f"a probability of '{name}' lies outside of 0 to 1 ({values.min():.3g} to {values.max():.3g})")
    return np.clip(values, 0.0, 1.0)


def _unusable(because: str) -> InferenceError:
    return InferenceError("The model gave no usable answer", because, "run the self-test and convert the model again")
