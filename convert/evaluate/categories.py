"""Agreement on the KDIGO GFR categories; category numbers run from 0 (G5) to 5 (G1)."""

from __future__ import annotations

from math import nan
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from convert.evaluate.sample import Vector
from convert.statistics import KDIGO_EDGES

Weights = Literal["linear", "quadratic"]
COUNT = len(KDIGO_EDGES) + 1


def category_numbers(egfr: Vector) -> NDArray[np.intp]:
    """Return the category of each unrounded value; a boundary belongs to the better category."""
    return np.searchsorted(KDIGO_EDGES, egfr, side="right")


def category_matrix(truth: Vector, predicted: Vector) -> NDArray[np.intp]:
    """Return counts (6, 6): rows the true category, columns the predicted one, G5 first."""
    cells = COUNT * category_numbers(truth) + category_numbers(predicted)
    return np.bincount(cells, minlength=COUNT * COUNT).reshape(COUNT, COUNT)


def weighted_kappa(matrix: NDArray[np.intp], weights: Weights) -> float:
    """Return Cohen's weighted kappa (1968) of counts; nan if chance alone leaves nothing to disagree about."""
    number = np.arange(len(matrix))
    distance = np.abs(number[:, None] - number[None, :]).astype(np.float64)
    cost = distance**2 if weights == "quadratic" else distance
    expected = np.outer(matrix.sum(axis=1), matrix.sum(axis=0)) / max(1, matrix.sum())
    chance = float((cost * expected).sum())
    return 1 - float((cost * matrix).sum()) / chance if chance > 0 else nan


def category_scalars(truth: Vector, predicted: Vector) -> dict[str, float]:
    """Return both kappas by their keys in the catalogue."""
    matrix = category_matrix(truth, predicted)
    return {
        "kappa_linear": weighted_kappa(matrix, "linear"),
        "kappa_quadratic": weighted_kappa(matrix, "quadratic"),
    }
