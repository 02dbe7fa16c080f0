"""Reads boosted trees from XGBoost's JSON dump into tensors; the same leaf for every sample.

The matrix form follows Hummingbird's GEMM strategy (Nakandala 2020), with all trees padded to perfect
trees so that one small path matrix serves all of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.graph.parts import Floats, Trees
from engines.errors import UsageError

DEEPEST = 12  # levels; a perfect tree doubles with each


def read_booster(dump: bytes) -> Trees:
    """Read ``Booster.save_raw("json")`` of a ``binary:logistic`` model with numeric splits.

    Raises
    ------
    UsageError
        Another objective, categorical splits, or no tree.
    """
    learner = json.loads(dump)["learner"]
    trees = learner["gradient_booster"]["model"]["trees"]
    _check(learner, trees)
    return perfect_trees(trees, _base_margin(learner["learner_model_param"]["base_score"]))


def perfect_trees(trees: Sequence[Mapping[str, Any]], base_margin: float) -> Trees:
    """Pad trees to perfect ones of the greatest depth among them.

    Each has ``left_children``, ``right_children`` (-1 at a leaf), ``split_indices`` and
    ``split_conditions`` (threshold, or value of the leaf), one entry a node, as in the JSON dump.

    Raises
    ------
    UsageError
        A tree is deeper than 12: perfect trees of that depth do not fit into memory.
    """
    depth = max(1, max(_depth(tree, 0) for tree in trees))
    if depth > DEEPEST:
        raise UsageError("The trees cannot be converted", f"one is {depth} levels deep", f"use at most {DEEPEST}")
    filled = [_fill(tree, depth) for tree in trees]
    return Trees(
        features=np.stack([features for features, _, _ in filled]),
        thresholds=np.stack([thresholds for _, thresholds, _ in filled]),
        values=np.stack([values for _, _, values in filled]),
        base_margin=base_margin,
    )


def path_matrix(depth: int) -> tuple[Floats, Floats]:
    """Return (paths (2**d - 1, 2**d), lefts (2**d,)) of a perfect tree.

    With D = 1 where a sample goes left: a leaf is reached exactly where D @ paths == lefts.
    """
    leaves, nodes = 2**depth, 2**depth - 1
    paths, lefts = np.zeros((nodes, leaves), np.float32), np.zeros(leaves, np.float32)
    for leaf in range(leaves):
        node = 0
        for level in reversed(range(depth)):
            right = (leaf >> level) & 1
            paths[node, leaf] = -1.0 if right else 1.0
            lefts[leaf] += 1 - right
            node = 2 * node + 1 + right
    return paths, lefts


def _check(learner: Mapping[str, Any], trees: Sequence[Mapping[str, Any]]) -> None:
    objective = learner["objective"]["name"]
    if objective != "binary:logistic":
        raise UsageError("The trees cannot be converted", f"their objective is {objective}", "train binary:logistic")
    if not trees:
        raise UsageError("The trees cannot be converted", "there is no tree", "train at least one round")
    if any(any(tree.get("split_type", ())) for tree in trees):
        raise UsageError("The trees cannot be converted", "a split is categorical", "use numeric features")


def _depth(tree: Mapping[str, Any], node: int) -> int:
    left, right = tree["left_children"][node], tree["right_children"][node]
    return 0 if left < 0 else 1 + max(_depth(tree, left), _depth(tree, right))


def _fill(tree: Mapping[str, Any], depth: int) -> tuple[NDArray[np.int64], Floats, Floats]:
    """Copy one tree into a perfect one; a leaf above the last level is repeated below itself."""
    nodes, leaves = 2**depth - 1, 2**depth
    features, thresholds = np.zeros(nodes, np.int64), np.zeros(nodes, np.float32)
    values = np.zeros(leaves, np.float32)
    waiting = [(0, 0)]  # node of the dump, slot of the perfect tree
    while waiting:
        node, slot = waiting.pop()
        left = tree["left_children"][node]
        condition = np.float32(tree["split_conditions"][node])
        if slot >= nodes:
            values[slot - nodes] = condition
        elif left < 0:
            waiting += [(node, 2 * slot + 1), (node, 2 * slot + 2)]
        else:
            features[slot], thresholds[slot] = tree["split_indices"][node], condition
            waiting += [(left, 2 * slot + 1), (tree["right_children"][node], 2 * slot + 2)]
    return features, thresholds, values


def _base_margin(text: str) -> float:
    score = float(text.strip("[]"))  # XGBoost 3 writes a list of one
    return log(score / (1.0 - score))
