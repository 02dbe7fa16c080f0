"""Writes the localizer as one ONNX graph: normalisation, trunk with batch norms folded, and what the maps mean."""

from __future__ import annotations

import numpy as np
import onnx
import torch
from torch import nn

from convert.graph.parts import Convolution
from convert.graph.writer import GraphWriter, tensor
from convert.localizer.network import CELL, Localizer, Step
from convert.reference.network import MEAN, STD, fold

KIDNEY, POLES, PICTURE = "kidney", "poles", "sector"
_TRUNK = "localizer/trunk"  # what is called so may be quantised


def write_graph(network: Localizer, side: int) -> onnx.ModelProto:
    """Return the graph: uint8 (N, side, side, 3) RGB to ``kidney`` (N, h, w) and ``poles`` (N, 2, h, w), float32."""
    writer, cells = GraphWriter("localizer"), side // CELL
    with torch.inference_mode():
        logits = _trunk(_Writer(writer), network, _normalised(writer))
    kidney = _part(writer, logits, 0, 1, "kidney")
    kidney = writer.node("Sigmoid", [kidney], "answer/kidney/probability")
    flat = writer.constant("answer/plane", np.array([0, cells, cells], np.int64))
    writer.node("Reshape", [kidney, flat], KIDNEY)
    poles = _part(writer, logits, 1, 3, "poles")
    line = writer.constant("answer/line", np.array([0, 2, cells * cells], np.int64))
    places = writer.node("Reshape", [poles, line], "answer/poles/line")
    places = writer.node("Softmax", [places], "answer/poles/probability", axis=2)
    planes = writer.constant("answer/planes", np.array([0, 2, cells, cells], np.int64))
    writer.node("Reshape", [places, planes], POLES)
    outputs = [tensor(KIDNEY, np.float32, (cells, cells)), tensor(POLES, np.float32, (2, cells, cells))]
    return writer.model([tensor(PICTURE, np.uint8, (side, side, 3))], outputs)


def _normalised(writer: GraphWriter) -> str:
    std = np.array(STD, np.float32).reshape(1, 3, 1, 1)
    mean = np.array(MEAN, np.float32).reshape(1, 3, 1, 1)
    floats = writer.node("Cast", [PICTURE], "input/cast", to=onnx.TensorProto.FLOAT)
    planes = writer.node("Transpose", [floats], "input/planes", perm=[0, 3, 1, 2])
    gain = writer.constant("input/gain", (1.0 / (255.0 * std)).astype(np.float32))
    offset = writer.constant("input/offset", (mean / std).astype(np.float32))
    return writer.node("Sub", [writer.node("Mul", [planes, gain], "input/scaled"), offset], "input/normalised")


def _trunk(writer: _Writer, network: Localizer, value: str) -> str:
    value = writer.step(network.stem, value, "stem")
    quarter = writer.steps(network.down1, value, "down1")
    eighth = writer.steps(network.down2, quarter, "down2")
    value = writer.steps(network.down3, eighth, "down3")
    value = writer.sum(writer.step(network.up2, writer.twice(value, "up2"), "up2"), eighth, "up2")
    value = writer.sum(writer.step(network.up1, writer.twice(value, "up1"), "up1"), quarter, "up1")
    head = network.head
    bias = np.zeros(3, np.float32) if head.bias is None else head.bias.numpy()
    return writer.convolve(Convolution(head.weight.numpy(), bias, 1, 0), value, "localizer/head")


def _part(writer: GraphWriter, logits: str, start: int, end: int, name: str) -> str:
    ends = [writer.constant(f"answer/{name}/{at}", np.array([at], np.int64)) for at in (start, end)]
    axis = writer.constant("answer/axis", np.array([1], np.int64))
    return writer.node("Slice", [logits, *ends, axis], f"answer/{name}/logits")


class _Writer:
    """Writes the parts of the trunk."""

    def __init__(self, writer: GraphWriter) -> None:
        self._writer = writer

    def steps(self, part: nn.Sequential, value: str, name: str) -> str:
        for index, step in enumerate(part):
            if isinstance(step, Step):
                value = self.step(step, value, f"{name}/{index}")
        return value

    def step(self, step: Step, value: str, name: str) -> str:
        folded = self.convolve(fold(step.convolution, step.norm), value, f"{_TRUNK}/{name}")
        return self._writer.node("Relu", [folded], f"{_TRUNK}/{name}/relu")

    def convolve(self, part: Convolution, value: str, name: str) -> str:
        weight = self._writer.constant(f"{name}/weight", part.weight)
        bias = self._writer.constant(f"{name}/bias", part.bias)
        kernel, pads, strides = list(part.weight.shape[2:]), [part.padding] * 4, [part.stride] * 2
        return self._writer.node("Conv", [value, weight, bias], name, kernel_shape=kernel, pads=pads, strides=strides)

    def twice(self, value: str, name: str) -> str:
        scales = self._writer.constant("localizer/twice", np.array([1, 1, 2, 2], np.float32))
        nearest = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return self._writer.node("Resize", [value, "", scales], f"{_TRUNK}/{name}/twice", **nearest)

    def sum(self, value: str, skip: str, name: str) -> str:
        return self._writer.node("Add", [value, skip], f"{_TRUNK}/{name}/sum")
