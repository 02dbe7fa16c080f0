"""INT8 forms as NVIDIA's own builder compiles them: by its layer table, without a GPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from convert.anatomy import Anatomy, dissect
from convert.calibration import tensors_of, to_int8
from convert.members import save
from convert.progress import silent
from convert.ranges import measure
from convert.tensorrt_builder import build
from convert.tensorrt_library import Library, load_library
from convert.tensorrt_plan import BATCH, EnginePlan
from convert.write import refer
from engines.errors import RuntimeUnavailableError
from engines.store import EngineKey, EngineRecipe, EngineTarget, LayerSummary

from .trunk_makers import strange_graph


class Patience:
    """A watch that never cancels."""

    def report(self, stage: str, done: int, total: int) -> None:
        """Say nothing."""

    def cancelled(self) -> bool:
        return False


@pytest.fixture(scope="module")
def rtx() -> Library:
    try:
        return load_library("tensorrt-rtx")
    except RuntimeUnavailableError:
        pytest.skip("TensorRT for RTX is not installed, so no engine is built (pip install 'echogfr[rtx]')")


def compiled(rtx: Library, model: onnx.ModelProto, folder: Path, left: frozenset[str] = frozenset()) -> LayerSummary:
    edge = model.graph.input[0].type.tensor_type.shape.dim[1].dim_value
    crops = np.random.default_rng(1).integers(0, 256, (8, edge, edge, 3), dtype=np.uint8)
    ranges = measure(model, tensors_of(dissect(model)), crops, np.ones(8, np.bool_), silent).ranges
    form = save(to_int8(model, "tensorrt", ranges, left), folder / "form.onnx")
    key = EngineKey(
        artifact_sha256=refer(folder, form.name).sha256,
        recipe=EngineRecipe(batch=BATCH, workspace_mib=None, dla_core=None),
        builder=rtx.builder,
        target=EngineTarget(compute_capabilities=("8.6",)),
    )
    done = build(rtx, EnginePlan(form, "int8", rtx.runtime, key), folder / "engine", Patience())
    assert done.layers.compiled == done.layers.planned, done.layers.fallbacks
    return done.layers


def parts(anatomy: Anatomy, keep: Callable[[str], bool]) -> int:
    return sum(keep(part.unit) for part in anatomy.convolutions)


def test_residual_blocks_run_in_int8_behind_stems_in_half(rtx: Library, tiny, tmp_path: Path) -> None:
    """Two members; the maps of their heads stay float."""
    layers = compiled(rtx, tiny.model, tmp_path)
    assert layers.planned == {"Int8": len(dissect(tiny.model).convolutions), "Half": 2, "Float": 2}


def test_a_block_that_is_left_runs_in_half(rtx: Library, tiny, tmp_path: Path) -> None:
    layers = compiled(rtx, tiny.model, tmp_path, frozenset({"block1"}))
    rest = parts(dissect(tiny.model), lambda unit: unit != "block1")
    assert layers.planned == {"Int8": rest, "Half": 2 + 6, "Float": 2}


def test_a_trunk_of_unknown_origin_is_built_too(rtx: Library, tmp_path: Path) -> None:
    """With batch norms, concatenation, a squeeze, clipping and resizing."""
    model = strange_graph()
    layers = compiled(rtx, model, tmp_path)
    assert layers.planned == {"Int8": len(dissect(model).convolutions), "Half": 1, "Float": 1}
