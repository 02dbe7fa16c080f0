"""The crops of a hospital that a proof asks for: what any reader of such a folder gives."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from convert.parity import Truth


class Crops(Protocol):
    """Crops and what is known of them; all arrays have length K."""

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """Pixels (K, H, W, 3), RGB."""
        ...

    @property
    def patients(self) -> NDArray[np.str_]:
        """Patient of each crop."""
        ...

    @property
    def scanners(self) -> NDArray[np.str_]:
        """Scanner of each crop; empty where not known."""
        ...

    @property
    def truth(self) -> Truth:
        """What is known, by head; NaN where not known, nothing at all of simulated crops."""
        ...

    @property
    def held(self) -> NDArray[np.bool_]:
        """Crops that took no part in the calibration; all of them if not ``apart``."""
        ...

    @property
    def apart(self) -> bool:
        """False: too few crops, so parity is measured on those that calibrated."""
        ...

    @property
    def simulated(self) -> bool:
        """True for crops of the phantom."""
        ...

    @property
    def sha256(self) -> str:
        """SHA-256 of the set."""
        ...

    def single(self, among: NDArray[np.bool_], seed: int) -> NDArray[np.intp]:
        """Return the position of one random crop of every patient ``among``: the unit of statistics."""
        ...
