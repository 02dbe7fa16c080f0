"""Names in a checkpoint as its training program wrote them, brought to those of the network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from convert.checkpoint import DefectError, load_tensors, some

PARALLEL = "module."  # DataParallel writes it before every name


def renamed_tensors(path: Path, rename: Mapping[str, str]) -> dict[str, torch.Tensor]:
    """Return the tensors of a checkpoint with ``module.`` taken off and beginnings of names replaced.

    Raises
    ------
    DefectError
        It cannot be read, or two names become one.
    """
    state = load_tensors(path)
    if state and all(name.startswith(PARALLEL) for name in state):
        state = {name.removeprefix(PARALLEL): value for name, value in state.items()}
    pairs = [(_renamed(name, rename), value) for name, value in state.items()]
    names = [name for name, _ in pairs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DefectError(f"has two weights each for {some(twice)} after renaming")
    return dict(pairs)


def _renamed(name: str, rename: Mapping[str, str]) -> str:
    for before, after in rename.items():
        if name.startswith(before):
            return after + name.removeprefix(before)
    return name
