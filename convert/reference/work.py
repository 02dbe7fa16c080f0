"""Keeps finished members in the work folder, so that a conversion can be repeated without training again."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from convert.dataset import fingerprint
from convert.plan import TrainingPlan
from convert.reference.network import Network


def member_key(dataset: Path, plan: TrainingPlan, index: int) -> str:
    """Name of a member: changes with the data, the recipe and the seed, not with the number of members."""
    recipe = {**asdict(plan), "members": 0, "threads": 0, "index": index, "data": fingerprint(dataset)}
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:16]


def load_member(folder: Path, key: str, plan: TrainingPlan) -> tuple[Network, bytes] | None:
    """Return network and booster kept under ``key``, or None. No pickles: npz and JSON."""
    weights, booster = folder / f"{key}.npz", folder / f"{key}.booster.json"
    if not (weights.is_file() and booster.is_file()):
        return None
    network = Network(plan.channels, plan.strides)
    with np.load(weights, allow_pickle=False) as arrays:
        network.load_state_dict({name: torch.from_numpy(np.asarray(arrays[name])) for name in arrays.files})
    return network.eval(), booster.read_bytes()


def keep_member(folder: Path, key: str, network: Network, booster: bytes) -> None:
    """Write both files; the weights last and at once, so that a torn pair is never loaded."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{key}.booster.json").write_bytes(booster)
    temporary = folder / f".{key}.npz"
    with temporary.open("wb") as file:
        np.savez(file, **{name: value.numpy() for name, value in network.state_dict().items()})
    os.replace(temporary, folder / f"{key}.npz")
