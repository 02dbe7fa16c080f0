"""Writes what lies in front of the heads: the normalisation of the picture, and each member's trunk."""

from __future__ import annotations

import numpy as np
import onnx

from convert.graph.graft import graft
from convert.graph.parts import Convolution, Ensemble, OnnxTrunk, Residual, Trunk, Whole
from convert.graph.writer import GraphWriter

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as in OpenCV and Pillow


def normalise(writer: GraphWriter, ensemble: Ensemble, crops: str) -> str:
    """Write uint8 (N, H, W, 3) RGB to float32 (N, C, H, W), normalised and in the order of the trunks' channels."""
    shape = (1, len(ensemble.std), 1, 1)
    std = np.array(ensemble.std, np.float32).reshape(shape)
    mean = np.array(ensemble.mean, np.float32).reshape(shape)
    floats = writer.node("Cast", [crops], "input/cast", to=onnx.TensorProto.FLOAT)
    planes = writer.node("Transpose", [floats], "input/planes", perm=[0, 3, 1, 2])
    if ensemble.channels == "bgr":
        order = writer.constant("input/order", np.array([2, 1, 0], np.int64))
        planes = writer.node("Gather", [planes, order], "input/bgr", axis=1)
    elif ensemble.channels == "grey":
        luma = writer.constant("input/luma", np.array(LUMA, np.float32).reshape(1, 3, 1, 1))
        planes = writer.node("Conv", [planes, luma], "input/grey", kernel_shape=[1, 1])
    gain = writer.constant("input/gain", (1.0 / (ensemble.divisor * std)).astype(np.float32))
    offset = writer.constant("input/offset", (mean / std).astype(np.float32))
    return writer.node("Sub", [writer.node("Mul", [planes, gain], "input/scaled"), offset], "input/normalised")


def write_trunk(writer: GraphWriter, trunk: Trunk | OnnxTrunk | Whole, planes: str, name: str) -> str:
    """Write the trunk of member ``name``; return its last map, or the raw answers of one that was not cut."""
    if isinstance(trunk, Trunk):
        return _residual_trunk(writer, trunk, planes, f"{name}/trunk")
    return graft(writer, trunk.model, planes, name, whole=isinstance(trunk, Whole))


def map_size(trunk: Trunk | OnnxTrunk, height: int, width: int) -> tuple[int, int]:
    """Height and width of the last map for a picture of ``height`` x ``width``."""
    if isinstance(trunk, OnnxTrunk):
        dimensions = trunk.model.graph.output[0].type.tensor_type.shape.dim
        return dimensions[2].dim_value, dimensions[3].dim_value
    pool = [(3, 1, 2)] if trunk.max_pool else []
    steps = [_window(trunk.stem), *pool, *(_window(step) for block in trunk.blocks for step in block.path)]
    size = [height, width]
    for kernel, padding, stride in steps:
        size = [(edge + 2 * padding - kernel) // stride + 1 for edge in size]
    return size[0], size[1]


def _window(step: Convolution) -> tuple[int, int, int]:
    return step.weight.shape[2], step.padding, step.stride


def _residual_trunk(writer: GraphWriter, trunk: Trunk, planes: str, name: str) -> str:
    value = _convolve(writer, trunk.stem, planes, f"{name}/stem")
    value = writer.node("Relu", [value], f"{name}/stem/relu")
    if trunk.max_pool:
        shape = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}
        value = writer.node("MaxPool", [value], f"{name}/stem/pool", **shape)
    for index, block in enumerate(trunk.blocks):
        step = f"{name}/block{index}"
        if isinstance(block, Residual):
            value = _residual(writer, block, value, step)
        else:
            value = writer.node("Relu", [_convolve(writer, block.convolution, value, f"{step}/conv0")], f"{step}/relu")
    return value


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
