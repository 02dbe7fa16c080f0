"""Compose, harvest, train, write.

python -m tests.training.marks --pictures FOLDER [--out FOLDER] [--tiles N] [--epochs N] [--processes N]
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from time import monotonic

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
import torch

from edge_app.imaging.mark_net import GLANCE, READER, WEIGHTS, MarkNet

from .draw import Picture
from .pictures import phantom_pictures, real_pictures
from .tiles import Samples, harvest, mine
from .train import Folded, Reader, errors, halfway, save, save_glance, train, train_glance

NOTHING_KEPT = 0.45
"""Of the places without a marker."""
PART = 50
"""Tiles of one job."""

Job = Callable[[tuple[int, int]], dict[str, np.ndarray]]

_PICTURES: list[Picture] = []
_WEIGHTS: list[Path] = []


def main() -> None:
    """Train, and write the weights."""
    ask = argparse.ArgumentParser(prog="python -m tests.training.marks", description=__doc__)
    ask.add_argument("--pictures", type=Path, required=True, help="folder of stills, clips and DICOM without markers")
    ask.add_argument("--without", default="calipers,annotation", help="words: files so named are left out")
    ask.add_argument("--phantom", type=int, default=4, help="phantom patients of each look and size")
    ask.add_argument("--out", type=Path, default=WEIGHTS)
    ask.add_argument("--tiles", type=int, default=20000)
    ask.add_argument("--epochs", type=int, default=10)
    ask.add_argument("--seed", type=int, default=1)
    ask.add_argument("--turns", type=int, default=2, help="how often to go on with what was got wrong")
    ask.add_argument("--mined", type=float, default=0.25, help="of the tiles, for each of these turns")
    ask.add_argument("--rate", type=float, default=1.2e-3, help="of learning in these turns")
    ask.add_argument("--start", type=Path, help="folder of written weights to go on from: turns only")
    ask.add_argument("--processes", type=int, default=os.cpu_count())
    given = ask.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)  # more wait for each other on a busy machine
    place = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    _WEIGHTS.append(given.out)
    _PICTURES.extend(real_pictures(given.pictures, tuple(given.without.split(","))))
    if given.phantom:
        _PICTURES.extend(phantom_pictures(given.phantom))
    print(len(_PICTURES), "pictures;", given.processes, "processes;", place)
    kept = _gathered(given, _harvested, given.tiles // 30, given.seed + 500, place)
    data = _gathered(given, _harvested, given.tiles, given.seed, place)
    small, seen = data.pop("glance"), data.pop("glanced")
    if given.start:
        net: Reader = Folded(given.start / READER)
        given.out.mkdir(parents=True, exist_ok=True)
        for name in (READER, GLANCE):
            if given.out != given.start:
                shutil.copy(given.start / name, given.out / name)
    else:
        save_glance(train_glance(small, seen, 4, given.seed), given.out)
        net = train(data, given.epochs, 2e-3, given.seed)
        save(net, given.out)
    print(errors(net.to(place), kept), flush=True)
    for turn in range(1, given.turns + 1):  # with what the weights just written get wrong
        hard = _gathered(given, _mined, round(given.tiles * given.mined), given.seed + turn, place)
        data = {key: torch.cat([data[key], hard[key]]) for key in data}
        net = train(data, max(1, round(given.epochs * 0.5)), given.rate, given.seed + turn, net)
        print(errors(net, kept), flush=True)
        save(net, given.out)
    if given.start:  # the hard places alone would make it doubt what was clear
        halfway(net, Folded(given.start / READER))
        print(errors(net, kept), flush=True)
        save(net, given.out)


def _gathered(
    given: argparse.Namespace, job: Job, tiles: int, seed: int, place: torch.device
) -> dict[str, torch.Tensor]:
    return gather(job, max(PART, tiles), seed, given.processes, place)


def gather(job: Job, tiles: int, seed: int, processes: int, place: torch.device) -> dict[str, torch.Tensor]:
    """Compose tiles in processes of their own."""
    begun, count = monotonic(), max(1, tiles // PART)
    with ProcessPoolExecutor(processes) as pool:
        jobs = [(seed * 100_000 + part, min(PART, tiles)) for part in range(count)]
        parts = [{k: torch.from_numpy(v) for k, v in one.items()} for one in pool.map(job, jobs)]
    data = {key: torch.cat([one[key] for one in parts]).to(place) for key in parts[0]}
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
