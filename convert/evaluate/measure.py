"""Measures readings of an eGFR: from arrays to the document."""

from __future__ import annotations

from collections.abc import Iterator

from convert.boundaries import CKD_LIMIT as P_LIMIT
from convert.evaluate import document as doc
from convert.evaluate.agreement import limit_error
from convert.evaluate.catalogue import AGREEMENT, CALIBRATION, CATEGORY, INTERVAL, SAFETY, STRATUM
from convert.evaluate.categories import category_matrix
from convert.evaluate.contest import Contest, Score
from convert.evaluate.decisions import Rule, decision
from convert.evaluate.egfr import FULL, is_below
from convert.evaluate.egfr import STRATUM as STRATUM_SCOPE
from convert.evaluate.estimate import Estimator
from convert.evaluate.material import Material, about, counts, second_name
from convert.evaluate.party import P_HEAD, Party, head_scores, pairs, reader_party, reader_score, rules_of
from convert.evaluate.reliability import reliability_bins
from convert.evaluate.remarks import remarks
from convert.evaluate.resampling import Bootstrap
from convert.evaluate.sample import Sample
from convert.evaluate.shares import rule_calls
from convert.evaluate.subgroups import Form, describe, error_bands, factor_levels, interval_levels, measures
from convert.evaluate.ticker import Ticker
from convert.progress import Progress
from engines.kdigo import CATEGORIES

Estimates = dict[str, doc.Estimate]


def measure(material: Material, progress: Progress) -> doc.Evaluation:
    """Return the document; the same material and seed give the same numbers."""
    plan, cohort, sample = material.plan, material.cohort, material.readings.of_egfr
    estimator = Estimator(plan.cut, Bootstrap(plan.resamples, plan.seed))
    head = material.readings.bundle.manifest.egfr
    interval = None if head is None else head.interval
    found = estimator.estimate(sample, FULL, Ticker(progress, "resampling patients", plan.resamples))
    curves, comparisons = _contest(material, estimator, progress)
    parties = [(party, _party_estimates(party, estimator, progress)) for party in _others(material)]
    levels = factor_levels(cohort.factors, sample)
    by_interval = [] if interval is None else interval_levels(sample, interval.edges)
    ticker = Ticker(progress, "resampling subgroups", plan.resamples * (len(levels) + len(by_interval)))
    main = Party("", sample, rules_of(sample), agreement=True)
    return doc.Evaluation(
        kind="egfr",
        words=_words(plan.cut, sample),
        about=about(material, plan.cut),
        remarks=(*cohort.remarks, *remarks(material)),
        counts=counts(sample, is_below(sample, plan.cut)),
        agreement=measures(AGREEMENT, found),
        limit_error=None
        if sample.repeats
        else limit_error(float((sample.egfr - sample.truth).std(ddof=1)), len(sample)),
        bands=error_bands(sample),
        categories=CATEGORIES,
        category_table=_category_table(sample),
        category_agreement=measures(CATEGORY, found),
        curves=curves,
        comparisons=comparisons,
        decisions=tuple(row for party, has in [(main, found), *parties] for row in _decisions(party, has, plan.cut)),
        calibration=measures(CALIBRATION, found),
        reliability=_reliability(sample),
        interval_level=None if interval is None else interval.level,
        intervals=describe(by_interval, sample, Form(STRATUM_SCOPE, INTERVAL), estimator, ticker),
        safety=measures(SAFETY, found),
        strata=describe(levels, sample, Form(STRATUM_SCOPE, STRATUM), estimator, ticker),
        reader_name=next((who.name for who, _ in parties if who.agreement), None),
        reader_agreement=next((measures(AGREEMENT + CATEGORY, has) for who, has in parties if who.agreement), ()),
    )


def _words(cut: float, sample: Sample) -> doc.Words:
    with_p = sample.probability is not None
    return doc.Words(
        answer="eGFR",
        positive=f"reference eGFR below {cut:g}",
        short=f"below {cut:g}",
        probability=P_HEAD if with_p else None,
        event=f"reference below {P_LIMIT:g}" if with_p else None,
        categories="GFR category",
    )


def _reliability(sample: Sample) -> tuple[doc.ReliabilityBin, ...]:
    if sample.probability is None:
        return ()
    return reliability_bins(sample.probability, is_below(sample, P_LIMIT))


def _category_table(sample: Sample) -> tuple[doc.CategoryRow, ...]:
    matrix = category_matrix(sample.truth, sample.egfr)
    pairs_of_rows = zip(CATEGORIES, matrix.tolist(), strict=True)
    return tuple(doc.CategoryRow(category=name, counts=tuple(row)) for name, row in pairs_of_rows)


def _other_scores(material: Material) -> tuple[Score, ...]:
    contender = material.plan.contender
    if material.against is not None:
        return head_scores(material.against.of_egfr, second_name(material.against))
    if material.cohort.reader is None or contender.reader_column is None:
        return ()
    return (reader_score(contender.reader_column, material.cohort.reader, contender.reader_means),)


def _others(material: Material) -> tuple[Party, ...]:
    contender = material.plan.contender
    if material.against is not None:
        other = material.against.of_egfr
        return (Party(second_name(material.against), other, rules_of(other), agreement=True),)
    if material.cohort.reader is None or contender.reader_column is None:
        return ()
    column, values = contender.reader_column, material.cohort.reader
    party = reader_party(column, values, contender.reader_means, material.readings.of_egfr)
    return () if party is None else (party,)


def _contest(
    material: Material, estimator: Estimator, progress: Progress
) -> tuple[tuple[doc.Curve, ...], tuple[doc.Comparison, ...]]:
    sample = material.readings.of_egfr
    heads, others = head_scores(sample), _other_scores(material)
    contest = Contest(is_below(sample, material.plan.cut), sample.patients, estimator.bootstrap)
    scores = (*heads, *others)
    ticker = Ticker(progress, "resampling ROC curves", len(scores) * estimator.bootstrap.resamples)
    curves = tuple(contest.curve(score, ticker) for score in scores)
    met = pairs(heads, others, readers=material.against is None)
    return curves, tuple(contest.comparison(*pair) for pair in met)


def _party_estimates(party: Party, estimator: Estimator, progress: Progress) -> Estimates:
    ticker = Ticker(progress, f"resampling {party.name}", estimator.bootstrap.resamples)
    return estimator.estimate(party.sample, FULL, ticker)


def _decisions(party: Party, found: Estimates, cut: float) -> Iterator[doc.Decision]:
    sample = party.sample
    calls = rule_calls(sample, cut)
    words = {"p": f"{P_HEAD} ≥ {sample.p_cut:g}", "egfr": f"predicted eGFR < {cut:g}"}
    if party.name.startswith("reader"):
        words = {"p": "says below", "egfr": f"eGFR < {cut:g}"}
    for name in party.rules:
        told = f"{party.name}: {words[name]}" if party.name else words[name]
        rule = Rule(told, f"below {cut:g}", f"{cut:g} or above", f"{name}_")
        yield decision(rule, calls[name], is_below(sample, cut), found)
