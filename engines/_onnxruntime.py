"""The one door to ONNX Runtime: the library, and what it runs on here, the CPU of any machine or an NVIDIA GPU.

The library is imported when a session is entered or the runtime is probed, never before, so that the
program starts without it. Its telemetry is switched off before that, always.
"""

from __future__ import annotations

import importlib
import io
import os
import warnings
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from types import ModuleType

from engines._tensorrt import load_library as load_tensorrt
from engines.errors import RuntimeUnavailableError
from engines.gpu import Gpu, NoGpuError, read_gpu
from engines.providers import CPU, TENSORRT, Provider

# Forced, not a default: the wheels send telemetry unless this is set when the library is loaded, and
# disable_telemetry_events() comes too late to keep its files off the disk.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

PROVIDER = CPU.name
CURE = "install it with: pip install onnxruntime"
QUIET = 4  # not even errors: they come back as exceptions with a sentence anyway
_DRIVER_CURE = "install the NVIDIA driver or choose another runtime"


class ProviderAbsentError(RuntimeUnavailableError):
    """The ONNX Runtime that is here was built without this provider."""


@dataclass(frozen=True, slots=True)
class Place:
    """What the artifacts of a session are loaded by and on."""

    library: ModuleType
    version: str
    errors: tuple[type[Exception], ...]
    gpu: Gpu | None


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
    library.set_default_logger_severity(QUIET)
    return library


def library_errors(library: ModuleType) -> tuple[type[Exception], ...]:
    """Return the exceptions of the library, which share no base of their own."""
    state = importlib.import_module(f"{library.__name__}.capi.onnxruntime_pybind11_state")
    found = [item for item in vars(state).values() if isinstance(item, type) and issubclass(item, Exception)]
    return (*found, RuntimeError, ValueError)


def find_place(provider: Provider) -> Place:
    """Return what sessions are loaded by and on, or raise one sentence (``RuntimeUnavailableError``)."""
    library = _library_or_sentence()
    version, errors = str(library.__version__), library_errors(library)
    if not provider.on_gpu:
        return Place(library, version, errors, None)
    if provider.name not in library.get_available_providers():
        because = f"this ONNX Runtime ({version}) has no {provider.title} provider"
        raise ProviderAbsentError("The model cannot be run", because, provider.install)
    try:
        gpu = read_gpu()
    except NoGpuError as error:
        because = f"ONNX Runtime {version} has a {provider.title} provider, but {error}"
        raise RuntimeUnavailableError("The model cannot be run", because, _DRIVER_CURE) from error
    _prepare(library, provider)
    return Place(library, version, errors, gpu)


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


def _library_or_sentence() -> ModuleType:
    try:
        return load_library()
    except (ImportError, OSError) as error:
        raise RuntimeUnavailableError(
            "The model cannot be run", f"ONNX Runtime cannot be loaded ({first_line(error)})", CURE
        ) from error


def first_line(error: BaseException) -> str:
    """Return the first line of what a library says."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
