"""Writes typed FP16: precision is a property of the graph, by casts at the border of the nodes that run in half.

Heads, trees and normalisation stay in float: eGFR is a regression, and a threshold compared in half
would send samples to other leaves.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from engines.errors import UsageError

Chooser = Callable[[onnx.NodeProto], bool]
HALF_MAX = 65504.0


def in_trunk(node: onnx.NodeProto) -> bool:
    """Tell whether a node belongs to a member's trunk."""
    return "/trunk/" in str(node.name)


def to_fp16(model: onnx.ModelProto, in_half: Chooser = in_trunk) -> onnx.ModelProto:
    """Return a copy of ``model`` in which the nodes of ``in_half`` compute in float16; inputs and outputs keep types.

    Raises
    ------
    UsageError
        A weight is beyond the range of float16.
    """
    model = _copy(model)  # nodes are pointed at other inputs
    half = {str(node.name) for node in model.graph.node if in_half(node)}
    casts = _Casts(model)
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        target = TensorProto.FLOAT16 if str(node.name) in half else TensorProto.FLOAT
        nodes += casts.before(node, target)
        nodes.append(node)
        casts.produced(node, target)
    graph = helper.make_graph(
        nodes, str(model.graph.name), model.graph.input, model.graph.output, initializer=casts.initializers()
    )
    typed = helper.make_model(graph, opset_imports=model.opset_import, producer_name=str(model.producer_name))
    typed.ir_version = model.ir_version
    onnx.checker.check_model(typed, full_check=True)
    return onnx.shape_inference.infer_shapes(typed, strict_mode=True)


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


class _Casts:
    """Which tensor has which float type, and the casts written so far."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._constants = {str(tensor.name): tensor for tensor in model.graph.initializer}
        self._halves: dict[str, onnx.TensorProto] = {}
        self._used: set[str] = set()
        self._types: dict[str, int] = {}  # of tensors that a node computes in half or float
        self._done: dict[tuple[str, int], str] = {}

    def before(self, node: onnx.NodeProto, target: int) -> list[onnx.NodeProto]:
        """Point the inputs of ``node`` at tensors of type ``target``; return the casts that this needs."""
        casts = []
        for position, name in enumerate(node.input):
            if name in self._constants:
                node.input[position] = self._constant(str(name), target)
            elif self._types.get(name, target) != target:
                done = self._done.get((name, target))
                if done is None:
                    done = self._done[name, target] = f"{name}/{'half' if target == TensorProto.FLOAT16 else 'float'}"
                    casts.append(helper.make_node("Cast", [name], [done], name=done, to=target))
                node.input[position] = done
        return casts

    def produced(self, node: onnx.NodeProto, target: int) -> None:
        """Note the type of what ``node`` computes."""
        self._types.update((str(name), target) for name in node.output)

    def initializers(self) -> list[onnx.TensorProto]:
        """Return all constants that are used, halves included."""
        return [*(self._constants[name] for name in sorted(self._used)), *self._halves.values()]

    def _constant(self, name: str, target: int) -> str:
        tensor = self._constants[name]
        if target != TensorProto.FLOAT16 or tensor.data_type != TensorProto.FLOAT:
            self._used.add(name)
            return name
        half = f"{name}/half"
        if half not in self._halves:
            self._halves[half] = _to_half(tensor, half)
        return half


def _to_half(tensor: onnx.TensorProto, name: str) -> onnx.TensorProto:
    values = numpy_helper.to_array(tensor)
    largest = float(np.abs(values).max(initial=0.0))
    if largest > HALF_MAX:
        raise UsageError(
            "FP16 cannot be written", f"a weight of {tensor.name} is {largest:.0f}", "leave fp16 out of the plan"
        )
    return numpy_helper.from_array(values.astype(np.float16), name)
