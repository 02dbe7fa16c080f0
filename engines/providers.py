"""What ONNX Runtime can run a graph on besides the CPU, with the options of each; ``engines._onnxruntime`` opens it.

No option changes a precision: that is the artifact's own. Where fp32 is asked for, it is fp32 (no TF32).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from engines.gpu import Gpu
from engines.manifest import Artifact
from engines.store import store_folder
from engines.version import installed_version

Chain = list[tuple[str, dict[str, str]]]  # execution providers and their options, first to last

_CUDA_OPTIONS = {
    "device_id": "0",
    "use_tf32": "0",  # TF32 has the mantissa of half: fp32 would no longer be what parity was measured with
    # Chosen by cuDNN's own rules: DEFAULT took 1.5 to 2.2 times as long on an H200. EXHAUSTIVE gained at most 6 %, and
    # times every algorithm again at each new batch size: a longer start, and perhaps another choice at the next one.
    "cudnn_conv_algo_search": "HEURISTIC",
    "arena_extend_strategy": "kSameAsRequested",  # the other one doubles: the GPU is not ours alone
}
# The two wheels hold the same module: whichever is written last is there, and removing one takes files of the other.
_INSTALL = (
    "pip install 'echogfr[cuda]', then pip uninstall -y onnxruntime, "
    "then pip install --no-deps --force-reinstall onnxruntime-gpu"
)


@dataclass(frozen=True, slots=True)
class Provider:
    """One execution provider of ONNX Runtime.

    ``stem``: of the file that holds it, empty for the CPU, which is built in. ``install``: what to do where it is not
    there; ``repair``: where it cannot be loaded. ``warm``: batch sizes that are run while a session is entered, so that
    no later call has to prepare for them; ``largest``: more crops than that are run in pieces.
    """

    runtime: str
    name: str
    title: str
    stem: str = ""
    install: str = ""
    repair: str = ""
    warm: tuple[int, ...] = (1,)
    largest: int | None = None

    @property
    def on_gpu(self) -> bool:
        """True if it needs an NVIDIA GPU."""
        return bool(self.stem)


CPU = Provider("onnxruntime", "CPUExecutionProvider", "CPU")
CUDA = Provider(
    "onnxruntime-cuda",
    "CUDAExecutionProvider",
    "CUDA",
    "onnxruntime_providers_cuda",
    _INSTALL,
    "pip install 'onnxruntime-gpu[cuda,cudnn]', which brings CUDA's libraries, or choose another runtime",
)
# Its engines hold for the batch sizes that they have seen: of 1 to 8 crops, as the self-test and the app ask for.
TENSORRT = Provider(
    "onnxruntime-tensorrt",
    "TensorrtExecutionProvider",
    "TensorRT",
    "onnxruntime_providers_tensorrt",
    _INSTALL,
    "install the TensorRT that this ONNX Runtime was built for, or choose onnxruntime-cuda",
    warm=(8, 1),
    largest=8,
)


def chain(provider: Provider, cache: Path | None = None) -> Chain:
    """Return what ONNX Runtime is asked for: the provider, and CUDA for what TensorRT leaves.

    ``cache``: where TensorRT's engines are kept; None: nothing is to be built at all, as when it is only probed.
    """
    if provider is TENSORRT:
        return [(provider.name, _tensorrt_options(cache)), (CUDA.name, dict(_CUDA_OPTIONS))]
    return [(provider.name, dict(_CUDA_OPTIONS) if provider.on_gpu else {})]


def _tensorrt_options(cache: Path | None) -> dict[str, str]:
    """Return options that leave precision to the types of the graph: trt_fp16_enable and its like stay off."""
    if cache is None:
        return {"device_id": "0", "trt_min_subgraph_size": "1000"}
    return {
        "device_id": "0",
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(cache),
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(cache),
    }


def engine_cache(artifact: Artifact, version: str, gpu: Gpu) -> Path:
    """Return the folder of the engines that ONNX Runtime builds of one artifact, beside the engine store.

    The library names an engine after the graph's structure, not after its weights, so each artifact has a folder of its
    own; and one for each version of the libraries, GPU and driver, as an engine is of no use to another.
    """
    parts = (
        artifact.sha256,
        version,
        installed_version("tensorrt") or "",
        gpu.name,
        gpu.compute_capability,
        gpu.driver,
    )
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24]
    folder = store_folder()
    return folder.with_name(f"{folder.name}-onnxruntime") / key


def is_cached(cache: Path) -> bool:
    """Tell whether engines were built into this folder."""
    return any(cache.glob("*.engine"))
