"""The trees in the graph give what XGBoost gives, to the leaf."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
import xgboost

from convert.graph.tree_head import tree_head
from convert.graph.trees import path_matrix, read_booster
from convert.graph.writer import GraphWriter, tensor
from engines.errors import UsageError


def boosted(depth: int, seed: int, rounds: int = 25) -> tuple[xgboost.Booster, np.random.Generator]:
    random = np.random.default_rng(seed)
    features = random.normal(size=(400, 6)).astype(np.float32)
    label = features[:, 0] * features[:, 1] + 0.3 * features[:, 2] > 0
    options = {"objective": "binary:logistic", "max_depth": depth, "nthread": 1, "min_child_weight": 8}
    return xgboost.train(options, xgboost.DMatrix(features, label), rounds), random


def rows_with_thresholds(trees, random: np.random.Generator) -> np.ndarray:
    """Random rows, then rows that lie exactly on a threshold, just below it and just above it."""
    rows = [random.normal(size=(500, 6)).astype(np.float32)]
    for feature, threshold in zip(trees.features.ravel(), trees.thresholds.ravel(), strict=True):
        on = random.normal(size=(3, 6)).astype(np.float32)
        on[:, feature] = threshold, np.nextafter(threshold, -np.inf), np.nextafter(threshold, np.inf)
        rows.append(on)
    return np.concatenate(rows)


def tree_model(trees, width: int) -> onnx.ModelProto:
    writer = GraphWriter("trees")
    tree_head(writer, trees, "features", "t")
    return writer.model([tensor("features", np.float32, [width])], [tensor("t/probability", np.float32, [1])])


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", [0, 1])
def test_trees_in_the_graph_equal_xgboost_on_and_around_every_threshold(depth: int, seed: int, run_onnx) -> None:
    booster, random = boosted(depth, seed)
    trees = read_booster(bytes(booster.save_raw("json")))
    rows = rows_with_thresholds(trees, random)
    answer = run_onnx(tree_model(trees, 6), rows)["t/probability"][:, 0]
    assert np.abs(answer - booster.predict(xgboost.DMatrix(rows))).max() < 1e-6


def test_trees_are_plain_tensor_operations() -> None:
    booster, _ = boosted(3, 5)
    model = tree_model(read_booster(bytes(booster.save_raw("json"))), 6)
    assert {node.domain for node in model.graph.node} == {""}
    assert {"Gather", "Less", "MatMul", "Equal", "Sigmoid"} <= {node.op_type for node in model.graph.node}


def test_the_base_score_is_part_of_the_answer(run_onnx) -> None:
    features = np.linspace(0, 1, 50, dtype=np.float32)[:, None]
    options = {"objective": "binary:logistic", "max_depth": 1, "base_score": 0.2, "nthread": 1}
    booster = xgboost.train(options, xgboost.DMatrix(features, features[:, 0] > 0.9), 1)
    trees = read_booster(bytes(booster.save_raw("json")))
    assert trees.base_margin == pytest.approx(np.log(0.2 / 0.8))
    answer = run_onnx(tree_model(trees, 1), features)["t/probability"][:, 0]
    assert np.abs(answer - booster.predict(xgboost.DMatrix(features))).max() < 1e-6


def test_a_leaf_is_reached_by_exactly_one_set_of_decisions() -> None:
    paths, lefts = path_matrix(3)
    decisions = ((np.arange(128)[:, None] >> np.arange(7)) & 1).astype(np.float32)
    assert ((decisions @ paths == lefts).sum(axis=1) == 1).all()


def test_trees_of_another_objective_are_refused() -> None:
    features = np.random.default_rng(0).random((60, 2), dtype=np.float32)
    booster = xgboost.train(
        {"objective": "reg:squarederror", "nthread": 1}, xgboost.DMatrix(features, features[:, 0]), 2
    )
    with pytest.raises(UsageError, match="reg:squarederror"):
        read_booster(bytes(booster.save_raw("json")))


def test_a_model_without_trees_is_refused() -> None:
    booster, _ = boosted(1, 0, rounds=1)
    dump = json.loads(bytes(booster.save_raw("json")))
    dump["learner"]["gradient_booster"]["model"]["trees"] = []
    with pytest.raises(UsageError, match="no tree"):
        read_booster(json.dumps(dump).encode())
