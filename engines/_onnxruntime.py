"""The one door to ONNX Runtime: a session on the CPU of any machine.

The library is imported when a session is entered or the runtime is probed, never before, so that the
program starts without it. Its telemetry is switched off before that, always.
"""

from __future__ import annotations

import importlib
import os
import threading
from dataclasses import dataclass
from types import ModuleType, TracebackType
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from engines.bundle import Bundle
from engines.cpu import read_cpu
from engines.errors import BundleError, InferenceError, RuntimeUnavailableError
from engines.manifest import Artifact
from engines.members import join, members_of, session_info
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

NAME = "onnxruntime"
PROVIDER = "CPUExecutionProvider"
CURE = "install it with: pip install onnxruntime"
_QUIET = 3  # errors only; they come back as exceptions with a sentence anyway
_DTYPES = {"tensor(uint8)": "uint8", "tensor(float)": "float32"}


class _Node(Protocol):
    name: str
    type: str
    shape: list[int | str | None]


class _Native(Protocol):
    def get_inputs(self) -> list[_Node]: ...
    def get_outputs(self) -> list[_Node]: ...
    def run(self, names: list[str], feed: dict[str, NDArray[np.uint8]]) -> list[NDArray[np.float32]]: ...


@dataclass(frozen=True, slots=True)
class _Open:
    """What exists between enter and exit."""

    natives: tuple[_Native, ...]  # one an artifact
    thread: int
    errors: tuple[type[Exception], ...]


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


class OnnxSession:
    """A session of ONNX Runtime on the CPU, bound to the thread that enters it.

    Parameters
    ----------
    bundle : Bundle
        Verified; its manifest says what goes in and comes out.
    artifacts : Artifact or tuple of Artifact
        Which of its ONNX files to run, at one precision. Members that were left as separate artifacts are all run,
        in the order given, and answer as one model; a single one of them answers as a model of one member.
    threads : int or None
        Threads of one inference; None: all physical cores but one.
    """

    def __init__(self, bundle: Bundle, artifacts: Artifact | tuple[Artifact, ...], threads: int | None = None) -> None:
        self._bundle = bundle
        self._artifacts = (artifacts,) if isinstance(artifacts, Artifact) else artifacts
        self._input = input_spec(bundle.manifest)
        self._outputs = output_specs(bundle.manifest, members_of(bundle.manifest, self._artifacts[:1]))  # of each
        self._threads = threads if threads is not None else default_threads()
        self._version = ""
        self._open: _Open | None = None

    @property
    def info(self) -> SessionInfo:
        """What produces the numbers; the version is known once the session was entered."""
        provider = f"{PROVIDER} {self._version}".strip()
        return session_info(NAME, provider, self._artifacts)

    def __enter__(self) -> OnnxSession:
        """Load each artifact, check it against the manifest and run all once.

        Raises
        ------
        RuntimeUnavailableError
            ONNX Runtime is absent or broken.
        BundleError
            An artifact is not what its manifest says, or cannot be loaded.
        InferenceError
            The session is already entered, or the first run fails.
        """
        if self._open is not None:
            raise _misuse("it is already entered", "enter it once")
        library = _library_or_sentence()
        self._version = str(library.__version__)
        errors = library_errors(library)
        natives = tuple(self._load(library, errors, artifact) for artifact in self._artifacts)
        self._open = _Open(natives, threading.get_ident(), errors)
        try:
            self.infer(self._blank())
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
        feed = {self._input.name: np.ascontiguousarray(crops)}
        parts = [self._run(native, opened.errors, feed) for native in natives]
        outputs = join(self._bundle.manifest, parts)  # new arrays: the caller owns them
        for name, array in outputs.items():
            check_finite(name, array, NAME)
        return outputs

    def _run(self, native: _Native, errors: tuple[type[Exception], ...], feed: dict[str, NDArray[np.uint8]]) -> Outputs:
        try:
            arrays = native.run([spec.name for spec in self._outputs], feed)
        except errors as error:
            raise InferenceError(
                "The model could not be run", _first_line(error), "restart the program and run the self-test"
            ) from error
        for spec, array in zip(self._outputs, arrays, strict=True):
            if not matches(spec, array.dtype.name, array.shape):
                raise InferenceError(
                    "The model gave no usable answer",
                    f"'{spec.name}' is {array.dtype.name} {array.shape} instead of {spec}",
                    "convert the model again",
                )
        return {spec.name: array for spec, array in zip(self._outputs, arrays, strict=True)}

    def _opened(self) -> _Open:
        if self._open is None:
            raise _misuse("it is not entered", "use it inside its with block")
        if self._open.thread != threading.get_ident():
            raise _misuse("it belongs to the thread that entered it", "infer and exit on that thread")
        return self._open

    def _blank(self) -> NDArray[np.uint8]:
        return np.zeros([1 if length is None else length for length in self._input.shape], np.uint8)

    def _load(self, library: ModuleType, errors: tuple[type[Exception], ...], artifact: Artifact) -> _Native:
        options = library.SessionOptions()
        options.log_severity_level = _QUIET
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1  # the graph is a chain: nothing runs side by side
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # leave the cores to the screen
        if artifact.family == "tensorrt":  # run as written: its biases overflow half where they are made integers here
            options.add_session_config_entry("session.disable_quant_qdq", "1")
        try:
            native = library.InferenceSession(self._bundle.read(artifact.file), options, providers=[PROVIDER])
        except errors as error:
            raise BundleError(
                f"The artifact {artifact.file} cannot be loaded",
                f"ONNX Runtime {self._version} says: {_first_line(error)}",
                "convert the model again or choose another precision",
            ) from error
        # It keeps the file for a second try on other providers, which is never made: 181 MB of a full-size member.
        native._model_bytes = None  # noqa: SLF001 - there is no public way
        nodes = ([_declared(node) for node in found] for found in (native.get_inputs(), native.get_outputs()))
        defects = declaration_defects(self._input, self._outputs, *nodes)
        if defects:
            raise BundleError(
                f"The artifact {artifact.file} is not what its manifest says", "; ".join(defects), "convert again"
            )
        return cast("_Native", native)


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
