"""Writes the eGFR heads with their exact class activation maps, by forward operators only.

Grad-CAM (Selvaraju 2017) weighs each map of the last convolution by the gradient of the answer. Behind a global
average pool and linear layers with ReLU that gradient is a product of matrices in which the rows of
closed ReLUs are masked, so no backward pass is needed. Maps are signed: red raises the eGFR, blue lowers it.
"""

from __future__ import annotations

import numpy as np
import onnx

from convert.graph.parts import DeepHead, Dense, LinearHead
from convert.graph.writer import GraphWriter

Seen = tuple[str, str]  # last map (N, F, h, w), pooled features (N, F)
Answer = tuple[str, str]  # eGFR (N, 1), map (N, 1, h, w)


def linear_head(writer: GraphWriter, head: LinearHead, seen: Seen, name: str) -> Answer:
    """Write one linear layer; the map needs no gradient (Zhou 2016)."""
    weight = head.weight
    inputs = [
        seen[1],
        writer.constant(f"{name}/weight", weight[:, None]),
        writer.constant(f"{name}/bias", np.array([head.bias], np.float32)),
    ]
    egfr = writer.node("Gemm", inputs, f"{name}/egfr")
    kernel = writer.constant(f"{name}/cam_weight", weight[None, :, None, None])
    return egfr, writer.node("Conv", [seen[0], kernel], f"{name}/cam")


def deep_head(writer: GraphWriter, head: DeepHead, seen: Seen, name: str) -> Answer:
    """Write several layers, and the map sum_k (d eGFR / d feature_k) map_k.

    As d feature_k / d map_k is 1 / (h w) in every cell, this is Grad-CAM times h w: mL/min/1.73 m2 per
    cell, of which the mean is how far the features move the eGFR where the head is locally linear.
    """
    value, masks = seen[1], []
    for index, layer in enumerate(head.layers):
        value = _dense(writer, layer, value, f"{name}/layer{index}")
        masks.append(_open(writer, value, f"{name}/layer{index}") if layer.relu else None)
        value = writer.node("Relu", [value], f"{name}/layer{index}/relu") if layer.relu else value
    gradient = _gradient(writer, head, masks, name)
    axes = writer.constant("heads/cells", np.array([2, 3], np.int64))
    planes = writer.node("Unsqueeze", [gradient, axes], f"{name}/gradient_planes")
    weighed = writer.node("Mul", [seen[0], planes], f"{name}/weighed")
    channels = writer.constant("heads/channels", np.array([1], np.int64))
    return value, writer.node("ReduceSum", [weighed, channels], f"{name}/cam", keepdims=1)


def _dense(writer: GraphWriter, layer: Dense, value: str, name: str) -> str:
    weight = writer.constant(f"{name}/weight", layer.weight)
    return writer.node("Gemm", [value, weight, writer.constant(f"{name}/bias", layer.bias)], name, transB=1)


def _open(writer: GraphWriter, value: str, name: str) -> str:
    """Return 1 where a ReLU lets through: where its input is above 0."""
    zero = writer.constant("heads/zero", np.array(0.0, np.float32))
    above = writer.node("Greater", [value, zero], f"{name}/above")
    return writer.node("Cast", [above], f"{name}/open", to=onnx.TensorProto.FLOAT)


def _gradient(writer: GraphWriter, head: DeepHead, masks: list[str | None], name: str) -> str:
    """Return d eGFR / d features (N, F), from the last layer back; layers share their weights with the way forward."""
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
