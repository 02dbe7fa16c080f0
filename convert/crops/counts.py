"""Counts: how many crops of how many patients, by scanner and by what is true of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convert.crops.truth import EGFR
from convert.labels import band_label
from engines.kdigo import BOUNDARIES, CATEGORIES
from engines.manifest import GradesHead, HeadSpec, ProbabilityHead

UNKNOWN = "not known"
EGFR_BANDS = tuple(f"{name}, {band_label(at, BOUNDARIES)}" for at, name in enumerate(CATEGORIES))


@dataclass(frozen=True, slots=True)
class Share:
    """Crops, and patients who have at least one of them."""

    name: str
    crops: int
    patients: int


@dataclass(frozen=True, slots=True)
class Counts:
    """``by_truth`` has one entry a head: KDIGO bands of an eGFR (lowest first), ranges, sides or grades."""

    crops: int
    patients: int
    by_scanner: tuple[Share, ...]
    by_truth: dict[str, tuple[Share, ...]]


def count(
    patients: NDArray[np.str_],
    scanners: NDArray[np.str_],
    truth: Mapping[str, NDArray[np.float64]],
    heads: Sequence[HeadSpec],
) -> Counts:
    """Count; all arrays have length K. The eGFR is counted whether or not a head gives it."""
    by_scanner = [_share(name or UNKNOWN, scanners == name, patients) for name in np.unique(scanners).tolist()]
    known = {head.name: head for head in heads}
    by_truth = {name: tuple(_shares(known.get(name), values, patients)) for name, values in truth.items()}
    return Counts(len(patients), len(np.unique(patients)), tuple(by_scanner), by_truth)


def _shares(head: HeadSpec | None, values: NDArray[np.float64], patients: NDArray[np.str_]) -> Iterator[Share]:
    known = np.isfinite(values)
    if known.any():
        names, places = _bands(head, values)
        for at, name in enumerate(names):
            yield _share(name, known & (places == at), patients)
    if not known.all():
        yield _share(UNKNOWN, ~known, patients)


def _bands(head: HeadSpec | None, values: NDArray[np.float64]) -> tuple[tuple[str, ...], NDArray[np.intp]]:
    """Return the names of the bands and the place of each value; None is the eGFR without a head of its own."""
    if isinstance(head, GradesHead):
        return head.grades, np.nan_to_num(values).astype(np.intp)
    if isinstance(head, ProbabilityHead):
        return (f"not {head.event}", head.event), np.nan_to_num(values).astype(np.intp)
    if head is None or head.quantity == EGFR:
        return EGFR_BANDS, np.searchsorted(BOUNDARIES, values, side="right")
    if head.categories:
        return head.categories, np.searchsorted(head.boundaries, values, side="right")
    return ("known",), np.zeros(len(values), np.intp)


def _share(name: str, among: NDArray[np.bool_], patients: NDArray[np.str_]) -> Share:
    return Share(name, int(among.sum()), len(np.unique(patients[among])))
