"""Decisions at fixed cuts: counts of calls against the reference, and what they mean at other prevalences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from convert.evaluate import document as doc
from convert.evaluate.catalogue import DECISION
from convert.evaluate.sample import Mask
from convert.evaluate.shares import PREVALENCES, decision_shares, predictive_values
from convert.evaluate.subgroups import measures


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule in words, its two sides in words, and the prefix of its measures among the estimates."""

    words: str
    positive: str
    negative: str
    prefix: str


def decision(rule: Rule, called: Mask, positive: Mask, found: dict[str, doc.Estimate]) -> doc.Decision:
    """Return what becomes of crops that are ``called`` so and of which ``positive`` are so."""
    shares = decision_shares(called, positive)
    return doc.Decision(
        rule=rule.words,
        positive=rule.positive,
        negative=rule.negative,
        images=len(positive),
        true_positive=int((called & positive).sum()),
        false_positive=int((called & ~positive).sum()),
        false_negative=int((~called & positive).sum()),
        true_negative=int((~called & ~positive).sum()),
        measures=measures(DECISION, found, rule.prefix),
        prevalences=tuple(_prevalences(shares["sensitivity"].value, shares["specificity"].value)),
    )


def _prevalences(sensitivity: float, specificity: float) -> Iterator[doc.PrevalenceRow]:
    for prevalence in PREVALENCES:
        ppv, npv = predictive_values(sensitivity, specificity, prevalence)
        yield doc.PrevalenceRow(prevalence=prevalence, ppv=_or_none(ppv), npv=_or_none(npv))


def _or_none(value: float) -> float | None:
    return value if value == value else None
