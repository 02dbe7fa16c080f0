"""Runs a graph that is being converted: in ONNX Runtime on the CPU, one thread, nothing else."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Protocol

import numpy as np
import onnx
from numpy.typing import NDArray

from convert.checkpoint import DefectError
from engines._onnxruntime import library_errors, load_library

Floats = NDArray[np.float32]
Batch = NDArray[np.float32] | NDArray[np.uint8]
SILENT = 4  # what the library warns of is judged here
_PROVIDERS = ["CPUExecutionProvider"]


class _Options(Protocol):
    """What is set of the library's options, which have no types."""

    intra_op_num_threads: int
    log_severity_level: int
    graph_optimization_level: object
    optimized_model_filepath: str


class Runner:
    """A loaded graph with one input; belongs to the thread that made it.

    Raises
    ------
    DefectError
        ONNX Runtime does not take the graph.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        library = load_library()
        self._errors = library_errors(library)
        try:
            self._session = library.InferenceSession(
                model.SerializeToString(), _quiet(library.SessionOptions()), providers=_PROVIDERS
            )
        except self._errors as error:
            raise _refused(error) from error
        self._input = self._session.get_inputs()[0].name
        self.outputs: tuple[str, ...] = tuple(output.name for output in self._session.get_outputs())

    def __call__(self, batch: Batch) -> dict[str, Floats]:
        """Return all outputs for a batch, by name.

        Raises
        ------
        DefectError
            The graph fails on it.
        """
        try:
            values = self._session.run(list(self.outputs), {self._input: batch})
        except self._errors as error:
            raise _refused(error) from error
        return dict(zip(self.outputs, values, strict=True))


def simplified(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with constants folded, batch norms folded into convolutions and idle nodes gone.

    This is ONNX Runtime's basic level, which leaves standard operators only.

    Raises
    ------
    DefectError
        ONNX Runtime does not take the model.
    """
    library = load_library()
    options = _quiet(library.SessionOptions())
    options.graph_optimization_level = library.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "simple.onnx"
        options.optimized_model_filepath = str(target)
        try:
            library.InferenceSession(model.SerializeToString(), options, providers=_PROVIDERS)
        except library_errors(library) as error:
            raise _refused(error) from error
        return onnx.load_model(str(target), load_external_data=False)


def _quiet(options: _Options) -> _Options:
    options.intra_op_num_threads = 1
    options.log_severity_level = SILENT
    return options


def _refused(error: Exception) -> DefectError:
    cause = " ".join(str(error).split())[:200]
    return DefectError(f"is not taken by ONNX Runtime ({cause})")
