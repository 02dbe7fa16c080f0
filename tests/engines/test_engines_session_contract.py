"""What every session promises, whatever library is behind it; a new runtime joins by one line below.

All of it holds for a model whose members are fused and for one whose members were left as separate artifacts.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from engines._onnxruntime_session import OnnxSession
from engines.bundle import Bundle
from engines.errors import BundleError, InferenceError, TensorMismatchError
from engines.libraries import RuntimeName
from engines.providers import CUDA, TENSORRT, Provider
from engines.session import Session
from engines.store import STORE_VARIABLE

from .device import Layer, install
from .device_onnxruntime import install_providers
from .hardware import on_hardware
from .triton_makers import LoopbackServer, serve, session_on

Opener = Callable[[Bundle], Session]


def open_onnxruntime(bundle: Bundle) -> Session:
    return OnnxSession(bundle, bundle.artifacts("fp32", "cpu"), threads=1)


def open_provider(provider: Provider, bundle: Bundle) -> Session:
    return OnnxSession(bundle, bundle.artifacts("fp32", "tensorrt"), provider=provider)


def open_triton(bundle: Bundle) -> Session:
    """On a server that starts with the first of these tests and serves the bundle of each."""
    server = SERVERS[0]
    serve(bundle, server.repository)
    return session_on(server, bundle)


OPENERS: dict[str, Opener] = {"onnxruntime": open_onnxruntime, "triton": open_triton}
DEVICES: dict[str, tuple[Layer, RuntimeName]] = {  # the same session on a GPU of host memory
    "tensorrt by pycuda": ("pycuda", "tensorrt"),
    "tensorrt by cuda-python": ("cuda-python", "tensorrt"),
    "tensorrt-rtx by cuda-python": ("cuda-python", "tensorrt-rtx"),
}
GPU_PROVIDERS = {"onnxruntime-cuda by the CPU": CUDA, "onnxruntime-tensorrt by the CPU": TENSORRT}
HARDWARE = ("tensorrt", "tensorrt-rtx", "onnxruntime-cuda", "onnxruntime-tensorrt")
LAYOUTS: dict[str, tuple[tuple[str, str], ...]] = {"fused": (), "apart": (("fp32", "any"),)}
SERVERS: list[LoopbackServer] = []


@pytest.fixture(scope="module")
def triton_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with LoopbackServer(tmp_path_factory.mktemp("served") / "repository") as server:
        SERVERS[:] = [server]
        yield
        SERVERS.clear()


@pytest.fixture(
    params=[
        *OPENERS,
        *DEVICES,
        *GPU_PROVIDERS,
        *(pytest.param(f"{name} on hardware", marks=pytest.mark.gpu) for name in HARDWARE),
    ]
)
def opener(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Opener]:
    name = request.param
    if name == "triton":
        request.getfixturevalue("triton_server")
    if name in OPENERS:
        yield OPENERS[name]
    elif name in DEVICES:
        device = install(monkeypatch, tmp_path, *DEVICES[name])
        yield device.open
        device.check_all_was_given_back()
    elif name in GPU_PROVIDERS:
        install_providers(monkeypatch)
        monkeypatch.setenv(STORE_VARIABLE, str(tmp_path / "engines"))
        yield partial(open_provider, GPU_PROVIDERS[name])
    else:
        yield on_hardware(name.split()[0], tmp_path, monkeypatch)


@pytest.fixture(params=sorted(LAYOUTS))
def make_laid_out(request: pytest.FixtureRequest, make_bundle: Callable[..., Bundle]) -> Callable[..., Bundle]:
    return partial(make_bundle, apart=LAYOUTS[request.param])


@pytest.fixture
def bundle(make_laid_out: Callable[..., Bundle]) -> Bundle:
    return make_laid_out()


@pytest.fixture
def session(opener: Opener, bundle: Bundle) -> Session:
    return opener(bundle)


def in_another_thread(act: Callable[[], object]) -> BaseException | None:
    caught: list[BaseException] = []

    def guarded() -> None:
        try:
            act()
        except InferenceError as error:
            caught.append(error)

    thread = threading.Thread(target=guarded)
    thread.start()
    thread.join()
    return caught[0] if caught else None


def test_it_is_a_session(session: Session, bundle: Bundle) -> None:
    assert isinstance(session, Session)
    with session:
        info = session.info
    assert info.precision == "fp32"
    assert info.artifact.startswith(bundle.manifest.artifacts[0].file)
    assert len(info.artifact_sha256) == 64
    assert info.provider.split()[-1][0].isdigit()


@pytest.mark.parametrize("count", [1, 2, 7])
def test_the_answers_are_those_worked_out_by_hand(session: Session, count: int, make_crops, expected) -> None:
    crops = make_crops(count, seed=3)
    with session:
        outputs = session.infer(crops)
    for name, wanted in expected(crops).items():
        assert outputs[name].dtype == np.float32
        np.testing.assert_allclose(outputs[name], wanted, rtol=1e-4, atol=1e-3)


def test_crops_that_are_read_only_or_strided_are_read_alike(session: Session, make_crops) -> None:
    crops = make_crops(4)
    crops.flags.writeable = False
    with session:
        np.testing.assert_array_equal(
            session.infer(crops[::2])["egfr_members"], session.infer(crops[::2].copy())["egfr_members"]
        )


def test_the_caller_owns_the_outputs(session: Session, make_crops) -> None:
    crops = make_crops(2)
    with session:
        first = session.infer(crops)
        kept = {name: array.copy() for name, array in first.items()}
        second = session.infer(255 - np.clip(crops, 10, 255))
        for name in first:
            np.testing.assert_array_equal(first[name], kept[name])
            assert first[name].flags.writeable
            assert not np.shares_memory(first[name], second[name])
    first["egfr_members"][:] = 0.0


@pytest.mark.parametrize(
    ("crops", "told"),
    [
        (np.zeros((1, 64, 64, 3), np.float32), "is float32"),
        (np.zeros((1, 32, 64, 3), np.uint8), r"\(1, 32, 64, 3\)"),
        (np.zeros((64, 64, 3), np.uint8), r"\(64, 64, 3\)"),
        (np.zeros((1, 3, 64, 64), np.uint8), r"\(1, 3, 64, 64\)"),
        (np.zeros((0, 64, 64, 3), np.uint8), "holds no crop"),
        ([[0]], "is a list"),
    ],
    ids=["dtype", "height", "no batch", "planes", "empty", "no array"],
)
def test_a_wrong_array_is_explained(session: Session, crops, told: str) -> None:
    with session, pytest.raises(TensorMismatchError, match=told):
        session.infer(crops)


def test_infer_before_enter_and_after_exit_is_refused(session: Session, make_crops) -> None:
    with pytest.raises(InferenceError, match="not entered"):
        session.infer(make_crops(1))
    with session:
        session.infer(make_crops(1))
    with pytest.raises(InferenceError, match="not entered"):
        session.infer(make_crops(1))


def test_entering_twice_is_refused(session: Session) -> None:
    with session, pytest.raises(InferenceError, match="already entered"):
        session.__enter__()


def test_another_thread_may_neither_infer_nor_exit(session: Session, make_crops) -> None:
    with session:
        for act in (lambda: session.infer(make_crops(1)), lambda: session.__exit__(None, None, None)):
            error = in_another_thread(act)
            assert error is not None and "belongs to the thread that entered it" in str(error)
        assert session.infer(make_crops(1))["egfr_members"].shape == (1, 3)


def test_nan_never_leaves_a_session(session: Session, make_crops) -> None:
    good = make_crops(1)
    white = np.full_like(good, 255)
    with session:
        with pytest.raises(InferenceError, match=r"3 of 6 values of 'egfr_members' from [\w-]+ are not finite"):
            session.infer(np.concatenate([good, white]))
        assert np.isfinite(session.infer(good)["egfr_members"]).all()


@pytest.mark.parametrize(
    ("plan", "told"),
    [
        ({"side": 32}, r"the input 'crops' is uint8 \(N, 32, 32, 3\) instead of uint8 \(N, 64, 64, 3\)"),
        ({"batch": 1}, r"the input 'crops' is uint8 \(1, 64, 64, 3\)"),
        ({"names": {"egfr_map": "cam"}}, "there is no output 'egfr_map"),
    ],
    ids=["size", "fixed batch", "missing output"],
)
def test_a_graph_that_is_not_what_the_manifest_says_is_refused(
    opener: Opener, make_laid_out, plan, told: str, make_crops, request: pytest.FixtureRequest
) -> None:
    _not_on_hardware(request)
    bundle = make_laid_out(graphs={("fp32", "any"): plan})
    session = opener(bundle)
    with pytest.raises(BundleError, match=told), session:
        pytest.fail("it was entered")
    with pytest.raises(InferenceError, match="not entered"):
        session.infer(make_crops(1))


def test_a_torn_graph_is_refused_in_one_sentence(
    opener: Opener, bundle: Bundle, request: pytest.FixtureRequest
) -> None:
    _not_on_hardware(request)
    *whole, artifact = bundle.manifest.artifacts  # of several members the last
    path = bundle.path / artifact.file
    torn = path.read_bytes()[:200]
    path.write_bytes(torn)
    listed = artifact.model_copy(update={"sha256": hashlib.sha256(torn).hexdigest(), "size_bytes": len(torn)})
    bundle = replace(bundle, manifest=bundle.manifest.model_copy(update={"artifacts": (*whole, listed)}))
    with (
        pytest.raises(BundleError, match=r"The (artifact|model|engine of) \S+ cannot be loaded") as caught,
        opener(bundle),
    ):
        pytest.fail("it was entered")
    assert "\n" not in caught.value.sentence


def _not_on_hardware(request: pytest.FixtureRequest) -> None:
    """Skip where an engine is built before there is a session; ONNX Runtime's providers are given the graph itself."""
    if "on hardware" in request.node.name and "onnxruntime" not in request.node.name:
        pytest.skip("the builder refuses such a graph before there is an engine to be opened")
