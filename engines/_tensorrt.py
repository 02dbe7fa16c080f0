"""The one door to TensorRT and TensorRT for RTX, for running: which is here, and which engines go with it.

The library is imported when a session is entered or a runtime is probed, never before.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType

from engines._cuda import open_cuda
from engines.bundle import Bundle
from engines.engine_record import EngineRecord
from engines.errors import RuntimeUnavailableError
from engines.gpu import Gpu, NoDriverError, NoGpuError, read_gpu
from engines.libraries import CURES, MODULES, TITLES, RuntimeName
from engines.lookup import Seeker
from engines.manifest import Artifact
from engines.store import EngineStore, store_folder

_NO_GPU = "choose another runtime, or install the NVIDIA driver"


class LibraryAbsentError(RuntimeUnavailableError):
    """There is nothing here that could be broken."""


def load_library(runtime: RuntimeName) -> ModuleType:
    """Import TensorRT, or TensorRT for RTX.

    Raises
    ------
    ImportError
        It is absent (``ModuleNotFoundError``) or broken.
    OSError, RuntimeError
        One of its own libraries cannot be loaded, or it cannot start.
    """
    return importlib.import_module(MODULES[runtime])


def probe(runtime: RuntimeName) -> str:
    """Return in a few words what would run engines here: GPU, CUDA layer and version.

    Raises
    ------
    LibraryAbsentError
        The library is not installed, or there is no NVIDIA driver and hence no such GPU.
    RuntimeUnavailableError
        It is there, but something is broken.
    """
    title = TITLES[runtime]
    if not _is_installed(MODULES[runtime]):
        raise LibraryAbsentError("The model cannot be run", f"the {title} library is not installed", CURES[runtime])
    try:
        gpu = read_gpu()
    except NoDriverError as error:
        raise LibraryAbsentError("The model cannot be run", f"{title} is installed, but {error}", _NO_GPU) from error
    except NoGpuError as error:
        raise RuntimeUnavailableError(
            "The model cannot be run", f"{title} is installed, but {error}", _NO_GPU
        ) from error
    library = library_or_sentence(runtime)
    return f"{title} {library.__version__} by {open_cuda().name} on {gpu.name}"


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ValueError:  # a module without a spec stands in its place
        return sys.modules.get(module) is not None


def reject(runtime: RuntimeName, bundle: Bundle, artifacts: tuple[Artifact, ...], why: str) -> bool:
    """Mark the engines of these artifacts as failed, so that none of them is used before it is built again.

    Returns False where the store cannot be written: they will be tried again, and fail again.
    """
    seeker, records = find_engines(runtime, bundle, artifacts)
    try:
        for record in records:
            seeker.store.reject(record, why)
    except OSError:
        return False
    return True


def make_seeker(runtime: RuntimeName, library: ModuleType, gpu: Gpu) -> Seeker:
    """Return what finds engines for this machine in its engine store."""
    return Seeker(EngineStore(store_folder()), runtime, str(library.__version__), gpu)


def find_engines(
    runtime: RuntimeName, bundle: Bundle, artifacts: tuple[Artifact, ...]
) -> tuple[Seeker, tuple[EngineRecord, ...]]:
    """Return the record of a good engine for each artifact, and what found it.

    Raises
    ------
    EngineError
        There is none of an artifact; the sentence has the cure.
    RuntimeUnavailableError
        The library or the GPU cannot be used.
    """
    seeker = make_seeker(runtime, library_or_sentence(runtime), gpu_or_sentence())
    return seeker, tuple(seeker.find(bundle, artifact) for artifact in artifacts)


def library_or_sentence(runtime: RuntimeName) -> ModuleType:
    """As ``load_library``, with one sentence (``RuntimeUnavailableError``) where it fails."""
    try:
        return load_library(runtime)
    except (ImportError, OSError, RuntimeError) as error:
        first = (str(error) or type(error).__name__).splitlines()[0]
        because = f"{TITLES[runtime]} cannot be loaded ({first})"
        raise RuntimeUnavailableError("The model cannot be run", because, CURES[runtime]) from error


def gpu_or_sentence() -> Gpu:
    """Return the GPU of this machine, or raise one sentence (``RuntimeUnavailableError``)."""
    try:
        return read_gpu()
    except NoGpuError as error:
        raise RuntimeUnavailableError("The model cannot be run", str(error), "choose another runtime") from error
