"""TensorRT's run time over the machine of tests: an engine is an ONNX file, run by ONNX Runtime at the addresses given.

Its names are looked up in the real bindings (``tests/convert/test_tensorrt_bindings.py``).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime

from .device_machine import Injected, Machine

MAGIC = b"TEST-ENGINE "
_DTYPES = {"tensor(uint8)": ("UINT8", np.uint8), "tensor(float)": ("FLOAT", np.float32), "tensor(double)": ("", float)}


def make_engine(onnx: bytes, profile: tuple[int, int, int] = (1, 4, 16), recordable: bool = True) -> bytes:
    """Return the bytes of an engine."""
    return MAGIC + json.dumps({"profile": profile, "recordable": recordable}).encode() + b"\n" + onnx


def make_tensorrt(machine: Machine, name: str = "tensorrt", version: str = "10.3.0") -> ModuleType:
    """Return the module; TensorRT for RTX is the same under another name."""
    module = ModuleType(name)
    module.__version__ = version  # type: ignore[attr-defined]
    module.ILogger = ILogger  # type: ignore[attr-defined]

    class Runtime(_Runtime):
        def __init__(self, logger: ILogger) -> None:
            super().__init__(machine, logger)

    module.Runtime = Runtime  # type: ignore[attr-defined]
    return module


class ILogger:
    def log(self, severity: SimpleNamespace, message: str) -> None:
        raise NotImplementedError


class _Owned:
    """Something that must be destroyed while the context is current."""

    def __init__(self, machine: Machine) -> None:
        machine.need_context(f"{type(self).__name__} was made")
        machine.loaded += 1
        self.machine = machine

    def __del__(self) -> None:
        self.machine.loaded -= 1
        try:
            self.machine.need_context(f"{type(self).__name__} was destroyed")
        except AssertionError as error:
            self.machine.found.append(str(error))


class _Runtime:
    def __init__(self, machine: Machine, logger: ILogger) -> None:
        machine.need_context("the runtime was made")
        self._machine, self._logger = machine, logger

    def tell(self, message: str) -> None:
        self._logger.log(SimpleNamespace(name="INFO"), "not an error")
        self._logger.log(SimpleNamespace(name="ERROR"), message)

    def deserialize_cuda_engine(self, raw: bytes) -> ICudaEngine | None:
        try:
            self._machine.gate("deserialize_cuda_engine")
            head, _, onnx = raw.removeprefix(MAGIC).partition(b"\n")
            options = onnxruntime.SessionOptions()
            options.log_severity_level = 4
            options.intra_op_num_threads = 1
            native = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
            return ICudaEngine(self._machine, self, native, **json.loads(head))
        except Injected:
            self.tell("injected: out of memory\nsecond line")
        except Exception:  # noqa: BLE001 - whatever is wrong with the file, TensorRT answers None
            self.tell("Serialization assertion stdVersionRead == kSERIALIZATION_VERSION failed.")
        return None


class ICudaEngine(_Owned):
    def __init__(
        self, machine: Machine, runtime: _Runtime, native: Any, profile: Sequence[int], recordable: bool
    ) -> None:
        super().__init__(machine)
        self._runtime, self._native, self._profile, self._recordable = runtime, native, profile, recordable
        inputs = [(node, "INPUT") for node in native.get_inputs()]
        self._nodes = {
            node.name: (node, mode) for node, mode in (*inputs, *((n, "OUTPUT") for n in native.get_outputs()))
        }
        self.num_io_tensors = len(self._nodes)

    def get_tensor_name(self, at: int) -> str:
        return list(self._nodes)[at]

    def get_tensor_mode(self, name: str) -> SimpleNamespace:
        return SimpleNamespace(name=self._nodes[name][1])

    def get_tensor_dtype(self, name: str) -> SimpleNamespace:
        return SimpleNamespace(name=_DTYPES[self._nodes[name][0].type][0])

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return tuple(length if isinstance(length, int) else -1 for length in self._nodes[name][0].shape)

    def get_tensor_profile_shape(self, name: str, profile: int) -> list[tuple[int, ...]]:
        assert profile == 0
        return [(batch, *self.get_tensor_shape(name)[1:]) for batch in self._profile]

    def create_execution_context(self) -> IExecutionContext | None:
        try:
            self.machine.gate("create_execution_context")
        except Injected:
            self._runtime.tell("injected: no memory for the context")
            return None
        return IExecutionContext(self)


class IExecutionContext(_Owned):
    def __init__(self, engine: ICudaEngine) -> None:
        super().__init__(engine.machine)
        self._engine = engine
        self._addresses: dict[str, int] = {}
        self._shape: tuple[int, ...] = ()

    def set_input_shape(self, name: str, shape: Sequence[int]) -> bool:
        if not self._passes("set_input_shape"):
            return False
        least, _, most = (wanted[0] for wanted in self._engine.get_tensor_profile_shape(name, 0))
        if not least <= shape[0] <= most or tuple(shape[1:]) != self._engine.get_tensor_shape(name)[1:]:
            self._engine._runtime.tell(f"{tuple(shape)} is not in the profile of {name}")
            return False
        self._shape = tuple(shape)
        return True

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return (self._shape[0], *self._engine.get_tensor_shape(name)[1:])

    def set_tensor_address(self, name: str, address: int) -> bool:
        self._addresses[name] = address
        return self._passes("set_tensor_address")

    def execute_async_v3(self, stream_handle: int) -> bool:
        if not self._passes("execute_async_v3"):
            return False
        stream = self.machine.streams[stream_handle]
        if stream.recorded is not None and not self._engine._recordable:
            stream.spoilt = True
            self._engine._runtime.tell("operation not permitted when stream is capturing")
            return False
        assert set(self._addresses) == set(self._engine._nodes), "a tensor has no address"
        addresses, count = dict(self._addresses), self._shape[0]
        for name in addresses:
            self._view(name, addresses[name], count)
        self.machine.enqueue(stream_handle, lambda: self._run(addresses, count))
        return True

    def _run(self, addresses: dict[str, int], count: int) -> None:
        names = [node.name for node in self._engine._native.get_outputs()]
        feed = {n: self._view(n, addresses[n], count) for n in addresses if n not in names}
        for name, array in zip(names, self._engine._native.run(names, feed), strict=True):
            self._view(name, addresses[name], count)[:] = array

    def _view(self, name: str, address: int, count: int) -> np.ndarray:
        shape = (count, *self._engine.get_tensor_shape(name)[1:])
        dtype = np.dtype(_DTYPES[self._engine._nodes[name][0].type][1])
        size = int(np.prod(shape)) * dtype.itemsize
        return self.machine.view(address, size, "device").view(dtype).reshape(shape)

    def _passes(self, name: str) -> bool:
        try:
            self.machine.gate(name)
        except Injected:
            self._engine._runtime.tell(f"injected: {name}")
            return False
        return True
