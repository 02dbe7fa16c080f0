"""Writes boosted trees as tensor operations: all trees at once, the same leaf for every sample."""

from __future__ import annotations

import numpy as np
import onnx

from convert.graph.parts import Trees
from convert.graph.trees import path_matrix
from convert.graph.writer import GraphWriter


def tree_head(writer: GraphWriter, trees: Trees, features: str, name: str) -> str:
    """Write (N, T, nodes) decisions, (N, T, leaves) reached leaves and one sum; return the probability (N, 1)."""
    paths, lefts = path_matrix(trees.depth)
    chosen = writer.node(
        "Gather", [features, writer.constant(f"{name}/index", trees.features)], f"{name}/gather", axis=1
    )
    less = writer.node("Less", [chosen, writer.constant(f"{name}/thresholds", trees.thresholds)], f"{name}/less")
    left = writer.node("Cast", [less], f"{name}/left", to=onnx.TensorProto.FLOAT)
    score = writer.node("MatMul", [left, writer.constant(f"{name}/paths", paths)], f"{name}/score")
    equal = writer.node("Equal", [score, writer.constant(f"{name}/lefts", lefts)], f"{name}/reached")
    reached = writer.node("Cast", [equal], f"{name}/leaf", to=onnx.TensorProto.FLOAT)
    # multiplied and summed, not a MatMul: leaf values must not be rounded to TF32 on a GPU
    value = writer.node("Mul", [reached, writer.constant(f"{name}/values", trees.values)], f"{name}/value")
    axes = writer.constant(f"{name}/axes", np.array([1, 2], np.int64))
    total = writer.node("ReduceSum", [value, axes], f"{name}/sum", keepdims=0)
    base = writer.constant(f"{name}/base", np.array(trees.base_margin, np.float32))
    probability = writer.node("Sigmoid", [writer.node("Add", [total, base], f"{name}/margin")], f"{name}/sigmoid")
    column = writer.constant("heads/column", np.array([1], np.int64))
    return writer.node("Unsqueeze", [probability, column], f"{name}/probability")
