"""FP16 lives in the trunks only; what goes in and comes out keeps its type."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from convert.precision import to_fp16
from engines.errors import UsageError

from .trunk_makers import strange_graph


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


@pytest.fixture(scope="module")
def strange() -> onnx.ModelProto:
    return strange_graph()


def test_a_trunk_of_unknown_origin_computes_in_half(strange: onnx.ModelProto, run_onnx) -> None:
    typed = to_fp16(strange)
    types = types_of(typed)
    floats = {"Conv", "BatchNormalization", "Concat", "AveragePool", "Sigmoid", "Mul", "Clip", "Add", "Relu"}
    for node in typed.graph.node:
        if "/trunk/" in node.name and node.op_type in floats and types[node.output[0]] != TensorProto.INT64:
            assert {types[name] for name in [*node.input, *node.output]} == {TensorProto.FLOAT16}, node.name
    crops = np.random.default_rng(1).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
    before, after = run_onnx(strange, crops), run_onnx(typed, crops)
    assert 0.0 < np.abs(before["egfr_members"] - after["egfr_members"]).max() < 0.2


def test_shapes_and_the_scales_of_a_resize_keep_their_types(strange: onnx.ModelProto) -> None:
    typed = to_fp16(strange)
    types = types_of(typed)
    resizes = [node for node in typed.graph.node if node.op_type == "Resize"]
    assert [types[node.input[-1]] for node in resizes] == [TensorProto.INT64, TensorProto.FLOAT]
    assert all(types[node.input[0]] == TensorProto.FLOAT16 for node in resizes)
    assert {types[node.output[0]] for node in typed.graph.node if node.op_type in ("Shape", "Slice")} == {
        TensorProto.INT64
    }


def test_a_node_without_a_half_form_stays_in_float_and_the_rest_does_not() -> None:
    """NonMaxSuppression takes float alone."""
    boxes = onnx.helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [1, 6, 4])
    scores = onnx.helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 1, 6])
    kept = onnx.helper.make_tensor_value_info("kept", TensorProto.INT64, ["n", 3])
    nodes = [
        onnx.helper.make_node("Relu", ["boxes"], ["a"], name="m/trunk/relu"),
        onnx.helper.make_node("NonMaxSuppression", ["a", "scores"], ["kept"], name="m/trunk/boxes"),
    ]
    graph = onnx.helper.make_graph(nodes, "boxes", [boxes, scores], [kept])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    typed = to_fp16(model)
    assert [node.op_type for node in typed.graph.node] == ["Cast", "Relu", "Cast", "NonMaxSuppression"]


def test_an_output_that_a_trunk_gives_itself_stays_float() -> None:
    value = onnx.helper.make_tensor_value_info("value", TensorProto.FLOAT, [1, 2])
    out = onnx.helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 2])
    nodes = [
        onnx.helper.make_node("Relu", ["value"], ["a"], name="m/trunk/first"),
        onnx.helper.make_node("Neg", ["a"], ["out"], name="m/trunk/last"),
    ]
    model = onnx.helper.make_model(
        onnx.helper.make_graph(nodes, "small", [value], [out]),
        opset_imports=[onnx.helper.make_opsetid("", 17)],
        ir_version=8,
    )
    assert types_of(to_fp16(model))["out"] == TensorProto.FLOAT
