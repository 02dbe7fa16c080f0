"""Writes static INT8 by Q/DQ pairs, from ranges that were measured once on crops of the training split.

Two forms, because none serves both (tensorrt.md 7.3). Stem, heads and trees stay float in both.

* ``cpu``: unsigned activations, signed weights (u8s8). Both sides of a residual sum and every result of a convolution
  are quantised, so that ONNX Runtime fuses whole blocks into integer kernels.
* ``tensorrt``: symmetric int8, zero points 0, one scalar scale an activation, biases not quantised. Of every residual
  sum the shortcut alone is quantised, so that the last convolution of the main path is fused with the sum (as NVIDIA's
  own quantiser does). All the rest of the trunk is FP16: scales are half, which Q/DQ pairs take from opset 19 on.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from convert.anatomy import Anatomy, dissect
from convert.opset import raise_opset
from convert.plan import CALIBRATION_MINIMUM
from convert.precision import to_fp16
from convert.ranges import Ranges
from engines._onnxruntime import load_library  # its import also switches the library's telemetry off
from engines.errors import UsageError
from engines.manifest import Family

SCALE_OPSET = 19  # Q/DQ with half scales; the parser of TensorRT 9.2 is documented to take it, 10.3 is newer
STEPS = 127  # of a symmetric int8 on either side of 0
LEAST_HALF = 2.0**-24  # smallest number above 0 in half

Override = list[dict[str, int | np.float32]]


def check_enough(crops: int) -> None:
    """Refuse to take ranges from too few crops.

    Raises
    ------
    UsageError
        There are fewer than 200.
    """
    if crops < CALIBRATION_MINIMUM:
        raise UsageError(
            "INT8 cannot be calibrated",
            f"there are {crops} crops and ranges of fewer than {CALIBRATION_MINIMUM} are chance",
            "use a larger training split, or leave int8 out of the plan",
        )


def tensors_of(anatomy: Anatomy) -> frozenset[str]:
    """Return every tensor of which a range is needed, for either family."""
    return frozenset().union(*(_activations(anatomy, family) for family in ("cpu", "tensorrt")))


def to_int8(
    model: onnx.ModelProto, family: Family, ranges: Ranges, left: frozenset[str] = frozenset()
) -> onnx.ModelProto:
    """Return the INT8 form of an fp32 ``model`` for ``family``; units in ``left`` stay as they are in FP32 or FP16.

    Raises
    ------
    UsageError
        There is nothing to quantise, or a weight is beyond the range of float16.
    """
    if not dissect(model).convolutions:
        because = "no convolution lies behind the stem of its trunk"
        raise UsageError("INT8 cannot be written", because, "leave it out with --without int8-cpu and int8-tensorrt")
    if family == "cpu":
        return pairs(model, "cpu", ranges, left)
    return to_fp16(pairs(raise_opset(model, SCALE_OPSET), family, ranges, left))


def pairs(
    model: onnx.ModelProto, family: Family, ranges: Ranges, left: frozenset[str] = frozenset()
) -> onnx.ModelProto:
    """Return ``model`` with Q/DQ pairs, and all that is not quantised in FP32."""
    anatomy = _without(dissect(model), left)
    load_library()
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization.calibrate import CalibrationMethod, TensorsData
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

    if not anatomy.convolutions:
        return model
    activations = sorted(_activations(anatomy, family))
    symmetric = family == "tensorrt"
    scales = {name: _half_range(ranges[name]) if symmetric else ranges[name] for name in activations}
    data = {name: tuple(np.array(end, np.float32) for end in ends) for name, ends in scales.items()}
    quantizer = QDQQuantizer(
        _prepared(model),
        per_channel=True,
        reduce_range=False,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QInt8 if symmetric else QuantType.QUInt8,
        tensors_range=TensorsData(CalibrationMethod.MinMax, data),
        nodes_to_quantize=[part.node for part in anatomy.convolutions],
        nodes_to_exclude=[],
        op_types_to_quantize=["Conv"],
        extra_options=_options(model, anatomy) if symmetric else {"OpTypesToExcludeOutputQuantization": ["Conv"]},
    )
    for name in activations:
        quantizer.quantize_activation_tensor(name)
    quantizer.quantize_model()
    quantizer.model.topological_sort()
    made: onnx.ModelProto = quantizer.model.model
    _detach(made, _readers(anatomy, family))
    return _cleaned(made, model)


def _activations(anatomy: Anatomy, family: Family) -> frozenset[str]:
    """Return the tensors that are quantised for ``family``."""
    read = {part.value for part in anatomy.convolutions}
    if family == "tensorrt":
        return frozenset(read | {part.shortcut for part in anatomy.sums})
    summed = {name for part in anatomy.sums for name in (part.main, part.shortcut)}
    results = {part.result for part in anatomy.convolutions}
    return frozenset((read | summed | results) - anatomy.last)


def _readers(anatomy: Anatomy, family: Family) -> frozenset[tuple[str, str]]:
    """Return who reads what behind its Q/DQ pair: (node, tensor). All others read the tensor itself."""
    read = {(part.node, part.value) for part in anatomy.convolutions}
    sides = {(part.node, part.shortcut) for part in anatomy.sums}
    if family == "cpu":
        sides |= {(part.node, part.main) for part in anatomy.sums}
    return frozenset(read | sides)


def _without(anatomy: Anatomy, left: frozenset[str]) -> Anatomy:
    """Leave units out; a sum of which a side is left out is not quantised either."""
    return Anatomy(
        tuple(part for part in anatomy.convolutions if part.unit not in left),
        tuple(part for part in anatomy.sums if part.unit not in left),
        anatomy.last,
    )


def _prepared(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy, as the quantiser changes its model, marked so that shapes are not inferred again."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    onnx.helper.set_model_props(copy, {"onnx.infer": "onnxruntime.quant"})
    return copy


def _options(model: onnx.ModelProto, anatomy: Anatomy) -> dict[str, bool | list[str] | dict[str, Override]]:
    weights = {str(tensor.name): tensor for tensor in model.graph.initializer}
    overrides = {
        part.weight: _half_scales(numpy_helper.to_array(weights[part.weight])) for part in anatomy.convolutions
    }
    return {
        "ActivationSymmetric": True,
        "WeightSymmetric": True,
        "QuantizeBias": False,
        "AddQDQPairToWeight": False,
        "OpTypesToExcludeOutputQuantization": ["Conv"],  # keeps Conv and ReLU fused in the engine
        "TensorQuantOverrides": overrides,
    }


def _half_scales(weight: NDArray[np.float32]) -> Override:
    """Return one scale an output channel that is exact in half: weights are rounded to the steps that are used."""
    largest = np.abs(weight.reshape(len(weight), -1)).max(axis=1, initial=0.0)
    return [{"axis": 0, "scale": scale, "zero_point": 0} for scale in _half_up(largest / STEPS)]


def _half_range(ends: tuple[float, float]) -> tuple[float, float]:
    """Return a symmetric range that holds ``ends`` and whose scale is exact in half."""
    scale = float(_half_up(np.array([max(abs(ends[0]), abs(ends[1])) / STEPS]))[0])
    return -STEPS * scale, STEPS * scale


def _half_up(values: NDArray[np.floating]) -> NDArray[np.float32]:
    """Round up to numbers of half precision, above 0."""
    wanted = np.maximum(values, LEAST_HALF)
    nearest = wanted.astype(np.float16)
    above = np.nextafter(nearest, np.float16(np.inf))
    return np.asarray(np.where(nearest.astype(np.float64) < wanted, above, nearest), np.float32)


def _detach(model: onnx.ModelProto, readers: frozenset[tuple[str, str]]) -> None:
    """Let only ``readers`` read behind a Q/DQ pair; the quantiser sends everybody there."""
    source = {str(name): node for node in model.graph.node for name in node.output}
    for node in model.graph.node:
        for position, name in enumerate(node.input):
            tensor = _behind(source, str(name))
            if tensor is not None and (str(node.name), tensor) not in readers:
                node.input[position] = tensor


def _behind(source: Mapping[str, onnx.NodeProto], name: str) -> str | None:
    """Return the tensor of which ``name`` is the quantised and dequantised form, or None."""
    dequantised = source.get(name)
    if dequantised is None or dequantised.op_type != "DequantizeLinear":
        return None
    quantised = source.get(str(dequantised.input[0]))  # None: a weight
    return None if quantised is None else str(quantised.input[0])


def _cleaned(made: onnx.ModelProto, model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model without what the quantiser leaves: pairs that nobody reads, domains, its name."""
    for operator in ("DequantizeLinear", "QuantizeLinear"):
        _drop_unread(made.graph, operator)
    del made.opset_import[:], made.metadata_props[:]
    made.opset_import.extend(model.opset_import)
    made.producer_name, made.producer_version = model.producer_name, ""
    onnx.checker.check_model(made, full_check=True)
    return made


def _drop_unread(graph: onnx.GraphProto, operator: str) -> None:
    read = {str(name) for node in graph.node for name in node.input} | {str(output.name) for output in graph.output}
    for index in reversed(range(len(graph.node))):
        if graph.node[index].op_type == operator and read.isdisjoint(graph.node[index].output):
            del graph.node[index]
