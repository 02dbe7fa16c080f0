"""A made-up patient: kidney measures that follow eGFR with the spread that studies report.

Source: facts "Link to eGFR": length r 0.43, cortical thickness r 0.85 (Korkmaz), echogenicity
(Phuntanasiri), corticomedullary differentiation. The spreads are the literature's, not tuned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from edge_app.capture.phantom.arrays import Rng

Side = Literal["left", "right"]
EgfrSampling = Literal["uniform", "clinic"]

CORTEX_SIGMA_MM = 1.2
ECHO_SIGMA_DB = 4.0
LENGTH_SIGMA_CM = 0.95
MEDULLA_SIGMA_MM = 1.5
CMD_SIGMA_DB = 1.3


@dataclass(frozen=True, slots=True)
class Patient:
    """What is true of one kidney, before any machine looks at it.

    Lengths in cm, ``echo_db`` is the cortex against the neighbouring liver, ``cmd_db`` the cortex
    against the pyramids (corticomedullary differentiation).
    """

    egfr: float
    side: Side
    length_cm: float
    width_cm: float
    cortex_cm: float
    medulla_cm: float
    echo_db: float
    cmd_db: float
    male: bool
    age: int


def sample_egfr(rng: Rng, sampling: EgfrSampling) -> float:
    """Draw an eGFR, mL/min/1.73 m2: uniform 5..120, or Gamma(1.4, 28) clipped to 2..170 as in Kuo 2019."""
    if sampling == "uniform":
        return float(rng.uniform(5.0, 120.0))
    return float(np.clip(rng.gamma(1.4, 28.0), 2.0, 170.0))


def draw_patient(rng: Rng, egfr: float, side: Side | None = None) -> Patient:
    """Draw a kidney for a given eGFR."""
    z = (egfr - 45.0) / 30.0
    chosen: Side = side or ("left" if rng.random() < 0.5 else "right")
    male = bool(rng.random() < 0.55)
    age = int(rng.integers(25, 88))
    offset = 0.2 * (chosen == "left") + 0.3 * (male - 0.5) - 0.01 * max(0, age - 50)
    length = float(np.clip(9.6 + 0.45 * z + offset + LENGTH_SIGMA_CM * rng.standard_normal(), 6.5, 13.0))
    width = 0.46 * length * float(1.0 + 0.06 * rng.standard_normal())
    cortex = float(np.clip(6.5 + 1.9 * z + CORTEX_SIGMA_MM * rng.standard_normal(), 2.0, 12.0)) / 10.0
    medulla = float(np.clip(7.5 + 0.8 * z + MEDULLA_SIGMA_MM * rng.standard_normal(), 4.0, 13.0)) / 10.0
    echo = float(np.clip(0.5 - 3.0 * z + ECHO_SIGMA_DB * rng.standard_normal(), -9.0, 10.0))
    cmd = float(np.clip(4.5 + 1.5 * z + CMD_SIGMA_DB * rng.standard_normal(), 0.0, 8.0))
    fit = min(1.0, 0.7 * (width / 2.0) / (cortex + medulla))  # parenchyma never fills the sinus
    return Patient(egfr, chosen, length, width, cortex * fit, medulla * fit, echo, cmd, male, age)
