"""Golden vectors: a few crops over the whole range with what fp32 answered, and how far others may be off."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
from numpy.typing import NDArray

from convert.answers import FEATURES, Answers
from convert.parity import from_trees
from convert.plan import ArtifactKey
from engines.manifest import HeadSpec, Precision, RegressionHead

COUNT = 8
MARGIN = 2.0  # times the difference seen on the held crops: another machine rounds otherwise
USUAL = 0.99  # of the held crops differ by no more; one odd crop of thousands would make room for a wrong artifact
# Never tighter than this. fp32 on another CPU, or TF32 on a GPU, moves a feature in its last bits; one that lies
# on a threshold of a tree then takes another leaf, hence the room for their probability.
REGRESSION_FLOOR, MAP_FLOOR = 0.1, 1.0  # times the resolution of the head
TREES_FLOOR, PROBABILITY_FLOOR, LOG_ODDS_FLOOR = 0.05, 0.02, 0.1
FEATURE_FLOOR = 0.02
ROUNDING = 2e-3  # of the largest value: features and maps of a network of unknown scale


def choose(score: NDArray[np.float64], count: int = COUNT) -> NDArray[np.intp]:
    """Return positions of ``count`` crops spread evenly over the ranks of the main head's score, lowest first."""
    order = np.argsort(score, kind="stable")
    return np.asarray(order[np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int)])


def write_golden(path: Path, crops: NDArray[np.uint8], answers: Answers) -> None:
    """Write crops uint8 (K, H, W, 3) and one array an output, under the outputs' names."""
    arrays: dict[str, NDArray[np.uint8] | NDArray[np.float32]] = {"crops": crops, **answers.outputs}
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:  # array by array: an output may have the name of a keyword
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def tolerances(answers: Mapping[ArtifactKey, Answers]) -> dict[Precision, dict[str, float]]:
    """Return max |delta| allowed by precision and output, from what was seen over ``answers`` (fp32 among them).

    Twice what 99 % of the crops keep to, and the golden ones; of boosted trees, which jump, twice the largest.
    """
    reference = answers["fp32", "any"]
    least, golden = floors(reference), choose(reference.score(reference.main))
    jumping = {head.output for head in reference.heads if from_trees(head, reference)}
    allowed: dict[Precision, dict[str, float]] = {}
    for (precision, _), candidate in answers.items():
        row = allowed.setdefault(precision, dict(least))
        for name, values in candidate.outputs.items():
            by_crop = np.abs(values - reference.outputs[name]).reshape(len(values), -1).max(axis=1)
            usual = float(np.quantile(by_crop, 1.0 if name in jumping else USUAL))
            row[name] = max(row[name], round(MARGIN * max(usual, float(by_crop[golden].max())), 4))
    return allowed


def floors(reference: Answers) -> dict[str, float]:
    """Return the smallest tolerance of every output, in its unit."""
    found: dict[str, float] = {}
    for head in reference.heads:
        found[head.output], of_map = _floors(head, reference)
        if head.map is not None:
            found[head.map] = max(of_map, _rounding(reference.outputs[head.map]))
    if reference.features is not None:
        found[FEATURES] = max(FEATURE_FLOOR, _rounding(reference.features))
    return found


def _floors(head: HeadSpec, reference: Answers) -> tuple[float, float]:
    if isinstance(head, RegressionHead):
        return REGRESSION_FLOOR * head.resolution, MAP_FLOOR * head.resolution
    return TREES_FLOOR if from_trees(head, reference) else PROBABILITY_FLOOR, LOG_ODDS_FLOOR


def _rounding(values: NDArray[np.float32]) -> float:
    return round(ROUNDING * float(np.abs(values).max(initial=0.0)), 4)
