"""Times one reading of one crop: the published procedure against a bundle of the same weights, side by side in one run.

    python tests/bench/published.py WORK [--rounds 9] [--threads 2] [--gpu]

``WORK`` holds ``models/`` in the published layout and ``bundle/`` made from it, as
``python tests/bench/kuo2019.py WORK --members 10 --full`` leaves them. The peer is the authors' own way: for each
member one PyTorch pass for the eGFR, a second pass through ``children()[:-1]`` for the pooled features, then XGBoost
on the columns that its trees name. Everything is loaded before the clock starts. The ways take turns in every round, so
that a busy machine slows all of them; printed are medians over the rounds, their ratio to the peer, and what each
answered for the same crop, so that nobody is fast by being wrong. With ``--gpu`` PyTorch computes on the GPU, as the
authors' did, and the bundle by ONNX Runtime's CUDA provider; XGBoost stays on the CPU for the peer.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import xgboost
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "convert"))
from kuo_makers import normalise

from convert.sources._torchvision import load_models
from engines._onnxruntime_session import OnnxSession
from engines.bundle import Bundle, load_golden, open_bundle
from engines.errors import BundleError
from engines.manifest import Precision
from engines.providers import CPU, CUDA, Provider

Answer = tuple[float, float]  # eGFR, P(eGFR < 60): means over members
Way = Callable[[np.ndarray], Answer]
PEER = "published: PyTorch twice, XGBoost"


def main() -> None:
    """Load, warm up, take turns, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--gpu", action="store_true")
    asked = parser.parse_args()
    device, provider = ("cuda", CUDA) if asked.gpu else ("cpu", CPU)
    torch.set_num_threads(asked.threads)
    bundle = open_bundle(asked.work / "bundle")
    crops = load_golden(bundle).crops
    with ExitStack() as stack:
        ways: dict[str, Way] = {PEER: published(asked.work / "models", asked.threads, device)}
        for precision in ("fp32", "fp16", "int8"):
            with suppress(BundleError):  # the bundle was made without this one
                ways[f"bundle {precision}"] = bundled(bundle, precision, provider, asked.threads, stack)
        answers = {name: way(crops[:1]) for name, way in ways.items()}  # warms up as well
        took = take_turns(ways, crops, asked.rounds)
    where = f"{asked.threads} threads" if device == "cpu" else torch.cuda.get_device_name()
    print(f"{bundle.manifest.members} members, {where}, {asked.rounds} rounds, one crop at a time")
    for name, seconds in took.items():
        median, ratio = np.median(seconds), np.median(took[PEER]) / np.median(seconds)
        egfr, chance = answers[name]
        print(f"{name:36s} {1000 * median:8.1f} ms  {ratio:5.1f} x  eGFR {egfr:7.3f}  P {chance:.4f}")


def take_turns(ways: dict[str, Way], crops: np.ndarray, rounds: int) -> dict[str, list[float]]:
    """Return seconds of every way in every round; within a round all read the same crop."""
    took: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds):
        crop = crops[turn % len(crops)][None]
        for name, way in ways.items():
            started = time.perf_counter()
            way(crop)
            took[name].append(time.perf_counter() - started)
    return took


@dataclass(frozen=True)
class Trees:
    """One booster as XGBoost itself runs it, and the columns that it names."""

    booster: xgboost.Booster
    columns: list[int]

    def chance(self, features: np.ndarray) -> float:
        """Return P for one row of pooled features."""
        names = self.booster.feature_names
        return float(self.booster.predict(xgboost.DMatrix(features[:, self.columns], feature_names=names))[0])


def published(models: Path, threads: int, device: str) -> Way:
    """Return the authors' procedure over all members in ``models``, on PyTorch's ``device``."""
    count = len(list(models.glob("model_*.pkl")))
    members = [
        (tuple(part.to(device) for part in network_of(models / f"model_{i}.pkl")), trees_of(models, i, threads))
        for i in range(count)
    ]

    @torch.no_grad()
    def read(crop: np.ndarray) -> Answer:
        planes = normalise(crop).to(device)
        values, chances = [], []
        for (network, pooling), trees in members:
            values.append(float(network(planes)[0, 0]))
            chances.append(trees.chance(pooling(planes).flatten(1).cpu().numpy()))
        return float(np.mean(values)), float(np.mean(chances))

    return read


def network_of(path: Path) -> tuple[nn.Module, nn.Module]:
    """Return torchvision's ResNet-101 with the published head, and its part up to the pooling, which shares weights."""
    base = load_models().resnet101(weights=None)
    head = nn.Sequential(
        nn.Linear(1000, 512), nn.ReLU(), nn.Dropout(0.5), nn.Linear(512, 256), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(256, 1),
    )  # fmt: skip
    state = torch.load(path, map_location="cpu", weights_only=True)
    for part, prefix in ((base, "module.base_model."), (head, "module.fc.")):
        own = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        missing, extra = part.load_state_dict(own, strict=False)
        wrong = [name for name in (*missing, *extra) if not name.endswith("num_batches_tracked")]
        if wrong:
            raise SystemExit(f"{path} is not in the published layout: {wrong[:3]}")
    return nn.Sequential(base, head).eval(), nn.Sequential(*list(base.children())[:-1]).eval()


def trees_of(models: Path, index: int, threads: int) -> Trees:
    """Return the trees of one member, saved as JSON (XGBoost 3.2 reads no older pickle)."""
    booster = xgboost.Booster({"nthread": threads}, model_file=models / f"xgb_{index}.json")
    return Trees(booster, [int(name.removeprefix("f")) for name in booster.feature_names or ()])


def bundled(bundle: Bundle, precision: Precision, provider: Provider, threads: int, stack: ExitStack) -> Way:
    """Return one artifact of the bundle, run by the app's own session."""
    session = stack.enter_context(
        OnnxSession(bundle, bundle.artifacts(precision, "tensorrt" if provider.on_gpu else "cpu"), threads, provider)
    )
    heads = bundle.manifest.egfr, bundle.manifest.egfr_below_60

    def read(crop: np.ndarray) -> Answer:
        found = session.infer(crop)
        values = [float(found[head.output].mean()) for head in heads if head is not None]
        return values[0], values[1]

    return read


if __name__ == "__main__":
    main()
