"""Writes static INT8 by Q/DQ pairs, with activation ranges calibrated on crops of the training split.

Two artifacts, because none serves both (tensorrt.md 7.3): CPUs want unsigned activations (u8s8), the
TensorRT parser refuses every zero point but zero and every bias that comes out of a DequantizeLinear.
Stem, heads and trees stay float.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from convert.plan import CALIBRATION_MINIMUM
from convert.precision import in_trunk
from engines._onnxruntime import load_library  # its import also switches the library's telemetry off
from engines.errors import UsageError
from engines.manifest import Family

BATCH = 32
TENSORRT_OPTIONS: dict[str, bool | list[str]] = {
    "ActivationSymmetric": True,
    "WeightSymmetric": True,
    "QuantizeBias": False,
    "AddQDQPairToWeight": False,
    "OpTypesToExcludeOutputQuantization": ["Conv", "Gemm"],  # keeps Conv and ReLU fused in the engine
}


@dataclass(frozen=True, slots=True)
class Int8Recipe:
    """How one family wants its INT8."""

    activations: str  # name in onnxruntime.quantization.QuantType
    operators: tuple[str, ...]
    options: dict[str, bool | list[str]]


RECIPES: dict[Family, Int8Recipe] = {
    "cpu": Int8Recipe("QUInt8", ("Conv", "Add"), {}),
    "tensorrt": Int8Recipe("QInt8", ("Conv",), TENSORRT_OPTIONS),
}


def to_int8(model: onnx.ModelProto, family: Family, crops: NDArray[np.uint8], path: Path) -> None:
    """Write the INT8 form of ``model`` for ``family`` to ``path``; ``crops`` uint8 (K, H, W, 3), K >= 200.

    Raises
    ------
    UsageError
        Too few crops.
    """
    if len(crops) < CALIBRATION_MINIMUM:
        raise UsageError(
            "INT8 cannot be calibrated",
            f"there are {len(crops)} crops and ranges of fewer than {CALIBRATION_MINIMUM} are chance",
            "use a larger training split, or leave int8 out of the plan",
        )
    load_library()
    from onnxruntime import quantization

    recipe = RECIPES[family]
    quantization.quantize_static(
        _as_preprocessed(model),
        str(path),
        _reader(quantization.CalibrationDataReader, model.graph.input[0].name, crops),
        quant_format=quantization.QuantFormat.QDQ,
        op_types_to_quantize=list(recipe.operators),
        per_channel=True,
        activation_type=quantization.QuantType[recipe.activations],
        weight_type=quantization.QuantType.QInt8,
        nodes_to_exclude=[str(node.name) for node in model.graph.node if stays_float(node)],
        calibrate_method=quantization.CalibrationMethod.MinMax,
        extra_options=dict(recipe.options),
    )


def stays_float(node: onnx.NodeProto) -> bool:
    """Tell whether a node keeps float: all outside of the trunks, and each trunk's stem."""
    return not in_trunk(node) or "/trunk/stem" in node.name


def _as_preprocessed(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy marked as pre-processed: batch norms are folded and all shapes are inferred already."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    onnx.helper.set_model_props(copy, {"onnx.quant.pre_process": "onnxruntime.quant"})
    return copy


def _reader(base: type, name: str, crops: NDArray[np.uint8]) -> object:
    """Return a calibration reader; its base class belongs to a library that is imported late."""
    batches = iter([{name: crops[start : start + BATCH]} for start in range(0, len(crops), BATCH)])
    return type("CropReader", (base,), {"get_next": lambda self: next(batches, None)})()
