"""From columns of a table to the truth of each head; what is empty is not known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from convert.boundaries import CKD_LIMIT
from convert.crops.sample import Facts
from convert.csvfile import WORDS, number
from convert.defects import Defects
from convert.evaluate.plan import EGFR_RANGE
from engines.manifest import GradesHead, HeadSpec, ProbabilityHead, RegressionHead

EGFR = "egfr"
Vector = NDArray[np.float64]


def columns_of(heads: Sequence[HeadSpec]) -> tuple[str, ...]:
    """Return the columns that may hold a truth: ``egfr``, and one named after each head."""
    return tuple(dict.fromkeys((EGFR, *(head.name for head in heads))))


def truth_of(heads: Sequence[HeadSpec], facts: Sequence[Facts], defects: Defects) -> dict[str, Vector]:
    """Return float64 (K,) by head name, NaN where not known, and always that of ``egfr``, mL/min/1.73 m2.

    A regression: the number; a probability: 0 or 1 (also yes, no, true, false); grades: the position of the grade's
    name. A head whose quantity is the eGFR reads ``egfr`` where its own column is empty; one whose quantity is
    ``egfr_below_60`` follows from it. What cannot be understood is added to ``defects``.
    """
    low, high = EGFR_RANGE
    egfr = _column(EGFR, facts, _egfr, f"the egfr is not a number from {low:g} to {high:g}", defects)
    found = {EGFR: egfr}
    for head in heads:
        if head.name not in found:
            found[head.name] = _known(_head(head, facts, defects), _derived(head, egfr))
    return found


def _head(head: HeadSpec, facts: Sequence[Facts], defects: Defects) -> Vector:
    said = f"the column {head.name} holds"
    if isinstance(head, RegressionHead):
        return _column(head.name, facts, _number, f"{said} no number", defects)
    if isinstance(head, ProbabilityHead):
        return _column(head.name, facts, _event, f"{said} neither 0 nor 1, yes nor no", defects)
    return _column(head.name, facts, _grade(head), f"{said} none of {', '.join(head.grades)}", defects)


def _derived(head: HeadSpec, egfr: Vector) -> Vector:
    if isinstance(head, RegressionHead) and head.quantity == "egfr":
        return egfr
    if isinstance(head, ProbabilityHead) and head.quantity == "egfr_below_60":
        return np.where(np.isfinite(egfr), (egfr < CKD_LIMIT).astype(np.float64), np.nan)
    return np.full_like(egfr, np.nan)


def _known(first: Vector, second: Vector) -> Vector:
    return np.where(np.isfinite(first), first, second)


def _column(name: str, facts: Sequence[Facts], parse: Callable[[str], float], kind: str, defects: Defects) -> Vector:
    values = np.full(len(facts), np.nan)
    for at, one in enumerate(facts):
        text = one.labels.get(name, "")
        if text:
            values[at] = parse(text)
            if np.isnan(values[at]):
                defects.add(kind, one.where)
    return values


def _egfr(text: str) -> float:
    value = _number(text)
    return value if EGFR_RANGE[0] <= value <= EGFR_RANGE[1] else float("nan")


def _number(text: str) -> float:
    value = number(text)
    return value if isfinite(value) else float("nan")


def _event(text: str) -> float:
    value = WORDS.get(text.lower(), number(text))
    return value if value in (0.0, 1.0) else float("nan")


def _grade(head: GradesHead) -> Callable[[str], float]:
    places = {grade.lower(): float(at) for at, grade in enumerate(head.grades)}
    return lambda text: places.get(text.lower(), float("nan"))
