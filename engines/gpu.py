"""Names the NVIDIA GPU of this machine by the driver's own library, without any other: an engine belongs to one.

Only questions that need no context are asked, so that asking costs no GPU memory.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

DRIVER_LIBRARY = "libcuda.so.1"
# CUdevice_attribute in cuda.h
_MULTIPROCESSORS, _MAJOR, _MINOR = 16, 75, 76
_NAME_BYTES = 256
_DRIVER_VERSION = Path("/sys/module/nvidia/version")


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU: what an engine that was built on it depends on."""

    name: str
    compute_capability: str  # "8.7"
    multiprocessors: int
    driver: str


class NoGpuError(Exception):
    """There is no GPU to be used; the text is the reason."""


class NoDriverError(NoGpuError):
    """Not even a driver: this is a machine without such a GPU."""


def read_gpu(index: int = 0, library: str = DRIVER_LIBRARY) -> Gpu:
    """Return the GPU with this number.

    Raises
    ------
    NoGpuError
        There is no driver, or it sees no such GPU.
    """
    try:
        cuda = ctypes.CDLL(library)
    except OSError as error:
        raise NoDriverError("the NVIDIA driver is not installed") from error
    _call(cuda, "cuInit", 0)
    device, version = ctypes.c_int(), ctypes.c_int()
    _call(cuda, "cuDeviceGet", ctypes.byref(device), index)
    _call(cuda, "cuDriverGetVersion", ctypes.byref(version))
    name = ctypes.create_string_buffer(_NAME_BYTES)
    _call(cuda, "cuDeviceGetName", name, _NAME_BYTES, device)
    return Gpu(
        name.value.decode(errors="replace"),
        f"{_attribute(cuda, _MAJOR, device)}.{_attribute(cuda, _MINOR, device)}",
        _attribute(cuda, _MULTIPROCESSORS, device),
        f"{_driver_version()}CUDA {version.value // 1000}.{version.value % 1000 // 10}",
    )


def current_context(library: str = DRIVER_LIBRARY) -> int:
    """Return the address of the context that is current on this thread; 0: none, or no driver."""
    context = ctypes.c_void_p()
    with suppress(OSError, NoGpuError):
        _call(ctypes.CDLL(library), "cuCtxGetCurrent", ctypes.byref(context))
    return context.value or 0


def drop_context(library: str = DRIVER_LIBRARY) -> None:
    """Let go of the context that is current on this thread, by the driver's own count and no library's."""
    context = ctypes.c_void_p()
    with suppress(OSError, NoGpuError):
        _call(ctypes.CDLL(library), "cuCtxPopCurrent_v2", ctypes.byref(context))


def _attribute(cuda: ctypes.CDLL, attribute: int, device: ctypes.c_int) -> int:
    value = ctypes.c_int()
    _call(cuda, "cuDeviceGetAttribute", ctypes.byref(value), attribute, device)
    return value.value


def _call(cuda: ctypes.CDLL, name: str, *arguments: object) -> None:
    try:
        code = getattr(cuda, name)(*arguments)
    except AttributeError as error:
        raise NoGpuError(f"the NVIDIA driver has no {name}") from error
    if code:
        raise NoGpuError(f"the NVIDIA driver sees no GPU (CUDA error {code})")


def _driver_version() -> str:
    """Return the version of the kernel module and a separator; empty where the system does not tell it."""
    try:
        return f"{_DRIVER_VERSION.read_text(encoding='ascii').strip()}, "
    except (OSError, UnicodeDecodeError):
        return ""
