"""Writes typed FP16: precision is a property of the graph, by casts at the border of the nodes that run in half.

Heads, trees and normalisation stay in float: eGFR is a regression, and a threshold compared in half
would send samples to other leaves. What an operator can take in half, and which of its outputs follow, is asked
of ONNX's own schemas, so that trunks of any origin come out right: shapes and indices keep their types.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from engines.errors import UsageError

Chooser = Callable[[onnx.NodeProto], bool]
HALF_MAX = 65504.0
HALF = "tensor(float16)"
# What gives no larger numbers than it takes, or brings an infinite one back: nothing overflows first in these.
BOUNDED = frozenset(
    "AveragePool Clip Concat DepthToSpace Dropout Expand Flatten Gather GlobalAveragePool GlobalMaxPool HardSigmoid "
    "Identity Max MaxPool Min Pad ReduceMax ReduceMean ReduceMin Reshape Resize Sigmoid Slice Softmax SpaceToDepth "
    "Split Squeeze Tanh Transpose Unsqueeze".split()
)


def in_trunk(node: onnx.NodeProto) -> bool:
    """Tell whether a node belongs to a member's trunk."""
    return "/trunk/" in str(node.name)


def to_fp16(model: onnx.ModelProto, in_half: Chooser = in_trunk) -> onnx.ModelProto:
    """Return a copy of ``model`` in which the nodes of ``in_half`` compute in float16; inputs and outputs keep types.

    A node stays in float where its operator has no float16, where it holds a graph of its own, or where it gives an
    output of the model.

    Raises
    ------
    UsageError
        A weight is beyond the range of float16.
    """
    model = onnx.shape_inference.infer_shapes(lift_constants(model), strict_mode=True)  # the types of all tensors
    outputs = {str(output.name) for output in model.graph.output}
    casts = _Casts(model)
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        fits = in_half(node) and outputs.isdisjoint(node.output)
        signature = _Signature(node, _opset(model)) if fits else None
        nodes += casts.before(node, signature)
        nodes.append(node)
        casts.produced(node, signature)
    typed = _rebuilt(model, nodes, casts.initializers())
    onnx.checker.check_model(typed, full_check=True)
    return onnx.shape_inference.infer_shapes(typed, strict_mode=True)


def may_overflow(model: onnx.ModelProto) -> frozenset[str]:
    """Return the float tensors of ``model``, shapes inferred, in which numbers beyond half would first be seen.

    Those are what trunks are given, and the results of all their nodes that can make large numbers. Where a ReLU is all
    that reads one, its own result: what overflows below 0 ends there. Where a Clip is, none: it brings both ends back.
    """
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(str(name), []).append(node)
    floats = {str(info.name) for info in model.graph.value_info if _is_float_map(info)}
    trunks = [node for node in model.graph.node if in_trunk(node)]
    found = {str(name) for node in trunks for name in node.input} - {str(n) for node in trunks for n in node.output}
    for node in trunks:
        following = readers.get(str(node.output[0]), [])
        alone = following[0].op_type if len(following) == 1 else ""
        if node.op_type not in BOUNDED and alone not in ("Relu", "Clip"):
            found.add(str(node.output[0]))
    return frozenset(found & floats)


def _is_float_map(info: onnx.ValueInfoProto) -> bool:
    kind = info.type.tensor_type
    return bool(kind.elem_type == TensorProto.FLOAT and len(kind.shape.dim) > 1)


def lift_constants(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy in which every Constant node that holds a tensor is an initializer."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    outputs = {str(output.name) for output in copy.graph.output}
    for index in reversed(range(len(copy.graph.node))):
        node = copy.graph.node[index]
        if node.op_type == "Constant" and node.attribute[0].name == "value" and node.output[0] not in outputs:
            tensor = copy.graph.initializer.add()
            tensor.CopyFrom(node.attribute[0].t)
            tensor.name = node.output[0]
            del copy.graph.node[index]
    return copy


def _opset(model: onnx.ModelProto) -> int:
    return next(int(entry.version) for entry in model.opset_import if entry.domain in ("", "ai.onnx"))


def _rebuilt(
    model: onnx.ModelProto, nodes: list[onnx.NodeProto], initializers: list[onnx.TensorProto]
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes, str(model.graph.name), model.graph.input, model.graph.output, initializer=initializers
    )
    typed = helper.make_model(graph, opset_imports=model.opset_import, producer_name=str(model.producer_name))
    typed.ir_version = model.ir_version
    return typed


class _Signature:
    """Which inputs of a node may be half, and which outputs are then."""

    def __init__(self, node: onnx.NodeProto, opset: int) -> None:
        self._schema: onnx.defs.OpSchema | None = None
        whole = all(attribute.type not in (5, 10) for attribute in node.attribute)  # GRAPH, GRAPHS
        if whole and node.domain in ("", "ai.onnx") and onnx.defs.has(node.op_type, opset, ""):
            self._schema = onnx.defs.get_schema(node.op_type, opset, "")

    def takes_half(self, position: int) -> bool:
        """Tell whether the input at ``position`` may be float16."""
        return self._variable(position) is not None

    def gives_half(self, position: int, taken: set[str]) -> bool:
        """Tell whether the output at ``position`` has the type of the inputs ``taken``, the variables in half."""
        if self._schema is None:
            return False
        formal = self._schema.outputs[min(position, len(self._schema.outputs) - 1)]
        return formal.type_str in taken

    def variable(self, position: int) -> str:
        """Return the type variable of an input that may be half."""
        return self._variable(position) or ""

    def _variable(self, position: int) -> str | None:
        if self._schema is None:
            return None
        formal = self._schema.inputs[min(position, len(self._schema.inputs) - 1)]
        allowed = {item.type_param_str: item.allowed_type_strs for item in self._schema.type_constraints}
        return str(formal.type_str) if HALF in allowed.get(formal.type_str, ()) else None


class _Casts:
    """Which tensor has which float type, and the casts written so far."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._constants = {str(tensor.name): tensor for tensor in model.graph.initializer}
        self._halves: dict[str, onnx.TensorProto] = {}
        self._used: set[str] = set()
        self._types = {
            str(info.name): int(info.type.tensor_type.elem_type)
            for info in (*model.graph.value_info, *model.graph.input, *model.graph.output)
        }
        self._done: dict[tuple[str, int], str] = {}
        self._taken: set[str] = set()

    def before(self, node: onnx.NodeProto, signature: _Signature | None) -> list[onnx.NodeProto]:
        """Point the inputs of ``node`` at tensors of the types it computes in; return the casts that this needs."""
        self._taken = set()
        casts: list[onnx.NodeProto] = []
        for position, name in enumerate(map(str, node.input)):
            half = signature is not None and signature.takes_half(position)
            if name in self._constants:
                node.input[position] = self._constant(name, half)
                changed = self._constants[name].data_type == TensorProto.FLOAT
            else:
                node.input[position] = self._tensor(name, half, casts)
                changed = self._types.get(name) in (TensorProto.FLOAT, TensorProto.FLOAT16)
            if half and changed and signature is not None:
                self._taken.add(signature.variable(position))
        return casts

    def produced(self, node: onnx.NodeProto, signature: _Signature | None) -> None:
        """Note the types of what ``node`` computes."""
        for position, name in enumerate(map(str, node.output)):
            is_float = self._types.get(name) == TensorProto.FLOAT
            if is_float and signature is not None and signature.gives_half(position, self._taken):
                self._types[name] = TensorProto.FLOAT16

    def initializers(self) -> list[onnx.TensorProto]:
        """Return all constants that are used, halves included."""
        return [*(self._constants[name] for name in sorted(self._used)), *self._halves.values()]

    def _tensor(self, name: str, half: bool, casts: list[onnx.NodeProto]) -> str:
        kind, target = self._types.get(name), TensorProto.FLOAT16 if half else TensorProto.FLOAT
        if kind not in (TensorProto.FLOAT, TensorProto.FLOAT16) or kind == target:
            return name
        if (name, target) not in self._done:
            done = self._done[name, target] = f"{name}/{'half' if half else 'float'}"
            casts.append(helper.make_node("Cast", [name], [done], name=done, to=target))
        return self._done[name, target]

    def _constant(self, name: str, half: bool) -> str:
        tensor = self._constants[name]
        if not half or tensor.data_type != TensorProto.FLOAT:
            self._used.add(name)
            return name
        named = f"{name}/half"
        if named not in self._halves:
            self._halves[named] = _to_half(tensor, named)
        return named


def _to_half(tensor: onnx.TensorProto, name: str) -> onnx.TensorProto:
    values = numpy_helper.to_array(tensor)
    largest = float(np.abs(values).max(initial=0.0))
    if largest > HALF_MAX:
        raise UsageError(
            "FP16 cannot be written", f"a weight of {tensor.name} is {largest:.0f}", "leave fp16 out of the plan"
        )
    return numpy_helper.from_array(values.astype(np.float16), name)
