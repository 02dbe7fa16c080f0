"""Runs a graph that is still in memory, on the CPU: for what is measured before there is a bundle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import onnx
from numpy.typing import NDArray

from engines._onnxruntime import load_library  # its import also switches the library's telemetry off

BATCH = 8
THREADS = 2
ERRORS_ONLY = 3
Floats = NDArray[np.float32]


class _Named(Protocol):
    name: str


class _Session(Protocol):
    def get_outputs(self) -> list[_Named]: ...

    def run(self, outputs: Sequence[str], feed: dict[str, NDArray[np.uint8]]) -> list[Floats]: ...


class Run:
    """A loaded graph; ``as_written``: without ONNX Runtime's own integer kernels, as a form for TensorRT is run."""

    def __init__(self, model: onnx.ModelProto, as_written: bool = False) -> None:
        library = load_library()
        options = library.SessionOptions()
        options.intra_op_num_threads = THREADS
        options.log_severity_level = ERRORS_ONLY
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # CPU time is measured too
        if as_written:
            options.add_session_config_entry("session.disable_quant_qdq", "1")
        self._input = str(model.graph.input[0].name)
        self._session: _Session = library.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self._names = [output.name for output in self._session.get_outputs()]

    def __call__(self, crops: NDArray[np.uint8]) -> dict[str, Floats]:
        """Return all outputs by name for ``crops`` uint8 (N, H, W, 3), N >= 1, in one go."""
        return dict(zip(self._names, self._session.run(self._names, {self._input: crops}), strict=True))


def concatenated(parts: Sequence[dict[str, Floats]]) -> dict[str, Floats]:
    """Return the outputs of several batches as those of one."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
