"""Refuses trees that speak of the wrong side: P(eGFR < 60) must fall where the eGFR rises.

The published sources contradict each other: one version of the released code prints the output as "CKD stage < III",
another as "CKD stage > II", and in the published confusion matrix class 1 is very probably eGFR >= 60. So the
files themselves are asked.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from convert.answers import Answers
from convert.egfr_heads import BELOW_60, EGFR
from convert.origin import Observation
from engines.errors import UsageError

LEAST = 20


@dataclass(frozen=True, slots=True)
class Polarity:
    """Correlation of P with the predicted eGFR over crops: of the means, and by member; NaN where one is constant."""

    crops: int
    mean: float
    members: tuple[float, ...]


def measure(egfr: NDArray[np.float32], probability: NDArray[np.float32]) -> Polarity:
    """Correlate P (K, M) with eGFR (K, M)."""
    members = tuple(_correlation(egfr[:, index], probability[:, index]) for index in range(egfr.shape[1]))
    return Polarity(len(egfr), _correlation(egfr.mean(axis=1), probability.mean(axis=1)), members)


def check(polarity: Polarity, flipped: bool) -> None:
    """Pass a clearly negative polarity.

    Raises
    ------
    UsageError
        It is positive, or cannot be told; ``flipped`` says whether the user flipped it already.
    """
    what = "The trees cannot be trusted"
    if polarity.crops < LEAST or not np.isfinite(polarity.mean):
        because = f"over {polarity.crops} crops their probability or the eGFR is constant, so its side cannot be told"
        raise UsageError(what, because, "use crops of many different kidneys")
    if polarity.mean >= 0:
        because = f"over {polarity.crops} crops their probability rises with the eGFR (r = {polarity.mean:+.2f})"
        cure = "leave --flip-polarity out" if flipped else "add --flip-polarity if class 1 of these files is eGFR >= 60"
        raise UsageError(what, because, cure)
    wrong = [f"xgb_{index} (r = {r:+.2f})" for index, r in enumerate(polarity.members) if not r < 0]
    if wrong:
        because = f"the probability does not fall with the eGFR of its own network in {', '.join(wrong)}"
        raise UsageError(what, because, "check that model_i and xgb_i belong together, or leave members out")


def examine(answers: Answers, flipped: bool) -> Observation:
    """Measure and check what fp32 answered, and say what was found.

    Raises
    ------
    UsageError
        As ``check``.
    """
    polarity = measure(answers.members(EGFR), answers.members(BELOW_60))
    check(polarity, flipped)
    by_member = ", ".join(f"{r:+.2f}" for r in polarity.members)
    finding = (
        f"Correlation of P(eGFR < 60) with the predicted eGFR over {polarity.crops} crops: {polarity.mean:+.3f}, by "
        f"member {by_member}; it must be negative{'; the trees were flipped on purpose' if flipped else ''}"
    )
    numbers = {**asdict(polarity), "flipped": flipped}
    return Observation("polarity", "Do the trees speak of the right side?", finding, numbers)


def _correlation(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    if min(float(first.std()), float(second.std())) < 1e-6:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])
