"""Runs one artifact over many crops and names what comes out by its meaning."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convert.progress import Progress
from engines._onnxruntime import OnnxSession
from engines.bundle import Bundle
from engines.manifest import Artifact, Meaning

BATCH = 32
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Outputs over K crops: members (K, M), features (K, F), cam (K, h, w)."""

    egfr_members: Floats
    p_members: Floats
    features: Floats
    cam: Floats

    @property
    def egfr(self) -> NDArray[np.float64]:
        """Mean over members (K,), mL/min/1.73 m2."""
        return np.asarray(self.egfr_members.mean(axis=1, dtype=np.float64))

    @property
    def probability(self) -> NDArray[np.float64]:
        """Mean P(eGFR < 60) over members (K,)."""
        return np.asarray(self.p_members.mean(axis=1, dtype=np.float64))

    def by_meaning(self) -> dict[Meaning, Floats]:
        """Return the arrays by the meanings of the manifest, which are also the output names."""
        return {
            "egfr_members": self.egfr_members,
            "p_egfr_below_60_members": self.p_members,
            "features": self.features,
            "cam": self.cam,
        }

    def rows(self, index: NDArray[np.intp] | slice) -> Answers:
        """Return the answers of some crops."""
        return Answers(self.egfr_members[index], self.p_members[index], self.features[index], self.cam[index])


def answer(
    bundle: Bundle, artifact: Artifact, crops: NDArray[np.uint8], progress: Progress, threads: int = 2
) -> Answers:
    """Run ``crops`` uint8 (K, H, W, 3) through one artifact on the CPU, in batches."""
    names = {output.meaning: output.name for output in bundle.manifest.outputs}
    stage = f"running {artifact.file}"
    parts = []
    with OnnxSession(bundle, artifact, threads) as session:
        for start in range(0, len(crops), BATCH):
            parts.append(session.infer(crops[start : start + BATCH]))
            progress(stage, min(start + BATCH, len(crops)), len(crops))
    return Answers(
        np.concatenate([part[names["egfr_members"]] for part in parts]),
        np.concatenate([part[names["p_egfr_below_60_members"]] for part in parts]),
        np.concatenate([part[names["features"]] for part in parts]),
        np.concatenate([part[names["cam"]] for part in parts]),
    )
