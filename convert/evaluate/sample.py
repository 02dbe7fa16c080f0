"""Sample: truth and readings of a set of crops, as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Mask = NDArray[np.bool_]
Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One entry a crop (N,); eGFR in mL/min/1.73 m2, never negative."""

    patients: Index  # codes 0..P-1
    truth: Vector
    egfr: Vector
    low: Vector  # prediction interval that the app would show
    high: Vector
    probability: Vector  # P(eGFR < 60)
    refused: Mask  # by the domain check
    agree: Mask  # the two heads say compatible things

    def __len__(self) -> int:
        """Return the number of crops."""
        return len(self.truth)

    @property
    def patient_count(self) -> int:
        """Number of different patients."""
        return len(np.unique(self.patients))

    @property
    def repeats(self) -> bool:
        """True if a patient has more than one crop, so that crops are not independent."""
        return self.patient_count < len(self)

    def rows(self, index: Index | Mask) -> Sample:
        """Return the crops of ``index`` (positions, which may repeat, or a mask)."""
        return Sample(
            self.patients[index],
            self.truth[index],
            self.egfr[index],
            self.low[index],
            self.high[index],
            self.probability[index],
            self.refused[index],
            self.agree[index],
        )
