"""Golden vectors: a few crops over the whole range with what fp32 answered, and how far others may be off."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from convert.answers import Answers
from convert.plan import ArtifactKey
from engines.manifest import Meaning, Precision

COUNT = 8
MARGIN = 2.0  # times the largest difference seen on the test split: another machine rounds otherwise
# Never tighter than this, in the unit of each head. fp32 on another CPU, or TF32 on a GPU, moves a feature
# in its last bits; one that lies on a threshold then takes another leaf, hence the room for P.
FLOORS: dict[Meaning, float] = {"egfr_members": 0.1, "p_egfr_below_60_members": 0.05, "features": 0.02, "cam": 1.0}


def choose(egfr: NDArray[np.float64], count: int = COUNT) -> NDArray[np.intp]:
    """Return positions of ``count`` crops spread evenly over the ranks of the predicted eGFR, lowest first."""
    order = np.argsort(egfr, kind="stable")
    return np.asarray(order[np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int)])


def write_golden(path: Path, crops: NDArray[np.uint8], answers: Answers) -> None:
    """Write crops uint8 (K, H, W, 3) and one array an output, under the outputs' names."""
    with path.open("wb") as file:
        np.savez_compressed(
            file,
            crops=crops,
            egfr_members=answers.egfr_members,
            p_egfr_below_60_members=answers.p_members,
            features=answers.features,
            cam=answers.cam,
        )


def tolerances(answers: Mapping[ArtifactKey, Answers]) -> dict[Precision, dict[Meaning, float]]:
    """Return max |delta| allowed by precision and head, from what was seen over ``answers`` (fp32 among them)."""
    reference = answers["fp32", "any"].by_meaning()
    allowed: dict[Precision, dict[Meaning, float]] = {}
    for (precision, _), candidate in answers.items():
        row = allowed.setdefault(precision, dict(FLOORS))
        for meaning, values in candidate.by_meaning().items():
            seen = float(np.abs(values - reference[meaning]).max())
            row[meaning] = max(row[meaning], round(MARGIN * seen, 4))
    return allowed
