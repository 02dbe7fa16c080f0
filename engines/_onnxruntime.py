"""The one door to ONNX Runtime: a session on the CPU of any machine, or on an NVIDIA GPU.

The library is imported when a session is entered or the runtime is probed, never before, so that the
program starts without it. Its telemetry is switched off before that, always.
"""

from __future__ import annotations

import ctypes
import importlib
import io
import os
import threading
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from engines._tensorrt import load_library as load_tensorrt
from engines.bundle import Bundle
from engines.cpu import read_cpu
from engines.errors import BundleError, InferenceError, RuntimeUnavailableError
from engines.gpu import Gpu, NoGpuError, read_gpu
from engines.manifest import Artifact
from engines.members import join, members_of, session_info
from engines.providers import CPU, TENSORRT, Chain, Provider, chain, engine_cache, is_cached
from engines.session import Outputs, SessionInfo
from engines.tensors import (
    TensorSpec,
    check_finite,
    check_input,
    declaration_defects,
    input_spec,
    matches,
    output_specs,
)

# Forced, not a default: the wheels send telemetry unless this is set when the library is loaded, and
# disable_telemetry_events() comes too late to keep its files off the disk.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

NAME = CPU.runtime
PROVIDER = CPU.name
CURE = "install it with: pip install onnxruntime"
FIRST_RUN_S = 60.0  # ten full-size members take five on two slow cores
_QUIET = 4  # not even errors: they come back as exceptions with a sentence anyway
_DRIVER_CURE = "install the NVIDIA driver or choose another runtime"
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


class _Native(Protocol):
    def get_provider_graph_assignment_info(self) -> list[_Part]: ...
    def get_inputs(self) -> list[_Node]: ...
    def get_outputs(self) -> list[_Node]: ...
    def run(
        self, names: list[str], feed: dict[str, NDArray[np.uint8]], options: object | None
    ) -> list[NDArray[np.float32]]: ...


class ProviderAbsentError(RuntimeUnavailableError):
    """The ONNX Runtime that is here was built without this provider."""


@dataclass(frozen=True, slots=True)
class _Place:
    """What the artifacts of a session are loaded by and on."""

    library: ModuleType
    version: str
    errors: tuple[type[Exception], ...]
    gpu: Gpu | None


@dataclass(frozen=True, slots=True)
class _Open:
    """What exists between enter and exit."""

    natives: tuple[_Native, ...]  # one an artifact
    thread: int
    errors: tuple[type[Exception], ...]
    provider: str


def load_library() -> ModuleType:
    """Import ONNX Runtime, quietly and without telemetry.

    Raises
    ------
    ImportError
        It is absent (``ModuleNotFoundError``) or broken.
    OSError
        One of its own libraries cannot be loaded.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    library = importlib.import_module("onnxruntime")
    library.set_default_logger_severity(_QUIET)
    return library


def default_threads() -> int:
    """Return the threads for one inference: all physical cores but one, which paints the screen."""
    return max(1, read_cpu().cores - 1)


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
    place = _find_place(provider)
    if place.gpu is None:
        return f"ONNX Runtime {place.version}, {provider.name}"
    try:
        native = _create(place, provider, _SMALLEST, _options(place, 1), chain(provider))
    except place.errors as error:
        raise _broken(provider, _missing(place.library, provider) or _first_line(error)) from error
    del native
    return f"ONNX Runtime {place.version}, {provider.name} on {place.gpu.name}"


def builds_first(provider: Provider, artifacts: Iterable[Artifact]) -> bool:
    """Tell whether entering a session would build engines, which takes minutes."""
    if provider is not TENSORRT:
        return False
    place = _find_place(provider)
    return not all(is_cached(_cache(place, artifact)) for artifact in artifacts)


class OnnxSession:
    """A session of ONNX Runtime, bound to the thread that enters it.

    Parameters
    ----------
    bundle : Bundle
        Verified; its manifest says what goes in and comes out.
    artifacts : Artifact or tuple of Artifact
        Which of its ONNX files to run, at one precision. Members that were left as separate artifacts are all run,
        in the order given, and answer as one model; a single one of them answers as a model of one member.
    threads : int or None
        Threads of one inference; None: all physical cores but one, or a single one where a GPU does the work.
    provider : Provider
        What it runs on. Nothing else takes its place: where it cannot be loaded, entering fails.
    """

    def __init__(
        self,
        bundle: Bundle,
        artifacts: Artifact | tuple[Artifact, ...],
        threads: int | None = None,
        provider: Provider = CPU,
    ) -> None:
        self._bundle = bundle
        self._artifacts = (artifacts,) if isinstance(artifacts, Artifact) else artifacts
        self._input = input_spec(bundle.manifest)
        self._outputs = output_specs(bundle.manifest, members_of(bundle.manifest, self._artifacts[:1]))  # of each
        self._threads = threads if threads is not None else 1 if provider.on_gpu else default_threads()
        self._provider = provider
        self._run_options: object | None = None  # of the first run, which may be ended from outside
        self._version = ""
        self._open: _Open | None = None

    @property
    def info(self) -> SessionInfo:
        """What produces the numbers; version, GPU and where each node runs are known once the session was entered."""
        told = f"{self._provider.name} {self._version}".strip() if self._open is None else self._open.provider
        return session_info(self._provider.runtime, told, self._artifacts)

    def __enter__(self) -> OnnxSession:
        """Load each artifact, check it against the manifest and run all once.

        Raises
        ------
        RuntimeUnavailableError
            ONNX Runtime or the provider is absent or broken.
        BundleError
            An artifact is not what its manifest says, or cannot be loaded.
        InferenceError
            The session is already entered, or the first run fails.
        """
        if self._open is not None:
            raise _misuse("it is already entered", "enter it once")
        place = _find_place(self._provider)
        self._version = place.version
        natives = tuple(self._load(place, artifact) for artifact in self._artifacts)
        told = _told(place, self._provider, natives)
        self._open = _Open(natives, threading.get_ident(), place.errors, told)
        try:
            with self._bounded(place.library):
                for crops in self._provider.warm:
                    self.infer(self._blank(crops))
        except InferenceError:
            self._open = None
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the artifacts; on the thread that entered."""
        self._opened()
        self._open = None

    @property
    def members_apart(self) -> int:
        """How many members can be run by themselves: one an artifact, or none (1) where one artifact holds all."""
        return len(self._artifacts)

    def infer(self, crops: NDArray[np.uint8]) -> Outputs:
        """Run ``uint8 (N, H, W, 3)`` RGB crops, N >= 1; see ``engines.session.Session.infer``."""
        opened = self._opened()
        return self._answers(opened, opened.natives, crops)

    def infer_member(self, member: int, crops: NDArray[np.uint8]) -> Outputs:
        """Run one member alone; see ``engines.session.MemberSession.infer_member``."""
        opened = self._opened()
        if len(opened.natives) == 1 or not 0 <= member < len(opened.natives):
            raise _misuse(f"it has no member {member} by itself", "run all of them")
        return self._answers(opened, opened.natives[member : member + 1], crops)

    def _answers(self, opened: _Open, natives: tuple[_Native, ...], crops: NDArray[np.uint8]) -> Outputs:
        check_input(self._input, crops)
        largest = self._provider.largest or len(crops)
        pieces = [self._piece(opened, natives, crops[at : at + largest]) for at in range(0, len(crops), largest)]
        outputs = pieces[0] if len(pieces) == 1 else _stack(pieces)
        for name, array in outputs.items():
            check_finite(name, array, self._provider.runtime)
        return outputs

    def _piece(self, opened: _Open, natives: tuple[_Native, ...], crops: NDArray[np.uint8]) -> Outputs:
        feed = {self._input.name: np.ascontiguousarray(crops)}
        parts = [self._run(native, opened.errors, feed) for native in natives]
        return join(self._bundle.manifest, parts)  # new arrays: the caller owns them

    def _run(self, native: _Native, errors: tuple[type[Exception], ...], feed: dict[str, NDArray[np.uint8]]) -> Outputs:
        try:
            arrays = native.run([spec.name for spec in self._outputs], feed, self._run_options)
        except errors as error:
            because, cure = _first_line(error), "restart the program and run the self-test"
            if "terminate flag" in str(error):
                because, cure = (
                    f"its first run did not end within {FIRST_RUN_S:g} s",
                    "ask for another copy of the bundle",
                )
            raise InferenceError("The model could not be run", because, cure) from error
        for spec, array in zip(self._outputs, arrays, strict=True):
            if not matches(spec, array.dtype.name, array.shape):
                raise InferenceError(
                    "The model gave no usable answer",
                    f"'{spec.name}' is {array.dtype.name} {array.shape} instead of {spec}",
                    "convert the model again",
                )
        return {spec.name: array for spec, array in zip(self._outputs, arrays, strict=True)}

    @contextmanager
    def _bounded(self, library: ModuleType) -> Iterator[None]:
        """End a first run that does not end by itself: a graph may hold a loop. Building an engine takes its time."""
        options = None if self._provider is TENSORRT else library.RunOptions()
        self._run_options = options
        watch = threading.Timer(FIRST_RUN_S, setattr, (options, "terminate", True))
        if options is not None:
            watch.start()
        try:
            yield
        finally:
            watch.cancel()
            self._run_options = None

    def _opened(self) -> _Open:
        if self._open is None:
            raise _misuse("it is not entered", "use it inside its with block")
        if self._open.thread != threading.get_ident():
            raise _misuse("it belongs to the thread that entered it", "infer and exit on that thread")
        return self._open

    def _blank(self, crops: int) -> NDArray[np.uint8]:
        return np.zeros([crops if length is None else length for length in self._input.shape], np.uint8)

    def _load(self, place: _Place, artifact: Artifact) -> _Native:
        options = _options(place, self._threads)
        if artifact.family == "tensorrt":  # run as written: its biases overflow half where they are made integers here
            options.add_session_config_entry("session.disable_quant_qdq", "1")
        asked = chain(self._provider, _make_cache(_cache(place, artifact)) if self._provider is TENSORRT else None)
        try:
            native = _create(place, self._provider, self._bundle.read(artifact.file), options, asked)
        except place.errors as error:
            raise self._refusal(place, artifact, _first_line(error)) from error
        nodes = ([_declared(node) for node in found] for found in (native.get_inputs(), native.get_outputs()))
        defects = declaration_defects(self._input, self._outputs, *nodes)
        if defects:
            raise BundleError(
                f"The artifact {artifact.file} is not what its manifest says", "; ".join(defects), "convert again"
            )
        return native

    def _refusal(self, place: _Place, artifact: Artifact, said: str) -> BundleError | RuntimeUnavailableError:
        missing = _missing(place.library, self._provider) if self._provider.on_gpu else None
        if missing:
            return _broken(self._provider, missing)
        if self._provider.on_gpu and any(part in said for part in _GPU_FAULTS):  # the file may be as good as any
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


def _find_place(provider: Provider) -> _Place:
    """Return what sessions are loaded by and on, or raise one sentence (``RuntimeUnavailableError``)."""
    library = _library_or_sentence()
    version, errors = str(library.__version__), library_errors(library)
    if not provider.on_gpu:
        return _Place(library, version, errors, None)
    if provider.name not in library.get_available_providers():
        because = f"this ONNX Runtime ({version}) has no {provider.title} provider"
        raise ProviderAbsentError("The model cannot be run", because, provider.install)
    try:
        gpu = read_gpu()
    except NoGpuError as error:
        because = f"ONNX Runtime {version} has a {provider.title} provider, but {error}"
        raise RuntimeUnavailableError("The model cannot be run", because, _DRIVER_CURE) from error
    _prepare(library, provider)
    return _Place(library, version, errors, gpu)


def _prepare(library: ModuleType, provider: Provider) -> None:
    """Load the libraries of CUDA and TensorRT that pip installed, which lie where the system does not look; quietly.

    What is missing shows when the provider is loaded.
    """
    os.environ["NVIDIA_TF32_OVERRIDE"] = "0"  # TensorRT in there has no option for it
    if hasattr(library, "preload_dlls"):  # from 1.21
        with redirect_stdout(io.StringIO()), warnings.catch_warnings():  # it prints
            warnings.simplefilter("ignore")
            library.preload_dlls()
    if provider is TENSORRT:
        with suppress(ImportError, OSError, RuntimeError):
            load_tensorrt("tensorrt")


def _options(place: _Place, threads: int) -> _Options:
    options = place.library.SessionOptions()
    options.log_severity_level = _QUIET
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1  # the graph is a chain: nothing runs side by side
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # leave the cores to the screen
    if place.gpu is not None:  # session.disable_cpu_ep_fallback would refuse trees, which have no CUDA: they are told
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    return cast("_Options", options)


def _create(place: _Place, provider: Provider, raw: bytes, options: _Options, asked: Chain) -> _Native:
    """Load a graph on the provider and on nothing in its place; raises the library's errors and the sentence."""
    native = place.library.InferenceSession(raw, options, providers=asked, enable_fallback=0)
    native.disable_fallback()  # nor later, where a run fails
    # It keeps the file for a second try on other providers, which is never made: 181 MB of a full-size member.
    native._model_bytes = None  # noqa: SLF001 - there is no public way
    if provider.name not in native.get_providers():  # left out without an error
        raise _broken(provider, _missing(place.library, provider) or "it was left out without a reason")
    return cast("_Native", native)


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
        return _first_line(cause if isinstance(cause, OSError) else error)
    return None


def _broken(provider: Provider, why: str) -> RuntimeUnavailableError:
    because = f"the {provider.title} provider of ONNX Runtime cannot be loaded ({why})"
    return RuntimeUnavailableError("The model cannot be run", because, provider.repair)


def _told(place: _Place, provider: Provider, natives: tuple[_Native, ...]) -> str:
    """Return what runs the nodes: those without a kernel for the GPU are run by the CPU, which must not go unsaid."""
    if place.gpu is None:
        return f"{provider.name} {place.version}"
    placed = _placed(natives)
    if placed and provider.name not in placed:
        raise _broken(provider, "it takes none of the graph's nodes")
    others = (f", {count} {_WHERE.get(name, name)}" for name, count in sorted(placed.items()) if name != provider.name)
    nodes = f"{placed[provider.name]} nodes{''.join(others)}" if placed else "nodes not told"
    return f"{place.gpu.name} by {provider.name} ({nodes}), ONNX Runtime {place.version}"


def _placed(natives: tuple[_Native, ...]) -> Counter[str]:
    """Count nodes by execution provider; empty where the library is too old to tell."""
    placed: Counter[str] = Counter()
    for native in natives:
        if hasattr(native, "get_provider_graph_assignment_info"):
            for part in native.get_provider_graph_assignment_info():
                placed[part.ep_name] += len(part.get_nodes())
    return placed


def _cache(place: _Place, artifact: Artifact) -> Path:
    if place.gpu is None:
        raise _misuse("engines are built for a GPU, and there is none", "choose another provider")
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


def _stack(pieces: list[Outputs]) -> Outputs:
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}


def _declared(node: _Node) -> TensorSpec:
    """Return what a graph declares; a symbolic length is None."""
    shape = tuple(length if isinstance(length, int) else None for length in node.shape)
    return TensorSpec(node.name, _DTYPES.get(node.type, node.type), shape)


def _library_or_sentence() -> ModuleType:
    try:
        return load_library()
    except (ImportError, OSError) as error:
        raise RuntimeUnavailableError(
            "The model cannot be run", f"ONNX Runtime cannot be loaded ({_first_line(error)})", CURE
        ) from error


def library_errors(library: ModuleType) -> tuple[type[Exception], ...]:
    """Return the exceptions of the library, which share no base of their own."""
    state = importlib.import_module(f"{library.__name__}.capi.onnxruntime_pybind11_state")
    found = [item for item in vars(state).values() if isinstance(item, type) and issubclass(item, Exception)]
    return (*found, RuntimeError, ValueError)


def _misuse(because: str, cure: str) -> InferenceError:
    return InferenceError("The session cannot be used", because, cure)


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
