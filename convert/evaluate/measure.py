"""Measures a cohort's readings: from arrays to the document."""

from __future__ import annotations

from collections.abc import Iterator

from convert.boundaries import CKD_LIMIT as P_LIMIT
from convert.evaluate import document as doc
from convert.evaluate.agreement import limit_error
from convert.evaluate.catalogue import AGREEMENT, CALIBRATION, CATEGORY, DECISION, INTERVAL, SAFETY
from convert.evaluate.categories import category_matrix
from convert.evaluate.contest import Contest, Party, Score, head_scores, pairs, reader_party, reader_score
from convert.evaluate.estimate import FULL, Estimator
from convert.evaluate.material import Material, about, counts
from convert.evaluate.readings import Readings
from convert.evaluate.reliability import bins
from convert.evaluate.remarks import remarks
from convert.evaluate.resampling import Bootstrap
from convert.evaluate.sample import Sample
from convert.evaluate.shares import P_CUT, PREVALENCES, decision_shares, predictive_values, rule_calls
from convert.evaluate.subgroups import describe, error_bands, factor_levels, interval_levels, measures
from convert.evaluate.ticker import Ticker
from convert.progress import Progress
from convert.statistics import wilson
from engines.kdigo import CATEGORIES

Estimates = dict[str, doc.Estimate]


def measure(material: Material, progress: Progress) -> doc.Evaluation:
    """Return the document; the same material and seed give the same numbers."""
    plan, cohort, sample = material.plan, material.cohort, material.readings.sample
    estimator = Estimator(plan.cut, Bootstrap(plan.resamples, plan.seed))
    interval = material.readings.bundle.manifest.interval
    found = estimator.estimate(sample, FULL, Ticker(progress, "resampling patients", plan.resamples))
    curves, comparisons = _contest(material, estimator, progress)
    parties = [(party, _party_estimates(party, estimator, progress)) for party in _others(material)]
    levels, by_interval = factor_levels(cohort.factors, sample), interval_levels(sample, interval.edges)
    ticker = Ticker(progress, "resampling subgroups", plan.resamples * (len(levels) + len(by_interval)))
    main = Party("", sample, ("p", "egfr"), agreement=True)
    return doc.Evaluation(
        about=about(material),
        remarks=(*cohort.remarks, *remarks(material)),
        counts=counts(sample, plan.cut),
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
        interval_level=interval.level,
        intervals=describe(by_interval, sample, estimator, ticker, INTERVAL),
        safety=measures(SAFETY, found),
        strata=describe(levels, sample, estimator, ticker),
        reader_name=next((who.name for who, _ in parties if who.agreement), None),
        reader_agreement=next((measures(AGREEMENT + CATEGORY, has) for who, has in parties if who.agreement), ()),
    )


def _category_table(sample: Sample) -> tuple[doc.CategoryRow, ...]:
    matrix = category_matrix(sample.truth, sample.egfr)
    pairs_of_rows = zip(CATEGORIES, matrix.tolist(), strict=True)
    return tuple(doc.CategoryRow(category=name, counts=tuple(row)) for name, row in pairs_of_rows)


def _other_scores(material: Material) -> tuple[Score, ...]:
    contender = material.plan.contender
    if material.against is not None:
        return head_scores(material.against.sample, _name(material.against))
    if material.cohort.reader is None or contender.reader_column is None:
        return ()
    return (reader_score(contender.reader_column, material.cohort.reader, contender.reader_means),)


def _others(material: Material) -> tuple[Party, ...]:
    contender = material.plan.contender
    if material.against is not None:
        return (Party(_name(material.against), material.against.sample, ("p", "egfr"), agreement=True),)
    if material.cohort.reader is None or contender.reader_column is None:
        return ()
    column, values = contender.reader_column, material.cohort.reader
    party = reader_party(column, values, contender.reader_means, material.readings.sample)
    return () if party is None else (party,)


def _name(readings: Readings) -> str:
    return f"bundle {readings.bundle.manifest.bundle_id} {readings.bundle.manifest.version} (second)"


def _contest(
    material: Material, estimator: Estimator, progress: Progress
) -> tuple[tuple[doc.Curve, ...], tuple[doc.Comparison, ...]]:
    sample = material.readings.sample
    heads, others = head_scores(sample), _other_scores(material)
    contest = Contest(sample.truth < material.plan.cut, sample.patients, estimator.bootstrap)
    scores = (*heads, *others)
    ticker = Ticker(progress, "resampling ROC curves", len(scores) * estimator.bootstrap.resamples)
    curves = tuple(contest.curve(score, ticker) for score in scores)
    return curves, tuple(contest.comparison(*pair) for pair in pairs(heads, others))


def _party_estimates(party: Party, estimator: Estimator, progress: Progress) -> Estimates:
    ticker = Ticker(progress, f"resampling {party.name}", estimator.bootstrap.resamples)
    return estimator.estimate(party.sample, FULL, ticker)


def _decisions(party: Party, found: Estimates, cut: float) -> Iterator[doc.Decision]:
    sample, below = party.sample, party.sample.truth < cut
    calls = rule_calls(sample, cut)
    words = {"p": f"P(eGFR < 60) ≥ {P_CUT:g}", "egfr": f"predicted eGFR < {cut:g}"}
    if party.name.startswith("reader"):
        words = {"p": "says below", "egfr": f"eGFR < {cut:g}"}
    for rule in party.rules:
        called, shares = calls[rule], decision_shares(calls[rule], below)
        sensitivity, specificity = shares["sensitivity"].value, shares["specificity"].value
        yield doc.Decision(
            rule=f"{party.name}: {words[rule]}" if party.name else words[rule],
            images=len(sample),
            true_below=int((called & below).sum()),
            false_below=int((called & ~below).sum()),
            missed_below=int((~called & below).sum()),
            true_not_below=int((~called & ~below).sum()),
            measures=measures(DECISION, found, f"{rule}_"),
            prevalences=tuple(_prevalence(sensitivity, specificity, value) for value in PREVALENCES),
        )


def _prevalence(sensitivity: float, specificity: float, prevalence: float) -> doc.PrevalenceRow:
    ppv, npv = predictive_values(sensitivity, specificity, prevalence)
    return doc.PrevalenceRow(prevalence=prevalence, ppv=_or_none(ppv), npv=_or_none(npv))


def _or_none(value: float) -> float | None:
    return value if value == value else None


def _reliability(sample: Sample) -> tuple[doc.ReliabilityBin, ...]:
    rows = []
    for row in bins(sample.probability, sample.truth < P_LIMIT):
        low, high = wilson(row.events, row.images)
        observed = doc.Estimate(value=row.events / row.images, low=low, high=high, method="Wilson, images")
        rows.append(
            doc.ReliabilityBin(low=row.low, high=row.high, images=row.images, mean_p=row.mean_p, observed=observed)
        )
    return tuple(rows)
