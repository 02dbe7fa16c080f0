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


def decision_shares(called: Mask, positive: Mask) -> dict[str, Share]:
    """Return sensitivity, specificity, PPV, NPV and accuracy of calling crops positive: "below the cut", an event."""
    return {
        "sensitivity": Share(called, positive),
        "specificity": Share(~called, ~positive),
        "ppv": Share(positive, called),
        "npv": Share(~positive, ~called),
        "accuracy": Share(called == positive, np.ones_like(positive)),
    }


def rule_calls(sample: Sample, cut: float) -> dict[str, Mask]:
    """Return what each rule calls below the cut: P from its own cut on, and a predicted eGFR below the cut."""
    by_egfr = {"egfr": sample.egfr < cut}
    return by_egfr if sample.probability is None else {"p": sample.probability >= sample.p_cut, **by_egfr}


def plain_shares(sample: Sample, cut: float) -> dict[str, Share]:
    """Return the shares of the readings themselves by their keys in the catalogue; ``cut`` changes nothing."""
    every = np.ones(len(sample), np.bool_)
    apart = np.abs(category_numbers(sample.egfr) - category_numbers(sample.truth))
    found = {
        "p30": Share(within(sample.egfr, sample.truth, 0.3), every),
        "p10": Share(within(sample.egfr, sample.truth, 0.1), every),
        "category_exact": Share(apart == 0, every),
        "category_within_one": Share(apart <= 1, every),
        "refused": Share(sample.refused, every),
    }
    if sample.low is not None and sample.high is not None:
        found["coverage"] = Share((sample.low <= sample.truth) & (sample.truth <= sample.high), every)
    if sample.probability is not None:
        found["heads_agree"] = Share(sample.agree, every)
    return found


def all_shares(sample: Sample, cut: float) -> dict[str, Share]:
    """Return every share of the report by its key in the catalogue, those of both rules included."""
    shares = plain_shares(sample, cut)
    for rule, called in rule_calls(sample, cut).items():
        for name, share in decision_shares(called, sample.truth < cut).items():
            shares[f"{rule}_{name}"] = share
    return shares
