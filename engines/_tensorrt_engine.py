"""One engine in use: loaded, checked against its manifest, with its buffers; part of the door to TensorRT."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from types import ModuleType
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from engines.cuda import Cuda, Graph, Host
from engines.errors import BundleError, InferenceError, RuntimeUnavailableError
from engines.session import Outputs
from engines.tensors import TensorSpec, accepts

_Part = TypeVar("_Part")
_DTYPES = {"UINT8": "uint8", "FLOAT": "float32", "HALF": "float16"}


class _Named(Protocol):
    @property
    def name(self) -> str: ...


class _Context(Protocol):
    """What is used of IExecutionContext."""

    def set_input_shape(self, name: str, shape: Sequence[int]) -> bool: ...

    def get_tensor_shape(self, name: str) -> Sequence[int]: ...

    def set_tensor_address(self, name: str, address: int) -> bool: ...

    def execute_async_v3(self, stream: int) -> bool: ...


class _Engine(Protocol):
    """What is used of ICudaEngine."""

    num_io_tensors: int

    def get_tensor_name(self, at: int) -> str: ...

    def get_tensor_mode(self, name: str) -> _Named: ...

    def get_tensor_dtype(self, name: str) -> _Named: ...

    def get_tensor_shape(self, name: str) -> Sequence[int]: ...

    def get_tensor_profile_shape(self, name: str, profile: int) -> Sequence[Sequence[int]]: ...

    def create_execution_context(self) -> _Context | None: ...


class _Runtime(Protocol):
    """What is used of Runtime."""

    def deserialize_cuda_engine(self, raw: bytes) -> _Engine | None: ...


@dataclass(frozen=True, slots=True)
class Runtime:
    """The library's runtime and the last error that it told."""

    native: _Runtime
    errors: list[str]

    def why(self) -> str:
        """Return the last error in one line."""
        lines = self.errors[-1].strip().splitlines() if self.errors else []
        return lines[0] if lines else "TensorRT does not say why"


@dataclass(frozen=True, slots=True, eq=False)
class _Slot:
    """A tensor of the engine: its place on the GPU, and a pinned twin on the host for the largest batch."""

    spec: TensorSpec
    address: int
    host: Host

    @property
    def row(self) -> int:
        """Bytes of one crop's part."""
        return _row_bytes(self.spec)

    def array(self, count: int) -> NDArray[np.generic]:
        """Return the first ``count`` rows of the host's twin, shaped."""
        shape = (count, *(length or 1 for length in self.spec.shape[1:]))
        return self.host[: count * self.row].view(self.spec.dtype).reshape(shape)


def make_runtime(module: ModuleType) -> Runtime:
    """Return the runtime of a library; its logger keeps the errors, the last of which explains a failure.

    Raises
    ------
    RuntimeUnavailableError
        It cannot be started.
    """
    errors: list[str] = []

    def log(_: object, severity: _Named, message: str) -> None:
        if severity.name in ("ERROR", "INTERNAL_ERROR"):
            errors.append(message)

    try:
        logger = type("ErrorLogger", (module.ILogger,), {"log": log})()
        return Runtime(module.Runtime(logger), errors)
    except (TypeError, RuntimeError) as error:  # pybind's word for a function that gave nothing
        because = f"{module.__name__} {module.__version__} cannot be started ({errors[-1] if errors else error})"
        cure = "install a version that goes with the NVIDIA driver"
        raise RuntimeUnavailableError("The model cannot be run", because, cure) from error


def load_engine(runtime: Runtime, cuda: Cuda, raw: bytes, artifact: str, graphs: bool) -> LoadedEngine:
    """Make an engine of the bytes from the store; the context of ``cuda`` is current.

    Raises
    ------
    BundleError
        TensorRT refuses it, or there is no memory for it.
    """
    runtime.errors.clear()
    engine = runtime.native.deserialize_cuda_engine(raw)
    context = None if engine is None else engine.create_execution_context()
    if engine is not None and context is not None:
        return LoadedEngine(runtime, cuda, engine, context, artifact, graphs)
    del engine  # an error keeps what its frames name, and TensorRT lets go of memory while its context is current
    raise BundleError(
        f"The engine of {artifact} cannot be loaded",
        f"TensorRT says: {runtime.why()}",
        "close other programs that use the GPU, or build it again with `echogfr-convert build --again`",
    )


class LoadedEngine:
    """An engine with its context; every method is called while the context of CUDA is current.

    No method keeps engine or context in a variable: an error that passes would keep them alive after ``free``.
    """

    def __init__(
        self, runtime: Runtime, cuda: Cuda, engine: _Engine, context: _Context, artifact: str, graphs: bool
    ) -> None:
        self._runtime, self._cuda, self._artifact = runtime, cuda, artifact
        self._engine: _Engine | None = engine
        self._context: _Context | None = context
        self._records = graphs and cuda.captures
        self._graph: Graph | None = None
        self._count = 0  # crops of the last run that went well
        self._slots: tuple[_Slot, ...] = ()  # the input first
        self.largest = 0

    @property
    def recorded(self) -> bool:
        """Tell whether repeated work is recorded: False where layer or engine do not allow it."""
        return self._records

    def take(self, crops: TensorSpec, outputs: tuple[TensorSpec, ...]) -> None:
        """Check the engine against the manifest and take its buffers.

        Raises
        ------
        BundleError
            It is not what the manifest says.
        CudaError
            There is no memory.
        """
        defects = _defects(_alive(self._engine), crops, outputs)
        if not defects:
            least, self.largest = _profile(_alive(self._engine), crops.name)
            if least > 1:
                defects = [f"it takes at least {least} crops at once"]
        if defects:
            cure = "convert the model and build the engine again"
            raise BundleError(f"The engine of {self._artifact} is not what its manifest says", "; ".join(defects), cure)
        self._slots = tuple(self._slot(spec) for spec in (crops, *outputs))

    def start(self, crops: NDArray[np.uint8]) -> None:
        """Queue one run over at most ``largest`` crops."""
        count, self._count = self._count, 0
        self._slots[0].array(len(crops))[:] = crops
        if count != len(crops):
            self._drop_graph()
            self._shape(len(crops))
            self._queue(len(crops))
        else:
            self._repeat(count)
        self._count = len(crops)

    def collect(self, count: int) -> Outputs:
        """Return copies of the outputs, after the stream was waited for."""
        return {slot.spec.name: slot.array(count).astype(np.float32) for slot in self._slots[1:]}

    def free(self) -> None:
        """Let go of engine and context; buffers go with ``Cuda.close``."""
        self._context = None
        self._engine = None
        self._slots = ()
        self._drop_graph()

    def _slot(self, spec: TensorSpec) -> _Slot:
        size = self.largest * _row_bytes(spec)
        return _Slot(spec, self._cuda.allocate(size), self._cuda.pin(size))

    def _repeat(self, count: int) -> None:
        """Run the same number again: recorded at the second time, launched from then on."""
        if self._records and self._graph is None:
            self._graph = self._cuda.capture(lambda: self._queue(count))
            self._records = self._graph is not None
        if self._graph is None:
            self._queue(count)
        else:
            self._graph.launch()

    def _shape(self, count: int) -> None:
        crops = self._slots[0].spec
        shape = (count, *(length or 1 for length in crops.shape[1:]))
        self._check(_alive(self._context).set_input_shape(crops.name, shape))
        for slot in self._slots:
            self._check(_alive(self._context).set_tensor_address(slot.spec.name, slot.address))
            self._check(tuple(_alive(self._context).get_tensor_shape(slot.spec.name)) == slot.array(count).shape)

    def _queue(self, count: int) -> None:
        first, *others = self._slots
        self._cuda.upload(first.address, first.host[: count * first.row])
        self._check(_alive(self._context).execute_async_v3(self._cuda.stream))
        for slot in others:
            self._cuda.download(slot.host[: count * slot.row], slot.address)

    def _drop_graph(self) -> None:
        graph, self._graph = self._graph, None
        if graph is not None:
            graph.free()

    def _check(self, went_well: bool) -> None:
        if not went_well:
            because, cure = f"TensorRT says: {self._runtime.why()}", "restart the program and run the self-test"
            raise InferenceError("The model could not be run", because, cure)


def _alive(part: _Part | None) -> _Part:
    if part is None:
        raise InferenceError("The session cannot be used", "its engine was let go of", "enter it again")
    return part


def _row_bytes(spec: TensorSpec) -> int:
    return prod(length or 1 for length in spec.shape[1:]) * np.dtype(spec.dtype).itemsize


def _defects(engine: _Engine, crops: TensorSpec, outputs: tuple[TensorSpec, ...]) -> list[str]:
    """Return in which ways an engine is not what its manifest says."""
    names = [engine.get_tensor_name(at) for at in range(engine.num_io_tensors)]
    inputs = [name for name in names if engine.get_tensor_mode(name).name == "INPUT"]
    if inputs != [crops.name]:
        return [f"its inputs are {', '.join(inputs)} instead of '{crops.name}' alone"]
    known = {crops.name, *(spec.name for spec in outputs)}
    defects = [f"there is an output '{name}' too many" for name in names if name not in known]
    for kind, spec in (("input", crops), *(("output", spec) for spec in outputs)):
        if spec.name not in names:
            defects.append(f"there is no {kind} '{spec.name}'")
            continue
        declared = _declared(engine, spec.name)
        if not accepts(spec, declared.dtype, declared.shape):
            defects.append(f"the {kind} '{spec.name}' is {declared} instead of {spec}")
    return defects


def _profile(engine: _Engine, name: str) -> tuple[int, int]:
    """Return the least and the most crops at once."""
    least, _, most = engine.get_tensor_profile_shape(name, 0)
    return int(least[0]), int(most[0])


def _declared(engine: _Engine, name: str) -> TensorSpec:
    """Return name, dtype and shape as the engine has them; a length of -1 is open."""
    dtype = engine.get_tensor_dtype(name).name
    shape = tuple(None if length < 0 else int(length) for length in engine.get_tensor_shape(name))
    return TensorSpec(name, _DTYPES.get(dtype, dtype.lower()), shape)
