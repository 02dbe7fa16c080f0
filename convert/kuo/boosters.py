"""Reads the boosted trees of one member, from a pickle of xgboost 0.72 or from xgboost's JSON or UBJ."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from convert.checkpoint import DefectError
from convert.graph.parts import Trees
from convert.graph.trees import perfect_trees, read_booster
from convert.kuo.old_booster import OldBooster, parse
from convert.kuo.quarantine import unpickle_booster
from engines.errors import UsageError

SUFFIXES = (".pickle.dat", ".json", ".ubj")  # as published; as Booster.save_model writes today


def load_trees(path: Path, features: int) -> Trees:
    """Return the trees at ``path`` over the ``features`` pooled features of a member.

    A booster was trained on a selection of the features, and its column names say which: ``"17"`` as in
    the published files (column names of a data frame), or ``"f17"``.

    Raises
    ------
    DefectError
        It cannot be read, is of another kind, or its columns are not among the pooled features.
    """
    trees, columns, names = _read(path)
    chosen = np.array(feature_indices(names, columns, features), np.int64)
    if int(trees.features.max()) >= len(chosen):
        raise DefectError(f"splits on column {int(trees.features.max())} of {len(chosen)}")
    return Trees(chosen[trees.features], trees.thresholds, trees.values, trees.base_margin)


def feature_indices(names: Sequence[str] | None, columns: int, features: int) -> list[int]:
    """Return for every column of the booster the pooled feature that it is.

    Raises
    ------
    DefectError
        A name is no pooled feature, two are the same, or names that say nothing stand for a selection.
    """
    if not names or list(names) == [f"f{index}" for index in range(columns)]:
        if columns != features:
            raise DefectError(f"has {columns} columns without names, so which of the {features} features is unknown")
        return list(range(features))
    digits = [name.removeprefix("f") for name in names]
    strange = [name for name, text in zip(names, digits, strict=True) if not (text.isascii() and text.isdigit())]
    if strange:
        raise DefectError(f"has a column '{strange[0][:40]}', which is no pooled feature")
    indices = [int(text) for text in digits]
    beyond = [index for index in indices if index >= features]
    if beyond:
        raise DefectError(f"reads feature {beyond[0]}, and there are only {features}, so it is of another network")
    if len(indices) != columns or len(set(indices)) != columns:
        raise DefectError(f"names {len(indices)} columns for {columns}, {len(set(indices))} of them different")
    return indices


def flipped(trees: Trees) -> Trees:
    """Return trees whose probability is 1 - p."""
    return Trees(trees.features, trees.thresholds, -trees.values, -trees.base_margin)


def _read(path: Path) -> tuple[Trees, int, Sequence[str] | None]:
    if path.suffix == ".dat":
        raw = unpickle_booster(path)
        old = parse(raw.data)
        return _perfect(old), old.columns, raw.names
    dump = path.read_bytes() if path.suffix == ".json" else _json_of(path)
    try:
        learner = json.loads(dump)["learner"]
        columns = int(learner["learner_model_param"]["num_feature"])
        return read_booster(dump), columns, learner.get("feature_names")
    except UsageError as error:
        raise DefectError(f"cannot be used, because {error.because}") from error
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise DefectError("is no model of xgboost or it is cut short") from error


def _perfect(old: OldBooster) -> Trees:
    trees = [
        {
            "left_children": tree.left,
            "right_children": tree.right,
            "split_indices": tree.split,
            "split_conditions": tree.value,
        }
        for tree in old.trees
    ]
    try:
        return perfect_trees(trees, old.base_margin)
    except UsageError as error:
        raise DefectError(f"cannot be used, because {error.because}") from error


def _json_of(path: Path) -> bytes:
    import xgboost

    try:
        return bytes(xgboost.Booster(model_file=str(path)).save_raw("json"))
    except (xgboost.core.XGBoostError, ValueError) as error:  # its messages may quote bytes that are no text
        raise DefectError("is no model of xgboost that this version can read") from error
