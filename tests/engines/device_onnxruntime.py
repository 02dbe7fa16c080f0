"""ONNX Runtime with the providers of a GPU, for tests: the real library on the CPU, which says what the test wants.

Nothing of the session is replaced but what it is told of providers: graphs are loaded and run by the real library, and
what it does on its own where a provider is not there, it does here too.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from engines.gpu import Gpu

H100 = Gpu("NVIDIA H100", "9.0", 132, "580.95.05, CUDA 13.0")
LISTED = ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider")
CPU_ONLY = frozenset({"Slice"})  # what stands for a node without a kernel for the GPU


@dataclass
class Asked:
    """What sessions were asked for, one entry a session."""

    providers: list[list[tuple[str, dict[str, str]]]]
    options: list[Any]
    keywords: list[dict[str, Any]]
    batches: list[int]


def install_providers(
    patch: pytest.MonkeyPatch, works: bool = True, listed: tuple[str, ...] = LISTED, gpu: Gpu = H100
) -> Asked:
    """Let ONNX Runtime list providers; ``works``: sessions say they run on the first that they are asked for.

    Where it does not work, the real library is asked for a provider that it does not have, and does what it then does.
    """
    library, asked = importlib.import_module("onnxruntime"), Asked([], [], [], [])
    real: type[Any] = library.InferenceSession

    class OnGpu(real):  # type: ignore[misc]
        def __init__(self, raw: bytes, options: Any, providers: Any, **keywords: Any) -> None:
            asked.providers.append(providers)
            asked.options.append(options)
            asked.keywords.append(keywords)
            self.first = str(providers[0][0])
            super().__init__(raw, options, providers=["CPUExecutionProvider"] if works else providers, **keywords)

        def get_providers(self) -> list[str]:
            there: list[str] = super().get_providers()
            return [self.first, *there] if works else there

        def run(self, names: Any, feed: dict[str, Any], *rest: Any) -> Any:
            asked.batches.append(len(next(iter(feed.values()))))
            return super().run(names, feed, *rest)

        def get_provider_graph_assignment_info(self) -> list[Any]:
            nodes = [node for part in super().get_provider_graph_assignment_info() for node in part.get_nodes()]
            return [_Part(self.first if node.op_type not in CPU_ONLY else LISTED[-1], node) for node in nodes]

    patch.setattr(library, "get_available_providers", lambda: list(listed))
    patch.setattr(library, "InferenceSession", OnGpu)
    patch.setattr("engines._onnxruntime.read_gpu", lambda: gpu)
    if works:  # then none of its files is missing
        patch.setattr("engines._onnxruntime_graph._missing", lambda library, provider: None)
    patch.setenv("NVIDIA_TF32_OVERRIDE", "")
    return asked


class _Part(SimpleNamespace):
    def __init__(self, ep_name: str, node: Any) -> None:
        super().__init__(ep_name=ep_name, nodes=[node])

    def get_nodes(self) -> list[Any]:
        return list(self.nodes)
