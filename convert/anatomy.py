"""Anatomy of the trunks in a graph: convolutions, stems, residual sums and which of their sides is the shortcut.

Works on any trunk, read from the graph alone. Only names say where a trunk begins and whose it is
(``member{i}/trunk/...``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import onnx

from convert.precision import in_trunk

_UNIT = re.compile(r"^(?:member\d+/)?trunk/(block\d+(?=/)|.*)")


@dataclass(frozen=True, slots=True)
class Convolution:
    """A convolution of a trunk whose weights are constants.

    ``value``: what it reads; ``weight``: its kernel; ``result``: what others read of it, behind its ReLU or Clip where
    that is all that follows it.
    """

    node: str
    unit: str  # the block that it is part of, without its member: "block3"; or its own name
    value: str
    weight: str
    result: str


@dataclass(frozen=True, slots=True)
class Sum:
    """A residual sum: ``shortcut`` is the side with fewer convolutions, ``main`` the other (He 2016).

    ``unit``: that of the last convolution on the main path.
    """

    node: str
    unit: str
    main: str
    shortcut: str


@dataclass(frozen=True, slots=True)
class Anatomy:
    """What may be quantised: convolutions behind the stem, residual sums, and the last maps, which heads read."""

    convolutions: tuple[Convolution, ...]
    sums: tuple[Sum, ...]
    last: frozenset[str]

    @property
    def units(self) -> tuple[str, ...]:
        """The units of all convolutions, in order, once each."""
        return tuple(dict.fromkeys(part.unit for part in self.convolutions))


def dissect(model: onnx.ModelProto) -> Anatomy:
    """Return the anatomy of all trunks of ``model``, whose nodes are in topological order.

    The stem is left out: convolutions with no convolution in front of them, and what is named ``.../trunk/stem``.
    """
    graph = model.graph
    constants = {str(tensor.name) for tensor in graph.initializer}
    depths, origins = _depths(graph)
    readers = _readers(graph)
    convolutions, sums = [], []
    for node in graph.node:
        if not in_trunk(node):
            continue
        inputs = [str(name) for name in node.input]
        if node.op_type == "Conv" and inputs[1] in constants and not _is_stem(node, depths):
            result = _result(node, readers)
            convolutions.append(Convolution(node.name, unit_of(node.name), inputs[0], inputs[1], result))
        elif node.op_type == "Add" and constants.isdisjoint(inputs) and inputs[0] != inputs[1]:
            main, shortcut = sorted(inputs, key=lambda name: -depths.get(name, 0))
            if depths.get(main, 0) > 0:
                sums.append(Sum(node.name, unit_of(origins[main]), main, shortcut))
    return Anatomy(tuple(convolutions), tuple(sums), _last(graph, readers))


def unit_of(node: str) -> str:
    """Return the unit of a node of a trunk: what is left in FP16 together, in all members alike."""
    found = _UNIT.match(node)
    return found[1] if found else node


def _is_stem(node: onnx.NodeProto, depths: Mapping[str, int]) -> bool:
    return depths.get(node.input[0], 0) == 0 or "/trunk/stem" in node.name


def _depths(graph: onnx.GraphProto) -> tuple[dict[str, int], dict[str, str]]:
    """Return how many convolutions lie in front of each tensor on the longest way, and the name of the last of them."""
    depths: dict[str, int] = {}
    origins: dict[str, str] = {}
    for node in graph.node:
        deepest = max(map(str, node.input), key=lambda name: depths.get(name, 0), default="")
        is_convolution = node.op_type == "Conv"
        for name in map(str, node.output):
            depths[name] = depths.get(deepest, 0) + is_convolution
            origins[name] = str(node.name) if is_convolution else origins.get(deepest, "")
    return depths, origins


def _readers(graph: onnx.GraphProto) -> dict[str, list[onnx.NodeProto]]:
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(str(name), []).append(node)
    return readers


def _result(node: onnx.NodeProto, readers: Mapping[str, list[onnx.NodeProto]]) -> str:
    following = readers.get(node.output[0], [])
    alone = len(following) == 1 and following[0].op_type in ("Relu", "Clip")
    return str(following[0].output[0] if alone else node.output[0])


def _last(graph: onnx.GraphProto, readers: Mapping[str, list[onnx.NodeProto]]) -> frozenset[str]:
    """Return tensors of trunks that something outside of them reads, or that are outputs."""
    outputs = {str(output.name) for output in graph.output}
    made = [str(name) for node in graph.node if in_trunk(node) for name in node.output]
    return frozenset(
        name for name in made if name in outputs or any(not in_trunk(node) for node in readers.get(name, []))
    )
