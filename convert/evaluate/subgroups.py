"""Subgroups: the same measures within each level of a factor, each level with its own patient bootstrap."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic

import numpy as np
from numpy.typing import NDArray

from convert.evaluate.catalogue import Entry
from convert.evaluate.categories import category_numbers
from convert.evaluate.document import BandRow, Estimate, Measure, StratumRow
from convert.evaluate.estimate import Estimator, Scope
from convert.evaluate.sample import Mask, R, Rows, Sample
from convert.evaluate.shares import plain_shares
from convert.evaluate.ticker import Ticker
from convert.labels import band_label
from convert.statistics import KDIGO_EDGES, agreement
from engines.kdigo import CATEGORIES

FEWEST_PATIENTS = 10  # fewer are counted, not described


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """One level of a factor and its crops."""

    factor: str
    name: str
    inside: Mask


@dataclass(frozen=True, slots=True)
class Form(Generic[R]):
    """How subgroups are described: what is estimated of them, and what of it is shown."""

    scope: Scope[R]
    entries: Sequence[Entry]


def factor_levels(factors: dict[str, tuple[str, ...]], sample: Rows) -> list[Level]:
    """Return the levels of every factor of a table, then what the domain check says."""
    named = {**factors, "domain check": tuple(np.where(sample.refused, "refused", "passed").tolist())}
    return [
        Level(factor, name, np.array(levels) == name) for factor, levels in named.items() for name in _ordered(levels)
    ]


def interval_levels(sample: Sample, edges: Sequence[float]) -> list[Level]:
    """Return the bands of the predicted eGFR that the interval has, then the categories of the reference."""
    return [Level("all", "all images", np.ones(len(sample), np.bool_)), *_bands(sample, edges), *_categories(sample)]


def describe(
    levels: Sequence[Level], sample: R, form: Form[R], estimator: Estimator, ticker: Ticker
) -> tuple[StratumRow, ...]:
    """Return one row a level; a level of fewer than 10 patients is counted only."""
    return tuple(_row(level, sample.rows(level.inside), form, estimator, ticker) for level in levels)


def measures(entries: Sequence[Entry], found: dict[str, Estimate], prefix: str = "") -> tuple[Measure, ...]:
    """Return the entries of a catalogue that were estimated; ``prefix`` names the rule of a decision."""
    return tuple(
        Measure(key=entry.key, name=entry.name, unit=entry.unit, estimate=found[prefix + entry.key])
        for entry in entries
        if prefix + entry.key in found
    )


def error_bands(sample: Sample) -> tuple[BandRow, ...]:
    """Return the error by band of the reference and the reference by predicted band (KDIGO edges)."""
    rows = []
    for by, values in (("reference", sample.truth), ("predicted", sample.egfr)):
        band = category_numbers(values)
        for index in np.unique(band).tolist():
            part = sample.rows(band == index)
            rows.append(_band_row(by, band_label(index, KDIGO_EDGES), part))
    return tuple(rows)


def _band_row(by: str, label: str, part: Sample) -> BandRow:
    total = agreement(label, part.egfr, part.truth)
    p5, median, p95 = (float(value) for value in np.percentile(part.truth, [5, 50, 95]))
    return BandRow.model_validate(
        {
            "by": by,
            "band": label,
            "images": len(part),
            "patients": part.patient_count,
            "bias": total.bias,
            "sd": total.sd,
            "mae": total.mae,
            "p30": plain_shares(part, 0.0)["p30"].value,
            "reference_median": median,
            "reference_p5": p5,
            "reference_p95": p95,
        }
    )


def _row(level: Level, part: R, form: Form[R], estimator: Estimator, ticker: Ticker) -> StratumRow:
    found: tuple[Measure, ...] = ()
    if part.patient_count >= FEWEST_PATIENTS:
        found = measures(form.entries, estimator.estimate(part, form.scope, ticker))
    else:
        ticker.skip(estimator.bootstrap.resamples)
    positive = form.scope.positive(part, estimator.cut)
    return StratumRow(
        factor=level.factor,
        level=level.name,
        images=len(part),
        patients=part.patient_count,
        images_positive=None if positive is None else int(positive.sum()),
        measures=found,
    )


def _bands(sample: Sample, edges: Sequence[float]) -> Iterator[Level]:
    band = np.searchsorted(np.asarray(edges, np.float64), sample.egfr, side="right")
    for index in range(len(edges) + 1):
        yield Level("predicted eGFR", band_label(index, edges), _is(band, index))


def _categories(sample: Sample) -> Iterator[Level]:
    number = category_numbers(sample.truth)
    for index, name in enumerate(CATEGORIES):
        yield Level("reference category", name, _is(number, index))


def _is(band: NDArray[np.intp], index: int) -> Mask:
    return np.asarray(band == index)


def _ordered(levels: Sequence[str]) -> list[str]:
    """Sort levels as a person would: "below 40" before "40 to 60", "not given" last."""
    last = {"not given": 2}
    return sorted(set(levels), key=lambda name: (last.get(name, 0 if name.startswith("below") else 1), name))
