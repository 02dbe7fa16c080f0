"""The document as CSV tables; the first column says whose numbers they are, SYNTHETIC or a bundle."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from convert.evaluate.cohort import Cohort
from convert.evaluate.document import Estimate, Evaluation, Measure, StratumRow
from convert.evaluate.readings import Readings
from convert.evaluate.sample import ClassSample, Sample

Cell = str | float | int | None
Table = tuple[Sequence[str], Iterable[Sequence[Cell]]]
COUNTS = ("true_positive", "false_positive", "false_negative", "true_negative")
ESTIMATE = ("value", "ci95_low", "ci95_high", "ci_method")


def basis(document: Evaluation) -> str:
    """Return what stands in the first column of every table."""
    return f"SYNTHETIC {document.about.bundle}" if document.synthetic else document.about.bundle


def write_tables(folder: Path, document: Evaluation, cohort: Cohort, readings: Readings) -> None:
    """Write every table of the document, and the readings by line of the hospital's table."""
    for name, (header, lazy) in {**_tables(document), "readings": _readings(cohort, readings)}.items():
        rows = list(lazy)
        if not rows:  # no second party: no table of it
            continue
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("basis", *header))
            writer.writerows((basis(document), *(_plain(cell) for cell in row)) for row in rows)


def _tables(document: Evaluation) -> dict[str, Table]:
    measures = ("measure", "unit", *ESTIMATE)
    strata = ("factor", "level", "images", "patients", "images_positive", *measures)
    return {
        "agreement": (measures, map(_measure, document.agreement + document.category_agreement)),
        "second": (measures, map(_measure, document.reader_agreement)),
        "calibration": (measures, map(_measure, document.calibration)),
        "refusals": (measures, map(_measure, document.safety)),
        "bands": _records(document.bands),
        "categories": (
            ("reference", *(f"predicted {name}" for name in document.categories)),
            ((row.category, *row.counts) for row in document.category_table),
        ),
        "comparisons": _comparisons(document),
        "roc": _roc(document),
        "decisions": _decisions(document),
        "prevalence": _prevalences(document),
        "reliability": _reliability(document),
        "intervals": (strata, _strata(document.intervals)),
        "subgroups": (strata, _strata(document.strata)),
    }


def _readings(cohort: Cohort, readings: Readings) -> Table:
    sample = readings.sample
    named = _of_classes(sample) if isinstance(sample, ClassSample) else _of_egfr(sample)
    columns: dict[str, list[Cell]] = {
        "line": cohort.lines.tolist(),
        **named,
        "domain_distance": readings.distance.tolist(),
        "refused": sample.refused.astype(int).tolist(),
    }
    return tuple(columns), zip(*columns.values(), strict=True)


def _of_egfr(sample: Sample) -> dict[str, list[Cell]]:
    """Return the columns of an eGFR; those of an interval and of P where the model has them."""
    columns = {
        "reference_egfr": sample.truth,
        "egfr": sample.egfr,
        "low": sample.low,
        "high": sample.high,
        "p_egfr_below_60": sample.probability,
    }
    return {name: values.tolist() for name, values in columns.items() if values is not None}


def _of_classes(sample: ClassSample) -> dict[str, list[Cell]]:
    """Return reference and call by name, and the probability of each class that is asked about."""
    chances = {f"p {sample.names[place]}": sample.p[:, place].tolist() for place in sample.events}
    names = np.array(sample.names)
    return {"reference": names[sample.truth].tolist(), "called": names[sample.called].tolist(), **chances}


def _estimate(estimate: Estimate) -> tuple[Cell, ...]:
    return estimate.value, estimate.low, estimate.high, estimate.method


def _measure(measure: Measure) -> tuple[Cell, ...]:
    return (measure.key, "share" if measure.unit == "%" else measure.unit, *_estimate(measure.estimate))


def _records(rows: Sequence[object]) -> Table:
    records = [row.model_dump() for row in rows if hasattr(row, "model_dump")]
    header = tuple(records[0]) if records else ()
    return header, (tuple(record.values()) for record in records)


def _comparisons(document: Evaluation) -> Table:
    header = ("first", "second", "images", "patients", "auc_first", "auc_second", *ESTIMATE, "z", "p")
    return header, (
        (c.first, c.second, c.images, c.patients, c.first_area, c.second_area, *_estimate(c.difference), c.z, c.p)
        for c in document.comparisons
    )


def _roc(document: Evaluation) -> Table:
    header = ("score", "auc", "ci95_low", "ci95_high", "ci_method", "one_minus_specificity", "sensitivity")
    return header, ((c.name, *_estimate(c.area), *point) for c in document.curves for point in c.points)


def _decisions(document: Evaluation) -> Table:
    header = ("rule", *COUNTS, "measure", "unit", *ESTIMATE)
    return header, (
        (d.rule, *(getattr(d, name) for name in COUNTS), *_measure(measure))
        for d in document.decisions
        for measure in d.measures
    )


def _prevalences(document: Evaluation) -> Table:
    header = ("rule", "prevalence", "ppv", "npv")
    return header, ((d.rule, p.prevalence, p.ppv, p.npv) for d in document.decisions for p in d.prevalences)


def _reliability(document: Evaluation) -> Table:
    header = ("p_from", "p_to", "images", "mean_p", *(f"observed_{name}" for name in ESTIMATE))
    return header, ((b.low, b.high, b.images, b.mean_p, *_estimate(b.observed)) for b in document.reliability)


def _strata(rows: Sequence[StratumRow]) -> Iterable[tuple[Cell, ...]]:
    for row in rows:
        counts = (row.factor, row.level, row.images, row.patients, row.images_positive)
        if not row.measures:
            yield (*counts, "too few patients", None, None, None, None, None)
        for measure in row.measures:
            yield (*counts, *_measure(measure))


def _plain(cell: Cell) -> Cell:
    return f"{cell:.6g}" if isinstance(cell, float) else cell
