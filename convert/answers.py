"""Runs an artifact over many crops; what comes out is asked for by head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convert.plan import ArtifactKey
from convert.progress import Progress
from engines._onnxruntime_session import OnnxSession
from engines.bundle import Bundle
from engines.manifest import Artifact, GradesHead, HeadSpec, RegressionHead
from engines.members import join

BATCH = 8  # maps of ten ResNet-101 at a time: more is no faster on a CPU and takes gigabytes
FEATURES = "features"
FP32: ArtifactKey = ("fp32", "any")
Floats = NDArray[np.float32]
Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Outputs over K crops by name, float32 (K, ...), and what they mean.

    ``outputs`` holds ``head.output`` (K, M), of grades (K, M, G), ``head.map`` where there is one, and ``features``
    (K, F) where the graph gives them.
    """

    heads: tuple[HeadSpec, ...]
    outputs: Mapping[str, Floats]

    def __len__(self) -> int:
        """Return the number of crops."""
        return len(self.outputs[self.heads[0].output])

    @property
    def main(self) -> HeadSpec:
        """The main head."""
        return self.heads[0]

    @property
    def features(self) -> Floats | None:
        """Pooled features (K, F), all members side by side, or None."""
        return self.outputs.get(FEATURES)

    def members(self, head: HeadSpec) -> Floats:
        """Return what each member answers: (K, M), of grades (K, M, G)."""
        return self.outputs[head.output]

    def mean(self, head: HeadSpec) -> Vector:
        """Return the mean over members: (K,) in the unit of the head, of grades probabilities (K, G)."""
        return np.asarray(self.members(head).mean(axis=1, dtype=np.float64))

    def shown(self, head: HeadSpec) -> Vector:
        """Return the mean as a reading shows it: of a regression not below its lowest value."""
        mean = self.mean(head)
        if isinstance(head, RegressionHead) and head.lowest is not None:
            return np.maximum(mean, head.lowest)
        return mean

    def score(self, head: HeadSpec) -> Vector:
        """Return one number a crop (K,) that rises with the answer: of grades, the mean position."""
        mean = self.mean(head)
        return np.asarray(mean @ np.arange(mean.shape[1])) if isinstance(head, GradesHead) else mean

    def map(self, head: HeadSpec) -> Floats | None:
        """Return the activation maps (K, h, w), of grades (K, G, h, w), or None."""
        return None if head.map is None else self.outputs[head.map]

    def rows(self, index: NDArray[np.intp] | NDArray[np.bool_] | slice) -> Answers:
        """Return the answers of some crops."""
        return Answers(self.heads, {name: array[index] for name, array in self.outputs.items()})


def artifact_sets(bundle: Bundle) -> dict[ArtifactKey, tuple[Artifact, ...]]:
    """Return the artifacts by precision and family: one, or one a member where members were left apart."""
    keys = dict.fromkeys((item.precision, item.family) for item in bundle.manifest.artifacts)
    return {key: bundle.artifacts(*key) for key in keys}


def answer(
    bundle: Bundle, artifacts: Sequence[Artifact], crops: NDArray[np.uint8], progress: Progress, threads: int = 2
) -> Answers:
    """Run ``crops`` uint8 (K, H, W, 3), K >= 1, through artifacts that are one model, on the CPU, in batches.

    Members that were left apart are loaded one after the other, never at once, and joined as the app does.
    """
    parts = [_run(bundle, artifact, crops, progress, threads) for artifact in artifacts]
    return Answers(bundle.manifest.heads, join(bundle.manifest, parts))


def answer_all(
    bundle: Bundle, crops: NDArray[np.uint8], progress: Progress, known: Mapping[ArtifactKey, Answers] | None = None
) -> dict[ArtifactKey, Answers]:
    """Return the answers of every artifact to ``crops``; ``known``: those that need not be asked again."""
    before = known or {}
    return {
        key: before[key] if key in before else answer(bundle, artifacts, crops, progress)
        for key, artifacts in artifact_sets(bundle).items()
    }


def answer_rest(
    bundle: Bundle, known: tuple[NDArray[np.uint8], Answers] | None, crops: NDArray[np.uint8], progress: Progress
) -> Answers:
    """Return what fp32 answers to ``crops``, without asking again about those that are ``known``, pixel for pixel."""
    artifacts = bundle.artifacts("fp32", "any")
    if known is None:
        return answer(bundle, artifacts, crops, progress)
    place = {crop.tobytes(): at for at, crop in enumerate(known[0])}
    found = np.array([place.get(crop.tobytes(), -1) for crop in crops])
    old, new = np.flatnonzero(found >= 0), np.flatnonzero(found < 0)
    parts = [known[1].rows(found[old])]
    if len(new):
        parts.append(answer(bundle, artifacts, crops[new], progress))
    order = np.argsort(np.concatenate([old, new]))
    names = known[1].outputs
    outputs = {name: np.concatenate([part.outputs[name] for part in parts])[order] for name in names}
    return Answers(known[1].heads, outputs)


def _run(
    bundle: Bundle, artifact: Artifact, crops: NDArray[np.uint8], progress: Progress, threads: int
) -> dict[str, Floats]:
    stage = f"running {artifact.file}"
    parts = []
    with OnnxSession(bundle, artifact, threads) as session:
        for start in range(0, len(crops), BATCH):
            parts.append(session.infer(crops[start : start + BATCH]))
            progress(stage, min(start + BATCH, len(crops)), len(crops))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
