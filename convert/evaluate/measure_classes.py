"""Measures readings of classes, a probability or grades: from arrays to the document."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import nan

import numpy as np

from convert.evaluate import document as doc
from convert.evaluate.catalogue import CALIBRATION, CLASS, EVENT_STRATUM, GRADES_STRATUM, SAFETY
from convert.evaluate.classes import FULL, STRATUM, confidence, confusion, is_class, is_event
from convert.evaluate.contest import Contest, Score
from convert.evaluate.decisions import Rule, decision
from convert.evaluate.estimate import Estimator
from convert.evaluate.material import Material, about, counts, second_name
from convert.evaluate.party import reader_score
from convert.evaluate.reliability import reliability_bins
from convert.evaluate.remarks import remarks
from convert.evaluate.resampling import Bootstrap
from convert.evaluate.sample import ClassSample
from convert.evaluate.subgroups import Form, describe, factor_levels, measures
from convert.evaluate.ticker import Ticker
from convert.progress import Progress
from engines.manifest import ProbabilityHead

Estimates = dict[str, doc.Estimate]


def measure_classes(material: Material, progress: Progress) -> doc.Evaluation:
    """Return the document; the same material and seed give the same numbers."""
    plan, cohort, sample = material.plan, material.cohort, material.readings.of_classes
    estimator = Estimator(nan, Bootstrap(plan.resamples, plan.seed))  # classes are cut already
    found = estimator.estimate(sample, FULL, Ticker(progress, "resampling patients", plan.resamples))
    curves, comparisons = _contest(material, estimator, progress)
    levels = factor_levels(cohort.factors, sample)
    ticker = Ticker(progress, "resampling subgroups", plan.resamples * len(levels))
    parties = [("", sample, found), *_parties(material, estimator, progress)]
    head, shown = material.head, EVENT_STRATUM if len(sample.names) == 2 else GRADES_STRATUM
    return doc.Evaluation(
        kind="classes",
        words=_words(material),
        about=about(material, head.cut if isinstance(head, ProbabilityHead) else None),
        remarks=(*cohort.remarks, *remarks(material)),
        counts=counts(sample, is_event(sample, nan)),
        agreement=(),
        limit_error=None,
        bands=(),
        categories=sample.names,
        category_table=_table(sample),
        category_agreement=measures(CLASS, found),
        curves=curves,
        comparisons=comparisons,
        decisions=tuple(row for party in parties for row in _decisions(material, *party)),
        calibration=measures(CALIBRATION, found),
        reliability=reliability_bins(*confidence(sample)),
        interval_level=None,
        intervals=(),
        safety=measures(SAFETY, found),
        strata=describe(levels, sample, Form(STRATUM, shown), estimator, ticker),
        reader_name=None,
        reader_agreement=(),
    )


def _words(material: Material) -> doc.Words:
    sample, head = material.readings.of_classes, material.head
    event = sample.names[1] if len(sample.names) == 2 else None
    return doc.Words(
        answer=head.title,
        positive=None if event is None else f"reference: {event}",
        short=event,
        probability="P of the most probable grade" if event is None else f"P({event})",
        event="that is the reference's" if event is None else f"reference: {event}",
        categories="grade" if not isinstance(head, ProbabilityHead) else "side",
    )


def _table(sample: ClassSample) -> tuple[doc.CategoryRow, ...]:
    rows = zip(sample.names, confusion(sample).tolist(), strict=True)
    return tuple(doc.CategoryRow(category=name, counts=tuple(row)) for name, row in rows)


def _contest(
    material: Material, estimator: Estimator, progress: Progress
) -> tuple[tuple[doc.Curve, ...], tuple[doc.Comparison, ...]]:
    """Return curves and paired tests of every class that is asked about, each against all others."""
    sample, against = material.readings.of_classes, material.against
    other = None if against is None else (second_name(against), against.of_classes)
    count = len(sample.events) * (1 if other is None and material.cohort.reader is None else 2)
    ticker = Ticker(progress, "resampling ROC curves", count * estimator.bootstrap.resamples)
    curves: list[doc.Curve] = []
    comparisons: list[doc.Comparison] = []
    for place in sample.events:
        contest = Contest(is_class(sample, place), sample.patients, estimator.bootstrap)
        own = Score(f"P({sample.names[place]})", sample.p[:, place])
        others = [*_reader(material)] if other is None else [Score(f"{own.name}, {other[0]}", other[1].p[:, place])]
        curves += [contest.curve(one, ticker) for one in (own, *others)]
        comparisons += [contest.comparison(own, one) for one in others]
    return tuple(curves), tuple(comparisons)


def _reader(material: Material) -> Iterator[Score]:
    column, values = material.plan.contender.reader_column, material.cohort.reader
    if column is not None and values is not None:
        yield reader_score(column, values, "score")


def _parties(
    material: Material, estimator: Estimator, progress: Progress
) -> Iterator[tuple[str, ClassSample, Estimates]]:
    """Yield the second bundle, or a reader who says 0 or 1, in the place of the bundle."""
    sample, against = material.readings.of_classes, material.against
    parties = [] if against is None else [(second_name(against), against.of_classes)]
    for said in _reader(material):
        part, values = sample.rows(said.given), said.values[said.given]
        if set(np.unique(values).tolist()) <= {0.0, 1.0}:
            parties.append((said.name, replace(part, called=values.astype(np.intp))))
    for name, party in parties:
        ticker = Ticker(progress, f"resampling {name}", estimator.bootstrap.resamples)
        yield name, party, estimator.estimate(party, FULL, ticker)


def _decisions(material: Material, party: str, sample: ClassSample, found: Estimates) -> Iterator[doc.Decision]:
    head = material.head
    for place in sample.events:
        name = sample.names[place]
        words = f"P({name}) ≥ {head.cut:g}" if isinstance(head, ProbabilityHead) else f"most probable: {name}"
        if party.startswith("readers"):
            words = f"says {name}"
        rule = Rule(f"{party}: {words}" if party else words, name, _negative(sample, place), f"{place}_")
        yield decision(rule, np.asarray(sample.called == place), is_class(sample, place), found)


def _negative(sample: ClassSample, place: int) -> str:
    return sample.names[1 - place] if len(sample.names) == 2 else f"not {sample.names[place]}"
