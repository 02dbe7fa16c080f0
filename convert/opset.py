"""Raises a graph to a newer opset; what that adds gets names that say whose it is."""

from __future__ import annotations

import onnx

from convert.precision import lift_constants


def raise_opset(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    """Return ``model`` at ``opset``; attributes that became inputs are initializers named after the node that reads."""
    known = {str(tensor.name) for tensor in model.graph.initializer}
    raised = lift_constants(onnx.version_converter.convert_version(model, opset))
    new = {str(tensor.name): tensor for tensor in raised.graph.initializer if tensor.name not in known}
    for node in raised.graph.node:
        for position, name in enumerate(node.input):
            if name in new:
                new[name].name = f"{node.name}/{position}"
    names = {old: str(tensor.name) for old, tensor in new.items()}
    for node in raised.graph.node:
        node.input[:] = [names.get(str(name), str(name)) for name in node.input]
    return raised
