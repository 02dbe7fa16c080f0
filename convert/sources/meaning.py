"""From what a recipe says of a head and the network's last layer to a head of the bundle and its part of the graph."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from convert.graph.parts import LinearHead
from convert.sources.recipe import Grades, Head, Probability, Regression
from engines.manifest import GradesHead, HeadSpec, ProbabilityHead, RegressionHead

RULED = "The map of {} shows what speaks for '{}' alone, not against the other classes."


def spec(head: Head, mapped: bool) -> HeadSpec:
    """Return what the manifest says of a head; ``mapped``: it has an activation map."""
    output, map_ = f"{head.name}_members", f"{head.name}_map" if mapped else None
    if isinstance(head, Grades):
        return GradesHead(name=head.name, title=head.title, output=output, map=map_, grades=head.grades)
    if isinstance(head, Probability):
        return ProbabilityHead(
            name=head.name,
            title=head.title,
            output=output,
            map=map_,
            quantity=head.quantity,
            event=head.event,
            cut=head.cut,
        )
    return RegressionHead(
        name=head.name,
        title=head.title,
        output=output,
        map=map_,
        quantity=head.quantity,
        unit=head.unit,
        resolution=head.resolution,
        lowest=head.lowest,
        boundaries=head.boundaries,
        categories=head.categories,
    )


def part(head: Head, layer: LinearHead) -> LinearHead:
    """Return the linear layer of one head, given that of all the network's answers (K, F), without activation.

    Softmax over two classes is the sigmoid of the difference of their answers; written so, one row of weights gives
    the probability and the exact map of its log-odds.
    """
    if head.columns is not None:
        columns = np.array(head.columns)
        layer = replace(layer, weight=layer.weight[columns], bias=layer.bias[columns])
    if isinstance(head, Regression):
        weight, bias = layer.weight * head.gain, layer.bias * head.gain + head.offset
        return LinearHead(weight.astype(np.float32), bias.astype(np.float32))
    if isinstance(head, Grades):
        order = [(head.classes or head.grades).index(grade) for grade in head.grades]
        return LinearHead(layer.weight[order], layer.bias[order], "softmax")
    if head.classes is None or head.positive is None:
        return LinearHead(layer.weight, layer.bias, "sigmoid")
    at = head.classes.index(head.positive)
    if len(head.classes) > 2:
        return LinearHead(layer.weight, layer.bias, "softmax", at)
    return LinearHead(layer.weight[[at]] - layer.weight[[1 - at]], layer.bias[[at]] - layer.bias[[1 - at]], "sigmoid")


def limits(heads: tuple[Head, ...], pooled: bool) -> tuple[str, ...]:
    """Return sentences on what this conversion cannot give."""
    if not pooled:
        return (
            "No activation map: no linear layer of this network lies behind a global average pooling.",
            "The domain check rests on the texture of the picture alone: the network gives no pooled features.",
        )
    ruled = (head for head in heads if isinstance(head, Probability) and len(head.classes or ()) > 2)
    return tuple(RULED.format(head.title, head.positive) for head in ruled)
