"""Compares an artifact with fp32 on held-out crops, in clinical units, and passes or refuses it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from convert.answers import Answers
from convert.boundaries import CKD_LIMIT
from convert.plan import LIMITS, ArtifactKey, ParityLimits
from convert.statistics import area
from engines.errors import EchoGFRError
from engines.kdigo import BOUNDARIES, category
from engines.manifest import ParityRow

FAR = 1.0  # mL/min/1.73 m2: a flip nearer to a boundary than this is a coin that fell the other way


class ParityError(EchoGFRError):
    """An artifact differs from fp32 by more than its limits; no bundle is written. ``rows``: of all artifacts."""

    def __init__(self, failed: Sequence[str], rows: Sequence[ParityRow]) -> None:
        self.rows = tuple(rows)
        because = f"an artifact differs too much from fp32 ({' | '.join(failed)})"
        super().__init__("The bundle is not written", because, "leave the artifact out with --without")


def compare(
    key: ArtifactKey,
    reference: Answers,
    candidate: Answers,
    truth: NDArray[np.float64],
    limits: ParityLimits | None = None,
) -> ParityRow:
    """Return the row of one artifact; ``truth`` (K,) eGFR of the crops, for the AUC."""
    limits = LIMITS[key[0]] if limits is None else limits
    before, after = reference.egfr, candidate.egfr
    p50, p95, p99, largest = np.percentile(np.abs(after - before), [50, 95, 99, 100]).tolist()
    flipped = np.array([category(a) != category(b) for a, b in zip(before, after, strict=True)])
    to_boundary = np.abs(before[:, None] - np.asarray(BOUNDARIES)).min(axis=1)
    sick = truth < CKD_LIMIT
    change = area(candidate.probability, sick).value - area(reference.probability, sick).value
    measured = {
        "egfr_p95": p95,
        "egfr_p99": p99,
        "auc_loss": -change,
        "cam_correlation": cam_correlation(reference.cam, candidate.cam),
        "flips_far": float((flipped & (to_boundary > FAR)).sum()),
    }
    reasons = _reasons(measured, limits)
    return ParityRow(
        precision=key[0],
        family=key[1],
        crops=len(truth),
        egfr_p50=p50,
        egfr_p95=p95,
        egfr_p99=p99,
        egfr_max=largest,
        category_flips=int(flipped.sum()),
        category_flips_far=int(measured["flips_far"]),
        p_max=float(np.abs(candidate.probability - reference.probability).max()),
        auc_change=change,
        cam_correlation=measured["cam_correlation"],
        passed=not reasons,
        reasons=reasons,
    )


def cam_correlation(before: NDArray[np.float32], after: NDArray[np.float32]) -> float:
    """Return the mean over crops of the correlation of two maps (K, h, w); equal flat maps count as 1."""
    first = before.reshape(len(before), -1).astype(np.float64)
    second = after.reshape(len(after), -1).astype(np.float64)
    first, second = (maps - maps.mean(axis=1, keepdims=True) for maps in (first, second))
    scale = np.sqrt((first**2).sum(axis=1) * (second**2).sum(axis=1))
    same = np.all(first == second, axis=1)
    product = (first * second).sum(axis=1)
    return float(np.where(same, 1.0, np.divide(product, scale, out=np.zeros_like(scale), where=scale > 0)).mean())


def refuse_failed(rows: Sequence[ParityRow]) -> None:
    """Raise if a row failed.

    Raises
    ------
    ParityError
        With the reasons of all rows that failed.
    """
    failed = [f"{row.precision} for {row.family}: {'; '.join(row.reasons)}" for row in rows if not row.passed]
    if failed:
        raise ParityError(failed, rows)


def _reasons(measured: dict[str, float], limits: ParityLimits) -> tuple[str, ...]:
    tests = (
        ("egfr_p95", "95 % of |delta eGFR|", " mL/min/1.73 m2"),
        ("egfr_p99", "99 % of |delta eGFR|", " mL/min/1.73 m2"),
        ("auc_loss", "loss of AUC", ""),
        ("flips_far", "category flips far from a boundary", ""),
    )
    found = [
        f"{label} is {measured[name]:.3g}{unit}, limit {getattr(limits, name):g}"
        for name, label, unit in tests
        if measured[name] > getattr(limits, name)
    ]
    if measured["cam_correlation"] < limits.cam_correlation:
        found.append(
            f"activation maps correlate by {measured['cam_correlation']:.4f}, limit {limits.cam_correlation:g}"
        )
    return tuple(found)
