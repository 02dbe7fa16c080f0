"""What a build refuses, and what it takes; engines are built for real by TensorRT for RTX, which needs no GPU."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from convert.anatomy import dissect
from convert.tensorrt_builder import CancelledError, check_layers
from convert.tensorrt_library import Library
from convert.tensorrt_network import explain
from convert.tensorrt_plan import Wish, make_plans
from convert.tensorrt_timing import load_timing, save_timing
from convert.tensorrt_watch import Logbook
from engines.bundle import open_bundle
from engines.engine_record import LayerSummary
from engines.store import EngineError

from .tensorrt_makers import ROOT, Workshop, plan_of

SHIPPED = ROOT / "edge_app" / "bundles" / "synthetic-standin"
MEMBERS = 3
Artifacts = Callable[[str, str], Path]
Change = Callable[[onnx.ModelProto], None]


@pytest.mark.parametrize("capability", ["8.6", "8.9"])
@pytest.mark.parametrize(
    ("precision", "expected"),
    [
        ("fp32", {"Float": 11 * MEMBERS}),
        ("fp16", {"Half": 10 * MEMBERS, "Float": MEMBERS}),  # the map of the head stays float
        ("int8", {"Int8": 9 * MEMBERS, "Half": MEMBERS, "Float": MEMBERS}),  # the stem stays half
    ],
)
def test_the_shipped_bundle_runs_in_the_precisions_that_it_asks_for(
    rtx: Library, workshop: Workshop, tmp_path: Path, precision: str, expected: dict[str, int], capability: str
) -> None:
    ((plan, _),) = make_plans(open_bundle(SHIPPED), rtx, Wish(precision, (capability,)))
    done = workshop.build(plan, tmp_path / "engine")
    assert done.layers.compiled == done.layers.planned == expected
    assert done.layers.fallbacks == ()
    assert (tmp_path / "engine").stat().st_size == done.size_bytes > 1_000_000


def test_what_is_planned_is_what_the_converter_quantised(rtx: Library, workshop: Workshop, tmp_path: Path) -> None:
    """Counted again from the fp32 ONNX, by the converter's own rule."""
    shipped = open_bundle(SHIPPED)
    ((plan, _),) = make_plans(shipped, rtx, Wish("int8", ("8.6",)))
    quantised = dissect(onnx.load(shipped.path / "fp32.onnx")).convolutions
    assert workshop.build(plan, tmp_path / "engine").layers.planned["Int8"] == len(quantised)


@pytest.mark.parametrize(
    ("layers", "warning"),
    [
        (LayerSummary(layers=0, planned={"Int8": 2}, compiled={"Unknown": 2}, fallbacks=()), "told nothing"),
        (
            LayerSummary(
                layers=9,
                planned={"Int8": 2},
                compiled={"Int8": 1, "Half": 1},
                fallbacks=("a: Int8 planned, Half compiled",),
            ),
            "1 convolution",
        ),
        (
            LayerSummary(
                layers=9,
                planned={"Int8": 2},
                compiled={"Unknown": 1, "Half": 1},
                fallbacks=("a: Int8 planned, Half compiled", "b: Int8 planned, Unknown compiled"),
            ),
            "2 convolutions",
        ),
    ],
)
def test_a_partial_fallback_or_an_unknown_one_is_a_warning(layers: LayerSummary, warning: str) -> None:
    (told,) = check_layers("No engine", "int8", layers)
    assert warning in told


CUDA = "IBuilder::buildSerializedNetwork: Error Code 1: Cuda Runtime (In catchCudaError at /_src/checkMacros.cpp:250 "


@pytest.mark.parametrize(
    ("message", "because"),
    [
        (f"{CUDA}(cudaError 2: out of memory))", "there is too little GPU memory"),
        (
            "Error (Input crops is [2,64,64,3] and not [1,64,64,3]. In operator() at /_src/optimizer/network.cpp:4067)",
            "Error (Input crops is [2,64,64,3] and not [1,64,64,3])",
        ),
        (f"{CUDA}(cudaError 35: CUDA driver version is insufficient))\nNo tactic for conv0.", "No tactic for conv0"),
    ],
)
def test_what_the_library_says_is_said_in_the_user_s_words(message: str, because: str) -> None:
    assert explain(message)[0] == because


def test_errors_of_a_machine_without_a_gpu_are_no_errors_and_others_are() -> None:
    book = Logbook()
    for error in ("35: CUDA driver version is insufficient", "100: no device", "2: out of memory", "1000: strange"):
        book.take("ERROR", f"{CUDA}(cudaError {error}))")
    book.take("WARNING", "Converting conv weight scales to fp32")
    book.take("WARNING", "Detected layernorm nodes in FP16.")
    assert ["out of memory" in error for error in book.errors] == [True, False]
    assert book.warnings == ["Detected layernorm nodes in FP16"]


def changed(path: Path, folder: Path, change: Change) -> Path:
    model = onnx.load(path)
    change(model)
    onnx.save(model, folder / f"changed-{path.name}")
    return folder / f"changed-{path.name}"


def vector_scales(model: onnx.ModelProto) -> None:
    """Give every scalar scale the shape (1,): what ``np.ascontiguousarray`` does to it."""
    quantisers = [node for node in model.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    names = {name for node in quantisers for name in node.input[1:]}
    for tensor in model.graph.initializer:
        if tensor.name in names and not tensor.dims:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).reshape(1), tensor.name))


def shifted(model: onnx.ModelProto) -> None:
    """Give the first activation a zero point of 3."""
    quantiser = next(node for node in model.graph.node if node.op_type == "QuantizeLinear")
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == quantiser.input[2])
    tensor.CopyFrom(numpy_helper.from_array(np.array(3, np.int8), tensor.name))


def strange(model: onnx.ModelProto) -> None:
    """Put an operator between that nobody has."""
    model.opset_import.append(helper.make_opsetid("example.org", 1))
    first = next(node for node in model.graph.node if node.op_type == "Relu")
    first.op_type, first.domain = "Kidney", "example.org"


def mixed(model: onnx.ModelProto) -> None:
    """Widen one half-precision weight."""
    tensor = next(t for t in model.graph.initializer if t.data_type == TensorProto.FLOAT16 and len(t.dims) == 4)
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name))


def narrow(model: onnx.ModelProto) -> None:
    """Take a channel from one weight."""
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name.endswith("block0/conv0/weight"))
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor)[:, :-1], tensor.name))


def test_scales_that_are_not_scalars_build_without_int8_and_are_refused(
    rtx: Library, workshop: Workshop, artifact_of: Artifacts, tmp_path: Path
) -> None:
    """The parser and the builder take such a file without a word; only the layer table tells."""
    path = changed(artifact_of("residual", "int8"), tmp_path, vector_scales)
    with pytest.raises(EngineError, match="12 convolutions are planned in INT8 and not one would run in it"):
        workshop.build(plan_of(rtx, path, "int8"), tmp_path / "engine")
    assert not (tmp_path / "engine").exists()


def test_a_float_artifact_is_no_int8_engine(
    rtx: Library, workshop: Workshop, artifact_of: Artifacts, tmp_path: Path
) -> None:
    with pytest.raises(EngineError, match="not one of its convolutions is quantised"):
        workshop.build(plan_of(rtx, artifact_of("residual", "fp32"), "int8"), tmp_path / "engine")


@pytest.mark.parametrize(
    ("precision", "change", "told"),
    [
        ("int8-cpu", None, "its bias is quantised to int32: write int8 for TensorRT"),
        ("int8", shifted, "its zero point is not zero"),
        ("fp32", strange, "Kidney 'member0/.*TensorRT has no such operator"),
        ("fp16", mixed, "its input and its weights differ in type"),
        ("fp32", narrow, "its weights do not go with its input"),
    ],
)
def test_what_the_parser_refuses_is_one_sentence_that_names_the_node(
    rtx: Library, workshop: Workshop, artifact_of: Artifacts, tmp_path: Path, precision: str, change, told: str
) -> None:
    path = artifact_of("residual", precision)
    path = changed(path, tmp_path, change) if change else path
    with pytest.raises(EngineError, match=told) as caught:
        workshop.build(plan_of(rtx, path, "int8"), tmp_path / "engine")
    assert "member0/" in caught.value.sentence
    assert len(caught.value.sentence.splitlines()) == 1
    assert "cudaError" not in caught.value.sentence


@pytest.mark.parametrize("data", [b"", bytes(100), bytes(range(256)), b"\x08\x08", b"garbage", b"# A title\n\nwords"])
def test_garbage_is_not_taken_for_an_empty_network(
    rtx: Library, workshop: Workshop, tmp_path: Path, data: bytes
) -> None:
    """Some garbage is parsed with success and no error: as a model of nothing."""
    path = tmp_path / "garbage.onnx"
    path.write_bytes(data)
    with pytest.raises(EngineError, match=r"without inputs or outputs|not an ONNX model"):
        workshop.build(plan_of(rtx, path, "fp16"), tmp_path / "engine")


def test_what_the_builder_refuses_is_one_sentence(
    rtx: Library, workshop: Workshop, artifact_of: Artifacts, tmp_path: Path
) -> None:
    with pytest.raises(EngineError, match=r"7\.5 cannot run all of it: leave 7\.5 out") as caught:
        workshop.build(plan_of(rtx, artifact_of("residual", "fp32"), "fp32", "7.5"), tmp_path / "engine")
    assert len(caught.value.sentence.splitlines()) == 1


def test_the_monitor_ends_a_build(rtx: Library, workshop: Workshop, artifact_of: Artifacts, tmp_path: Path) -> None:
    plan = plan_of(rtx, artifact_of("residual", "int8"), "int8")
    with pytest.raises(CancelledError):
        workshop.build(plan, tmp_path / "engine", until="Optimizing graph")
    assert not (tmp_path / "engine").exists()


def test_builders_that_failed_builds_left_behind_do_not_stop_the_next(
    rtx: Library, workshop: Workshop, artifact_of: Artifacts, tmp_path: Path
) -> None:
    """The workshop makes garbage of them and collects it inside the logger, if nothing prevents that."""
    good = plan_of(rtx, artifact_of("one member", "fp32"), "fp32")
    bad = plan_of(rtx, artifact_of("one member", "fp32"), "int8")
    for _ in range(8):
        with pytest.raises(EngineError):
            workshop.build(bad, tmp_path / "engine")
    assert workshop.build(good, tmp_path / "engine").layers.compiled == {"Float": 8}


def test_an_artifact_that_was_changed_after_the_check_is_not_built(
    rtx: Library, workshop: Workshop, artifact_of: Artifacts, tmp_path: Path
) -> None:
    """The record of an engine names the hash of its artifact, so what is built is what was checked."""
    path = changed(artifact_of("residual", "fp32"), tmp_path, lambda model: None)
    plan = plan_of(rtx, path, "fp32")
    path.write_bytes(artifact_of("residual", "fp16").read_bytes())
    with pytest.raises(EngineError, match="was changed after the bundle was checked"):
        workshop.build(plan, tmp_path / "engine")
    path.unlink()
    with pytest.raises(EngineError, match="cannot be read"):
        workshop.build(plan, tmp_path / "engine")


def test_a_full_disk_is_one_sentence(rtx: Library, workshop: Workshop, artifact_of: Artifacts) -> None:
    with pytest.raises(EngineError, match=r"\(No space left on device\): free some space there"):
        workshop.build(plan_of(rtx, artifact_of("one member", "fp32"), "fp32"), Path("/dev/full"))


def test_an_input_that_is_not_dynamic_is_one_sentence(
    rtx: Library, workshop: Workshop, artifact_of: Artifacts, tmp_path: Path
) -> None:
    def fix(model: onnx.ModelProto) -> None:
        for value in (*model.graph.input, *model.graph.output):
            value.type.tensor_type.shape.dim[0].dim_value = 2
        del model.graph.value_info[:]

    path = changed(artifact_of("one member", "fp32"), tmp_path, fix)
    with pytest.raises(EngineError, match="takes 2 crops at once, no more and no less"):
        workshop.build(plan_of(rtx, path, "fp32"), tmp_path / "engine")


def test_the_widest_engine_is_one_for_several_gpus(
    rtx: Library, workshop: Workshop, artifact_of: Artifacts, tmp_path: Path
) -> None:
    plan = plan_of(rtx, artifact_of("residual", "int8"), "int8", "8.0", "8.6", "8.9", "12.0")
    done = workshop.build(plan, tmp_path / "engine")
    assert done.layers.compiled == {"Int8": 12, "Half": 2, "Float": 2}
    assert "reported once for 8.0, 8.6, 8.9, 12.0" in done.warnings[0]


@pytest.mark.filterwarnings("ignore:Use Deprecated in TensorRT-RTX:DeprecationWarning")
def test_a_timing_cache_is_written_whole_and_a_torn_one_does_no_harm(rtx: Library, tmp_path: Path) -> None:
    """With the real interface; that the cache saves time can only be seen on a GPU."""
    config = rtx.module.Builder(rtx.module.Logger()).create_builder_config()
    path = tmp_path / "timing.cache"
    load_timing(config, path)
    save_timing(config, path)
    written = path.read_bytes()
    path.write_bytes(b"torn")
    load_timing(config, path)
    save_timing(config, path)
    assert path.read_bytes() == written != b""
    assert list(tmp_path.iterdir()) == [path]


def test_the_plan_says_what_it_cannot_do(rtx: Library, artifact_of: Artifacts) -> None:
    plan = plan_of(rtx, artifact_of("residual", "fp32"), "fp32")
    other = dataclasses.replace(plan, key=plan_of(rtx, artifact_of("residual", "fp16"), "fp16").key)
    assert plan.what == "No engine can be built from residual-fp32.onnx"
    assert plan.timing_cache == other.timing_cache  # one cache serves every artifact of a library and target
