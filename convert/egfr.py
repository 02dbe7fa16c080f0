"""The two heads of the eGFR model, Kuo 2019: what the published weights and the stand-in have in common."""

from __future__ import annotations

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
EGFR_BELOW_60 = ProbabilityHead(
    name="p_egfr_below_60",
    title="P(eGFR < 60)",
    quantity="egfr_below_60",
    event="eGFR < 60",
    output="p_egfr_below_60_members",
)
HEADS: tuple[HeadSpec, ...] = (EGFR, EGFR_BELOW_60)
