"""Grafts a network that is a graph already onto the graph of a bundle, under names that say the stage.

Where its own names came from does not matter: nodes are named after their operator and position, weights after the
node that reads them first. Nodes up to the first weighted one on the way from the picture are the stem; of a
network that was not cut, the last linear layer and what comes after it belong to the heads.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import onnx

from convert.graph.writer import GraphWriter

WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
LINEAR = frozenset({"Gemm", "MatMul"})


def graft(writer: GraphWriter, model: onnx.ModelProto, planes: str, name: str, whole: bool) -> str:
    """Write the nodes of ``model`` behind ``planes`` under ``name`` (``member0``) and return its one output.

    ``whole``: it was not cut, so it ends with layers that are heads.
    """
    graph = model.graph
    nodes = [_copy(node) for node in graph.node]
    stages = _stages(graph, whole)
    new = {str(graph.input[0].name): planes}
    weights = {str(weight.name): weight for weight in graph.initializer}
    kept: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []
    for index, (node, stage) in enumerate(zip(nodes, stages, strict=True)):
        if node.op_type == "Identity":
            new[str(node.output[0])] = new[str(node.input[0])]
            continue
        node.name = f"{name}/{stage}/{node.op_type.lower()}{index}"
        for position, read in enumerate(node.input):
            if read in weights and read not in new:
                new[read] = f"{node.name}/{position}"
                constants.append(_renamed(weights[read], new[read]))
        new.update(
            (str(made), node.name if not position else f"{node.name}:{position}")
            for position, made in enumerate(node.output)
            if made
        )
        node.input[:] = [new[read] if read else "" for read in node.input]
        node.output[:] = [new[made] if made else "" for made in node.output]
        kept.append(node)
    writer.adopt(kept, constants)
    return new[str(graph.output[0].name)]


def _stages(graph: onnx.GraphProto, whole: bool) -> list[str]:
    """Return ``trunk/stem``, ``trunk`` or ``heads`` for each node, in order."""
    stem = _stem(graph)
    tail = _tail(graph) if whole else frozenset()
    stages = []
    for index in range(len(graph.node)):
        stages.append("heads" if index in tail else "trunk/stem" if index in stem else "trunk")
    return stages


def _stem(graph: onnx.GraphProto) -> frozenset[int]:
    """Return positions of nodes that see the picture before any weight, and of the weighted ones that end this."""
    open_ = {str(graph.input[0].name)}
    found = set()
    for index, node in enumerate(graph.node):
        if open_.isdisjoint(node.input):
            continue
        found.add(index)
        if node.op_type not in WEIGHTED:
            open_.update(str(made) for made in node.output)
    return frozenset(found)


def _tail(graph: onnx.GraphProto) -> frozenset[int]:
    """Return positions of the last linear layer and all after it; none where no linear layer is left."""
    linear = [index for index, node in enumerate(graph.node) if node.op_type in LINEAR]
    if not linear:
        return frozenset()
    found, made = {linear[-1]}, set(_names(graph.node[linear[-1]].output))
    for index in range(linear[-1] + 1, len(graph.node)):
        node = graph.node[index]
        if not made.isdisjoint(node.input):
            found.add(index)
            made.update(_names(node.output))
    return frozenset(found)


def _names(values: Iterable[str] | Sequence[str]) -> list[str]:
    return [str(value) for value in values if value]


def _copy(node: onnx.NodeProto) -> onnx.NodeProto:
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    copy.ClearField("doc_string")
    del copy.metadata_props[:]
    return copy


def _renamed(weight: onnx.TensorProto, name: str) -> onnx.TensorProto:
    copy = onnx.TensorProto()
    copy.CopyFrom(weight)
    copy.name = name
    copy.ClearField("doc_string")
    del copy.metadata_props[:]
    return copy
