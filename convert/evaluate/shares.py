"""Shares: counts over counts, with Wilson's interval; sensitivity, specificity and predictive values."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

import numpy as np

from convert.evaluate.agreement import within
from convert.evaluate.categories import category_numbers
from convert.evaluate.sample import Mask, Sample

PREVALENCES = (0.05, 0.10, 0.20, 0.50)
RULES = ("p", "egfr")
P_CUT = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Share:
    """The crops that count (``base``) and those of them that hit, masks (N,)."""

    hit: Mask
    base: Mask

    @property
    def hits(self) -> int:
        """Number of hits."""
        return int((self.hit & self.base).sum())

    @property
    def total(self) -> int:
        """Number of crops that count."""
        return int(self.base.sum())

    @property
    def value(self) -> float:
        """Hits over those that count; nan if none counts."""
        return self.hits / self.total if self.total else nan


def predictive_values(sensitivity: float, specificity: float, prevalence: float) -> tuple[float, float]:
    """Return PPV and NPV at a prevalence, by Bayes; nan where nobody is called so."""
    true_yes, false_yes = sensitivity * prevalence, (1 - specificity) * (1 - prevalence)
    true_no, false_no = specificity * (1 - prevalence), (1 - sensitivity) * prevalence
    ppv = true_yes / (true_yes + false_yes) if true_yes + false_yes > 0 else nan
    return ppv, true_no / (true_no + false_no) if true_no + false_no > 0 else nan


def decision_shares(called: Mask, below: Mask) -> dict[str, Share]:
    """Return sensitivity, specificity, PPV, NPV and accuracy of calling crops "below the cut"."""
    return {
        "sensitivity": Share(called, below),
        "specificity": Share(~called, ~below),
        "ppv": Share(below, called),
        "npv": Share(~below, ~called),
        "accuracy": Share(called == below, np.ones_like(below)),
    }


def rule_calls(sample: Sample, cut: float) -> dict[str, Mask]:
    """Return what each rule calls below the cut: P of at least 0.5, and a predicted eGFR below the cut."""
    return {"p": sample.probability >= P_CUT, "egfr": sample.egfr < cut}


def plain_shares(sample: Sample, cut: float) -> dict[str, Share]:
    """Return the shares of the readings themselves by their keys in the catalogue; ``cut`` changes nothing."""
    every = np.ones(len(sample), np.bool_)
    apart = np.abs(category_numbers(sample.egfr) - category_numbers(sample.truth))
    inside = (sample.low <= sample.truth) & (sample.truth <= sample.high)
    return {
        "p30": Share(within(sample.egfr, sample.truth, 0.3), every),
        "p10": Share(within(sample.egfr, sample.truth, 0.1), every),
        "category_exact": Share(apart == 0, every),
        "category_within_one": Share(apart <= 1, every),
        "coverage": Share(inside, every),
        "refused": Share(sample.refused, every),
        "heads_agree": Share(sample.agree, every),
    }


def all_shares(sample: Sample, cut: float) -> dict[str, Share]:
    """Return every share of the report by its key in the catalogue, those of both rules included."""
    shares = plain_shares(sample, cut)
    for rule, called in rule_calls(sample, cut).items():
        for name, share in decision_shares(called, sample.truth < cut).items():
            shares[f"{rule}_{name}"] = share
    return shares
