"""A graph of ONNX Runtime: loaded on the provider that was asked for and on nothing in its place, and what runs it."""

from __future__ import annotations

import ctypes
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from engines._onnxruntime import QUIET, Place, find_place, first_line
from engines.bundle import Bundle
from engines.errors import BundleError, RuntimeUnavailableError
from engines.guard import misuse
from engines.manifest import Artifact
from engines.providers import CPU, TENSORRT, Chain, Provider, chain, engine_cache, is_cached
from engines.tensors import TensorSpec

# A graph of one node, y = -x: what a provider is asked to load when it is only to be seen whether it can.
_SMALLEST = bytes.fromhex(
    "08083a320a0b0a017812017922034e65671201675a0f0a0178120a0a08080112040a020801620f0a0179120a0a08080112040a02080142040a00100d"
)
_GPU_FAULTS = ("CUDA", "CUDNN", "CUBLAS", "TensorRT", "BFCArena")
_WHERE = {CPU.name: "on the CPU"}
_DTYPES = {"tensor(uint8)": "uint8", "tensor(float)": "float32"}


class _Node(Protocol):
    name: str
    type: str
    shape: list[int | str | None]


class _Part(Protocol):
    ep_name: str

    def get_nodes(self) -> list[object]: ...


class _Options(Protocol):
    def add_session_config_entry(self, name: str, value: str) -> None: ...


class Native(Protocol):
    """What ONNX Runtime makes of a graph."""

    def get_provider_graph_assignment_info(self) -> list[_Part]: ...
    def get_inputs(self) -> list[_Node]: ...
    def get_outputs(self) -> list[_Node]: ...
    def run(
        self, names: list[str], feed: dict[str, NDArray[np.uint8]], options: object | None
    ) -> list[NDArray[np.float32]]: ...


def probe(provider: Provider) -> str:
    """Return in a few words what would run sessions: library, provider and GPU.

    On a GPU the provider is really loaded, with a graph of one node: that a wheel lists it says nothing of whether its
    libraries and the driver are there, and what cannot be loaded is replaced by the CPU without an error.

    Raises
    ------
    ProviderAbsentError
        This ONNX Runtime has no such provider.
    RuntimeUnavailableError
        ONNX Runtime, the provider's libraries or the driver are missing or broken.
    """
    place = find_place(provider)
    if place.gpu is None:
        return f"ONNX Runtime {place.version}, {provider.name}"
    try:
        native = _create(place, provider, _SMALLEST, _options(place, 1), chain(provider))
    except place.errors as error:
        raise _broken(provider, _missing(place.library, provider) or first_line(error)) from error
    del native
    return f"ONNX Runtime {place.version}, {provider.name} on {place.gpu.name}"


def builds_first(provider: Provider, artifacts: Iterable[Artifact]) -> bool:
    """Tell whether entering a session would build engines, which takes minutes."""
    if provider is not TENSORRT:
        return False
    place = find_place(provider)
    return not all(is_cached(_cache(place, artifact)) for artifact in artifacts)


def load(place: Place, provider: Provider, bundle: Bundle, artifact: Artifact, threads: int) -> Native:
    """Load an artifact.

    Raises
    ------
    RuntimeUnavailableError
        The provider or the GPU cannot be used.
    BundleError
        The artifact cannot be loaded.
    """
    options = _options(place, threads)
    if artifact.family == "tensorrt":  # run as written: its biases overflow half where they are made integers here
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    asked = chain(provider, _make_cache(_cache(place, artifact)) if provider is TENSORRT else None)
    try:
        return _create(place, provider, bundle.read(artifact.file), options, asked)
    except place.errors as error:
        raise _refusal(place, provider, artifact, first_line(error)) from error


def declared(native: Native) -> tuple[list[TensorSpec], list[TensorSpec]]:
    """Return what a graph declares to take and to give."""
    return [_spec(node) for node in native.get_inputs()], [_spec(node) for node in native.get_outputs()]


def _spec(node: _Node) -> TensorSpec:
    """Return what a graph declares; a symbolic length is None."""
    shape = tuple(length if isinstance(length, int) else None for length in node.shape)
    return TensorSpec(node.name, _DTYPES.get(node.type, node.type), shape)


def placement(place: Place, provider: Provider, natives: tuple[Native, ...]) -> str:
    """Return what runs the nodes: those without a kernel for the GPU are run by the CPU, which must not go unsaid."""
    if place.gpu is None:
        return f"{provider.name} {place.version}"
    placed = _placed(natives)
    if placed and provider.name not in placed:
        raise _broken(provider, "it takes none of the graph's nodes")
    others = (f", {count} {_WHERE.get(name, name)}" for name, count in sorted(placed.items()) if name != provider.name)
    nodes = f"{placed[provider.name]} nodes{''.join(others)}" if placed else "nodes not told"
    return f"{place.gpu.name} by {provider.name} ({nodes}), ONNX Runtime {place.version}"


def _options(place: Place, threads: int) -> _Options:
    options = place.library.SessionOptions()
    options.log_severity_level = QUIET
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1  # the graph is a chain: nothing runs side by side
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # leave the cores to the screen
    if place.gpu is not None:  # session.disable_cpu_ep_fallback would refuse trees, which have no CUDA: they are told
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    return cast("_Options", options)


def _create(place: Place, provider: Provider, raw: bytes, options: _Options, asked: Chain) -> Native:
    """Load a graph on the provider and on nothing in its place; raises the library's errors and the sentence."""
    native = place.library.InferenceSession(raw, options, providers=asked, enable_fallback=0)
    native.disable_fallback()  # nor later, where a run fails
    # It keeps the file for a second try on other providers, which is never made: 181 MB of a full-size member.
    native._model_bytes = None  # noqa: SLF001 - there is no public way
    if provider.name not in native.get_providers():  # left out without an error
        raise _broken(provider, _missing(place.library, provider) or "it was left out without a reason")
    return cast("Native", native)


def _placed(natives: tuple[Native, ...]) -> Counter[str]:
    """Count nodes by execution provider; empty where the library is too old to tell."""
    placed: Counter[str] = Counter()
    for native in natives:
        if hasattr(native, "get_provider_graph_assignment_info"):
            for part in native.get_provider_graph_assignment_info():
                placed[part.ep_name] += len(part.get_nodes())
    return placed


def _cache(place: Place, artifact: Artifact) -> Path:
    if place.gpu is None:
        raise misuse("engines are built for a GPU, and there is none", "choose another provider")
    return engine_cache(artifact, place.version, place.gpu)


def _make_cache(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise RuntimeUnavailableError(
            "The engines of ONNX Runtime cannot be kept",
            f"{folder} cannot be made ({error.strerror})",
            "make room there or set ECHOGFR_ENGINES to another folder",
        ) from error
    return folder


def _refusal(place: Place, provider: Provider, artifact: Artifact, said: str) -> BundleError | RuntimeUnavailableError:
    missing = _missing(place.library, provider) if provider.on_gpu else None
    if missing:
        return _broken(provider, missing)
    if provider.on_gpu and any(part in said for part in _GPU_FAULTS):  # the file may be as good as any
        return RuntimeUnavailableError(
            "The GPU cannot be used",
            f"ONNX Runtime {place.version} says: {said}",
            "close other programs that use the GPU, or choose the runtime onnxruntime",
        )
    return BundleError(
        f"The artifact {artifact.file} cannot be loaded",
        f"ONNX Runtime {place.version} says: {said}",
        "convert the model again or choose another precision",
    )


def _missing(library: ModuleType, provider: Provider) -> str | None:
    """Return which library a provider lacks, which ONNX Runtime writes to its log alone; None: it lacks none.

    Only to be asked after ONNX Runtime tried to load it: it has to be the first.
    """
    file = Path(str(library.__file__)).parent / "capi" / f"lib{provider.stem}.so"
    if not file.is_file():  # some builds have the provider inside
        return None
    try:
        ctypes.CDLL(str(file))
    except OSError as error:
        cause = error.__cause__  # in a frozen app, ctypes says only that something failed, and keeps what
        return first_line(cause if isinstance(cause, OSError) else error)
    return None


def _broken(provider: Provider, why: str) -> RuntimeUnavailableError:
    because = f"the {provider.title} provider of ONNX Runtime cannot be loaded ({why})"
    return RuntimeUnavailableError("The model cannot be run", because, provider.repair)
