"""What labelled local patients say of the fp32 model: one crop each, in the words of the head's kind."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from convert.answers import Answers
from convert.labels import decimals
from convert.origin import Observation
from convert.parity import boundaries
from convert.statistics import Bands, agreement, area, conformal_bands, pearson, wilson
from engines.manifest import HeadSpec, IntervalSpec, ProbabilityHead, RegressionHead

LEAST = 50  # labelled patients that a local statement must rest on (clinic-and-paper 7.2)
Vector = NDArray[np.float64]


def local_interval(
    head: RegressionHead, predicted: Vector, truth: Vector, level: float
) -> tuple[IntervalSpec, tuple[int, ...]]:
    """Return the split-conformal interval of labelled local patients (one crop each) and the patients by band."""
    bands: Bands = conformal_bands(predicted, truth, level, boundaries(head))
    count = len(truth)
    spec = IntervalSpec(
        level=level,
        edges=bands.edges,
        low=bands.low,
        high=bands.high,
        patients=count,
        basis=f"split conformal on {count} local patients of the calibration crops, one crop each",
    )
    return spec, bands.patients


def observe(head: HeadSpec, answers: Answers, truth: Vector) -> Observation | None:
    """Return how a head agrees with what is known of patients, one row each; None if one class is all there is."""
    if isinstance(head, RegressionHead):
        return _regression(head, answers.shown(head), truth)
    if isinstance(head, ProbabilityHead):
        return _probability(head, answers.mean(head), truth == 1.0)
    same = answers.mean(head).argmax(axis=1) == truth
    return _share(head, int(same.sum()), len(truth))


def _regression(head: RegressionHead, predicted: Vector, truth: Vector) -> Observation:
    r, total, digits = pearson(predicted, truth), agreement("all", predicted, truth), decimals(head.resolution)
    finding = (
        f"{total.patients} patients, one crop each: r {r[0]:.3f} (95 % CI {r[1]:.3f} to {r[2]:.3f}), "
        f"bias {total.bias:+.{digits}f}, limits of agreement {total.low:.{digits}f} to {total.high:.{digits}f}, "
        f"mean absolute error {total.mae:.{digits}f} {head.unit}"
    )
    return Observation(head.name, head.title, finding, {"r": r, "agreement": asdict(total)})


def _probability(head: ProbabilityHead, chance: Vector, event: NDArray[np.bool_]) -> Observation | None:
    if min(event.sum(), (~event).sum()) < 2:
        return None
    found, called = area(chance, event), chance >= head.cut
    hit, passed = int((called & event).sum()), int((~called & ~event).sum())
    finding = (
        f"{len(event)} patients, one crop each, {int(event.sum())} with {head.event}: AUC {found.value:.3f} "
        f"(95 % CI {found.low:.3f} to {found.high:.3f}); at the cut {head.cut:g} "
        f"sensitivity {_told(hit, int(event.sum()))}, specificity {_told(passed, int((~event).sum()))}"
    )
    return Observation(head.name, head.title, finding, {"auc": asdict(found), "cut": head.cut})


def _share(head: HeadSpec, same: int, patients: int) -> Observation:
    finding = f"{patients} patients, one crop each: the most probable grade is the known one in {_told(same, patients)}"
    return Observation(head.name, head.title, finding, {"same": same, "patients": patients})


def _told(hits: int, total: int) -> str:
    low, high = wilson(hits, total)
    return f"{100 * hits / total:.1f} % (95 % CI {100 * low:.1f} to {100 * high:.1f})"
