"""The document as one self-contained page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from convert.evaluate import catalogue
from convert.evaluate.document import Estimate, Evaluation, Measure, StratumRow
from convert.evaluate.pictures import draw_all
from convert.evaluate.sample import Rows
from convert.templating import template

_ENTRIES = {
    entry.key: entry
    for table in (
        catalogue.STRATUM,
        catalogue.AGREEMENT,
        catalogue.CATEGORY,
        catalogue.CALIBRATION,
        catalogue.SAFETY,
        catalogue.DECISION,
        catalogue.CLASS,
        catalogue.EVENT_STRATUM,
        catalogue.GRADES_STRATUM,
    )
    for entry in table
}


def render_page(document: Evaluation, sample: Rows) -> str:
    """Return the HTML of the evaluation; ``sample`` is for the plots."""
    filters: dict[str, Callable[..., str]] = {
        "value": value,
        "between": between,
        "number": number,
        "percent": percent,
        "p": p_value,
    }
    return template("evaluation.html.j2", filters).render(
        d=document,
        plots=draw_all(document, sample),
        largest=max(count for row in document.category_table for count in row.counts) or 1,
        stratum=_columns(document.strata),
        interval=_columns(document.intervals),
    )


def _columns(rows: Sequence[StratumRow]) -> list[catalogue.Entry]:
    """Return the measures that subgroups have, in the words of the first that is described."""
    described = next((row.measures for row in rows if row.measures), ())
    return [replace(_ENTRIES[measure.key], name=measure.name) for measure in described]


def value(measure: Measure) -> str:
    """Return the value of a measure as the catalogue writes it."""
    return _written(measure.key, measure.estimate.value)


def between(measure: Measure) -> str:
    """Return "low to high", or a dash where there is no interval."""
    found = measure.estimate
    if found.low is None or found.high is None:
        return "–"
    return f"{_written(measure.key, found.low)} to {_written(measure.key, found.high)}"


def number(estimate: Estimate, digits: int = 3) -> str:
    """Return an estimate as "value (low to high)"."""
    if estimate.value is None:
        return "undefined"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.{digits}f}"
    return f"{estimate.value:.{digits}f} ({estimate.low:.{digits}f} to {estimate.high:.{digits}f})"


def percent(share: float | None) -> str:
    """Return a share in %, one digit."""
    return "undefined" if share is None else f"{100 * share:.1f} %"


def p_value(p: float | None) -> str:
    """Return a p value as papers print it."""
    if p is None:
        return "undefined"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _written(key: str, found: float | None) -> str:
    if found is None:
        return "undefined"
    entry = _ENTRIES[key]
    shown = round(100 * found if entry.percent else found, entry.digits) + 0.0  # no "-0.0"
    return f"{shown:.{entry.digits}f}"
