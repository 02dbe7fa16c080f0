"""Writes the one graph of a bundle: normalisation, all trunks once, and every head with its activation map.

Node names say the stage, and other modules choose nodes by them: ``input/...``, ``member0/trunk/...`` (of which
``member0/trunk/stem...`` is the stem), ``member0/heads/...``, and then the outputs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx

from convert.graph.heads import Answer, Seen, deep_head, linear_head
from convert.graph.parts import DeepHead, Ensemble, HeadPart, LinearHead, Member, Whole
from convert.graph.tree_head import tree_head
from convert.graph.trunks import map_size, normalise, write_trunk
from convert.graph.writer import GraphWriter, tensor
from engines.manifest import GradesHead, HeadSpec

INPUT, FEATURES = "crops", "features"


def write_graph(ensemble: Ensemble) -> onnx.ModelProto:
    """Return the fp32 graph: input ``crops`` uint8 (N, H, W, 3) RGB.

    Outputs are those that the heads name: their members (N, M), of grades (N, M, K), then ``features`` (N, sum of F)
    unless the network was not cut, then their maps (N, h, w), of grades (N, K, h, w), which are means over members.
    """
    writer = GraphWriter("echogfr-reader")
    planes = normalise(writer, ensemble, INPUT)
    written = [_member(writer, ensemble, at, planes) for at in range(len(ensemble.members))]
    answers = [[answers[at] for answers, _ in written] for at in range(len(ensemble.heads))]
    outputs = [_members(writer, head, found) for head, found in zip(ensemble.heads, answers, strict=True)]
    if ensemble.pooled:
        writer.node("Concat", [features for _, features in written], FEATURES, axis=1)
        width = sum(member.features for member in ensemble.members)
        outputs.append(tensor(FEATURES, np.float32, [width]))
    for head, found in zip(ensemble.heads, answers, strict=True):
        if head.map is not None:
            outputs.append(_map(writer, head, found, ensemble))
    return writer.model([tensor(INPUT, np.uint8, [ensemble.height, ensemble.width, 3])], outputs)


def write_probe(ensemble: Ensemble, at: int, layer: LinearHead) -> onnx.ModelProto:
    """Return one member alone with a linear layer in place of its heads: outputs ``answers`` (N, K), ``features``.

    To hold a converted network against the one that it comes from; a network that was not cut has no ``features``.
    """
    writer = GraphWriter("echogfr-probe")
    member = Member(ensemble.members[at].trunk, (layer,))
    features, _ = _seen(writer, member, normalise(writer, ensemble, INPUT), "member0")
    answer = linear_head(writer, layer, Seen(features, None), "member0/heads/probe")
    writer.node("Identity", [answer.value], "answers")
    outputs = [tensor("answers", np.float32, [len(layer.bias)])]
    if ensemble.pooled:
        writer.node("Identity", [features], FEATURES)
        outputs.append(tensor(FEATURES, np.float32, [layer.inputs]))
    return writer.model([tensor(INPUT, np.uint8, [ensemble.height, ensemble.width, 3])], outputs)


def _member(writer: GraphWriter, ensemble: Ensemble, at: int, planes: str) -> tuple[list[Answer], str]:
    """Write one member: its trunk once, then every head on it; return their answers and the features."""
    member, name = ensemble.members[at], f"member{at}"
    features, last = _seen(writer, member, planes, name)
    answers = []
    for head, part in zip(ensemble.heads, member.parts, strict=True):
        seen = Seen(features, None if head.map is None else last)
        answers.append(_head(writer, part, seen, f"{name}/heads/{head.name}"))
    return answers, features


def _seen(writer: GraphWriter, member: Member, planes: str, name: str) -> tuple[str, str | None]:
    """Write the trunk; return pooled features and last map, or the raw answers of a network that was not cut."""
    value = write_trunk(writer, member.trunk, planes, name)
    if isinstance(member.trunk, Whole):
        return value, None
    pooled = writer.node("GlobalAveragePool", [value], f"{name}/heads/pool")
    return writer.node("Flatten", [pooled], f"{name}/heads/features", axis=1), value


def _head(writer: GraphWriter, part: HeadPart, seen: Seen, name: str) -> Answer:
    if isinstance(part, LinearHead):
        return linear_head(writer, part, seen, name)
    if isinstance(part, DeepHead):
        return deep_head(writer, part, seen, name)
    return Answer(tree_head(writer, part, seen.features, name), None)


def _members(writer: GraphWriter, head: HeadSpec, found: Sequence[Answer]) -> onnx.ValueInfoProto:
    """Write the values of all members side by side."""
    values = [answer.value for answer in found]
    shape = [len(values)]
    if isinstance(head, GradesHead):
        axis = writer.constant("heads/column", np.array([1], np.int64))
        values = [writer.node("Unsqueeze", [value, axis], f"{value}/member") for value in values]
        shape.append(len(head.grades))
    writer.node("Concat", values, head.output, axis=1)
    return tensor(head.output, np.float32, shape)


def _map(writer: GraphWriter, head: HeadSpec, found: Sequence[Answer], ensemble: Ensemble) -> onnx.ValueInfoProto:
    """Write the mean of the members' maps."""
    name = str(head.map)
    maps = [answer.map for answer in found if answer.map is not None]
    trunk = ensemble.members[0].trunk
    size = () if isinstance(trunk, Whole) else map_size(trunk, ensemble.height, ensemble.width)
    if not isinstance(head, GradesHead):
        joined = writer.node("Concat", maps, f"{name}/members", axis=1)
        writer.node("ReduceMean", [joined], name, axes=[1], keepdims=0)
        return tensor(name, np.float32, size)
    total = maps[0]
    for at, following in enumerate(maps[1:], 1):
        total = writer.node("Add", [total, following], f"{name}/sum{at}")
    share = writer.constant(f"{name}/share", np.array(1 / len(maps), np.float32))
    writer.node("Mul", [total, share], name)
    return tensor(name, np.float32, [len(head.grades), *size])
