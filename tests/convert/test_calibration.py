"""INT8 in the form that each family of runtimes takes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from convert.anatomy import dissect
from convert.calibration import check_enough, tensors_of, to_int8
from convert.progress import silent
from convert.ranges import QUANTILE, Measured, measure
from convert.running import Run
from engines.errors import UsageError

from .trunk_makers import strange_graph

FAMILIES = ("cpu", "tensorrt")


def varied(count: int, size: int) -> np.ndarray:
    """Crops of different brightness and contrast."""
    random = np.random.default_rng(8)
    level, spread = random.uniform(20, 200, (count, 1, 1, 1)), random.uniform(5, 50, (count, 1, 1, 1))
    return (level + spread * random.normal(size=(count, size, size, 3))).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def crops() -> np.ndarray:
    return varied(200, 64)


def measured(model: onnx.ModelProto, crops: np.ndarray) -> Measured:
    return measure(model, tensors_of(dissect(model)), crops, np.ones(len(crops), np.bool_), silent)


@pytest.fixture(scope="module")
def known(tiny, crops: np.ndarray) -> Measured:
    return measured(tiny.model, crops)


@pytest.fixture(scope="module")
def forms(tiny, known: Measured) -> dict[str, onnx.ModelProto]:
    return {family: to_int8(tiny.model, family, known.ranges) for family in FAMILIES}


@pytest.fixture(scope="module")
def strange(crops: np.ndarray) -> tuple[onnx.ModelProto, dict[str, onnx.ModelProto]]:
    model = strange_graph()
    ranges = measured(model, crops[:, ::2, ::2]).ranges
    return model, {family: to_int8(model, family, ranges) for family in FAMILIES}


def constants(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {constant.name: numpy_helper.to_array(constant) for constant in model.graph.initializer}


def types(model: onnx.ModelProto) -> dict[str, int]:
    inferred = onnx.shape_inference.infer_shapes(model).graph
    found = {info.name: info.type.tensor_type.elem_type for info in (*inferred.value_info, *inferred.output)}
    return found | {constant.name: constant.data_type for constant in model.graph.initializer}


def makers(model: onnx.ModelProto) -> dict[str, str]:
    return {output: node.op_type for node in model.graph.node for output in node.output}


def faults(model: onnx.ModelProto) -> Iterator[str]:
    """What is wrong with a form for TensorRT, of those things that its builder takes without a word or refuses."""
    arrays, made = constants(model), makers(model)
    for node in model.graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            scale, zero = arrays[node.input[1]], arrays[node.input[2]]
            weight = node.op_type == "DequantizeLinear" and node.input[0] in arrays
            if zero.dtype != np.int8 or zero.any():
                yield f"{node.name}: zero point {zero.ravel()[0]}"
            if scale.shape != ((len(arrays[node.input[0]]),) if weight else ()):
                yield f"{node.name}: scale of shape {scale.shape}"
        if node.op_type == "Conv" and len(node.input) == 3 and made.get(node.input[2]) == "DequantizeLinear":
            yield f"{node.name}: quantised bias"
        if node.op_type == "Add" and "/trunk/" in node.name:
            sides = [made.get(name) == "DequantizeLinear" for name in node.input]
            if sum(sides) != 1:
                yield f"{node.name}: {sum(sides)} sides quantised"


def test_the_tensorrt_form_is_what_its_builder_wants(forms, strange) -> None:
    assert list(faults(forms["tensorrt"])) == []
    assert list(faults(strange[1]["tensorrt"])) == []


def vector_scale(model: onnx.ModelProto) -> None:
    scale = next(node.input[1] for node in model.graph.node if node.op_type == "QuantizeLinear")
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == scale)
    tensor.dims.append(1)


def both_sides(model: onnx.ModelProto) -> None:
    made = makers(model)
    total = next(node for node in model.graph.node if node.op_type == "Add" and "/trunk/" in node.name)
    plain = next(at for at, name in enumerate(total.input) if made.get(name) != "DequantizeLinear")
    total.input[plain] = total.input[1 - plain]


def shifted(model: onnx.ModelProto) -> None:
    zero = next(node.input[2] for node in model.graph.node if node.op_type == "QuantizeLinear")
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == zero)
    tensor.CopyFrom(numpy_helper.from_array(np.array(3, np.int8), zero))


@pytest.mark.parametrize(
    ("change", "fault"),
    [(vector_scale, "scale of shape (1,)"), (both_sides, "2 sides quantised"), (shifted, "zero point 3")],
)
def test_a_form_that_was_tampered_with_is_caught(forms, change, fault: str) -> None:
    copy = onnx.ModelProto()
    copy.CopyFrom(forms["tensorrt"])
    change(copy)
    assert any(fault in found for found in faults(copy))


def test_the_quantised_side_of_a_sum_is_the_shortcut(forms) -> None:
    made = makers(forms["tensorrt"])
    sums = [node for node in forms["tensorrt"].graph.node if node.op_type == "Add" and "/trunk/" in node.name]
    assert len(sums) == 4
    for node in sums:
        (quantised,) = (name for name in node.input if made[name] == "DequantizeLinear")
        assert quantised.startswith(node.name.removesuffix("sum") + "shortcut")


def test_of_an_identity_the_quantised_side_is_the_input_of_the_block(strange) -> None:
    """The sum of the strange trunk adds what its first ReLU gives."""
    form = strange[1]["tensorrt"]
    source = {output: node for node in form.graph.node for output in node.output}
    total = next(node for node in form.graph.node if node.op_type == "Add" and "/trunk/" in node.name)
    (quantised,) = (name for name in total.input if source[name].op_type == "DequantizeLinear")
    assert source[source[quantised].input[0]].input[0] == "member0/trunk/relu1"


def test_all_else_of_a_trunk_is_half_and_heads_are_float(forms, strange) -> None:
    for form in (forms["tensorrt"], strange[1]["tensorrt"]):
        kinds = types(form)
        wanted = {"Conv", "Relu", "Add", "Concat", "BatchNormalization", "Sigmoid", "Clip", "Gemm", "Less", "Sub"}
        for node in form.graph.node:
            if node.op_type in wanted:
                kind = TensorProto.FLOAT16 if "/trunk/" in node.name else TensorProto.FLOAT
                read = {kinds[name] for name in node.input if name} - {TensorProto.UINT8, TensorProto.INT64}
                assert read <= {kind}, node.name


@pytest.mark.parametrize("family", FAMILIES)
def test_quantised_are_the_convolutions_behind_the_stem(forms, strange, family: str) -> None:
    for form in (forms[family], strange[1][family]):
        made, seen = makers(form), set()
        for node in form.graph.node:
            if node.op_type in ("Conv", "Gemm", "MatMul", "Less", "GlobalAveragePool"):
                inner = node.op_type == "Conv" and "/trunk/" in node.name and "/trunk/stem" not in node.name
                assert (made.get(node.input[0]) == "DequantizeLinear") == inner, node.name
                seen.add(inner)
        assert seen == {True, False}


def test_cpu_activations_are_unsigned_and_weights_signed(forms) -> None:
    model = forms["cpu"]
    arrays = constants(model)
    pairs = [node for node in model.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    activations = {arrays[node.input[2]].dtype for node in pairs if node.op_type == "QuantizeLinear"}
    weights = {arrays[node.input[0]].dtype for node in pairs if node.input[0] in arrays}
    assert activations == {np.dtype(np.uint8)}
    assert weights == {np.dtype(np.int8), np.dtype(np.int32)}  # int32: biases


def test_weights_are_rounded_to_the_scales_that_are_written(forms, tiny) -> None:
    """In half a small scale has few digits: a weight must be quantised by the scale as it is stored."""
    model, before = forms["tensorrt"], constants(tiny.model)
    arrays, checked = constants(model), 0
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in arrays:
            weight = before[node.input[0].removesuffix("_quantized")]
            scale = arrays[node.input[1]].astype(np.float32).reshape(-1, 1, 1, 1)
            assert np.abs(arrays[node.input[0]] * scale - weight).max() <= 0.5001 * scale.max()
            assert np.all(np.abs(arrays[node.input[0]] * scale - weight) <= 0.5001 * scale)
            checked += 1
    assert checked == 12


def test_tiny_weights_do_not_lose_their_scale(tiny, crops: np.ndarray) -> None:
    """Behind a folded batch norm a channel may have weights of 1e-4: its scale is below the normal range of half."""
    model = onnx.ModelProto()
    model.CopyFrom(tiny.model)
    for tensor in model.graph.initializer:
        if tensor.name == "member0/trunk/block0/conv0/weight":
            small = numpy_helper.to_array(tensor) * np.float32(1e-3)
            tensor.CopyFrom(numpy_helper.from_array(small, tensor.name))
    form = to_int8(model, "tensorrt", measured(model, crops).ranges)
    stored = constants(form)["member0/trunk/block0/conv0/weight_quantized"]
    assert np.abs(stored).max(axis=(1, 2, 3)).min() > 60


@pytest.mark.parametrize("family", FAMILIES)
def test_int8_is_smaller_and_answers_within_the_limit(tiny, forms, known, crops, family: str) -> None:
    after = Run(forms[family], as_written=family == "tensorrt")(crops)["egfr_members"].mean(axis=1)
    delta = np.abs(after - known.outputs["egfr_members"].mean(axis=1))
    assert 0.0 < np.percentile(delta, 95) < 1.0
    assert forms[family].ByteSize() < tiny.model.ByteSize()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_trunk_of_unknown_origin_still_answers(strange, crops, family: str) -> None:
    model, forms = strange
    small = crops[:, ::2, ::2]
    before, after = Run(model)(small)["egfr_members"], Run(forms[family], family == "tensorrt")(small)["egfr_members"]
    assert 0.0 < np.percentile(np.abs(after - before), 95) < 0.1 * before.std()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_unit_that_is_left_is_float_throughout(tiny, known: Measured, family: str) -> None:
    form = to_int8(tiny.model, family, known.ranges, frozenset({"block1"}))
    made = makers(form)
    for node in form.graph.node:
        if node.op_type in ("Conv", "Add") and "/trunk/block1/" in node.name:
            assert "DequantizeLinear" not in {made.get(name) for name in node.input}, node.name
        if node.op_type == "Conv" and "/trunk/block0/" in node.name:
            assert made[node.input[0]] == "DequantizeLinear"


def test_with_every_unit_left_nothing_is_quantised(tiny, known: Measured) -> None:
    form = to_int8(tiny.model, "cpu", known.ranges, frozenset({"block0", "block1"}))
    assert form == tiny.model


def test_ranges_come_from_the_calibrating_crops_alone(tiny, crops: np.ndarray) -> None:
    """The outputs are those of all crops, and equal those of a plain run."""
    tensors = tensors_of(dissect(tiny.model))
    first = np.arange(len(crops)) < 100
    found = measure(tiny.model, tensors, crops, first, silent)
    alone = measure(tiny.model, tensors, crops[:100], np.ones(100, np.bool_), silent)
    assert found.ranges == alone.ranges
    assert len(found.outputs["egfr_members"]) == 200
    plain = Run(tiny.model)(crops)
    assert all(np.allclose(found.outputs[name], plain[name], atol=1e-3) for name in plain)


def test_a_range_is_a_quantile_over_crops_and_not_the_largest_of_all(tiny, crops: np.ndarray) -> None:
    """One glaring crop must not coarsen the steps of all others."""
    name = "member0/trunk/block0/relu"
    watched = onnx.ModelProto()
    watched.CopyFrom(tiny.model)
    watched.graph.output.append(onnx.helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    largest = Run(watched)(crops)[name].max(axis=(1, 2, 3))
    low, high = measured(tiny.model, crops).ranges[name]
    assert low == 0.0
    assert high == pytest.approx(np.quantile(largest, QUANTILE), rel=1e-4)
    assert high < largest.max()


def test_the_float_model_is_left_as_it_is(tiny, known: Measured) -> None:
    before = tiny.model.SerializeToString(deterministic=True)
    for family in FAMILIES:
        to_int8(tiny.model, family, known.ranges)
    assert tiny.model.SerializeToString(deterministic=True) == before


def test_too_few_crops_are_refused() -> None:
    with pytest.raises(UsageError, match="there are 199 crops"):
        check_enough(199)
    check_enough(200)
