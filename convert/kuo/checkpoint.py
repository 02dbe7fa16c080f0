"""Loads one checkpoint of the published network without running anything in it."""

from __future__ import annotations

from pathlib import Path

from convert.checkpoint import State, load_tensors, matched
from convert.kuo.layout import PREFIX, Layout, expected_shapes


def load_checkpoint(path: Path, layout: Layout) -> State:
    """Return the arrays of a checkpoint by name, ``module.`` taken off; float32, all finite.

    Raises
    ------
    DefectError
        It cannot be read, or names, shapes or values are not those of the published network.
    """
    arrays = matched(load_tensors(path), expected_shapes(layout))
    return {name.removeprefix(PREFIX): array for name, array in arrays.items()}
