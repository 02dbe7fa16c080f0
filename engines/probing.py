"""Whether a runtime can be used here, and where not, why and what to do."""

from __future__ import annotations

from engines import _onnxruntime, _onnxruntime_graph, _tensorrt, _triton
from engines.errors import RuntimeUnavailableError
from engines.libraries import RuntimeName
from engines.providers import Provider
from engines.runtime import Availability, State
from engines.server import Server


def probe_onnxruntime() -> Availability:
    """Say whether ONNX Runtime is here; any machine has the CPU."""
    try:
        library = _onnxruntime.load_library()
    except (ImportError, OSError) as error:
        absent = isinstance(error, ModuleNotFoundError) and error.name == "onnxruntime"
        return _not_loaded("ONNX Runtime", error, _onnxruntime.CURE if absent else None)
    return Availability("usable", f"ONNX Runtime {library.__version__}, {_onnxruntime.PROVIDER}")


def probe_provider(provider: Provider) -> Availability:
    """Say whether ONNX Runtime can use a GPU by this provider, which is loaded for that."""
    found = probe_onnxruntime()
    if not found.usable:
        return found
    try:
        return Availability("usable", _onnxruntime_graph.probe(provider))
    except _onnxruntime.ProviderAbsentError as error:
        return _refused("absent", error)
    except RuntimeUnavailableError as error:
        return _refused("broken", error)


def probe_tensorrt(name: RuntimeName) -> Availability:
    """Say whether TensorRT, or TensorRT for RTX, can run engines here."""
    try:
        return Availability("usable", _tensorrt.probe(name))
    except _tensorrt.LibraryAbsentError as error:
        return _refused("absent", error)
    except RuntimeUnavailableError as error:
        return _refused("broken", error)


def probe_triton(server: Server | None) -> Availability:
    """Say whether a server can be asked; it is not asked here."""
    if server is None:
        return Availability("absent", "no server is named (--triton-url or ECHOGFR_TRITON_URL)")
    try:
        _triton.load_library()
    except (ImportError, OSError) as error:
        absent = isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] == "tritonclient"
        return _not_loaded("Triton's client", error, _triton.CURE if absent else None)
    return Availability("usable", f"the server {server.where} is named")


def _not_loaded(title: str, error: Exception, install: str | None) -> Availability:
    """Return what became of an import; ``install``: how to get what is absent, None where it is there and broken."""
    if install is not None:
        return Availability("absent", f"{title} is not installed ({install})")
    return Availability("broken", f"{title} is installed but cannot be loaded: {error}")


def _refused(state: State, error: RuntimeUnavailableError) -> Availability:
    return Availability(state, f"{error.because} ({error.cure})")
