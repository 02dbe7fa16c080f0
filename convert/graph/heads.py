"""Writes linear heads with their exact class activation maps, by forward operators only.

Grad-CAM (Selvaraju 2017) weighs each map of the last convolution by the gradient of the answer. Behind a global
average pool and one linear layer that gradient is a row of its weights (Zhou 2016); behind linear layers with ReLU
it is a product of matrices in which the rows of closed ReLUs are masked. So no backward pass is needed. Maps are
signed: positive cells raise the answer, negative ones lower it; of a probability or a grade the answer is its logit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx

from convert.graph.parts import DeepHead, Dense, LinearHead
from convert.graph.writer import GraphWriter


@dataclass(frozen=True, slots=True)
class Seen:
    """What a head sees: pooled features (N, F), and the last map (N, F, h, w) if a map is asked for."""

    features: str
    map: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a head gives: its answers (N, K), and their maps (N, K, h, w) where they were asked for."""

    value: str
    map: str | None


def linear_head(writer: GraphWriter, head: LinearHead, seen: Seen, name: str) -> Answer:
    """Write one linear layer and its activation; the map of an answer is that of its logit (Zhou 2016).

    Of two classes the caller gives the difference of their rows and a sigmoid: the same probability, and the exact
    map of its log-odds. Of more classes the map of the positive one is that of its own logit.
    """
    weight, bias = writer.constant(f"{name}/weight", head.weight), writer.constant(f"{name}/bias", head.bias)
    value = writer.node("Gemm", [seen.features, weight, bias], f"{name}/logits", transB=1)
    if head.activation == "sigmoid":
        value = writer.node("Sigmoid", [value], f"{name}/sigmoid")
    elif head.activation == "softmax":
        value = writer.node("Softmax", [value], f"{name}/softmax", axis=1)
    rows = head.weight
    if head.positive is not None:
        column = writer.constant(f"{name}/positive", np.array([head.positive], np.int64))
        value = writer.node("Gather", [value, column], f"{name}/probability", axis=1)
        rows = rows[head.positive : head.positive + 1]
    if seen.map is None:
        return Answer(value, None)
    kernel = writer.constant(f"{name}/cam_weight", np.ascontiguousarray(rows[:, :, None, None]))
    return Answer(value, writer.node("Conv", [seen.map, kernel], f"{name}/cam", kernel_shape=[1, 1]))


def deep_head(writer: GraphWriter, head: DeepHead, seen: Seen, name: str) -> Answer:
    """Write several layers, and the map sum_k (d eGFR / d feature_k) map_k.

    As d feature_k / d map_k is 1 / (h w) in every cell, this is Grad-CAM times h w: mL/min/1.73 m2 per
    cell, of which the mean is how far the features move the eGFR where the head is locally linear.
    """
    value, masks = seen.features, []
    for index, layer in enumerate(head.layers):
        value = _dense(writer, layer, value, f"{name}/layer{index}")
        masks.append(_open(writer, value, f"{name}/layer{index}") if layer.relu else None)
        value = writer.node("Relu", [value], f"{name}/layer{index}/relu") if layer.relu else value
    if seen.map is None:
        return Answer(value, None)
    gradient = _gradient(writer, head, masks, name)
    axes = writer.constant("heads/cells", np.array([2, 3], np.int64))
    planes = writer.node("Unsqueeze", [gradient, axes], f"{name}/gradient_planes")
    weighed = writer.node("Mul", [seen.map, planes], f"{name}/weighed")
    channels = writer.constant("heads/channels", np.array([1], np.int64))
    return Answer(value, writer.node("ReduceSum", [weighed, channels], f"{name}/cam", keepdims=1))


def _dense(writer: GraphWriter, layer: Dense, value: str, name: str) -> str:
    weight = writer.constant(f"{name}/weight", layer.weight)
    return writer.node("Gemm", [value, weight, writer.constant(f"{name}/bias", layer.bias)], name, transB=1)


def _open(writer: GraphWriter, value: str, name: str) -> str:
    """Return 1 where a ReLU lets through: where its input is above 0."""
    zero = writer.constant("heads/zero", np.array(0.0, np.float32))
    above = writer.node("Greater", [value, zero], f"{name}/above")
    return writer.node("Cast", [above], f"{name}/open", to=onnx.TensorProto.FLOAT)


def _gradient(writer: GraphWriter, head: DeepHead, masks: list[str | None], name: str) -> str:
    """Return d answer / d features (N, F), last layer first; layers share their weights with the way forward."""
    last = len(head.layers) - 1
    gradient = ""
    for index in range(last, -1, -1):
        mask, step = masks[index], f"{name}/layer{index}"
        if index == last:
            gradient = f"{step}/weight"  # (1, in): the only row
            continue
        if mask is not None:
            gradient = writer.node("Mul", [gradient, mask], f"{step}/masked")
        gradient = writer.node("MatMul", [gradient, f"{step}/weight"], f"{step}/gradient")
    return gradient
