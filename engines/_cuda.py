"""The one door to CUDA: memory, one stream, copies and graphs, by pycuda or by cuda-python, behind one protocol.

pycuda is asked first; where it cannot be imported (it has to be compiled, which needs the CUDA toolkit), cuda-python
serves. Both use the primary context of the first GPU, which TensorRT uses too. A context is current on a thread only
inside of ``current()``: nothing of CUDA is left behind on the caller's thread.
"""

from __future__ import annotations

import ctypes
import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import SupportsInt, TypeVar

import numpy as np

from engines.cuda import Cuda, CudaError, Graph, Host
from engines.errors import InferenceError, RuntimeUnavailableError
from engines.gpu import current_context, drop_context

CURE = "pip install cuda-bindings, or pycuda where the CUDA toolkit is installed"
_Result = TypeVar("_Result")


class _Layer(ABC):
    """What both layers share: what was taken is given back in reverse order, whatever happens on the way."""

    name = ""
    captures = False

    def __init__(self) -> None:
        self._kept = ExitStack()  # the context
        self._inside = ExitStack()  # what can be given back only while the context is current
        self._started = False

    @contextmanager
    def current(self) -> Iterator[None]:
        """Make the context current on this thread for a ``with`` block."""
        self._push()
        try:
            yield
        finally:
            self._pop()

    def close(self) -> None:
        """Give everything back. What a broken context does not take back goes with the context."""
        started, self._started = self._started, False
        with self._kept:
            if started:
                with self.current():
                    self._inside.close()

    @abstractmethod
    def _push(self) -> None:
        """Make the context current."""

    @abstractmethod
    def _pop(self) -> None:
        """Let go of it."""


class Pycuda(_Layer):
    """The layer by pycuda; it has no graphs."""

    def __init__(self, driver: ModuleType, version: str) -> None:
        super().__init__()
        self.name = f"pycuda {version}"
        self._driver = driver

    @property
    def stream(self) -> int:
        """The address of the stream."""
        return int(self._stream.handle)

    def start(self) -> None:
        """Take the context and the stream."""
        self._call("init", self._driver.init)
        device = self._call("Device", self._driver.Device, 0)
        self._context = self._call("retain_primary_context", device.retain_primary_context)
        self._kept.callback(self._detach)
        self._started = True
        with self.current():
            self._stream = self._call("Stream", self._driver.Stream)
            self._inside.callback(self._drop_stream)

    def allocate(self, size: int) -> int:
        """Take memory of the GPU; returns its address."""
        memory = self._call("mem_alloc", self._driver.mem_alloc, size)
        self._inside.callback(self._call, "free", memory.free)
        return int(memory)

    def pin(self, size: int) -> Host:
        """Take memory of the host that the GPU copies from and to by itself."""
        array: Host = self._call("pagelocked_empty", self._driver.pagelocked_empty, (size,), np.uint8)
        self._inside.callback(self._call, "free", array.base.free)  # type: ignore[union-attr]
        return array

    def upload(self, address: int, host: Host) -> None:
        """Queue a copy to the GPU."""
        self._call("memcpy_htod_async", self._driver.memcpy_htod_async, address, host, self._stream)

    def download(self, host: Host, address: int) -> None:
        """Queue a copy from the GPU."""
        self._call("memcpy_dtoh_async", self._driver.memcpy_dtoh_async, host, address, self._stream)

    def synchronise(self) -> None:
        """Wait for all that was queued."""
        self._call("synchronize", self._stream.synchronize)

    def capture(self, act: Callable[[], None]) -> Graph | None:
        """Return None: it records nothing."""
        return None

    def _push(self) -> None:
        self._call("push", self._context.push)

    def _pop(self) -> None:
        self._call("pop", self._driver.Context.pop)

    def _detach(self) -> None:
        """Release the context. pycuda pushes it for that, and expects a pop that a primary context does not do."""
        before = current_context()
        self._call("detach", self._context.detach)
        if current_context() != before:
            drop_context()

    def _drop_stream(self) -> None:
        """Let go of the stream, which destroys itself, while its context is current."""
        del self._stream

    def _call(self, name: str, function: Callable[..., _Result], *arguments: object) -> _Result:
        """Call it: the one place where what pycuda raises becomes a sentence."""
        try:
            return function(*arguments)
        except self._driver.Error as error:
            raise CudaError(name, str(error) or type(error).__name__) from error


class CudaPython(_Layer):
    """The layer by cuda-python."""

    captures = True

    def __init__(self, driver: ModuleType, version: str) -> None:
        super().__init__()
        self.name = f"cuda-python {version}"
        self._driver = driver
        self._graphs: list[SupportsInt] = []

    @property
    def stream(self) -> int:
        """The address of the stream."""
        return int(self._stream)

    def start(self) -> None:
        """Take the context and the stream."""
        self._call("cuInit", 0)
        device = self._call("cuDeviceGet", 0)
        self._context = self._call("cuDevicePrimaryCtxRetain", device)
        self._kept.callback(self._call, "cuDevicePrimaryCtxRelease", device)
        self._started = True
        with self.current():
            self._stream = self._call("cuStreamCreate", int(self._driver.CUstream_flags.CU_STREAM_NON_BLOCKING))
            self._inside.callback(self._call, "cuStreamDestroy", self._stream)
            self._inside.callback(self._free_graphs)

    def allocate(self, size: int) -> int:
        """Take memory of the GPU; returns its address."""
        address = self._call("cuMemAlloc", size)
        self._inside.callback(self._call, "cuMemFree", address)
        return int(address)

    def pin(self, size: int) -> Host:
        """Take memory of the host that the GPU copies from and to by itself."""
        address = int(self._call("cuMemAllocHost", size))
        self._inside.callback(self._call, "cuMemFreeHost", address)
        return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))

    def upload(self, address: int, host: Host) -> None:
        """Queue a copy to the GPU."""
        self._call("cuMemcpyHtoDAsync", address, host.ctypes.data, host.nbytes, self._stream)

    def download(self, host: Host, address: int) -> None:
        """Queue a copy from the GPU."""
        self._call("cuMemcpyDtoHAsync", host.ctypes.data, address, host.nbytes, self._stream)

    def synchronise(self) -> None:
        """Wait for all that was queued."""
        self._call("cuStreamSynchronize", self._stream)

    def capture(self, act: Callable[[], None]) -> Graph | None:
        """Record what ``act`` queues; None: something in it cannot be recorded, and nothing was run."""
        mode = self._driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        try:
            self._call("cuStreamBeginCapture", self._stream, mode)
            refused = _refuses(act)
            graph = self._call("cuStreamEndCapture", self._stream)  # also after a refusal: it ends the recording
        except CudaError:
            return None
        try:
            return None if refused else self._instantiated(graph)
        except CudaError:
            return None
        finally:
            self._call("cuGraphDestroy", graph)

    def _instantiated(self, graph: SupportsInt) -> Graph:
        executable = self._call("cuGraphInstantiate", graph, 0)
        self._graphs.append(executable)
        return _CudaPythonGraph(self, executable)

    def launch(self, executable: SupportsInt) -> None:
        """Queue a graph."""
        self._call("cuGraphLaunch", executable, self._stream)

    def free(self, executable: SupportsInt) -> None:
        """Give a graph back."""
        self._graphs.remove(executable)
        self._call("cuGraphExecDestroy", executable)

    def _free_graphs(self) -> None:
        with ExitStack() as all_of_them:
            for executable in tuple(self._graphs):
                all_of_them.callback(self.free, executable)

    def _push(self) -> None:
        self._call("cuCtxPushCurrent", self._context)

    def _pop(self) -> None:
        self._call("cuCtxPopCurrent")

    def _call(self, name: str, *arguments: object) -> SupportsInt:
        """Call the driver: the one place where its return codes are looked at."""
        try:
            code, *values = getattr(self._driver, name)(*arguments)
        except (RuntimeError, OSError) as error:  # the driver cannot be loaded
            raise CudaError(name, (str(error) or type(error).__name__).splitlines()[0]) from error
        if int(code):
            raise CudaError(name, getattr(code, "name", str(code)))
        return values[0] if values else 0


class _CudaPythonGraph:
    def __init__(self, cuda: CudaPython, executable: SupportsInt) -> None:
        self._cuda, self._executable = cuda, executable

    def launch(self) -> None:
        self._cuda.launch(self._executable)

    def free(self) -> None:
        self._cuda.free(self._executable)


def _refuses(act: Callable[[], None]) -> bool:
    try:
        act()
    except InferenceError:
        return True
    return False


def open_cuda() -> Cuda:
    """Return the layer that can be imported here, pycuda first; not yet started.

    Raises
    ------
    RuntimeUnavailableError
        Neither can; the sentence has the reason of each.
    """
    reasons = []
    for name, module, layer in (
        ("pycuda", "pycuda.driver", Pycuda),
        ("cuda-python", "cuda.bindings.driver", CudaPython),
    ):
        try:
            return layer(importlib.import_module(module), _version(module))
        except ModuleNotFoundError as error:
            missing = error.name is not None and f"{module}.".startswith(f"{error.name}.")
            reasons.append(f"{name} is not installed" if missing else f"{name} cannot be loaded ({error})")
        except (ImportError, OSError, RuntimeError) as error:
            reasons.append(f"{name} cannot be loaded ({(str(error) or type(error).__name__).splitlines()[0]})")
    raise RuntimeUnavailableError("The GPU cannot be used", " and ".join(reasons), CURE)


def _version(module: str) -> str:
    package = importlib.import_module(module.rpartition(".")[0])
    return str(getattr(package, "VERSION_TEXT", None) or getattr(package, "__version__", "of unknown version"))
