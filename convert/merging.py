"""Merges graphs of one member each into one file, member by member: never more than one of them is in memory.

A message of protobuf is its fields one after the other, and repeated fields may be spread over it, so the graph
is written in pieces (a few nodes, their weights, and so on), behind its length.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import onnx
from onnx import helper, numpy_helper

from convert.members import renamed, widen
from convert.progress import Progress
from engines.errors import UsageError
from engines.manifest import GradesHead, HeadSpec

LIMIT = (1 << 31) - 1  # bytes; protobuf reads no more
GRAPH_FIELD = bytes([7 << 3 | 2])  # of ModelProto: graph, with a length in front
Named = TypeVar("Named", onnx.NodeProto, onnx.TensorProto, onnx.ValueInfoProto)


def merge(parts: Sequence[Path], heads: Sequence[HeadSpec], target: Path, progress: Progress) -> None:
    """Merge the graphs of one member in ``parts`` into one of all at ``target``, as ``write_graph`` would write it.

    Raises
    ------
    UsageError
        The file would be larger than protobuf reads.
    """
    body, shell = target.with_suffix(".body"), onnx.ModelProto()
    shares = {f"{head.map}/share" for head in heads if isinstance(head, GradesHead)}
    seen = shares.copy()  # not new: the share of a member is that of all, written at the end
    try:
        with body.open("wb") as stream:
            for index, path in enumerate(parts):
                progress(f"writing {target.name}", index, len(parts))
                part = onnx.load(path)
                tail = _tail_names(part.graph, heads)
                renamed(part.graph, index)
                if index == 0:
                    shell = _shell(part, tail)
                else:
                    _join(shell.graph, part.graph, tail)
                    widen(shell.graph, part.graph, heads)
                stream.write(_piece(part.graph, seen, tail).SerializeToString(deterministic=True))
                del part
            _finish(shell.graph, heads, len(parts))
            stream.write(shell.graph.SerializeToString(deterministic=True))
        _write(shell, body, target)
    finally:
        body.unlink(missing_ok=True)
    progress(f"writing {target.name}", len(parts), len(parts))


def _shell(part: onnx.ModelProto, tail: frozenset[str]) -> onnx.ModelProto:
    """Return a part without its members: the nodes that join them, inputs and outputs."""
    shell = onnx.ModelProto(ir_version=part.ir_version, producer_name=part.producer_name)
    shell.opset_import.extend(part.opset_import)
    shell.graph.name = part.graph.name
    shell.graph.node.extend(node for node in part.graph.node if node.name in tail)
    shell.graph.input.extend(part.graph.input)
    shell.graph.output.extend(part.graph.output)
    return shell


def _write(model: onnx.ModelProto, body: Path, target: Path) -> None:
    head = onnx.ModelProto(ir_version=model.ir_version, producer_name=model.producer_name)
    head.opset_import.extend(model.opset_import)
    length = body.stat().st_size
    front = head.SerializeToString(deterministic=True) + GRAPH_FIELD + _varint(length)
    if len(front) + length > LIMIT:
        raise UsageError(
            f"{target.name} cannot be written",
            f"all members together have {length / 1e6:.0f} MB and an ONNX file holds at most {LIMIT / 1e6:.0f}",
            "leave them apart with --separate-members, or use fewer",
        )
    with target.open("wb") as stream, body.open("rb") as pieces:
        stream.write(front)
        shutil.copyfileobj(pieces, stream, 1 << 20)


def _varint(number: int) -> bytes:
    digits = []
    while number > 0x7F:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*digits, number])


def _tail_names(graph: onnx.GraphProto, heads: Sequence[HeadSpec]) -> frozenset[str]:
    """Return the names of the nodes that join members: the outputs, and what lists the maps in front of their mean."""
    outputs = {str(output.name) for output in graph.output}
    return frozenset(outputs | {f"{head.map}/members" for head in heads if head.map is not None})


def _piece(graph: onnx.GraphProto, seen: set[str], tail: frozenset[str]) -> onnx.GraphProto:
    """Return nodes and weights of one part but its tail; what all members share is in the first piece alone."""
    piece = onnx.GraphProto()
    piece.node.extend(_new([node for node in graph.node if node.name not in tail], seen))
    piece.initializer.extend(_new(graph.initializer, seen))
    piece.value_info.extend(_new([info for info in graph.value_info if info.name not in tail], seen, "value "))
    return piece


def _new(items: Iterable[Named], seen: set[str], kind: str = "") -> list[Named]:
    found = [item for item in items if kind + item.name not in seen]
    seen.update(kind + item.name for item in found)
    return found


def _join(whole: onnx.GraphProto, part: onnx.GraphProto, tail: frozenset[str]) -> None:
    """Let the joining nodes of ``whole``, those of the first member, read what ``part`` gives to its own."""
    theirs = {str(node.name): node for node in part.node if node.name in tail}
    for node in whole.node:
        if node.op_type == "Concat":
            node.input.extend(theirs[node.name].input)
        elif node.op_type == "Mul":  # the mean of a map by grade; its share is written last
            node.input.insert(len(node.input) - 1, theirs[node.name].input[0])


def _finish(whole: onnx.GraphProto, heads: Sequence[HeadSpec], count: int) -> None:
    """Spell out the means of maps by grade."""
    graded = {head.map for head in heads if isinstance(head, GradesHead)}
    nodes = [step for node in whole.node for step in (_mean(node) if node.name in graded else [node])]
    del whole.node[:]
    whole.node.extend(nodes)
    whole.initializer.extend(
        numpy_helper.from_array(np.array(1 / count, np.float32), f"{name}/share")
        for name in sorted(filter(None, graded))
    )


def _mean(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """Return the steps of a mean of maps: one sum a member, then the share."""
    *maps, share = [str(name) for name in node.input]
    steps, total = list[onnx.NodeProto](), maps[0]
    for at, following in enumerate(maps[1:], 1):
        name = f"{node.name}/sum{at}"
        steps.append(helper.make_node("Add", [total, following], [name], name=name))
        total = name
    return [*steps, helper.make_node("Mul", [total, share], [node.name], name=node.name)]
