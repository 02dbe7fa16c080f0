"""What is estimated of classes that exclude each other: a probability at its cut, or grades."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from convert.evaluate.categories import weighted_kappa
from convert.evaluate.discrimination import auc
from convert.evaluate.estimate import Interval, Scope
from convert.evaluate.reliability import brier, reliability_scalars
from convert.evaluate.resampling import Scalars
from convert.evaluate.sample import ClassSample, Mask, Vector
from convert.evaluate.shares import Share, decision_shares
from convert.statistics import area


def is_class(sample: ClassSample, place: int) -> Mask:
    """Tell which crops have this class by the reference."""
    return np.asarray(sample.truth == place)


def is_event(sample: ClassSample, cut: float) -> Mask | None:
    """Tell which crops have the second of two classes; None where there are more. ``cut`` changes nothing."""
    return is_class(sample, 1) if len(sample.names) == 2 else None


def confusion(sample: ClassSample) -> NDArray[np.intp]:
    """Return counts (K, K): rows the class of the reference, columns what was called, lowest first."""
    count = len(sample.names)
    return np.bincount(count * sample.truth + sample.called, minlength=count * count).reshape(count, count)


def confidence(sample: ClassSample) -> tuple[Vector, Mask]:
    """Return the probability that calibration is of, and whether it came true.

    Of two classes that of the second. Of more, that of the most probable class and whether it is the
    reference's (Guo 2017).
    """
    event = is_event(sample, 0.0)
    if event is not None:
        return sample.p[:, 1], event
    return sample.p.max(axis=1), np.asarray(sample.p.argmax(axis=1) == sample.truth)


def score(sample: ClassSample) -> float:
    """Return the Brier score: of the event, or of more than two classes summed over them (Brier 1950)."""
    event = is_event(sample, 0.0)
    if event is not None:
        return brier(sample.p[:, 1], event)
    return sum(brier(sample.p[:, place], is_class(sample, place)) for place in sample.events)


def stratum_scalars(sample: ClassSample, cut: float) -> Scalars:
    """Return the scalars that subgroups are described by; ``cut`` changes nothing here and below."""
    areas = {f"auc_{place}": auc(sample.p[:, place], is_class(sample, place)) for place in sample.events}
    found = {**areas, "brier": score(sample)}
    if len(sample.names) > 2:
        matrix = confusion(sample)
        found["kappa_linear"] = weighted_kappa(matrix, "linear")
        found["kappa_quadratic"] = weighted_kappa(matrix, "quadratic")
    return found


def full_scalars(sample: ClassSample, cut: float) -> Scalars:
    """Return every scalar of the report that is no share."""
    return {**reliability_scalars(*confidence(sample)), **stratum_scalars(sample, cut)}


def class_shares(sample: ClassSample, cut: float) -> dict[str, Share]:
    """Return every share: those of each class that is asked about are prefixed with its place."""
    every = np.ones(len(sample), np.bool_)
    apart = np.abs(sample.truth - sample.called)
    found = {"class_exact": Share(apart == 0, every), "refused": Share(sample.refused, every)}
    if len(sample.names) > 2:
        found["class_within_one"] = Share(apart <= 1, every)
    for place in sample.events:
        shares = decision_shares(np.asarray(sample.called == place), is_class(sample, place))
        found |= {f"{place}_{name}": share for name, share in shares.items()}
    return found


def closed(sample: ClassSample, cut: float) -> dict[str, Interval]:
    """Return DeLong's intervals of the areas of independent crops."""
    found: dict[str, Interval] = {}
    for place in sample.events:
        positive = is_class(sample, place)
        if min(positive.sum(), (~positive).sum()) >= 2:
            ends = area(sample.p[:, place], positive)
            found[f"auc_{place}"] = (ends.low, ends.high, "DeLong")
    return found


FULL = Scope(full_scalars, class_shares, closed, is_event)
STRATUM = Scope(stratum_scalars, class_shares, closed, is_event)
