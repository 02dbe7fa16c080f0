"""Which crops are kept from the calibration, to measure parity on: whole patients, always."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from convert.plan import CALIBRATION_MINIMUM

HELD_SHARE = 0.2  # of the patients
HELD_LEAST = 40  # crops; fewer say too little about the 95 % of a difference


def hold(patients: Sequence[str], seed: int) -> NDArray[np.bool_] | None:
    """Return a mask (K,) of the crops held apart, or None where no choice of patients leaves enough on both sides.

    Every fifth patient, drawn by ``seed``, and more while these have fewer than 40 crops; a patient whose crops
    would leave fewer than 200 to calibrate with is passed over. The draw depends on the order in which patients
    first appear and not on their names.
    """
    names, first, sizes = np.unique(np.asarray(patients), return_index=True, return_counts=True)
    order = np.random.default_rng(seed).permutation(np.argsort(first))
    drawn = [int(size) for size in sizes[order]]
    most = len(patients) - CALIBRATION_MINIMUM
    chosen = _fifth(drawn, most)
    if sum(drawn[at] for at in chosen) < HELD_LEAST:
        chosen = _fewest(drawn, most)
    return np.isin(patients, names[order[chosen]]) if chosen else None


def _fifth(sizes: Sequence[int], most: int) -> list[int]:
    wanted, chosen, crops = round(HELD_SHARE * len(sizes)), list[int](), 0
    for at, size in enumerate(sizes):
        if len(chosen) >= wanted and crops >= HELD_LEAST:
            break
        if crops + size <= most:
            chosen.append(at)
            crops += size
    return chosen


def _fewest(sizes: Sequence[int], most: int) -> list[int]:
    """Return the patients whose crops are the fewest that are enough; empty where there is no such choice."""
    reached: dict[int, list[int]] = {0: []}
    for at, size in enumerate(sizes):
        for total, chosen in tuple(reached.items()):
            if total + size <= most:
                reached.setdefault(total + size, [*chosen, at])
    return reached[min((total for total in reached if total >= HELD_LEAST), default=0)]
