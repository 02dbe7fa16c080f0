"""Members of a model, one fp32 graph a file: they are worked on one after the other, as ten large ones are 1.8 GB.

A graph of one member calls it ``member0``; its outputs are those of the whole with one member in them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from engines.manifest import HeadSpec

FIRST = "member0/"
Floats = NDArray[np.float32]


class MemberFiles:
    """Writes members one after the other, and keeps of each graph only what it takes and gives."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.files: list[Path] = []
        self.graphs: list[onnx.GraphProto] = []

    def add(self, index: int, model: onnx.ModelProto) -> None:
        """Write the graph of one member."""
        graph = model.graph
        self.files.append(save(model, self._folder / f"member{index:02d}.onnx"))
        self.graphs.append(onnx.GraphProto(name=graph.name, input=graph.input, output=graph.output))


def interface(graphs: Sequence[onnx.GraphProto], heads: Sequence[HeadSpec]) -> onnx.ModelProto:
    """Return a model without nodes whose inputs and outputs are those of all members together."""
    model = onnx.ModelProto()
    model.graph.name = graphs[0].name
    model.graph.input.extend(graphs[0].input)
    model.graph.output.extend(graphs[0].output)
    for graph in graphs[1:]:
        widen(model.graph, graph, heads)
    return model


def widen(whole: onnx.GraphProto, graph: onnx.GraphProto, heads: Sequence[HeadSpec]) -> None:
    """Add the columns of one more member to the outputs of ``whole``; maps keep their size."""
    maps = {head.map for head in heads}
    for output, further in zip(whole.output, graph.output, strict=True):
        if output.name not in maps:
            output.type.tensor_type.shape.dim[1].dim_value += further.type.tensor_type.shape.dim[1].dim_value


def join(heads: Sequence[HeadSpec], parts: Sequence[Mapping[str, Floats]]) -> dict[str, Floats]:
    """Return the outputs of several members as those of the whole: side by side, and maps averaged."""
    maps = {head.map for head in heads}
    return {
        name: np.mean([part[name] for part in parts], axis=0, dtype=np.float32)
        if name in maps
        else np.concatenate([part[name] for part in parts], axis=1)
        for name in parts[0]
    }


def renamed(graph: onnx.GraphProto, index: int) -> None:
    """Call the one member of ``graph`` by its number, in place."""
    for node in graph.node:
        node.name = name_of(node.name, index)
        node.input[:] = [name_of(name, index) for name in node.input]
        node.output[:] = [name_of(name, index) for name in node.output]
    for named in (*graph.initializer, *graph.value_info):
        named.name = name_of(named.name, index)


def name_of(name: str, index: int) -> str:
    """Return the name of a node or tensor of the first member as that of member ``index``."""
    return f"member{index}/{name.removeprefix(FIRST)}" if name.startswith(FIRST) else name


def save(model: onnx.ModelProto, path: Path) -> Path:
    """Write ``model``; the same bytes for the same model."""
    path.write_bytes(model.SerializeToString(deterministic=True))
    return path
