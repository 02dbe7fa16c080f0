"""FP16 lives in the trunks only; what goes in and comes out keeps its type."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from convert.precision import to_fp16
from engines.errors import UsageError


def types_of(model: onnx.ModelProto) -> dict[str, int]:
    infos = [*model.graph.value_info, *model.graph.input, *model.graph.output]
    found = {info.name: info.type.tensor_type.elem_type for info in infos}
    return found | {constant.name: constant.data_type for constant in model.graph.initializer}


@pytest.fixture(scope="module")
def half(tiny) -> onnx.ModelProto:
    return to_fp16(tiny.model)


def test_every_trunk_convolution_is_half_and_every_head_is_float(half: onnx.ModelProto) -> None:
    types = types_of(half)
    for node in half.graph.node:
        if node.op_type in ("Conv", "Gemm", "MatMul", "Less"):
            wanted = TensorProto.FLOAT16 if "/trunk/" in node.name else TensorProto.FLOAT
            assert {types[name] for name in node.input} == {wanted}, node.name


def test_input_stays_uint8_and_outputs_stay_float(half: onnx.ModelProto) -> None:
    types = types_of(half)
    assert types["crops"] == TensorProto.UINT8
    assert {types[output.name] for output in half.graph.output} == {TensorProto.FLOAT}


def test_no_float_copy_of_a_half_weight_is_left(half: onnx.ModelProto, tiny) -> None:
    assert half.ByteSize() < 0.75 * tiny.model.ByteSize()
    used = {name for node in half.graph.node for name in node.input}
    assert {constant.name for constant in half.graph.initializer} <= used


def test_half_answers_are_near_the_float_ones(half: onnx.ModelProto, tiny, run_onnx) -> None:
    before, after = run_onnx(tiny.model, tiny.crops), run_onnx(half, tiny.crops)
    delta = np.abs(before["egfr_members"] - after["egfr_members"])
    assert 0.0 < delta.max() < 0.2


def test_a_weight_beyond_half_is_refused(tiny) -> None:
    copy = onnx.ModelProto()
    copy.CopyFrom(tiny.model)
    for constant in copy.graph.initializer:
        if constant.name == "member0/trunk/stem/weight":
            constant.CopyFrom(onnx.numpy_helper.from_array(np.full((8, 3, 7, 7), 1e5, np.float32), constant.name))
    with pytest.raises(UsageError, match="member0/trunk/stem/weight is 100000"):
        to_fp16(copy)


def test_the_float_model_is_left_as_it_is(tiny) -> None:
    before = tiny.model.SerializeToString(deterministic=True)
    to_fp16(tiny.model)
    assert tiny.model.SerializeToString(deterministic=True) == before
