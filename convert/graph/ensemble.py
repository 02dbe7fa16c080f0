"""Writes the one graph of a bundle: normalisation, all trunks, eGFR heads, trees and the activation map.

Node names say the stage, and other modules choose nodes by them: ``input/...``, ``member0/trunk/...``,
``member0/heads/...``, and the four outputs.
"""

from __future__ import annotations

import numpy as np
import onnx

from convert.graph.heads import deep_head, linear_head
from convert.graph.parts import Convolution, Ensemble, LinearHead, Member, Residual, Trees
from convert.graph.trees import path_matrix
from convert.graph.writer import GraphWriter, tensor

INPUT = "crops"


def write_graph(ensemble: Ensemble) -> onnx.ModelProto:
    """Return the fp32 graph; input ``crops`` uint8 (N, H, W, 3) RGB, outputs as in ``engines.manifest.Meaning``."""
    writer = GraphWriter("echogfr-reader")
    pixels = _normalise(writer, ensemble)
    parts = [_member(writer, member, pixels, f"member{index}") for index, member in enumerate(ensemble.members)]
    for name, column in (("egfr_members", 0), ("p_egfr_below_60_members", 1), ("features", 2)):
        writer.node("Concat", [part[column] for part in parts], name, axis=1)
    maps = writer.node("Concat", [part[3] for part in parts], "cam/members", axis=1)
    writer.node("ReduceMean", [maps], "cam", axes=[1], keepdims=0)
    count, features = len(parts), sum(member.head.inputs for member in ensemble.members)
    outputs = [
        tensor("egfr_members", np.float32, [count]),
        tensor("p_egfr_below_60_members", np.float32, [count]),
        tensor("features", np.float32, [features]),
        tensor("cam", np.float32, map_size(ensemble)),
    ]
    return writer.model([tensor(INPUT, np.uint8, [ensemble.height, ensemble.width, 3])], outputs)


def map_size(ensemble: Ensemble) -> tuple[int, int]:
    """Height and width of the last map."""
    trunk = ensemble.members[0].trunk
    pool = [(3, 1, 2)] if trunk.max_pool else []
    steps = [_window(trunk.stem), *pool, *(_window(step) for block in trunk.blocks for step in block.path)]
    size = [ensemble.height, ensemble.width]
    for kernel, padding, stride in steps:
        size = [(edge + 2 * padding - kernel) // stride + 1 for edge in size]
    return size[0], size[1]


def _window(step: Convolution) -> tuple[int, int, int]:
    return step.weight.shape[2], step.padding, step.stride


def _normalise(writer: GraphWriter, ensemble: Ensemble) -> str:
    std = np.array(ensemble.std, np.float32).reshape(1, 3, 1, 1)
    mean = np.array(ensemble.mean, np.float32).reshape(1, 3, 1, 1)
    floats = writer.node("Cast", [INPUT], "input/cast", to=onnx.TensorProto.FLOAT)
    planes = writer.node("Transpose", [floats], "input/planes", perm=[0, 3, 1, 2])
    gain = writer.constant("input/gain", (1.0 / (255.0 * std)).astype(np.float32))
    offset = writer.constant("input/offset", (mean / std).astype(np.float32))
    return writer.node("Sub", [writer.node("Mul", [planes, gain], "input/scaled"), offset], "input/normalised")


def _member(writer: GraphWriter, member: Member, pixels: str, name: str) -> tuple[str, str, str, str]:
    value = _convolve(writer, member.trunk.stem, pixels, f"{name}/trunk/stem")
    value = writer.node("Relu", [value], f"{name}/trunk/stem/relu")
    if member.trunk.max_pool:
        shape = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}
        value = writer.node("MaxPool", [value], f"{name}/trunk/stem/pool", **shape)
    for index, block in enumerate(member.trunk.blocks):
        value = _residual(writer, block, value, f"{name}/trunk/block{index}")
    heads = f"{name}/heads"
    pooled = writer.node("GlobalAveragePool", [value], f"{heads}/pool")
    features = writer.node("Flatten", [pooled], f"{heads}/features", axis=1)
    head = member.head
    if isinstance(head, LinearHead):
        egfr, cam = linear_head(writer, head, (value, features), heads)
    else:
        egfr, cam = deep_head(writer, head, (value, features), heads)
    return egfr, _trees(writer, member.trees, features, f"{heads}/trees"), features, cam


def _convolve(writer: GraphWriter, convolution: Convolution, value: str, name: str) -> str:
    weight = writer.constant(f"{name}/weight", convolution.weight)
    bias = writer.constant(f"{name}/bias", convolution.bias)
    kernel = list(convolution.weight.shape[2:])
    pads, strides = [convolution.padding] * 4, [convolution.stride] * 2
    return writer.node("Conv", [value, weight, bias], name, kernel_shape=kernel, pads=pads, strides=strides)


def _residual(writer: GraphWriter, block: Residual, value: str, name: str) -> str:
    shortcut = value if block.shortcut is None else _convolve(writer, block.shortcut, value, f"{name}/shortcut")
    last = len(block.path) - 1
    for index, convolution in enumerate(block.path):
        value = _convolve(writer, convolution, value, f"{name}/conv{index}")
        if index < last:
            value = writer.node("Relu", [value], f"{name}/relu{index}")
    return writer.node("Relu", [writer.node("Add", [value, shortcut], f"{name}/sum")], f"{name}/relu")


def _trees(writer: GraphWriter, trees: Trees, features: str, name: str) -> str:
    """Write all trees at once: (N, T, nodes) decisions, (N, T, leaves) reached leaves, one sum."""
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
