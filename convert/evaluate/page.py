"""The document as one self-contained page."""

from __future__ import annotations

from importlib.resources import files

import jinja2

from convert.evaluate import catalogue
from convert.evaluate.document import Estimate, Evaluation, Measure
from convert.evaluate.pictures import draw_all
from convert.evaluate.sample import Sample

_ENTRIES = {
    entry.key: entry
    for table in (
        catalogue.STRATUM,
        catalogue.AGREEMENT,
        catalogue.CATEGORY,
        catalogue.CALIBRATION,
        catalogue.SAFETY,
        catalogue.DECISION,
    )
    for entry in table
}


def render_page(document: Evaluation, sample: Sample) -> str:
    """Return the HTML of the evaluation; ``sample`` is for the plots."""
    text = (files("convert") / "templates" / "evaluation.html.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters.update(value=value, between=between, number=number, percent=percent, p=p_value)
    return environment.from_string(text).render(
        d=document,
        plots=draw_all(document, sample),
        largest=max(count for row in document.category_table for count in row.counts) or 1,
        stratum=catalogue.STRATUM,
        interval=catalogue.INTERVAL,
    )


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
