"""What the conversion by recipe changes: each network against torch, fp32, 224 x 224, seeded random weights.

Batch statistics are those of the crops. Prints the table of ``docs/recipes.md``; names of networks may be given.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from convert.graph.parts import Whole
from convert.sources import repvgg
from convert.sources.collect import check_files, read_each
from convert.sources.equivalence import measure, planes
from convert.sources.recipe import Recipe
from convert.sources.torchvision_model import build

NETWORKS = ("densenet121", "resnet50", "efficientnet_b0", "mobilenet_v3_small", "RepVGG-A0", "RepVGG-B1")
SEED = 1


def recipe(name: str) -> Recipe:
    head = {"name": "p", "title": "P", "kind": "probability", "event": "e", "classes": ("no", "yes"), "positive": "yes"}
    about = {"id": "m", "version": "1", "title": "M", "training": "T", "data": "D", "limits": ["L"]}
    family = "repvgg" if name in repvgg.VARIANTS else "torchvision"
    source = {"family": family, "architecture": name, "weights": ("w.pth",)}
    given = {"height": 224, "width": 224, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    return Recipe.model_validate({"model": about, "source": source, "input": given, "heads": (head,)})


def state(name: str, crops: np.ndarray) -> dict[str, torch.Tensor]:
    torch.manual_seed(SEED)
    if name in repvgg.VARIANTS:
        return repvgg_state(name)
    network = build(name, 2).train()
    for item in network.modules():
        if isinstance(item, torch.nn.BatchNorm2d):
            item.momentum = None
    with torch.no_grad():
        network(torch.from_numpy(planes(crops, recipe(name).input)))
    return network.state_dict()


def repvgg_state(name: str) -> dict[str, torch.Tensor]:
    shapes = repvgg.expected_shapes(repvgg.blocks(repvgg.VARIANTS[name]), 2, deployed=False)
    made = {}
    for key, shape in shapes.items():
        fan = int(np.prod(shape[1:])) or 1
        value = torch.randn(shape) / fan**0.5
        if len(shape) == 1 and not key.endswith(("bias", "running_mean")):
            value = torch.rand(shape) * 0.5 + (0.3 if key.endswith("weight") else 0.8)
        made[key] = value
    return made


def main() -> None:
    crops = np.random.default_rng(SEED).integers(0, 256, (8, 224, 224, 3), dtype=np.uint8)
    print("| network | weights | answers | features | cut | seconds |\n|---|---|---|---|---|---|")
    for name in sys.argv[1:] or NETWORKS:
        with tempfile.TemporaryDirectory() as folder:
            torch.save(state(name, crops), Path(folder) / "w.pth")
            told, began = recipe(name), time.monotonic()
            (found,) = read_each(told, Path(folder), check_files(told, Path(folder)))
            took = time.monotonic() - began
            same = measure(found.ensemble, 0, found.network, crops, told.input)
        weights = found.ensemble.members[0].parameters / 1e6
        features = "" if same.features is None else f"{same.features:.1e}"
        cut = "no" if isinstance(found.network.trunk, Whole) else "yes"
        print(f"| {name} | {weights:.1f} M | {same.answers:.1e} | {features} | {cut} | {took:.1f} |", flush=True)


if __name__ == "__main__":
    main()
