"""pycuda.driver over the machine of tests: the names that are used, as its documentation has them."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from .device_machine import Injected, Machine, Misuse


def make_pycuda(machine: Machine) -> dict[str, ModuleType]:
    """Return the modules by name, for ``sys.modules``."""
    package, driver = ModuleType("pycuda"), ModuleType("pycuda.driver")
    for name, value in _contents(machine).items():
        setattr(driver, name, value)
    package.VERSION_TEXT = "2026.1"  # type: ignore[attr-defined]
    package.driver = driver  # type: ignore[attr-defined]
    return {"pycuda": package, "pycuda.driver": driver}


def _contents(machine: Machine) -> dict[str, Any]:
    class Error(Exception):
        pass

    class LogicError(Error):
        pass

    def gated(name: str, act: Callable[[], Any]) -> Any:
        try:
            machine.gate(name)
        except Injected as error:
            raise LogicError(f"{name} failed: unspecified launch failure") from error
        return act()

    class Context:
        def push(self) -> None:
            gated("push", machine.push)

        @staticmethod
        def pop() -> None:
            gated("pop", machine.pop)

        def detach(self) -> None:
            gated("detach", machine.release)

    class Device:
        def __init__(self, number: int) -> None:
            gated("Device", lambda: None)
            assert number == 0

        def retain_primary_context(self) -> Context:
            gated("retain_primary_context", machine.retain)
            return Context()

    class Stream:
        def __init__(self) -> None:
            self.handle = gated("Stream", machine.make_stream)

        def synchronize(self) -> None:
            gated("synchronize", lambda: machine.synchronise(self.handle))

        def __del__(self) -> None:
            if hasattr(self, "handle") and self.handle in machine.streams:
                try:
                    machine.drop_stream(self.handle)
                except Misuse as error:
                    machine.found.append(str(error))

    class DeviceAllocation:
        def __init__(self, size: int) -> None:
            self.address = machine.allocate("device", size)

        def __int__(self) -> int:
            return self.address

        def free(self) -> None:
            gated("free", lambda: machine.free(self.address))

    class PagelockedHostAllocation:
        def __init__(self, size: int) -> None:
            self.address = machine.allocate("pinned", size)
            self.memory = machine.blocks[self.address].memory  # what is freed stays mapped: misuse is told, no crash
            self.__array_interface__ = {
                "shape": (size,), "typestr": "|u1", "data": (self.address, False), "version": 3,
            }  # fmt: skip

        def free(self) -> None:
            gated("free", lambda: machine.free(self.address))

    def pagelocked_empty(shape: tuple[int], dtype: type) -> np.ndarray:
        assert dtype is np.uint8
        return np.asarray(gated("pagelocked_empty", lambda: PagelockedHostAllocation(shape[0])))

    def memcpy_htod_async(dest: int, src: np.ndarray, stream: Stream) -> None:
        source = (src.ctypes.data, "pinned")
        gated("memcpy_htod_async", lambda: machine.copy(stream.handle, (dest, "device"), source, src.nbytes))

    def memcpy_dtoh_async(dest: np.ndarray, src: int, stream: Stream) -> None:
        target = (dest.ctypes.data, "pinned")
        gated("memcpy_dtoh_async", lambda: machine.copy(stream.handle, target, (src, "device"), dest.nbytes))

    return {
        "init": lambda: gated("init", lambda: None),
        "mem_alloc": lambda size: gated("mem_alloc", lambda: DeviceAllocation(size)),
        "Error": Error,
        "LogicError": LogicError,
        "Context": Context,
        "Device": Device,
        "Stream": Stream,
        "pagelocked_empty": pagelocked_empty,
        "memcpy_htod_async": memcpy_htod_async,
        "memcpy_dtoh_async": memcpy_dtoh_async,
    }
