"""The two heads of an eGFR model (Kuo 2019), defined once for every source of such weights."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from convert.boundaries import CKD_LIMIT
from engines.manifest import HeadSpec, ProbabilityHead, RegressionHead

EGFR = RegressionHead(
    name="egfr",
    title="Image-derived eGFR",
    quantity="egfr",
    output="egfr_members",
    map="egfr_map",
    unit="mL/min/1.73 m2",
    resolution=1.0,
    lowest=0.0,
)
BELOW_60 = ProbabilityHead(  # boosted trees: no gradient goes through them, so there is no map
    name="p_egfr_below_60",
    title="P(eGFR < 60)",
    quantity="egfr_below_60",
    event="eGFR < 60",
    output="p_egfr_below_60_members",
)
EGFR_HEADS: tuple[HeadSpec, ...] = (EGFR, BELOW_60)


def egfr_truth(egfr: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Return what is true of both heads where the eGFR (K,) is known; NaN stays NaN."""
    below = np.where(np.isfinite(egfr), (egfr < CKD_LIMIT).astype(np.float64), np.nan)
    return {EGFR.name: egfr, BELOW_60.name: below}
