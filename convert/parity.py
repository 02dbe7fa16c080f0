"""Compares an artifact with fp32 on held-out crops, head by head in clinical units, and passes or refuses it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convert.answers import Answers
from convert.plan import LIMITS, ArtifactKey, ParityLimits
from convert.statistics import area
from convert.trade import Trade
from engines.errors import EchoGFRError
from engines.kdigo import BOUNDARIES
from engines.manifest import AucParity, GradesHead, HeadParity, HeadSpec, ParityRow, ProbabilityHead, RegressionHead

Truth = Mapping[str, NDArray[np.float64]]  # by head (K,): value, 0/1, or position of the grade; NaN where not known
Vector = NDArray[np.float64]
Mask = NDArray[np.bool_]


class ParityError(EchoGFRError):
    """An artifact differs from fp32 by more than its limits; no bundle is written.

    ``rows`` and ``answers`` (over the crops of the parity): of all artifacts; ``trades``: what was tried for INT8.
    """

    def __init__(
        self,
        failed: Sequence[str],
        rows: Sequence[ParityRow],
        answers: Mapping[ArtifactKey, Answers] | None = None,
        trades: Sequence[Trade] = (),
    ) -> None:
        self.failed = tuple(failed)
        self.rows = tuple(rows)
        self.answers = dict(answers or {})
        self.trades = tuple(trades)
        because = f"an artifact differs too much from fp32 ({' | '.join(failed)})"
        names = dict.fromkeys(name for row in rows if not row.passed for name in _left_out(row))
        options = " ".join(f"--without {name}" for name in names) or "--without"
        super().__init__("The bundle is not written", because, f"leave out what failed: {options}")


def _left_out(row: ParityRow) -> tuple[str, ...]:
    """Return as what an artifact is left out; INT8 for TensorRT has FP16 around it, and goes with that."""
    return ("fp16", "int8-tensorrt") if row.precision == "fp16" else (f"{row.precision}-{row.family}",)


@dataclass(frozen=True, slots=True, eq=False)
class _Known:
    """What is known of the crops: truth by head, and the code of the patient of each (K,)."""

    truth: Truth
    patients: NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class _Difference:
    """|delta| (K,), and which crops flipped, and which of these from far."""

    size: Vector
    flipped: Mask
    far: Mask


def compare(
    key: ArtifactKey,
    reference: Answers,
    candidate: Answers,
    truth: Truth,
    patients: Sequence[str] | NDArray[np.str_] | None = None,
) -> ParityRow:
    """Return the row of one artifact, over the same crops as ``reference``.

    ``truth`` of these crops is for the AUC, ``patients`` (K,) for its interval; None: each crop is of another patient.
    """
    limits = LIMITS[key[0]]
    codes = np.arange(len(reference)) if patients is None else np.unique(patients, return_inverse=True)[1]
    known = _Known(truth, codes)
    heads = tuple(_compare(head, reference, candidate, known, limits) for head in reference.heads)
    specs = zip(reference.heads, heads, strict=True)
    reasons = tuple(
        reason for spec, found in specs for reason in _reasons(spec, found, limits, jumps=from_trees(spec, reference))
    )
    return ParityRow(
        precision=key[0], family=key[1], crops=len(reference), heads=heads, passed=not reasons, reasons=reasons
    )


def from_trees(head: HeadSpec, answers: Answers) -> bool:
    """Tell whether boosted trees answer: P(eGFR < 60) without a map, beside the pooled features that trees read.

    No gradient goes through trees, hence no map; a network that was not cut has no map either, but no features.
    Any other probability counts as smooth and is held to the limit of its flips.
    """
    trees = isinstance(head, ProbabilityHead) and head.quantity == "egfr_below_60" and head.map is None
    return trees and answers.features is not None


def label(head: HeadSpec) -> str:
    """Return what a table calls the head: eGFR, P(event), or the title."""
    if isinstance(head, ProbabilityHead):
        return f"P({head.event})"
    return "eGFR" if isinstance(head, RegressionHead) and head.quantity == "egfr" else head.title


def boundaries(head: RegressionHead) -> tuple[float, ...]:
    """Return the boundaries of a regression's categories: KDIGO's of an eGFR."""
    return BOUNDARIES if head.quantity == "egfr" else head.boundaries


def map_correlation(before: NDArray[np.float32], after: NDArray[np.float32]) -> float:
    """Return the mean correlation of maps (..., h, w) of two artifacts; equal flat maps count as 1."""
    cells = before.shape[-2] * before.shape[-1]
    first, second = (maps.reshape(-1, cells).astype(np.float64) for maps in (before, after))
    first, second = (maps - maps.mean(axis=1, keepdims=True) for maps in (first, second))
    scale = np.sqrt((first**2).sum(axis=1) * (second**2).sum(axis=1))
    same = np.all(first == second, axis=1)
    product = (first * second).sum(axis=1)
    return float(np.where(same, 1.0, np.divide(product, scale, out=np.zeros_like(scale), where=scale > 0)).mean())


def refuse_failed(rows: Sequence[ParityRow], answers: Mapping[ArtifactKey, Answers] | None = None) -> None:
    """Raise if a row failed.

    Raises
    ------
    ParityError
        With the reasons of all rows that failed.
    """
    failed = [f"{row.precision} for {row.family}: {'; '.join(row.reasons)}" for row in rows if not row.passed]
    if failed:
        raise ParityError(failed, rows, answers)


def _compare(head: HeadSpec, reference: Answers, candidate: Answers, known: _Known, limits: ParityLimits) -> HeadParity:
    found = _difference(head, reference.mean(head), candidate.mean(head), limits)
    p50, p95, p99, largest = np.percentile(found.size, [50, 95, 99, 100]).tolist()
    before, after = reference.map(head), candidate.map(head)
    return HeadParity(
        head=head.name,
        unit=head.unit if isinstance(head, RegressionHead) else "1",
        p50=p50,
        p95=p95,
        p99=p99,
        largest=largest,
        flips=int(found.flipped.sum()),
        flips_far=int((found.flipped & found.far).sum()),
        auc=_auc(head, reference, candidate, known),
        map_correlation=None if before is None or after is None else map_correlation(before, after),
    )


def _difference(head: HeadSpec, before: Vector, after: Vector, limits: ParityLimits) -> _Difference:
    size = np.abs(after - before)
    if isinstance(head, RegressionHead):
        edges = np.asarray(boundaries(head), np.float64)
        crossed = (before[:, None] >= edges) != (after[:, None] >= edges)
        far = np.abs(before[:, None] - edges) > limits.regression_far * head.resolution
        return _Difference(size, crossed.any(axis=1), (crossed & far).any(axis=1))  # far from any that was crossed
    if isinstance(head, ProbabilityHead):
        flipped = (before >= head.cut) != (after >= head.cut)
        return _Difference(size, flipped, np.abs(before - head.cut) > limits.probability_far)
    ordered = np.sort(before, axis=1)  # a lead of twice the limit takes as much from one grade as it gives another
    lead = (ordered[:, -1] - ordered[:, -2]) / 2
    return _Difference(size.max(axis=1), before.argmax(axis=1) != after.argmax(axis=1), lead > limits.probability_far)


def _auc(head: HeadSpec, reference: Answers, candidate: Answers, known: _Known) -> AucParity | None:
    """Return the area where two patients of each class are known, else None."""
    if head.name not in known.truth or isinstance(head, RegressionHead):
        return None
    if isinstance(head, GradesHead) and len(head.grades) > 2:
        return None
    there = np.isfinite(known.truth[head.name])
    positive, patients = known.truth[head.name][there] == 1.0, known.patients[there]
    if min(len(np.unique(patients[side])) for side in (positive, ~positive)) < 2:
        return None
    before, after = (area(answers.score(head)[there], positive, patients) for answers in (reference, candidate))
    return AucParity(value=after.value, low=after.low, high=after.high, change=after.value - before.value)


def _reasons(head: HeadSpec, found: HeadParity, limits: ParityLimits, *, jumps: bool) -> Iterator[str]:
    name, flips = label(head), "flips of {} from far"
    tests = [("95 %", found.p95, limits.probability_p95)]
    if isinstance(head, RegressionHead):
        flips = "category flips of {} far from a boundary"
        tests = [
            ("95 %", found.p95, limits.regression_p95 * head.resolution),
            ("99 %", found.p99, limits.regression_p99 * head.resolution),
        ]
    unit = f" {head.unit}" if isinstance(head, RegressionHead) else ""
    for share, value, limit in tests:
        if value > limit and not jumps:
            yield f"{share} of |delta {name}| is {value:.3g}{unit}, limit {limit:g}"
    if found.flips_far > limits.flips_far and not jumps:
        yield f"{flips.format(name)}: {found.flips_far}, limit {limits.flips_far}"
    if found.auc is not None and -found.auc.change > limits.auc_loss:
        yield f"loss of AUC of {name} is {-found.auc.change:.3g}, limit {limits.auc_loss:g}"
    if found.map_correlation is not None and found.map_correlation < limits.map_correlation:
        yield f"activation maps of {name} correlate by {found.map_correlation:.4f}, limit {limits.map_correlation:g}"
