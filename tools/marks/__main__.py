"""Compose, harvest, train, write: ``python -m tools.marks --pictures FOLDER [--out FILE] [--tiles N] [--epochs N]``."""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from time import monotonic

import cv2
import numpy as np
import torch

from .draw import Picture
from .pictures import phantom_pictures, real_pictures
from .tiles import Samples, harvest
from .train import arrays, save, train, train_glance

NOTHING_KEPT = 0.45
"""Of the places without a marker."""

_PICTURES: list[Picture] = []


def main() -> None:
    """Train, and write the weights."""
    ask = argparse.ArgumentParser(prog="python -m tools.marks", description=__doc__)
    ask.add_argument("--pictures", type=Path, required=True, help="folder of stills, clips and DICOM without markers")
    ask.add_argument("--without", default="calipers,annotation", help="words: files so named are left out")
    ask.add_argument("--out", type=Path, default=Path("edge_app/imaging/weights/marks.npz"))
    ask.add_argument("--tiles", type=int, default=2600)
    ask.add_argument("--epochs", type=int, default=7)
    ask.add_argument("--seed", type=int, default=1)
    ask.add_argument("--keep", type=Path, help="keep the samples in this file")
    given = ask.parse_args()
    cv2.setNumThreads(1)
    _PICTURES.extend(real_pictures(given.pictures, tuple(given.without.split(","))) + phantom_pictures(4))
    print(len(_PICTURES), "pictures")
    data = gather(given.tiles, given.seed)
    if given.keep:
        torch.save(data, given.keep)
    torch.set_num_threads(1)  # more wait for each other on a busy machine
    glance = train_glance(data.pop("glance"), data.pop("glanced"), 6, given.seed)
    net = train(data, given.epochs, given.seed)
    given.out.parent.mkdir(exist_ok=True)
    save(arrays(net, glance), given.out)


def gather(tiles: int, seed: int) -> dict[str, torch.Tensor]:
    """Harvest in two processes."""
    begun, parts = monotonic(), 16
    with ProcessPoolExecutor(3) as pool:
        done = list(pool.map(_some, [(seed * 1000 + part, tiles // parts) for part in range(parts)]))
    data = {key: torch.from_numpy(np.concatenate([one[key] for one in done])) for key in done[0] if key != "seen"}
    seen = np.sum([one["seen"] for one in done], axis=0)
    marks = int((data["kind"] > 0).sum())
    print(f"{len(data['kind'])} samples, {marks} of markers; {monotonic() - begun:.0f} s")
    print(f"the search came near {seen[0]} of {seen[1]} markers", flush=True)
    return data


def _some(job: tuple[int, int]) -> dict[str, np.ndarray]:
    cv2.setNumThreads(1)
    rng = np.random.default_rng(job[0])
    into = Samples([], [], [], [], [], [], [])
    seen = np.zeros(2, int)
    for _ in range(job[1]):
        seen += harvest(rng, _PICTURES, into)
    kind = np.array(into.kind)
    kept = (kind > 0) | (rng.random(len(kind)) < NOTHING_KEPT)
    pick = np.flatnonzero(kept)
    return {
        "near": np.stack([into.near[i] for i in pick]),
        "far": np.stack([into.far[i] for i in pick]),
        "kind": kind[pick].astype(np.int64),
        "worded": np.array(into.worded)[pick].astype(np.int64),
        "aim": np.array(into.aim, np.float32)[pick],
        "seen": seen,
        "glance": np.stack(into.glance),
        "glanced": np.array(into.glanced, np.int64),
    }


if __name__ == "__main__":
    main()
