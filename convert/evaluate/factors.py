"""The factors that subgroups are made of: scanner, side, sex and age band, where the columns are there."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite

import numpy as np

from convert.labels import band_label

AGE_EDGES = (40.0, 60.0, 75.0)
AGE_LIMIT = 120.0
NOT_GIVEN = "not given"
MOST_LEVELS = 12  # a factor with more is no factor but a list
SAME = {"f": "female", "w": "female", "m": "male", "l": "left", "r": "right"}
COLUMNS = {"scanner": ("scanner", "look"), "side": ("side",), "sex": ("sex",)}
Row = dict[str, str]
Report = Callable[[int, str], None]  # position of the row, what is wrong with it


def factors_of(rows: list[Row], defect: Report) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """Return the level of each row by factor, and remarks on factors that were left out."""
    found: dict[str, tuple[str, ...]] = {}
    remarks = []
    for factor, names in COLUMNS.items():
        name = next((name for name in names if rows and name in rows[0]), None)
        if name is None:
            continue
        levels = tuple(_level(row[name], plain=factor == "scanner") for row in rows)
        if len(set(levels)) > MOST_LEVELS:
            remarks.append(f"The column {name} has {len(set(levels))} levels: no subgroups were made of it.")
        elif set(levels) != {NOT_GIVEN}:
            found[factor] = levels
    if rows and "age" in rows[0]:
        found["age"] = tuple(_age_band(at, row["age"], defect) for at, row in enumerate(rows))
    return found, tuple(remarks)


def _level(text: str, plain: bool) -> str:
    if not text:
        return NOT_GIVEN
    return text if plain else SAME.get(text.lower(), text.lower())


def _age_band(at: int, text: str, defect: Report) -> str:
    if not text:
        return NOT_GIVEN
    try:
        age = float(text.replace(",", "."))
    except ValueError:
        age = float("nan")
    if not (isfinite(age) and 0 <= age <= AGE_LIMIT):
        defect(at, f"the age is not a number from 0 to {AGE_LIMIT:g}")
        return NOT_GIVEN
    return band_label(int(np.searchsorted(AGE_EDGES, age, side="right")), AGE_EDGES)
