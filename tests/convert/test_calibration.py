"""INT8 in the form that each family of runtimes takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from convert.calibration import to_int8
from engines.errors import UsageError


@pytest.fixture(scope="module")
def calibration() -> np.ndarray:
    return np.random.default_rng(8).integers(0, 256, (200, 64, 64, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def tensorrt(tiny, calibration, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("int8") / "tensorrt.onnx"
    to_int8(tiny.model, "tensorrt", calibration, path)
    return path


@pytest.fixture(scope="module")
def cpu(tiny, calibration, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("int8") / "cpu.onnx"
    to_int8(tiny.model, "cpu", calibration, path)
    return path


def constants(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {constant.name: numpy_helper.to_array(constant) for constant in model.graph.initializer}


def test_tensorrt_zero_points_are_zero_and_int8(tensorrt: Path) -> None:
    model = onnx.load(tensorrt)
    arrays = constants(model)
    pairs = [node for node in model.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert pairs
    for node in pairs:
        assert arrays[node.input[2]].dtype == np.int8, node.name
        assert not arrays[node.input[2]].any(), node.name


def test_tensorrt_activation_scales_are_scalars(tensorrt: Path) -> None:
    """A scale of shape (1,) is taken without a word, but then no convolution runs in int8."""
    model = onnx.load(tensorrt)
    arrays = constants(model)
    activations = [node for node in model.graph.node if node.op_type == "QuantizeLinear"]
    assert activations
    assert {arrays[node.input[1]].shape for node in activations} == {()}


def test_tensorrt_biases_are_float(tensorrt: Path) -> None:
    model = onnx.load(tensorrt)
    kinds = {constant.name: constant.data_type for constant in model.graph.initializer}
    assert TensorProto.INT32 not in kinds.values()
    assert all(
        kinds[node.input[2]] == TensorProto.FLOAT
        for node in model.graph.node
        if len(node.input) == 3 and node.op_type == "Conv"
    )


@pytest.mark.parametrize("family", ["cpu", "tensorrt"])
def test_quantised_are_the_trunks_without_their_stems(family: str, request: pytest.FixtureRequest) -> None:
    model = onnx.load(request.getfixturevalue(family))
    made = {node.output[0]: node.op_type for node in model.graph.node}
    for node in model.graph.node:
        if node.op_type in ("Conv", "Gemm", "MatMul", "Less"):
            inner = "/trunk/block" in node.name
            assert (made.get(node.input[0]) == "DequantizeLinear") == inner, node.name


def test_cpu_activations_are_unsigned(cpu: Path) -> None:
    model = onnx.load(cpu)
    arrays = constants(model)
    activations = [node for node in model.graph.node if node.op_type == "QuantizeLinear"]
    assert {arrays[node.input[2]].dtype for node in activations} == {np.dtype(np.uint8)}
    weights = [name for name in arrays if name.endswith("weight_quantized")]
    assert weights
    assert {arrays[name].dtype for name in weights} == {np.dtype(np.int8)}


def test_int8_is_smaller_and_still_answers(tiny, cpu: Path, tensorrt: Path, run_onnx) -> None:
    before = run_onnx(tiny.model, tiny.crops)["egfr_members"]
    for path in (cpu, tensorrt):
        after = run_onnx(path, tiny.crops)["egfr_members"]
        assert 0.0 < np.abs(after - before).max() < 5.0


def test_too_few_crops_are_refused(tiny, calibration, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there are 199 crops"):
        to_int8(tiny.model, "cpu", calibration[:199], tmp_path / "never.onnx")
    assert not list(tmp_path.iterdir())
