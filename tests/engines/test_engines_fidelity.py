"""The shipped bundle on a real GPU: its golden vectors at every precision, beside the same artifact on the CPU."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from engines import selftest
from engines._onnxruntime_session import OnnxSession
from engines.bundle import Bundle, load_golden, open_bundle
from engines.gpu import DRIVER_LIBRARY
from engines.manifest import Precision
from engines.providers import CPU, CUDA, Provider
from engines.session import Outputs
from engines.store import STORE_VARIABLE

from .hardware import PROVIDERS, skip_where_unusable

pytestmark = pytest.mark.gpu

SHIPPED = Path(__file__).resolve().parents[2] / "edge_app" / "bundles" / "synthetic-standin"
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8")
FP32_EGFR = 0.02  # mL/min/1.73 m2 between CPU and GPU: what another order of sums may do, and TF32 may not
SLACK = 64 << 20
SILENCE_S = 2.0  # a worker that says nothing for so long is ended by the window
START = """
import sys, threading, time
from engines.bundle import open_bundle
from engines.runtimes import select
gaps, done = [0.0], threading.Event()
def tick():
    last = time.perf_counter()
    while not done.wait(0.01):
        now = time.perf_counter()
        gaps.append(now - last)
        last = now
thread = threading.Thread(target=tick)
thread.start()
started = time.perf_counter()
with select(open_bundle(sys.argv[1]), sys.argv[2]).open() as session:
    ready = time.perf_counter() - started
done.set()
thread.join()
print(max(gaps), ready)
"""


@pytest.fixture(params=sorted(PROVIDERS))
def provider(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Provider:
    skip_where_unusable(request.param)
    monkeypatch.setenv(STORE_VARIABLE, str(tmp_path / "engines"))
    return PROVIDERS[request.param]


@pytest.fixture(scope="module")
def shipped() -> Bundle:
    return open_bundle(SHIPPED)


def on(provider: Provider, bundle: Bundle, precision: Precision) -> OnnxSession:
    return OnnxSession(bundle, bundle.artifacts(precision, "tensorrt"), provider=provider)


def answers(provider: Provider, bundle: Bundle, precision: Precision) -> Outputs:
    with on(provider, bundle, precision) as session:
        return session.infer(load_golden(bundle).crops)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_golden_vectors_pass(provider: Provider, shipped: Bundle, precision: Precision) -> None:
    with on(provider, shipped, precision) as session:
        test, told = selftest.measure(shipped, session), session.info.provider
    print(f"{told}: {test.explain()}")
    assert test.passed, test.explain()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_gpu_answers_as_the_cpu_does_on_the_same_artifact(
    provider: Provider, shipped: Bundle, precision: Precision
) -> None:
    ours, theirs = answers(provider, shipped, precision), answers(CPU, shipped, precision)
    allowed = dict(shipped.manifest.golden.tolerance[precision])
    if precision == "fp32":
        allowed["egfr_members"] = FP32_EGFR
    found = {name: float(np.abs(ours[name] - theirs[name]).max()) for name in allowed}
    print(f"{provider.name} {precision} beside the CPU: {found}")
    assert all(found[name] <= allowed[name] for name in allowed), (found, allowed)


def test_a_crop_is_read_alike_alone_and_among_others(provider: Provider, shipped: Bundle) -> None:
    crops = load_golden(shipped).crops
    with on(provider, shipped, "fp32") as session:
        together = session.infer(crops)["egfr_members"]
        alone = np.concatenate([session.infer(crop[None])["egfr_members"] for crop in crops])
    assert float(np.abs(together - alone).max()) <= FP32_EGFR


def test_two_starts_answer_alike(provider: Provider, shipped: Bundle) -> None:
    first, second = (answers(provider, shipped, "fp16")["egfr_members"] for _ in range(2))
    assert float(np.abs(first - second).max()) <= FP32_EGFR


def test_the_gpu_and_the_place_of_every_node_are_named(provider: Provider, shipped: Bundle) -> None:
    with on(provider, shipped, "fp16") as session:
        told = session.info.provider
    assert re.search(rf"by {provider.name} \(([1-9]\d* nodes|nodes not told)", told), told


def free_bytes() -> int:
    """Ask the driver, in the context that ONNX Runtime leaves behind; a thread without one is an error."""
    driver, context = ctypes.CDLL(DRIVER_LIBRARY), ctypes.c_void_p()
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    assert driver.cuInit(0) == 0 and driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0) == 0
    try:
        assert driver.cuCtxPushCurrent_v2(context) == 0
        assert driver.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total)) == 0
        assert driver.cuCtxPopCurrent_v2(ctypes.byref(context)) == 0
    finally:
        driver.cuDevicePrimaryCtxRelease_v2(0)
    return free.value


def test_entering_again_and_again_does_not_eat_the_gpu(shipped: Bundle) -> None:
    skip_where_unusable(CUDA.runtime)
    found = []
    for _ in range(6):
        answers(CUDA, shipped, "fp16")
        found.append(free_bytes())
    assert found[-1] >= found[1] - SLACK, found


def test_two_sessions_at_once_do_not_disturb_each_other(shipped: Bundle) -> None:
    skip_where_unusable(CUDA.runtime)
    crops, found = load_golden(shipped).crops, {}

    def use(precision: Precision) -> None:
        with on(CUDA, shipped, precision) as session:
            found[precision] = [session.infer(crops)["egfr_members"] for _ in range(10)]

    threads = [threading.Thread(target=use, args=(precision,)) for precision in ("fp32", "fp16")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    golden = load_golden(shipped).outputs["egfr_members"]
    for precision in ("fp32", "fp16"):
        allowed = shipped.manifest.golden.tolerance[precision]["egfr_members"]  # type: ignore[index]
        assert len(found[precision]) == 10
        assert all(float(np.abs(answer - golden).max()) <= allowed for answer in found[precision])


def test_tf32_is_off_for_every_library_of_the_process(shipped: Bundle) -> None:
    skip_where_unusable(CUDA.runtime)
    answers(CUDA, shipped, "fp32")
    assert os.environ["NVIDIA_TF32_OVERRIDE"] == "0"


def test_a_cold_start_does_not_stop_the_other_threads_of_the_worker(shipped: Bundle) -> None:
    """Loading CUDA's libraries takes seconds; the heartbeat has to go on meanwhile."""
    skip_where_unusable(CUDA.runtime)
    command = [sys.executable, "-c", START, str(shipped.path), CUDA.runtime]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True, env=_with_sources())
    longest, ready = map(float, done.stdout.split())
    print(f"ready after {ready:.2f} s, longest silence {longest:.3f} s; stderr: {done.stderr!r}")
    assert longest < SILENCE_S
    assert done.stderr == ""


def _with_sources() -> dict[str, str]:
    root = str(Path(__file__).resolve().parents[2])
    return {**os.environ, "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
