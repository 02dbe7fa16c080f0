"""Compose, harvest, train, write.

python -m tests.training.marks --pictures FOLDER [--out FILE] [--tiles N] [--epochs N]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from time import monotonic

import cv2
import numpy as np
import torch

from edge_app.imaging.mark_net import WEIGHTS, MarkNet

from .draw import Picture
from .pictures import phantom_pictures, real_pictures
from .tiles import Samples, harvest, mine
from .train import arrays, save, train, train_glance

NOTHING_KEPT = 0.45
"""Of the places without a marker."""

_PICTURES: list[Picture] = []
_WEIGHTS: list[Path] = []


def main() -> None:
    """Train, and write the weights."""
    ask = argparse.ArgumentParser(prog="python -m tests.training.marks", description=__doc__)
    ask.add_argument("--pictures", type=Path, required=True, help="folder of stills, clips and DICOM without markers")
    ask.add_argument("--without", default="calipers,annotation", help="words: files so named are left out")
    ask.add_argument("--out", type=Path, default=WEIGHTS)
    ask.add_argument("--tiles", type=int, default=2600)
    ask.add_argument("--epochs", type=int, default=7)
    ask.add_argument("--seed", type=int, default=1)
    ask.add_argument("--turns", type=int, default=2, help="how often to go on with what was got wrong")
    given = ask.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)  # more wait for each other on a busy machine
    _WEIGHTS.append(given.out)
    given.out.parent.mkdir(exist_ok=True)
    _PICTURES.extend(real_pictures(given.pictures, tuple(given.without.split(","))) + phantom_pictures(4))
    print(len(_PICTURES), "pictures")
    data = gather(_harvested, given.tiles, given.seed)
    glance = train_glance(data.pop("glance"), data.pop("glanced"), 6, given.seed)
    net = train(data, given.epochs, given.seed)
    for turn in range(1, given.turns + 1):
        save(arrays(net, glance), given.out)
        hard = gather(_mined, given.tiles // 2, given.seed + turn)  # what the weights just written get wrong
        data = {key: torch.cat([data[key], hard[key]]) for key in data}
        net = train(data, given.epochs // 2, given.seed + turn, 1.2e-3, net)
    save(arrays(net, glance), given.out)


def gather(job: Callable[[tuple[int, int]], dict[str, np.ndarray]], tiles: int, seed: int) -> dict[str, torch.Tensor]:
    """Compose tiles in processes of their own."""
    begun, parts = monotonic(), 16
    with ProcessPoolExecutor(2) as pool:
        done = list(pool.map(job, [(seed * 1000 + part, tiles // parts) for part in range(parts)]))
    data = {key: torch.from_numpy(np.concatenate([one[key] for one in done])) for key in done[0]}
    marks = int((data["kind"] > 0).sum())
    print(f"{len(data['kind'])} samples, {marks} of markers; {monotonic() - begun:.0f} s", flush=True)
    return data


def _harvested(job: tuple[int, int]) -> dict[str, np.ndarray]:
    """Return the samples of some tiles, with the small patches of the glance."""
    cv2.setNumThreads(1)
    rng = np.random.default_rng(job[0])
    into = Samples([], [], [], [], [], [], [])
    for _ in range(job[1]):
        harvest(rng, _PICTURES, into)
    kind = np.array(into.kind)
    kept = np.flatnonzero((kind > 0) | (rng.random(len(kind)) < NOTHING_KEPT))
    return {**_stacked(into, kept), "glance": np.stack(into.glance), "glanced": np.array(into.glanced, np.int64)}


def _mined(job: tuple[int, int]) -> dict[str, np.ndarray]:
    """Return what the network is wrong or unsure about in some tiles."""
    cv2.setNumThreads(1)
    rng, net = np.random.default_rng(job[0]), MarkNet(_WEIGHTS[0])
    into = Samples([], [], [], [], [], [], [])
    for _ in range(job[1]):
        mine(rng, _PICTURES, into, net)
    return _stacked(into, np.arange(len(into.kind)))


def _stacked(into: Samples, kept: np.ndarray) -> dict[str, np.ndarray]:
    return {
        "near": np.stack([into.near[i] for i in kept]),
        "far": np.stack([into.far[i] for i in kept]),
        "kind": np.array(into.kind, np.int64)[kept],
        "worded": np.array(into.worded, np.int64)[kept],
        "aim": np.array(into.aim, np.float32)[kept],
    }


if __name__ == "__main__":
    main()
