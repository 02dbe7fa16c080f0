"""The session of TensorRT: what it takes from the store, what a failing GPU comes to, and what it leaves behind."""

from __future__ import annotations

import gc
import importlib
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engines import runtimes, selftest
from engines._cuda import open_cuda
from engines._tensorrt_session import TensorRtSession
from engines.bundle import Bundle
from engines.cuda import CudaError
from engines.engine_record import EngineTarget
from engines.errors import BundleError, EchoGFRError, InferenceError, RuntimeUnavailableError
from engines.store import EngineError, Here

from .device import ORIN, Device, Layer, install
from .device_cuda_python import CUresult, functions
from .device_machine import Machine, Misuse

LAYERS: tuple[Layer, ...] = ("pycuda", "cuda-python")


@pytest.fixture(params=LAYERS)
def device(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Device:
    return install(monkeypatch, tmp_path, request.param)


@pytest.fixture
def modern(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Device:
    return install(monkeypatch, tmp_path, "cuda-python")


def used(device: Device, bundle: Bundle, crops) -> dict[str, int]:
    """Count the calls of one whole use: enter, infer twice at one size and once at another, exit."""
    with device.open(bundle) as session:
        for batch in (crops, crops, crops[:1]):
            session.infer(batch)
    return dict(device.machine.calls)


def test_any_call_that_fails_is_one_sentence_and_leaks_nothing(device: Device, bundle: Bundle, make_crops) -> None:
    """Every call that a use makes fails once, at each time that it is made up to the fourth."""
    crops = make_crops(2)
    calls = used(device, bundle, crops)
    device.check_all_was_given_back()
    assert len(calls) > 12
    survived = []
    for name, times in calls.items():
        for nth in range(1, min(times, 4) + 1):
            machine = device.machine
            machine.calls.clear()
            machine.fail_at, machine.abandoned = (name, nth), 0
            try:
                used(device, bundle, crops)
                survived.append(name)
            except EchoGFRError as error:
                assert "\n" not in error.sentence and error.sentence.endswith("."), (name, nth)
                assert name in error.sentence or "injected" in error.sentence, (name, nth, error.sentence)
            finally:
                machine.fail_at = None
            gc.collect()
            if name not in ("detach", "cuDevicePrimaryCtxRelease"):
                assert not (machine.blocks or machine.streams or machine.graphs or machine.retained), (name, nth)
                assert machine.loaded == 0, (name, nth)
            else:
                machine.retained = 0
                machine.blocks.clear()
            if name not in ("pop", "cuCtxPopCurrent"):
                assert not any(machine.stacks.values()), (name, nth)
            machine.stacks.clear()
            machine.found.clear()
    recording = {"cuStreamBeginCapture", "cuStreamEndCapture", "cuGraphInstantiate"}
    recorded = {"cuMemcpyHtoDAsync", "cuMemcpyDtoHAsync", "execute_async_v3"}
    assert set(survived) <= recording | recorded  # what cannot be recorded is run as it is
    assert all(survived.count(name) <= 2 for name in recorded)  # both sizes are recorded once
    machine.calls.clear()
    machine.abandoned = 0
    assert used(device, bundle, crops) == calls
    device.check_all_was_given_back()


def test_a_session_can_be_entered_again_and_again(device: Device, bundle: Bundle, make_crops, expected) -> None:
    session, crops = device.open(bundle), make_crops(2)
    for _ in range(3):
        with session:
            np.testing.assert_allclose(session.infer(crops)["egfr_members"], expected(crops)["egfr_members"], rtol=1e-4)
        device.check_all_was_given_back()


def test_two_sessions_live_side_by_side(device: Device, make_bundle, make_crops) -> None:
    bundles = [make_bundle(), make_bundle(graphs={("fp32", "any"): {"gain": 4.0}})]
    crops = make_crops(1)
    first, second = (device.open(bundle) for bundle in bundles)
    with first:
        before = first.infer(crops)["egfr_members"]
        with second:
            np.testing.assert_allclose(second.infer(crops)["egfr_members"], before / 2, rtol=1e-5)
        np.testing.assert_array_equal(first.infer(crops)["egfr_members"], before)
    device.check_all_was_given_back()


@pytest.mark.parametrize("apart", [(), (("fp32", "any"),)], ids=["fused", "apart"])
def test_more_crops_than_the_profile_holds_are_run_in_pieces(
    device: Device, make_bundle, make_crops, expected, apart
) -> None:
    bundle, crops = make_bundle(apart=apart), make_crops(11)
    with device.open(bundle, profile=(1, 2, 4)) as session:
        outputs = session.infer(crops)
    for name, wanted in expected(crops).items():
        np.testing.assert_allclose(outputs[name], wanted, rtol=1e-4, atol=1e-3)
    device.check_all_was_given_back()


def test_the_answer_is_the_same_with_and_without_a_graph(modern: Device, bundle: Bundle, make_crops) -> None:
    batches = [make_crops(count, seed=seed) for seed, count in enumerate((1, 1, 3, 3, 3, 1, 1, 1))]
    answers = []
    for graphs in (True, False):
        artifacts = bundle.artifacts("fp32", "tensorrt")
        modern.build(bundle, artifacts)
        launched = modern.machine.launched
        with TensorRtSession("tensorrt", bundle, artifacts, graphs=graphs) as session:
            answers.append([session.infer(crops)["egfr_members"] for crops in batches])
            assert ("with a CUDA graph" in session.info.provider) == graphs
        assert (modern.machine.launched > launched) == graphs
        modern.check_all_was_given_back()
    for recorded, plain in zip(*answers, strict=True):
        np.testing.assert_array_equal(recorded, plain)


def test_an_engine_that_cannot_be_recorded_is_run_as_it_is_and_says_so(
    modern: Device, bundle: Bundle, make_crops, expected
) -> None:
    crops = make_crops(2)
    with modern.open(bundle, recordable=False) as session:
        for _ in range(3):
            np.testing.assert_allclose(session.infer(crops)["egfr_members"], expected(crops)["egfr_members"], rtol=1e-4)
        assert session.info.provider == "Orin by cuda-python 13.5.0, no CUDA graph, TensorRT 10.3.0"
    assert modern.machine.launched == 0
    modern.check_all_was_given_back()


def test_what_runs_is_said(device: Device, bundle: Bundle) -> None:
    session = device.open(bundle)
    assert session.info.provider == "TensorRT"
    with session:
        told = session.info.provider
    assert told in (
        "Orin by pycuda 2026.1, no CUDA graph, TensorRT 10.3.0",
        "Orin by cuda-python 13.5.0, with a CUDA graph, TensorRT 10.3.0",
    )


def test_without_an_engine_the_cure_is_the_command_that_builds_it(modern: Device, bundle: Bundle) -> None:
    told = rf"There is no engine of model-0.onnx, because none was built .*echogfr-convert build {bundle.path}"
    with pytest.raises(EngineError, match=f"{told} --runtime tensorrt --precision fp32"):
        TensorRtSession("tensorrt", bundle, bundle.artifacts("fp32", "tensorrt")).__enter__()


def test_an_engine_that_does_not_belong_here_is_never_opened(modern: Device, bundle: Bundle, monkeypatch) -> None:
    artifacts = bundle.artifacts("fp32", "tensorrt")
    (record,) = modern.build(bundle, artifacts)
    session = TensorRtSession("tensorrt", bundle, artifacts)

    monkeypatch.setattr("engines._tensorrt.read_gpu", lambda: replace(ORIN, driver="550.1, CUDA 12.8"))
    with pytest.raises(EngineError, match=r"is stale \(built on Orin, driver 540.4.0, .*here is Orin, 550.1"):
        session.__enter__()
    monkeypatch.setattr("engines._tensorrt.read_gpu", lambda: ORIN)

    monkeypatch.setattr(sys.modules["tensorrt"], "__version__", "10.7.0")
    with pytest.raises(EngineError, match=r"is stale \(built by tensorrt 10.3.0, here is 10.7.0\)"):
        session.__enter__()
    monkeypatch.setattr(sys.modules["tensorrt"], "__version__", "10.3.0")

    engine = modern.store.folder / record.engine
    good = engine.read_bytes()
    engine.write_bytes(good[:-1] + b"X")
    with pytest.raises(EngineError, match=r"the engine was changed"):
        session.__enter__()
    engine.unlink()
    with pytest.raises(EngineError, match=r"the engine is missing"):
        session.__enter__()
    engine.write_bytes(good)
    with session:
        pass
    assert modern.machine.calls["cuInit"] == 1  # nothing was asked of the GPU for the others


def test_a_failed_engine_is_passed_over_for_the_one_before_it(modern: Device, make_bundle) -> None:
    bundle = make_bundle(graphs={("fp32", "any"): {}, ("fp16", "tensorrt"): {}}, parity=(("fp16", "tensorrt", True),))
    artifacts = bundle.artifacts("fp16", "tensorrt")
    (older,) = modern.build(bundle, artifacts, workspace=64)
    (newer,) = modern.build(bundle, artifacts)
    selection = runtimes.select(bundle)
    assert (selection.runtime.name, selection.precision) == ("tensorrt", "fp16")
    selection.reject("egfr differs by 9")
    assert [entry.state for entry in modern.store.of(artifacts[0].sha256, Here(ORIN, {"tensorrt": "10.3.0"}))] == [
        "failed",
        "good",
    ]
    assert runtimes.select(bundle).precision == "fp16"  # by the older one
    runtimes.select(bundle).reject("egfr differs by 9")
    told = runtimes.select(bundle, fallback="onnxruntime").table()[0]
    assert told[2] == "unavailable"
    assert told[3].endswith("it failed its self-test: egfr differs by 9")
    modern.build(bundle, artifacts)  # as `--again`
    assert runtimes.select(bundle).runtime.name == "tensorrt"
    assert {older.key.name, newer.key.name} == {e.name for e in modern.store.entries()}


def test_tensorrt_is_chosen_only_with_a_good_engine_of_what_passed(modern: Device, make_bundle) -> None:
    graphs = {("fp32", "any"): {}, ("fp16", "tensorrt"): {"doc": "half"}, ("int8", "tensorrt"): {"doc": "int8"}}
    bundle = make_bundle(graphs=graphs, parity=(("fp16", "tensorrt", False), ("int8", "tensorrt", True)))
    for precision in ("fp16", "int8"):
        assert runtimes.select(bundle).runtime.name == "onnxruntime"  # never built by itself
        modern.build(bundle, bundle.artifacts(precision, "tensorrt"))
    selection = runtimes.select(bundle)
    assert (selection.runtime.name, selection.precision) == ("tensorrt", "int8")
    assert selection.explain() == "tensorrt int8: engine built here on 2026-11-22, parity passed"
    assert "its parity with fp32 failed" in selection.table()[0][3]
    with selection.open() as session:
        assert selftest.run(bundle, session).passed
    with pytest.raises(RuntimeUnavailableError, match=r"tensorrt fp32: there is no engine of model-0\.onnx"):
        runtimes.select(bundle, "tensorrt", "fp32")  # asked for by name: nothing else takes its place
    modern.check_all_was_given_back()


def test_an_engine_built_ahead_of_time_is_for_a_gpu_like_that(modern: Device, bundle: Bundle) -> None:
    artifacts = bundle.artifacts("fp32", "tensorrt")
    session = TensorRtSession("tensorrt", bundle, artifacts)
    modern.build(bundle, artifacts, target=EngineTarget(compute_capabilities=("8.6",)))
    with pytest.raises(EngineError, match="none was built for tensorrt"):
        session.__enter__()
    modern.build(bundle, artifacts, target=EngineTarget(compute_capabilities=("8.6", "8.7")))
    with session:
        pass


def test_an_engine_that_starts_at_two_crops_is_refused(modern: Device, bundle: Bundle) -> None:
    with pytest.raises(BundleError, match="it takes at least 2 crops at once"), modern.open(bundle, profile=(2, 4, 8)):
        pytest.fail("it was entered")
    modern.check_all_was_given_back()


def test_absent_is_told_from_broken(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = install(monkeypatch, tmp_path, "pycuda")

    def state() -> tuple[str, str]:
        found = dict(runtimes.available())["tensorrt"]
        return found.state, found.detail

    assert state() == ("usable", "TensorRT 10.3.0 by pycuda 2026.1 on Orin")
    monkeypatch.setitem(sys.modules, "pycuda", None)
    monkeypatch.setitem(sys.modules, "pycuda.driver", None)
    assert state()[0] == "broken"
    assert "pycuda is not installed and cuda-python is not installed" in state()[1]
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    assert state()[0] == "absent"
    assert device.machine.calls == {}  # asking costs no GPU memory


def test_pycuda_is_asked_first_and_a_broken_one_is_stepped_over(monkeypatch, tmp_path: Path) -> None:
    modern = install(monkeypatch, tmp_path, "cuda-python")
    assert open_cuda().name == "cuda-python 13.5.0"
    from .device_pycuda import make_pycuda

    for name, module in make_pycuda(modern.machine).items():
        monkeypatch.setitem(sys.modules, name, module)
    assert open_cuda().name == "pycuda 2026.1"
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "pycuda.py").write_text("raise ImportError('libcuda.so.1: cannot open shared object file')")
    monkeypatch.syspath_prepend(tmp_path / "broken")
    monkeypatch.delitem(sys.modules, "pycuda.driver")
    monkeypatch.delitem(sys.modules, "pycuda")
    assert open_cuda().name == "cuda-python 13.5.0"


def test_the_driver_is_spoken_to_by_names_that_are_real(monkeypatch: pytest.MonkeyPatch) -> None:
    """The functions of the test's cuda-python, and the enumerations that are used of it, in the real one."""
    for name in ("cuda.bindings.driver", "cuda.bindings", "cuda"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    try:
        real = importlib.import_module("cuda.bindings.driver")
    except ModuleNotFoundError:
        pytest.skip("cuda-bindings is not installed: its names cannot be looked up")
    assert [name for name in functions(Machine()) if not callable(getattr(real, name, None))] == []
    assert int(real.CUstream_flags.CU_STREAM_NON_BLOCKING) == 1
    assert int(real.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL) == 1
    for code in CUresult:
        assert int(getattr(real.CUresult, code.name)) == code


def test_real_cuda_python_without_a_driver_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("cuda.bindings.driver", "cuda.bindings", "cuda"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    for name in ("pycuda", "pycuda.driver"):
        monkeypatch.setitem(sys.modules, name, None)
    try:
        cuda = open_cuda()
    except RuntimeUnavailableError:
        pytest.skip("cuda-bindings is not installed")
    try:
        cuda.start()
    except CudaError as error:
        assert "cuInit failed (" in error.sentence and "\n" not in error.sentence
    else:
        cuda.close()
        pytest.skip("this machine has a GPU: there is nothing to refuse")
    cuda.close()


def test_the_machine_of_these_tests_forgives_nothing() -> None:
    machine = Machine()
    machine.retain()
    with pytest.raises(Misuse, match="without a current context"):
        machine.allocate("device", 4)
    machine.push()
    address = machine.allocate("device", 4)
    with pytest.raises(Misuse, match="no live pinned memory"):
        machine.view(address, 4, "pinned")
    with pytest.raises(Misuse, match="8 bytes"):
        machine.view(address, 8, "device")
    machine.free(address)
    with pytest.raises(Misuse, match="freed twice"):
        machine.free(address)
    with pytest.raises(Misuse, match="no live device memory"):
        machine.view(address, 4, "device")
    stream = machine.make_stream()
    pinned = machine.allocate("pinned", 4)
    device = machine.allocate("device", 4)
    machine.copy(stream, (device, "device"), (pinned, "pinned"), 4)
    machine.free(device)
    with pytest.raises(Misuse, match="no live device memory"):
        machine.synchronise(stream)  # the copy is made only now
    assert not machine.clean


def test_a_gpu_that_fails_in_the_middle_says_so_and_the_next_crop_may_work(
    device: Device, bundle: Bundle, make_crops, expected
) -> None:
    crops = make_crops(1)
    wait = "synchronize" if sys.modules.get("pycuda") else "cuStreamSynchronize"
    with device.open(bundle) as session:
        session.infer(crops)
        device.machine.fail_at = (wait, device.machine.calls[wait] + 1)
        with pytest.raises(InferenceError, match=rf"The GPU cannot be used, because {wait} failed \("):
            session.infer(crops)
        np.testing.assert_allclose(session.infer(crops)["egfr_members"], expected(crops)["egfr_members"], rtol=1e-4)
    device.check_all_was_given_back()
