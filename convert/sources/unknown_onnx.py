"""An ONNX file of unknown origin: checked, opened to any batch, cut where it can be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx

from convert.checkpoint import DefectError, some
from convert.sources.adopt import adopt
from convert.sources.entrance import Size, fixed_batch
from convert.sources.network import Floats, Network
from convert.sources.onnx_file import open_onnx, pictures
from convert.sources.recipe import Recipe
from convert.sources.runner import Runner


def read_onnx(path: Path, recipe: Recipe) -> Network:
    """Return the network in ``path``.

    Raises
    ------
    DefectError
        The file is refused, or does not take the recipe's input, or has not its outputs.
    """
    model = open_onnx(path)
    spec = recipe.input
    size = (1 if spec.channels == "grey" else 3, spec.height, spec.width)
    last = spec.layout == "nhwc"
    found = adopt(model, size, _outputs(model, recipe), last)
    return Network(found.trunk, found.endings, _Original(model, size, last), size, "the file in ONNX Runtime")


def _outputs(model: onnx.ModelProto, recipe: Recipe) -> list[str]:
    """Return the outputs that heads read, each once."""
    there = [str(output.name) for output in model.graph.output]
    unnamed = [head.name for head in recipe.heads if head.output is None]
    if unnamed and len(there) > 1:
        raise DefectError(f"has {len(there)} outputs ({some(there)}), so the head {unnamed[0]} must name its output")
    wanted = list(dict.fromkeys(head.output or there[0] for head in recipe.heads))
    missing = [name for name in wanted if name not in there]
    if missing:
        raise DefectError(f"has no output {some(missing)}, only {some(there)}")
    return wanted


class _Original:
    """The file as it is, in ONNX Runtime, in batches of the size that it insists on."""

    def __init__(self, model: onnx.ModelProto, size: Size, channels_last: bool) -> None:
        self._run, self._last = Runner(model), channels_last
        self._batch = fixed_batch(pictures(model.graph), size, channels_last)

    def __call__(self, planes: Floats) -> dict[str, Floats]:
        """Return all outputs for planes (N, C, H, W), by name."""
        given = np.ascontiguousarray(planes.transpose(0, 2, 3, 1)) if self._last else planes
        step = self._batch or len(given)
        parts = []
        for start in range(0, len(given), step):
            part = given[start : start + step]
            short = step - len(part)
            parts.append({k: v[: len(part)] for k, v in self._run(np.pad(part, [(0, short), *[(0, 0)] * 3])).items()})
        return {name: np.concatenate([part[name] for part in parts]) for name in self._run.outputs}
