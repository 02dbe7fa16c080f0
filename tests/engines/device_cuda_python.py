"""cuda.bindings.driver over the machine of tests; a test compares its names with those of the real one."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from types import ModuleType
from typing import Any

from .device_machine import Injected, Machine


class CUresult(IntEnum):
    CUDA_SUCCESS = 0
    CUDA_ERROR_LAUNCH_FAILED = 719
    CUDA_ERROR_STREAM_CAPTURE_INVALIDATED = 901


class CUstream_flags(IntEnum):
    CU_STREAM_NON_BLOCKING = 1


class CUstreamCaptureMode(IntEnum):
    CU_STREAM_CAPTURE_MODE_THREAD_LOCAL = 1


def make_cuda_python(machine: Machine) -> dict[str, ModuleType]:
    """Return the modules by name, for ``sys.modules``."""
    cuda, bindings, driver = (ModuleType(name) for name in ("cuda", "cuda.bindings", "cuda.bindings.driver"))
    for name, act in functions(machine).items():
        setattr(driver, name, _gated(machine, name, act))
    for enum in (CUresult, CUstream_flags, CUstreamCaptureMode):
        setattr(driver, enum.__name__, enum)
    cuda.bindings = bindings  # type: ignore[attr-defined]
    bindings.driver = driver  # type: ignore[attr-defined]
    bindings.__version__ = "13.5.0"  # type: ignore[attr-defined]
    return {"cuda": cuda, "cuda.bindings": bindings, "cuda.bindings.driver": driver}


def _gated(machine: Machine, name: str, act: Callable[..., Any]) -> Callable[..., tuple[Any, ...]]:
    def call(*arguments: Any) -> tuple[Any, ...]:
        try:
            machine.gate(name)
        except Injected:
            if name == "cuStreamEndCapture":
                machine.end_capture(*arguments)  # a recording that fails is over as well
            return CUresult.CUDA_ERROR_LAUNCH_FAILED, None
        value = act(*arguments)
        if name == "cuStreamEndCapture" and value is None:
            return CUresult.CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, None
        return (CUresult.CUDA_SUCCESS,) if value is None else (CUresult.CUDA_SUCCESS, value)

    return call


def functions(machine: Machine) -> dict[str, Callable[..., Any]]:
    return {
        "cuInit": lambda flags: None,
        "cuDeviceGet": lambda ordinal: ordinal,
        "cuDevicePrimaryCtxRetain": lambda device: (machine.retain(), 0xC0DE)[1],
        "cuDevicePrimaryCtxRelease": lambda device: machine.release(),
        "cuCtxPushCurrent": lambda context: machine.push(),
        "cuCtxPopCurrent": lambda: (machine.pop(), 0xC0DE)[1],
        "cuMemAlloc": lambda size: machine.allocate("device", size),
        "cuMemFree": machine.free,
        "cuMemAllocHost": lambda size: machine.allocate("pinned", size),
        "cuMemFreeHost": machine.free,
        "cuStreamCreate": lambda flags: machine.make_stream(),
        "cuStreamDestroy": machine.drop_stream,
        "cuStreamSynchronize": machine.synchronise,
        "cuMemcpyHtoDAsync": lambda to, at, size, stream: machine.copy(stream, (to, "device"), (at, "pinned"), size),
        "cuMemcpyDtoHAsync": lambda to, at, size, stream: machine.copy(stream, (to, "pinned"), (at, "device"), size),
        "cuStreamBeginCapture": lambda stream, mode: machine.begin_capture(stream),
        "cuStreamEndCapture": machine.end_capture,
        "cuGraphInstantiate": lambda graph, flags: machine.keep_graph(machine.graphs[graph]),
        "cuGraphLaunch": machine.launch,
        "cuGraphExecDestroy": machine.drop_graph,
        "cuGraphDestroy": machine.drop_graph,
    }
