"""Cuts a network before its global average pooling, where linear layers are all that follows.

Behind the pooling an exact activation map needs no gradient (Zhou 2016), and the pooled features feed the domain
check. A network that ends otherwise is left whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from convert.checkpoint import DefectError
from convert.graph.parts import Activation, LinearHead, OnnxTrunk, Whole
from convert.sources.walk import Last, Walk, attribute

MOST_ANSWERS = 1000
ENDS: dict[str, Activation] = {"Sigmoid": "sigmoid", "Softmax": "softmax"}


@dataclass(frozen=True, slots=True, eq=False)
class Ending:
    """One output of the network: its raw answers as a linear layer on what the trunk gives, and what came last."""

    layer: LinearHead
    activation: Activation


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """A trunk, and the endings by output name."""

    trunk: OnnxTrunk | Whole
    endings: dict[str, Ending]


def cut(model: onnx.ModelProto, outputs: Sequence[str]) -> Cut:
    """Cut a simplified ``model`` in the project's opset, with shapes inferred; ``outputs``: those that are needed.

    Raises
    ------
    DefectError
        An output is not one row of answers a picture.
    """
    walk = Walk(model)
    ends = {name: _ending(walk, name) for name in outputs}
    pooled = {name: _pooled(walk, raw) for name, (raw, _) in ends.items()}
    layers = {name: Ending(item[1], ends[name][1]) for name, item in pooled.items() if item is not None}
    maps = {item[0] for item in pooled.values() if item is not None}
    if len(layers) == len(ends) and len(maps) == 1:
        return Cut(OnnxTrunk(walk.model([maps.pop()], "map")), layers)
    return _whole(walk, ends)


def _whole(walk: Walk, ends: dict[str, tuple[str, Activation]]) -> Cut:
    """Leave the network whole: all raw answers side by side, of which each output is a selection."""
    widths = [walk.width(raw) for raw, _ in ends.values()]
    rows, endings, start = np.eye(sum(widths), dtype=np.float32), {}, 0
    for (name, (_, activation)), width in zip(ends.items(), widths, strict=True):
        layer = LinearHead(rows[start : start + width], np.zeros(width, np.float32))
        endings[name] = Ending(layer, activation)
        start += width
    return Cut(Whole(walk.model([Last(raw, "Flatten", axis=1) for raw, _ in ends.values()], "answers")), endings)


def _ending(walk: Walk, output: str) -> tuple[str, Activation]:
    """Return the raw answers behind an output, and the activation that was taken off."""
    width = walk.width(output)
    if not 1 <= width <= MOST_ANSWERS:
        raise DefectError(f"gives {width} answers in {output} and {MOST_ANSWERS} are the most")
    maker = walk.maker(walk.idle(output))
    if maker is None or maker.op_type not in ENDS or (maker.op_type == "Softmax" and not _over_all(walk, maker)):
        return output, "identity"
    return str(maker.input[0]), ENDS[str(maker.op_type)]


def _over_all(walk: Walk, softmax: onnx.NodeProto) -> bool:
    shape = walk.shape(str(softmax.input[0])) or ()
    axis = int(attribute(softmax, "axis", -1))
    return -len(shape) <= axis < len(shape) and shape[axis] == walk.width(str(softmax.input[0]))


def _pooled(walk: Walk, raw: str) -> tuple[Last, LinearHead] | None:
    """Return the last map (N, F, h, w) and the linear layer that makes ``raw`` of its means; None if none does."""
    answers = walk.idle(raw)
    source, layer = walk.linear(answers) or (answers, None)
    features = walk.idle(source)
    last = walk.pooled(features)
    if last is None:
        return None
    width = walk.width(features)
    if layer is None:  # the maps are the answers, as in SqueezeNet
        layer = LinearHead(np.eye(width, dtype=np.float32), np.zeros(width, np.float32))
    return (last, layer) if layer.inputs == width else None
