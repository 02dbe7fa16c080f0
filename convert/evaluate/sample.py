"""Sample: truth and readings of a set of crops, as arrays."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Mask = NDArray[np.bool_]
Index = NDArray[np.intp]
R = TypeVar("R", bound="Rows")


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """What every sample has, one entry a crop (N,)."""

    patients: Index  # codes 0..P-1
    refused: Mask  # by the domain check

    def __len__(self) -> int:
        """Return the number of crops."""
        return len(self.patients)

    @property
    def patient_count(self) -> int:
        """Number of different patients."""
        return len(np.unique(self.patients))

    @property
    def repeats(self) -> bool:
        """True if a patient has more than one crop, so that crops are not independent."""
        return self.patient_count < len(self)

    def rows(self: R, index: Index | Mask) -> R:
        """Return the crops of ``index`` (positions, which may repeat, or a mask)."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: array[index] for name, array in arrays.items() if isinstance(array, np.ndarray)})


@dataclass(frozen=True, slots=True, eq=False)
class Sample(Rows):
    """Readings of an eGFR (N,), mL/min/1.73 m2, never negative."""

    truth: Vector
    egfr: Vector
    low: Vector | None  # prediction interval that the app would show; None: not calibrated
    high: Vector | None
    probability: Vector | None  # P(eGFR < 60), where the model gives it
    agree: Mask  # the two heads say compatible things
    p_cut: float = 0.5  # of the probability

    @property
    def width(self) -> Vector | None:
        """Width of the prediction interval, or None."""
        return None if self.low is None or self.high is None else self.high - self.low


@dataclass(frozen=True, slots=True, eq=False)
class ClassSample(Rows):
    """Readings of K classes that exclude each other, lowest first: grades, or (not the event, the event).

    ``truth`` and ``called`` (N,) are positions in ``names``; ``p`` (N, K) adds up to 1. What is called is the most
    probable grade, or the event from the head's cut on.
    """

    truth: Index
    p: Vector
    called: Index
    names: tuple[str, ...]

    @property
    def events(self) -> tuple[int, ...]:
        """The classes that are asked about, each against all others: of two the second."""
        return (1,) if len(self.names) == 2 else tuple(range(len(self.names)))
