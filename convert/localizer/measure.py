"""Measures a localizer on patients it never saw: where it puts the poles, how sure, and INT8 against fp32."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convert.localizer.dataset import Sectors
from convert.localizer.network import CELL
from engines.localizer import places
from engines.manifest import Family, HeadParity, ParityRow, Precision

SURE = 0.6  # confidence from which a proposal is shown (edge_app)
LIMIT_P95, LIMIT_P99 = 1.0, 2.0  # pixels of the picture: one and a half per cent of a kidney's length, and three


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Poles (K, 2, 2) in pixels of the picture, confidence (K,), kidney bool (K, h, w)."""

    poles: NDArray[np.float64]
    confidence: NDArray[np.float64]
    kidney: NDArray[np.bool_]


def decoded(kidney: NDArray[np.float32], poles: NDArray[np.float32]) -> Found:
    """Return what maps ``kidney`` (K, h, w) and ``poles`` (K, 2, h, w) say."""
    found = [places(*maps) for maps in zip(kidney, poles, strict=True)]
    cells = np.array([(place.first, place.second) for place in found])
    return Found((cells + 0.5) * CELL - 0.5, np.array([place.confidence for place in found]), kidney > 0.5)


def score(test: Sectors, found: Found) -> dict[str, float]:
    """Return error of the poles as a share of the length, of those proposed, and Dice of the kidney."""
    length = np.linalg.norm(test.poles[:, 1] - test.poles[:, 0], axis=1)
    error = np.linalg.norm(found.poles - test.poles, axis=2).max(axis=1) / length  # of the worse pole
    sure = found.confidence >= SURE
    shown = error[sure] if sure.any() else np.array([np.nan])
    cells = found.kidney.shape[1]
    truth = test.masks.reshape(len(test), cells, CELL, cells, CELL).mean(axis=(2, 4)) > 0.5
    both = 2.0 * (truth & found.kidney).sum(axis=(1, 2))
    dice = both / np.maximum(truth.sum(axis=(1, 2)) + found.kidney.sum(axis=(1, 2)), 1)
    return {
        "proposed": round(float(sure.mean()), 4),
        "error_p50": round(float(np.quantile(shown, 0.5)), 4),
        "error_p95": round(float(np.quantile(shown, 0.95)), 4),
        "error_largest": round(float(shown.max()), 4),
        "dice_p50": round(float(np.quantile(dice, 0.5)), 4),
        "dice_p05": round(float(np.quantile(dice, 0.05)), 4),
    }


def compare(precision: Precision, reference: Found, candidate: Found) -> ParityRow:
    """Return the row of parity: how far poles that are proposed lie from those of fp32, pixels of the picture."""
    sure = reference.confidence >= SURE
    kept = sure if sure.any() else np.ones_like(sure)
    moved = np.linalg.norm(candidate.poles - reference.poles, axis=2).max(axis=1)[kept]
    p50, p95, p99, largest = (float(value) for value in np.quantile(moved, (0.5, 0.95, 0.99, 1.0)))
    flips = int((sure != (candidate.confidence >= SURE)).sum())
    head = HeadParity(head="poles", unit="px", p50=p50, p95=p95, p99=p99, largest=largest, flips=flips, flips_far=0)
    tests = (("95 %", p95, LIMIT_P95), ("99 %", p99, LIMIT_P99))
    reasons = tuple(
        f"{share} of the poles move by {value:.2f} px, limit {limit:g}"
        for share, value, limit in tests
        if value > limit
    )
    family: Family = "any" if precision == "fp32" else "cpu"
    return ParityRow(
        precision=precision, family=family, crops=int(kept.sum()), heads=(head,), passed=not reasons, reasons=reasons
    )
