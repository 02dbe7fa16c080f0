"""Writes the parity report (one HTML page, JSON beside it) and the model card (Markdown)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from convert import plots
from convert.answers import Answers
from convert.egfr_heads import BELOW_60, EGFR, EGFR_HEADS
from convert.evaluation import Evaluation
from convert.labels import band_label
from convert.parity import label
from convert.parity_table import limit_sentences, lines
from convert.plan import LIMITS, ArtifactKey
from convert.templating import template
from convert.trade import Trade
from engines.manifest import IntervalSpec, ParityRow, TrainingSpec


@dataclass(frozen=True, slots=True)
class Identity:
    """What names a bundle in its report and card."""

    bundle_id: str
    version: str
    title: str
    created: datetime
    synthetic: bool


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """All that was measured on the test split, for report and card."""

    truth: NDArray[np.float64]  # (K,) of all test crops
    answers: Mapping[ArtifactKey, Answers]  # over all test crops
    single: NDArray[np.intp]  # positions of the one crop a patient
    parity: tuple[ParityRow, ...]
    evaluation: Evaluation
    interval: IntervalSpec
    band_patients: tuple[int, ...]
    golden_crops: NDArray[np.uint8]
    golden: Answers
    strange: float  # share of test crops that the domain check refuses
    trades: tuple[Trade, ...] = ()


def render_html(identity: Identity, evidence: Evidence, tools: Mapping[str, str]) -> str:
    """Return the report as one self-contained page."""
    labels = [band_label(index, evidence.interval.edges) for index in range(len(evidence.interval.low))]
    rows = zip(labels, evidence.band_patients, evidence.interval.low, evidence.interval.high, strict=True)
    return template("report.html.j2").render(
        **_names(identity),
        crops=len(evidence.truth),
        parity=list(lines(evidence.parity, {head.name: label(head) for head in EGFR_HEADS})),
        limits=limit_sentences(),
        trades=[(trade, plots.trade(trade)) for trade in evidence.trades],
        evaluation=evidence.evaluation,
        level=evidence.interval.level,
        bands=list(rows),
        plots=_plots(evidence),
        tools=sorted(tools.items()),
    )


def render_json(identity: Identity, evidence: Evidence, tools: Mapping[str, str]) -> str:
    """Return the same numbers for machines."""
    report = {
        **_names(identity),
        "crops": len(evidence.truth),
        "parity": [row.model_dump() for row in evidence.parity],
        "sensitivity": [asdict(trade) for trade in evidence.trades],
        "limits": {precision: asdict(limit) for precision, limit in LIMITS.items()},
        "evaluation": asdict(evidence.evaluation),
        "interval": {**evidence.interval.model_dump(), "band_patients": evidence.band_patients},
        "taken_for_strange": evidence.strange,
        "tools": dict(sorted(tools.items())),
    }
    return json.dumps(report, indent=2) + "\n"


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What the card says beside the evidence."""

    training: TrainingSpec
    splits: tuple[tuple[str, int, int], ...]  # name, patients, crops
    members: int
    parameters: int  # of one member
    limits: tuple[str, ...]


def render_card(identity: Identity, evidence: Evidence, facts: CardFacts) -> str:
    """Return the model card."""
    return template("card.md.j2").render(
        **_names(identity),
        recipe=facts.training.recipe,
        data=facts.training.data,
        reproduce=facts.training.reproduce,
        splits=facts.splits,
        members=facts.members,
        parameters=facts.parameters,
        limits=facts.limits,
        trades=evidence.trades,
        evaluation=evidence.evaluation,
        level=evidence.interval.level,
        strange=evidence.strange,
    )


def _names(identity: Identity) -> dict[str, str | bool]:
    return {**asdict(identity), "created": identity.created.strftime("%Y-%m-%d %H:%M UTC")}


def _plots(evidence: Evidence) -> dict[str, str]:
    reference = evidence.answers["fp32", "any"]
    predicted, truth = reference.mean(EGFR)[evidence.single], evidence.truth[evidence.single]
    differences = {
        f"{precision} ({family})": np.abs(answers.mean(EGFR) - reference.mean(EGFR))
        for (precision, family), answers in evidence.answers.items()
        if precision != "fp32"
    }
    return {
        "scatter": plots.scatter(predicted, truth, evidence.interval),
        "agreement": plots.agreement(predicted, truth, evidence.evaluation),
        "probability": plots.probability(reference.mean(BELOW_60)[evidence.single], truth),
        "parity": plots.parity(differences),
        "maps": plots.maps(evidence.golden_crops, evidence.golden.outputs["egfr_map"]),
    }
