"""Engines of the shipped bundle, built for real by TensorRT for RTX; it needs no GPU to build, only to run."""

from __future__ import annotations

import dataclasses
import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import psutil
import pytest
from onnx import TensorProto, helper, numpy_helper

from convert.tensorrt_builder import Built, CancelledError, build, check_layers
from convert.tensorrt_child import Job, build_engine, run_child
from convert.tensorrt_library import Library, load_library
from convert.tensorrt_plan import EnginePlan, Wish, make_plan
from convert.tensorrt_timing import load_timing, save_timing
from engines.bundle import Bundle, open_bundle
from engines.errors import EchoGFRError, RuntimeUnavailableError
from engines.store import EngineError, EngineStore, LayerSummary

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "edge_app" / "bundles" / "synthetic-standin"
MEMBERS = 3


@dataclasses.dataclass
class Eyes:
    """A watch that remembers the stages, and may end the build at one of them."""

    until: str | None = None
    stages: list[str] = dataclasses.field(default_factory=list)

    def report(self, stage: str, done: int, total: int) -> None:
        self.stages.append(stage)

    def cancelled(self) -> bool:
        return self.until in self.stages


@pytest.fixture(scope="module")
def rtx() -> Library:
    try:
        return load_library("tensorrt-rtx")
    except RuntimeUnavailableError:
        pytest.skip("TensorRT for RTX is not installed, so no engine is built (pip install 'echogfr[rtx]')")


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return open_bundle(SHIPPED)


@pytest.fixture(scope="module")
def plan_of(rtx: Library, bundle: Bundle) -> Callable[..., EnginePlan]:
    def plan(precision: str = "fp16", capability: str = "8.6", artifact: Path | None = None) -> EnginePlan:
        made = make_plan(bundle, rtx, Wish(precision, (capability,)))[0]
        return dataclasses.replace(made, artifact=artifact) if artifact else made

    return plan


def built(rtx: Library, plan: EnginePlan, folder: Path) -> Built:
    return build(rtx, plan, folder / "engine", Eyes())


@pytest.fixture(scope="module")
def shipped(rtx: Library, plan_of, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Built]:
    """Engines of the shipped artifacts as they are, each built once."""

    @functools.cache
    def make(precision: str, capability: str) -> Built:
        folder = tmp_path_factory.mktemp("built")
        done = built(rtx, plan_of(precision, capability), folder)
        assert (folder / "engine").stat().st_size == done.size_bytes > 1_000_000
        return done

    return make


@pytest.mark.parametrize("capability", ["8.6", "8.9"])
@pytest.mark.parametrize(
    ("precision", "expected"),
    [
        ("fp32", {"Float": 11 * MEMBERS}),
        ("fp16", {"Half": 10 * MEMBERS, "Float": MEMBERS}),  # the map of the head stays float
        ("int8", {"Int8": 9 * MEMBERS, "Half": MEMBERS, "Float": MEMBERS}),  # the stems are half
    ],
)
def test_every_convolution_runs_in_the_precision_that_the_artifact_asks_for(
    shipped, precision: str, expected: dict[str, int], capability: str
) -> None:
    done = shipped(precision, capability)
    assert done.layers.compiled == done.layers.planned == expected
    assert done.layers.fallbacks == ()


def test_what_is_planned_is_what_the_converter_quantised(shipped, bundle: Bundle) -> None:
    """Counted again from the fp32 ONNX, by the converter's own rule."""
    from convert.anatomy import dissect

    quantised = dissect(onnx.load(bundle.path / "fp32.onnx")).convolutions
    assert shipped("int8", "8.6").layers.planned["Int8"] == len(quantised)


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


def changed(bundle: Bundle, name: str, folder: Path, change: Callable[[onnx.ModelProto], None]) -> Path:
    model = onnx.load(bundle.path / name)
    change(model)
    path = folder / f"changed-{name}"
    onnx.save(model, path)
    return path


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


def test_scales_that_are_not_scalars_build_without_int8_and_are_refused(
    rtx: Library, plan_of, bundle: Bundle, tmp_path: Path
) -> None:
    """The parser and the builder take such a file without a word; only the layer table tells."""
    artifact = changed(bundle, "int8-tensorrt.onnx", tmp_path, vector_scales)
    with pytest.raises(EngineError, match="27 convolutions are planned in INT8 and not one would run in it"):
        built(rtx, plan_of("int8", artifact=artifact), tmp_path)
    assert not (tmp_path / "engine").exists()


def test_a_float_artifact_is_no_int8_engine(rtx: Library, plan_of, bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="not one of its convolutions is quantised"):
        built(rtx, plan_of("int8", artifact=bundle.path / "fp32.onnx"), tmp_path)


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("int8-cpu.onnx", None, "its bias is quantised to int32: write int8 for TensorRT"),
        ("int8-tensorrt.onnx", shifted, "its zero point is not zero"),
        ("fp32.onnx", strange, "Kidney 'member0/.*TensorRT has no such operator"),
        ("fp16.onnx", mixed, "its input and its weights differ in type"),
    ],
)
def test_what_the_parser_refuses_is_one_sentence_that_names_the_node(
    rtx: Library, plan_of, bundle: Bundle, tmp_path: Path, name: str, change, told: str
) -> None:
    artifact = changed(bundle, name, tmp_path, change) if change else bundle.path / name
    with pytest.raises(EngineError, match=told) as caught:
        built(rtx, plan_of("int8", artifact=artifact), tmp_path)
    assert len(caught.value.sentence.splitlines()) == 1
    assert "cudaError" not in caught.value.sentence


@pytest.mark.parametrize("data", [b"", bytes(100), bytes(range(256)), b"\x08\x08", b"garbage", b"# A title\n\nwords"])
def test_garbage_is_not_taken_for_an_empty_network(rtx: Library, plan_of, tmp_path: Path, data: bytes) -> None:
    """Some garbage is parsed with success and no error: as a model of nothing."""
    path = tmp_path / "garbage.onnx"
    path.write_bytes(data)
    with pytest.raises(EngineError, match=r"without inputs or outputs|not an ONNX model"):
        built(rtx, plan_of(artifact=path), tmp_path)


def test_what_the_builder_refuses_is_one_sentence(rtx: Library, plan_of, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"7\.5 cannot run all of it: leave 7\.5 out") as caught:
        built(rtx, plan_of("fp32", "7.5"), tmp_path)
    assert len(caught.value.sentence.splitlines()) == 1


def test_the_monitor_ends_a_build(rtx: Library, plan_of, tmp_path: Path) -> None:
    eyes = Eyes(until="Optimizing graph")
    with pytest.raises(CancelledError):
        build(rtx, plan_of("int8"), tmp_path / "engine", eyes)
    assert eyes.stages[:2] == ["Parsing", "Parsing"]
    assert not (tmp_path / "engine").exists()


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


def children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "spawn_main" in " ".join(child.cmdline())]


def test_a_child_builds_into_the_store_with_a_record(rtx: Library, bundle: Bundle, tmp_path: Path) -> None:
    plan, artifact = make_plan(bundle, rtx, Wish("int8", ("8.9", "8.6")))
    store, stages = EngineStore(tmp_path / "s"), set[str]()
    record = build_engine(bundle, artifact, plan, store, lambda stage, done, total: stages.add(stage))
    found = store.find(plan.key)
    assert found is not None
    assert (found.state, found.record) == ("good", record)
    assert {"Parsing", "Building engine"} <= stages
    assert record.key.target.compute_capabilities == ("8.6", "8.9")
    assert "reported once for 8.6, 8.9" in record.warnings[0]
    assert record.key.artifact_sha256 == artifact.sha256
    assert record.layers.compiled == {"Int8": 9 * MEMBERS, "Half": MEMBERS, "Float": MEMBERS}
    assert sorted(path.name for path in store.folder.iterdir()) == sorted((record.engine, f"{plan.key.name}.json"))
    assert children() == []


def test_a_killed_child_is_one_sentence_and_the_store_stays_as_it_was(
    rtx: Library, bundle: Bundle, tmp_path: Path
) -> None:
    store = EngineStore(tmp_path / "s")
    first, artifact = make_plan(bundle, rtx, Wish("fp16", ("8.6",)))
    record = build_engine(bundle, artifact, first, store, lambda stage, done, total: None)

    def kill(stage: str, done: int, total: int) -> None:
        if stage == "Building engine":
            for child in children():
                os.kill(child.pid, signal.SIGKILL)

    with pytest.raises(EngineError, match="was ended by SIGKILL"):
        build_engine(bundle, artifact, first, store, kill)
    assert [(entry.state, entry.record) for entry in store.entries()] == [("good", record)]
    assert len(list(store.folder.iterdir())) == 2


def test_a_cancel_leaves_nothing(rtx: Library, bundle: Bundle, tmp_path: Path) -> None:
    plan, artifact = make_plan(bundle, rtx, Wish("int8", ("8.6",)))
    store = EngineStore(tmp_path / "s")

    def cancel(stage: str, done: int, total: int) -> None:
        if stage == "Building engine":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_engine(bundle, artifact, plan, store, cancel)
    assert list(store.folder.iterdir()) == []
    assert children() == []


def test_too_little_memory_is_one_sentence(plan_of, tmp_path: Path) -> None:
    with pytest.raises(EchoGFRError, match=r"too little free memory|cannot be loaded|ended by SIG|needs more than"):
        run_child(Job(plan_of("int8"), tmp_path / "engine", 200 << 20), lambda stage, done, total: None)
    assert not (tmp_path / "engine").exists()


ORPHAN = """
import sys, time
from pathlib import Path
import psutil
from convert.tensorrt_child import build_engine
from convert.tensorrt_library import load_library
from convert.tensorrt_plan import Wish, make_plan
from engines.bundle import open_bundle
from engines.store import EngineStore

def told(stage, done, total):
    if stage == "Building engine":
        print(*(child.pid for child in psutil.Process().children()), flush=True)
        time.sleep(60)

if __name__ == "__main__":
    bundle = open_bundle(sys.argv[1])
    plan, artifact = make_plan(bundle, load_library("tensorrt-rtx"), Wish("int8", ("8.6",)))
    build_engine(bundle, artifact, plan, EngineStore(Path(sys.argv[2])), told)
"""


def test_a_build_whose_parent_was_killed_ends_by_itself(rtx: Library, tmp_path: Path) -> None:
    script, store = tmp_path / "script.py", EngineStore(tmp_path / "s")
    script.write_text(ORPHAN)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])}
    command = [sys.executable, str(script), str(SHIPPED), str(store.folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        parent.kill()
    assert pids
    deadline = time.monotonic() + 20
    while any(psutil.pid_exists(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert [pid for pid in pids if psutil.pid_exists(pid)] == []
    store.prune()
    assert list(store.folder.iterdir()) == []
