"""Crops: a calibration set in memory, checked, split by patient and counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convert.crops.counts import Counts

CALIBRATION_MOST = 320  # crops for the ranges of INT8; more change nothing


@dataclass(frozen=True, slots=True, eq=False)
class Crops:
    """Crops and what is known of them; all arrays have length K, in an order that files and names have no part in.

    ``truth`` holds float64 (K,) by head name, NaN where not known, and always ``egfr`` (mL/min/1.73 m2): a regression
    in its unit, an event as 0 or 1, grades as positions. ``sha256`` covers pixels and which crops belong to one
    patient (``convert.crops.identity``), not labels. ``patients`` are p0001 and so on: their names in the source stay
    there, so that nothing which is made of a set depends on them or carries them. ``remarks`` are sentences that a
    report must repeat.
    """

    pixels: NDArray[np.uint8]  # (K, H, W, 3) RGB
    patients: NDArray[np.str_]
    scanners: NDArray[np.str_]  # '' where not known
    truth: Mapping[str, NDArray[np.float64]]
    held: NDArray[np.bool_]  # kept from the calibration
    apart: bool  # False: too few crops, so parity is measured on those that calibrated
    simulated: bool  # of the phantom: their labels say nothing of patients and are not read
    sha256: str
    counts: Counts
    remarks: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Return the number of crops."""
        return len(self.patients)

    def labelled(self, head: str) -> NDArray[np.bool_]:
        """Return where (K,) the truth of a head is known; nowhere for a head that was not asked for."""
        known = self.truth.get(head)
        return np.zeros(len(self), np.bool_) if known is None else np.isfinite(known)

    def calibration(self, seed: int) -> NDArray[np.uint8]:
        """Return the pixels of those that set the ranges of INT8: at most 320, none of them held where any are."""
        allowed = np.flatnonzero(~self.held if self.apart else np.ones(len(self), np.bool_))
        chosen = np.random.default_rng(seed).permutation(allowed)[:CALIBRATION_MOST]
        return np.asarray(self.pixels[np.sort(chosen)], np.uint8)

    def single(self, among: NDArray[np.bool_], seed: int) -> NDArray[np.intp]:
        """Return the position of one random crop of every patient ``among``: the unit of statistics."""
        order = np.random.default_rng(seed).permutation(np.flatnonzero(among))
        _, first = np.unique(self.patients[order], return_index=True)
        return np.sort(order[first])
