"""Engines of every kind of network that is converted, built for real; what runs in which precision is counted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from convert.tensorrt_library import Library

from .tensorrt_makers import KINDS, Workshop, plan_of

Artifacts = Callable[[str, str], Path]


@pytest.mark.parametrize("capability", ["8.6", "8.9"])
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_convolution_runs_in_the_precision_that_its_artifact_asks_for(
    rtx: Library, workshop: Workshop, artifact_of: Artifacts, tmp_path: Path, kind: str, precision, capability: str
) -> None:
    plan = plan_of(rtx, artifact_of(kind, precision), precision, capability)
    done = workshop.build(plan, tmp_path / "engine")
    assert done.layers.compiled == done.layers.planned == KINDS[kind].expected(precision)
    assert done.layers.fallbacks == ()
    assert done.warnings == ()
    assert (tmp_path / "engine").stat().st_size == done.size_bytes > 10_000


@pytest.mark.parametrize("kind", KINDS)
def test_what_must_run_in_int8_is_what_the_converter_quantised(artifact_of: Artifacts, kind: str) -> None:
    """Counted again from the ONNX itself: convolutions that read what was dequantised."""
    graph = onnx.load(artifact_of(kind, "int8")).graph
    made = {name: node.op_type for node in graph.node for name in node.output}
    quantised = [n for n in graph.node if n.op_type == "Conv" and made.get(n.input[0]) == "DequantizeLinear"]
    assert KINDS[kind].int8["Int8"] == len(quantised) > 0
