"""Walks a graph from its outputs back, and takes out what makes a tensor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TypeVar

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from convert.checkpoint import DefectError
from convert.graph.parts import Floats, LinearHead
from convert.graph.writer import IR_VERSION, OPSET

IDLE = frozenset({"Flatten", "Identity", "Dropout", "Reshape", "Squeeze", "Unsqueeze"})  # values keep their order
FIRST, LAST = ((2, 3), (-2, -1)), ((1, 2), (-3, -2))  # axes of height and width, channels first and last

Shape = tuple[int | None, ...]  # None: free
Value = TypeVar("Value", int, float, tuple[int, ...])


@dataclass(frozen=True, slots=True)
class Last:
    """A tensor to be taken out, and the idle node that it leaves through."""

    tensor: str
    operator: str = "Identity"
    axis: int | None = None  # of Flatten
    perm: tuple[int, ...] | None = None  # of Transpose

    def node(self, output: str) -> onnx.NodeProto:
        """Return the node."""
        given = {"axis": self.axis, "perm": self.perm}
        node = helper.make_node(self.operator, [self.tensor], [output], name=output)
        node.attribute.extend(helper.make_attribute(key, value) for key, value in given.items() if value is not None)
        return node


class Walk:
    """A graph in the project's opset with one input and inferred shapes; nothing of it is changed."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._graph = model.graph
        self._makers = {str(name): node for node in model.graph.node for name in node.output}
        self._weights = {str(tensor.name): tensor for tensor in model.graph.initializer}
        values = (*model.graph.input, *model.graph.value_info, *model.graph.output)
        self._shapes = {str(value.name): _shape(value) for value in values}

    def shape(self, name: str) -> Shape | None:
        """Return the shape of a tensor; None if nothing is known of it."""
        return self._shapes.get(name)

    def maker(self, name: str) -> onnx.NodeProto | None:
        """Return the node that makes a tensor; None of an input or a weight."""
        return self._makers.get(name)

    def width(self, name: str) -> int:
        """Return how many values a picture has in a tensor (N, ...).

        Raises
        ------
        DefectError
            Its first axis is not the batch, or another is free.
        """
        shape = self._shapes.get(name)
        if not shape or shape[0] is not None or None in shape[1:]:
            shown = "an unknown form" if shape is None else " x ".join("?" if n is None else str(n) for n in shape)
            raise DefectError(f"gives {name} as {shown} instead of one row of answers a picture")
        return prod(length for length in shape[1:] if length is not None)

    def idle(self, name: str) -> str:
        """Walk back over nodes that change the shape alone; whether the row is still whole is for the caller to see."""
        while (node := self._makers.get(name)) is not None and node.op_type in IDLE:
            name = str(node.input[0])
        return name

    def linear(self, name: str) -> tuple[str, LinearHead] | None:
        """Return input and weights of the linear layer that makes a tensor; None if none does."""
        node, bias = self._makers.get(name), None
        if node is not None and node.op_type == "Add":
            node, bias = self._without_bias(node)
        if node is None or len(node.input) < 2 or str(node.input[1]) not in self._weights:
            return None
        weight = self._array(str(node.input[1]))
        if node.op_type == "MatMul" and weight.ndim == 2:
            return str(node.input[0]), _layer(weight.T, bias)
        if bias is None and node.op_type == "Gemm" and not attribute(node, "transA", 0):
            return self._gemm(node, weight)
        if bias is None and node.op_type == "Conv" and weight.shape[2:] == (1, 1) and attribute(node, "group", 1) == 1:
            own = self._array(str(node.input[2])) if len(node.input) > 2 else None
            return str(node.input[0]), _layer(weight[:, :, 0, 0], own)
        return None

    def pooled(self, name: str) -> Last | None:
        """Return the map (N, F, h, w) whose means over height and width a tensor is; None if it is of none."""
        node = self._makers.get(name)
        if node is None:
            return None
        source = str(node.input[0])
        shape = self._shapes.get(source) or ()
        if len(shape) != 4 or None in shape[1:] or source == self._graph.input[0].name:
            return None
        axes = tuple(sorted(attribute(node, "axes", ()))) if node.op_type == "ReduceMean" else None
        window = tuple(attribute(node, "kernel_shape", ())) if node.op_type == "AveragePool" else None
        whole = window == shape[2:] and not any(attribute(node, "pads", ())) and self.width(name) == shape[1]
        if node.op_type == "GlobalAveragePool" or axes in FIRST or whole:
            return Last(source)
        return Last(source, "Transpose", perm=(0, 3, 1, 2)) if axes in LAST else None

    def model(self, lasts: Sequence[Last], output: str) -> onnx.ModelProto:
        """Return all that makes the tensors, side by side on axis 1, as a checked model with one output.

        Raises
        ------
        DefectError
            What is left is no valid graph.
        """
        output = f"echogfr/{output}"  # a name that no file has
        parts = [f"{output}/{at}" for at in range(len(lasts))]
        ends = [last.node(name) for last, name in zip(lasts, parts, strict=True)]
        joined = helper.make_node("Concat", parts, [output], axis=1)
        if len(lasts) == 1:
            joined = helper.make_node("Identity", parts, [output])
        nodes = self._needed([last.tensor for last in lasts])
        used = {str(name) for node in nodes for name in node.input}
        weights = [tensor for tensor in self._graph.initializer if tensor.name in used]
        result = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
        graph = helper.make_graph([*nodes, *ends, joined], "trunk", self._graph.input, [result], weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = IR_VERSION
        try:
            model = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
            onnx.checker.check_model(model, full_check=True)
        except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
            raise DefectError(f"cannot be cut ({' '.join(str(error).split())[:200]})") from error
        return model

    def _needed(self, tensors: Sequence[str]) -> list[onnx.NodeProto]:
        wanted, found = set(tensors), []
        for node in reversed(self._graph.node):
            if not wanted.isdisjoint(node.output):
                found.append(node)
                wanted.update(str(name) for name in node.input)
        return found[::-1]

    def _without_bias(self, add: onnx.NodeProto) -> tuple[onnx.NodeProto | None, Floats | None]:
        for source, constant in (add.input[:2], add.input[1::-1]):
            if str(constant) in self._weights:
                return self._makers.get(str(source)), self._array(str(constant))
        return None, None

    def _gemm(self, node: onnx.NodeProto, weight: Floats) -> tuple[str, LinearHead] | None:
        if weight.ndim != 2 or (len(node.input) > 2 and str(node.input[2]) not in self._weights):
            return None
        rows = (weight if attribute(node, "transB", 0) else weight.T) * attribute(node, "alpha", 1.0)
        bias = self._array(str(node.input[2])) * attribute(node, "beta", 1.0) if len(node.input) > 2 else None
        return str(node.input[0]), _layer(rows, bias)

    def _array(self, name: str) -> Floats:
        return numpy_helper.to_array(self._weights[name])


def attribute(node: onnx.NodeProto, name: str, default: Value) -> Value:
    """Return an attribute of a node, or its default."""
    found = next((item for item in node.attribute if item.name == name), None)
    return default if found is None else type(default)(helper.get_attribute_value(found))


def _layer(rows: Floats, bias: Floats | None) -> LinearHead:
    count = rows.shape[0]
    own = np.zeros(count, np.float32) if bias is None else np.broadcast_to(bias.ravel(), count)
    return LinearHead(np.ascontiguousarray(rows, np.float32), np.ascontiguousarray(own, np.float32))


def _shape(value: onnx.ValueInfoProto) -> Shape:
    dimensions = value.type.tensor_type.shape.dim
    return tuple(int(length.dim_value) if length.HasField("dim_value") else None for length in dimensions)
