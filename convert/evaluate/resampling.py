"""Cluster bootstrap: patients are drawn with replacement, each with all of its crops (Efron and Tibshirani 1993)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from convert.evaluate.sample import Index, Vector

UNDEFINED = 0.05  # a measure undefined in more than this share of the resamples gets no interval
Scalars = dict[str, float]


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """How many resamples, from which seed; the same seed gives the same intervals."""

    resamples: int
    seed: int

    def draws(self, patients: Index) -> Iterator[Index]:
        """Yield the positions of each resample, for patients (N,) of any codes."""
        _, code = np.unique(patients, return_inverse=True)
        order = np.argsort(code, kind="stable")
        groups = np.split(order, np.cumsum(np.bincount(code))[:-1])
        random = np.random.default_rng(self.seed)
        for _ in range(self.resamples):
            chosen = random.integers(0, len(groups), len(groups))
            yield np.concatenate([groups[index] for index in chosen])

    def intervals(
        self, patients: Index, measure: Callable[[Index], Scalars], tick: Callable[[], None]
    ) -> dict[str, tuple[float, float]]:
        """Return the 95 % percentile interval of each scalar that ``measure`` gives for drawn positions.

        A scalar that is nan in more than 5 % of the resamples is left out.
        """
        rows: list[Scalars] = []
        for index in self.draws(patients):
            rows.append(measure(index))
            tick()
        columns = {key: np.array([row[key] for row in rows]) for key in rows[0]}
        return {key: percentiles(values) for key, values in columns.items() if np.isnan(values).mean() <= UNDEFINED}


def percentiles(values: Vector) -> tuple[float, float]:
    """Return the 2.5th and 97.5th percentile of the values that are numbers."""
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)
