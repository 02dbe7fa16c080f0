"""One pass of fp32 over the crops: what it answers, and the range of every tensor that INT8 will cut into 256 steps.

Both in the same pass, as ten large members take minutes for each. Ranges hold for both families of runtimes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from convert.progress import Progress
from convert.running import BATCH, Run, concatenated

# Of the largest (smallest) value that each crop brings about, over the crops. Less than all of them: a few values of a
# few crops are clipped, and all others get finer steps. Measured on the stand-in (docs/precision.md): 95 % is better
# than the largest of all, and than 99, 90, 75 and 50 %, for both families.
QUANTILE = 0.95
_LARGEST, _SMALLEST = "range/largest/", "range/smallest/"
Floats = NDArray[np.float32]
Ranges = Mapping[str, tuple[float, float]]  # by tensor: smallest and largest value


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Ranges of the tensors that were asked for, and all outputs (K, ...) by name.

    ``peaks``: largest |value| by tensor, over all crops.
    """

    ranges: Ranges
    outputs: Mapping[str, Floats]
    peaks: Mapping[str, float]


def measure(
    model: onnx.ModelProto,
    tensors: frozenset[str],
    crops: NDArray[np.uint8],
    calibrating: NDArray[np.bool_],
    progress: Progress,
    stage: str = "running fp32",
    watched: frozenset[str] = frozenset(),
) -> Measured:
    """Run ``crops`` uint8 (K, H, W, 3) through the fp32 ``model`` once.

    ``tensors``: whose ranges are wanted; ``calibrating`` (K,): crops that these are taken from; ``watched``: whose
    peaks are wanted, over all crops.
    """
    names = [str(output.name) for output in model.graph.output]
    run, parts = Run(_watched(model, tensors | watched)), []
    for start in range(0, len(crops), BATCH):
        parts.append(run(crops[start : start + BATCH]))
        progress(stage, min(start + BATCH, len(crops)), len(crops))
    found = concatenated(parts)
    ranges = {name: _range(found, name, calibrating) for name in tensors}
    peaks = {name: _peak(found, name) for name in watched}
    return Measured(ranges, {name: found[name] for name in names}, peaks)


def _peak(found: Mapping[str, Floats], name: str) -> float:
    ends = [found[prefix + name] for prefix in (_LARGEST, _SMALLEST) if prefix + name in found]
    return float(np.abs(np.concatenate(ends)).max())  # NaN where any is


def _range(found: Mapping[str, Floats], name: str, calibrating: NDArray[np.bool_]) -> tuple[float, float]:
    largest = float(np.quantile(found[_LARGEST + name][calibrating], QUANTILE))
    smallest = found.get(_SMALLEST + name)  # none: behind a ReLU
    return (0.0 if smallest is None else float(np.quantile(smallest[calibrating], 1 - QUANTILE))), largest


def _watched(model: onnx.ModelProto, tensors: frozenset[str]) -> onnx.ModelProto:
    """Return a copy of ``model`` that also gives the largest and smallest value of each crop in ``tensors``."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    ranks = {str(info.name): len(info.type.tensor_type.shape.dim) for info in copy.graph.value_info}
    positive = {str(name) for node in copy.graph.node if node.op_type == "Relu" for name in node.output}
    for name in sorted(tensors):
        _watch(copy.graph, "ReduceMax", name, _LARGEST + name, ranks[name])
        if name not in positive:
            _watch(copy.graph, "ReduceMin", name, _SMALLEST + name, ranks[name])
    return copy


def _watch(graph: onnx.GraphProto, operator: str, name: str, output: str, rank: int) -> None:
    node = onnx.helper.make_node(operator, [name], [output], name=output, axes=list(range(1, rank)), keepdims=0)
    graph.node.append(node)
    graph.output.append(onnx.helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, ["batch"]))
