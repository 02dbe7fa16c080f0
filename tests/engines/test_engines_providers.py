"""ONNX Runtime on a GPU: absent, broken, left out in silence or usable, and what is asked of it in each case."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from edge_app.self_test import examine_runtimes
from engines import _onnxruntime_graph, runtimes
from engines._onnxruntime import ProviderAbsentError
from engines._onnxruntime_session import OnnxSession
from engines.bundle import Bundle
from engines.cpu import Cpu
from engines.errors import BundleError, InferenceError, RuntimeUnavailableError
from engines.gpu import Gpu, NoDriverError
from engines.providers import CPU, CUDA, TENSORRT, Provider, chain, engine_cache
from engines.store import STORE_VARIABLE

from .device_onnxruntime import H100, install_providers

GPU_PROVIDERS = (CUDA, TENSORRT)
VNNI = Cpu("new", frozenset({"avx512_vnni"}), 8)
GRAPHS = {
    ("fp32", "any"): {},
    ("fp16", "any"): {"doc": "half"},
    ("int8", "cpu"): {"doc": "eight"},
    ("int8", "tensorrt"): {"doc": "eight for a GPU"},
}
PARITY = (("fp16", "any", True), ("int8", "cpu", True), ("int8", "tensorrt", True))
FALLS_BACK = pytest.mark.filterwarnings("ignore:Specified provider:UserWarning")  # the library's own, of the stand-in


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(STORE_VARIABLE, str(tmp_path / "engines"))
    return tmp_path


@pytest.fixture
def whole(make_bundle) -> Bundle:
    return make_bundle(graphs=GRAPHS, parity=PARITY)


def on(provider: Provider, bundle: Bundle) -> OnnxSession:
    return OnnxSession(bundle, bundle.artifacts("fp32", "tensorrt"), provider=provider)


@pytest.mark.parametrize("provider", GPU_PROVIDERS)
def test_a_wheel_without_the_provider_is_absent_and_the_cure_is_the_other_wheel(
    provider: Provider, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: [CPU.name])
    found = dict(runtimes.available())[provider.runtime]
    assert found.state == "absent"
    assert f"has no {provider.title} provider (pip install 'echogfr[cuda]'" in found.detail
    with pytest.raises(ProviderAbsentError, match=f"no {provider.title} provider"):
        on(provider, bundle).__enter__()
    with pytest.raises(RuntimeUnavailableError, match=f"{provider.runtime}: this ONNX Runtime"):
        runtimes.select(bundle, provider.runtime)


@pytest.mark.parametrize("provider", GPU_PROVIDERS)
def test_a_provider_without_the_driver_is_broken(
    provider: Provider, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_driver() -> Gpu:
        raise NoDriverError("the NVIDIA driver is not installed")

    install_providers(monkeypatch)
    monkeypatch.setattr("engines._onnxruntime.read_gpu", no_driver)
    found = dict(runtimes.available())[provider.runtime]
    assert found.state == "broken"
    assert f"has a {provider.title} provider, but the NVIDIA driver is not installed" in found.detail
    assert "install the NVIDIA driver" in found.detail


@FALLS_BACK
@pytest.mark.parametrize("provider", GPU_PROVIDERS)
def test_the_silent_fallback_to_the_cpu_is_an_error_and_never_an_answer(
    provider: Provider, whole: Bundle, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The real library is asked for what it cannot load: it opens a session on the CPU and raises nothing."""
    install_providers(monkeypatch, works=False)
    found = dict(runtimes.available())[provider.runtime]
    assert found.state == "broken"
    assert f"the {provider.title} provider of ONNX Runtime cannot be loaded" in found.detail
    assert "it was left out without a reason" in found.detail
    session = on(provider, whole)
    with pytest.raises(RuntimeUnavailableError, match="cannot be loaded"), session:
        pytest.fail("it was entered")
    with pytest.raises(InferenceError, match="not entered"):
        session.infer(np.zeros((1, 64, 64, 3), np.uint8))
    with pytest.raises(RuntimeUnavailableError, match=f"{provider.runtime}.*cannot be loaded"):
        runtimes.select(whole, provider.runtime)
    selection = runtimes.select(whole, cpu=VNNI)
    assert (selection.runtime.name, selection.precision) == ("onnxruntime", "int8")
    assert any(name == "onnxruntime-cuda" and "cannot be loaded" in why for name, _, _, why in selection.table())
    assert capfd.readouterr() == ("", "")


@FALLS_BACK
@pytest.mark.parametrize("provider", GPU_PROVIDERS)
def test_the_library_that_a_provider_lacks_is_named(
    provider: Provider, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dynamic linker's own words: a provider that needs what is not there, left out by the real ONNX Runtime."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler here for a provider that lacks a library")
    (tmp_path / "capi").mkdir()
    needed, file = tmp_path / "libcublasLt.so.13", tmp_path / "capi" / f"lib{provider.stem}.so"
    for made, needs in ((needed, []), (file, ["-Wl,--no-as-needed", str(needed)])):
        soname = f"-Wl,-soname,{made.name}"
        subprocess.run(
            [compiler, "-shared", "-x", "c", os.devnull, "-x", "none", *needs, soname, "-o", made], check=True
        )
    needed.unlink()
    install_providers(monkeypatch, works=False)
    monkeypatch.setattr("onnxruntime.__file__", str(tmp_path / "__init__.py"))
    found = dict(runtimes.available())[provider.runtime]
    assert found.state == "broken"
    assert "cannot be loaded (libcublasLt.so.13: cannot open shared object file: No such file" in found.detail
    with pytest.raises(RuntimeUnavailableError, match=r"libcublasLt\.so\.13"), on(provider, bundle):
        pytest.fail("it was entered")


def test_a_graph_of_which_nothing_is_taken_by_the_gpu_is_an_error(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_providers(monkeypatch)
    monkeypatch.setattr(_onnxruntime_graph, "_placed", lambda natives: Counter({CPU.name: 20}))
    session = on(CUDA, bundle)
    with pytest.raises(RuntimeUnavailableError, match="takes none of the graph's nodes"), session:
        pytest.fail("it was entered")


def test_the_session_says_which_gpu_runs_it_and_how_many_nodes_the_cpu_does(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_providers(monkeypatch)
    graph = onnx.load(bundle.path / bundle.manifest.artifacts[0].file).graph
    on_cpu = sum(node.op_type == "Slice" for node in graph.node)
    with on(CUDA, bundle) as session:
        told, runtime = session.info.provider, session.info.runtime
    version = importlib.import_module("onnxruntime").__version__
    assert runtime == "onnxruntime-cuda"
    assert on_cpu > 0  # the others are fewer than in the file: the library simplifies first
    nodes = rf"\([1-9]\d* nodes, {on_cpu} on the CPU\)"
    assert re.fullmatch(rf"NVIDIA H100 by CUDAExecutionProvider {nodes}, ONNX Runtime {re.escape(version)}", told), told


def test_an_older_library_that_does_not_tell_is_told_so(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    install_providers(monkeypatch)
    monkeypatch.setattr(_onnxruntime_graph, "_placed", lambda natives: Counter())
    with on(CUDA, bundle) as session:
        assert "by CUDAExecutionProvider (nodes not told), ONNX Runtime" in session.info.provider


def test_fp32_is_asked_for_without_tf32_and_no_option_changes_a_precision(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    for provider in GPU_PROVIDERS:
        asked = install_providers(monkeypatch)
        with on(provider, bundle):
            pass
        options = dict(asked.providers[0])
        assert options["CUDAExecutionProvider"]["use_tf32"] == "0"
        assert os.environ["NVIDIA_TF32_OVERRIDE"] == "0"
        every = {key for values in options.values() for key in values}
        assert not every & {"trt_fp16_enable", "trt_int8_enable", "trt_bf16_enable", "trt_int8_calibration_table_name"}
        assert asked.keywords == [{"enable_fallback": 0}]
        monkeypatch.undo()


def test_a_run_that_fails_on_the_gpu_is_not_repeated_on_the_cpu(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_providers(monkeypatch)
    failure = importlib.import_module("onnxruntime.capi.onnxruntime_pybind11_state").EPFail
    with on(CUDA, bundle) as session:
        native: Any = session._held.get().natives[0]
        native._sess = _Fails(native._sess, failure("CUDA failure 700: an illegal memory access was encountered"))
        with pytest.raises(InferenceError, match="CUDA failure 700"):
            session.infer(np.zeros((1, 64, 64, 3), np.uint8))
        assert native.get_providers()[0] == CUDA.name  # below its own second try


class _Fails:
    """What a native session is once the GPU has failed; all but its runs are the real one's."""

    def __init__(self, real: Any, error: Exception) -> None:
        self._real, self._error = real, error

    def run(self, *_: object) -> None:
        raise self._error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@pytest.mark.parametrize(
    ("said", "kind", "told"),
    [
        ("CUDA failure 2: out of memory", RuntimeUnavailableError, "close other programs that use the GPU"),
        ("Load model failed: invalid graph", BundleError, "convert the model again"),
    ],
)
def test_what_the_gpu_did_is_told_from_what_the_file_is(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, said: str, kind: type[Exception], told: str
) -> None:
    install_providers(monkeypatch)
    session = on(CUDA, bundle)

    def fail(*_: object) -> None:
        raise RuntimeError(said)

    monkeypatch.setattr(_onnxruntime_graph, "_create", fail)
    with pytest.raises(kind, match=told), session:
        pytest.fail("it was entered")


def test_cuda_is_chosen_before_the_cpu_at_half_precision_and_tensorrt_only_where_it_is_named(
    whole: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_providers(monkeypatch)
    selection = runtimes.select(whole, cpu=VNNI)
    assert selection.explain() == "onnxruntime-cuda fp16: half precision on the GPU, parity passed"
    rows = {(name, precision): (outcome, why) for name, precision, outcome, why in selection.table()}
    assert (
        rows["onnxruntime-cuda", "int8"][0] == "passed over"
        and "only on request" in rows["onnxruntime-cuda", "int8"][1]
    )
    assert rows["onnxruntime-tensorrt", "any"][0] == "passed over"
    assert "builds engines, which takes minutes; only where it is named" in rows["onnxruntime-tensorrt", "any"][1]
    assert [row[0] for row in selection.table()].index("onnxruntime-cuda") < len(selection.table()) - 3
    for precision in ("fp16", "fp32", "int8"):  # asking for a precision is not asking for a runtime
        assert runtimes.select(whole, precision=precision, cpu=VNNI).runtime.name == "onnxruntime-cuda"
    named = runtimes.select(whole, "onnxruntime-tensorrt")
    assert named.explain().startswith("onnxruntime-tensorrt fp16: asked for; its first start builds engines")
    assert named.builds


def test_int8_on_a_gpu_is_the_one_that_has_half_around_it(whole: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    install_providers(monkeypatch)
    for name in ("onnxruntime-cuda", "onnxruntime-tensorrt"):
        assert [a.family for a in runtimes.select(whole, name, "int8").artifacts] == ["tensorrt"]


def test_half_that_failed_its_parity_is_not_run_on_cuda(make_bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    install_providers(monkeypatch)
    bundle = make_bundle(graphs=GRAPHS, parity=(("fp16", "any", False),))
    assert runtimes.select(bundle, cpu=VNNI).explain() == "onnxruntime-cuda fp32: the reference precision, on the GPU"


def test_the_engines_of_onnxruntime_lie_beside_the_store_by_artifact_library_and_gpu(
    store: Path, whole: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = install_providers(monkeypatch)
    artifact = whole.artifact("fp32", "tensorrt")
    with on(TENSORRT, whole):
        pass
    options = dict(asked.providers[0])["TensorrtExecutionProvider"]
    folder = Path(options["trt_engine_cache_path"])
    assert options["trt_engine_cache_enable"] == "1"
    assert folder.parent == store / "engines-onnxruntime" and folder.stat().st_mode & 0o077 == 0
    other = whole.artifact("fp16", "tensorrt")
    folders = {
        engine_cache(artifact, "1.31.1", H100),
        engine_cache(other, "1.31.1", H100),
        engine_cache(artifact, "1.32.0", H100),
        engine_cache(artifact, "1.31.1", Gpu("Orin", "8.7", 8, "540")),
    }
    assert len(folders) == 4
    (folder / "TensorrtExecutionProvider_graph_sm90.engine").write_bytes(b"engine")
    assert runtimes.select(whole, "onnxruntime-tensorrt", "fp32").explain() == "onnxruntime-tensorrt fp32: asked for"
    assert not runtimes.select(whole, "onnxruntime-tensorrt", "fp32").builds


def test_a_cache_that_cannot_be_made_is_one_sentence(
    store: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_providers(monkeypatch)
    (store / "engines-onnxruntime").write_text("a file in its place")
    with pytest.raises(RuntimeUnavailableError, match="engines of ONNX Runtime cannot be kept"), on(TENSORRT, bundle):
        pytest.fail("it was entered")


def test_tensorrt_is_never_run_at_a_batch_that_it_was_not_prepared_for(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, make_crops, expected
) -> None:
    asked = install_providers(monkeypatch)
    crops = make_crops(19, seed=5)
    with on(TENSORRT, bundle) as session:
        assert asked.batches == [8, 1]
        outputs = session.infer(crops)
    assert asked.batches == [8, 1, 8, 8, 3]
    for name, wanted in expected(crops).items():
        np.testing.assert_allclose(outputs[name], wanted, rtol=1e-4, atol=1e-3)


def test_a_probe_builds_nothing(monkeypatch: pytest.MonkeyPatch, store: Path) -> None:
    asked = install_providers(monkeypatch)
    assert dict(runtimes.available())["onnxruntime-tensorrt"].usable
    options = dict(asked.providers[-1])["TensorrtExecutionProvider"]
    assert int(options["trt_min_subgraph_size"]) > 1 and "trt_engine_cache_enable" not in options
    assert not (store / "engines-onnxruntime").exists()


def test_the_graph_of_the_probe_is_one_node_that_is_valid() -> None:
    model = onnx.load_from_string(_onnxruntime_graph._SMALLEST)
    onnx.checker.check_model(model)
    assert [node.op_type for node in model.graph.node] == ["Neg"]


def test_the_self_test_runs_cuda_and_builds_nothing_in_silence(whole: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    install_providers(monkeypatch)
    rows = {(row.runtime, row.precision): row for row in examine_runtimes(whole, lambda *_: None).rows}
    for precision in ("fp16", "fp32", "int8"):
        assert rows["onnxruntime-cuda", precision].outcome == "passed"
        assert "NVIDIA H100 by CUDAExecutionProvider" in rows["onnxruntime-cuda", precision].provider
        told = rows["onnxruntime-tensorrt", precision]
        assert told.outcome == "not run"
        assert f"start once with --runtime onnxruntime-tensorrt --precision {precision}" in told.detail


def test_the_cpu_is_asked_for_as_before() -> None:
    assert chain(CPU) == [("CPUExecutionProvider", {})]
