"""Writes a network of torch as a graph, by torch's own exporter, quietly."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings

import onnx
import torch
from torch import nn

from convert.checkpoint import DefectError

NEWEST = 18  # the oldest opset that the exporter writes itself; ``convert.sources.opset`` brings it to ours
ANSWERS = "answers"


def torch_graph(network: nn.Module, size: tuple[int, int, int]) -> onnx.ModelProto:
    """Return ``network``, in inference mode, as a graph from planes (N, C, H, W) to ``answers``.

    Raises
    ------
    DefectError
        The exporter cannot write it.
    """
    example = torch.zeros((2, *size))  # a batch of one would be taken for a constant
    shapes = ({0: torch.export.Dim("batch")},)
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")  # of torch's own inner workings
            program = torch.onnx.export(
                network.eval(),
                (example,),
                dynamo=True,
                opset_version=NEWEST,
                dynamic_shapes=shapes,
                input_names=["planes"],
                output_names=[ANSWERS],
                verbose=False,
            )
    except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
        cause = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
        raise DefectError(f"cannot be written as a graph ({cause})") from error
    finally:
        logging.disable(logging.NOTSET)
    if program is None:
        raise DefectError("cannot be written as a graph")
    model: onnx.ModelProto = program.model_proto
    return model
