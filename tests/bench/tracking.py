"""How well operator's poles follow the phantom's kidney, and whether they are lost when the kidney is.

    OMP_NUM_THREADS=1 python tests/bench/tracking.py [--patients 20] [--seconds 30] [--fps 15]

Poles are placed on the first frame with an operator's error of 1 mm and followed; the error is measured against the
true poles plus that error at placement, as a share of the kidney's length. Then the probe sweeps to another patient
within one second: whatever is still followed afterwards is followed falsely.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import thread_time

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.capture.base import Frame
from edge_app.capture.phantom import PhantomPlan, PhantomSource, PhantomTruth
from edge_app.capture.phantom.layout import LOOKS
from edge_app.capture.phantom.plan import Cycle
from edge_app.imaging.scene import Sector
from edge_app.imaging.tracking import PoleTracker

SWEEP_S, AFTER_S = 1.0, 3.0
WAYS = ("fading", "at once", "sliding")


@dataclass(slots=True)
class Result:
    """``errors``: shares of the length; ``false``: frames followed after the kidney was gone, by way of leaving it."""

    errors: list[float] = field(default_factory=list)
    took_ms: list[float] = field(default_factory=list)
    frames: int = 0
    lost: int = 0
    gone: Counter[str] = field(default_factory=Counter)
    false: Counter[str] = field(default_factory=Counter)

    def add(self, other: Result) -> None:
        self.errors += other.errors
        self.took_ms += other.took_ms
        self.frames += other.frames
        self.lost += other.lost
        self.gone += other.gone
        self.false += other.false

    def __str__(self) -> str:
        p50, p95, most = np.percentile(self.errors, [50, 95, 100]) * 100
        t50, t95 = np.percentile(self.took_ms, [50, 95])
        false = ", ".join(f"{way} {self.false[way]}/{count}" for way, count in self.gone.items())
        return (
            f"error p50 {p50:.2f} % p95 {p95:.2f} % largest {most:.2f} %; lost {self.lost}/{self.frames}; "
            f"falsely followed: {false or 'not tried'}; {t50:.1f} ms, p95 {t95:.1f} ms"
        )


def frames(seed: int, options: argparse.Namespace, seconds: float) -> Iterator[tuple[Frame, PhantomTruth]]:
    look = LOOKS[seed % len(LOOKS)]
    plan = PhantomPlan(look, (1280, 960), seed, fps=options.fps, cycle=Cycle(3600.0, 0.0, 0.0), realtime=False)
    with PhantomSource(plan) as source:
        for _ in range(round(seconds * options.fps)):
            frame = source.read()
            if frame is None or not isinstance(frame.truth, PhantomTruth):
                raise SystemExit("the phantom ended")
            yield frame, frame.truth


def sector_of(truth: PhantomTruth) -> Sector:
    rows, columns = np.flatnonzero(truth.sector_mask.any(1)), np.flatnonzero(truth.sector_mask.any(0))
    bbox = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    return Sector("convex", bbox, (), truth.sector_mask, 1.0)


def breathe(seed: int, options: argparse.Namespace) -> Result:
    """Follow one patient; the operator's error at placement is carried along, and is no error of the tracking."""
    result, tracker = Result(), None
    slips = np.random.default_rng(seed).normal(0.0, 0.1, (2, 2))  # 1 mm
    for frame, truth in frames(seed, options, options.seconds):
        placed = np.array(truth.poles) + slips * truth.px_per_cm
        tracker = tracker or PoleTracker((placed[0, 0], placed[0, 1]), (placed[1, 0], placed[1, 1]))
        sector, start = sector_of(truth), thread_time()
        tracked = tracker.follow(frame.pixels, sector, False)
        result.took_ms.append((thread_time() - start) * 1000)
        result.frames += 1
        if tracked.state == "lost":
            result.lost += 1
            continue
        error = np.linalg.norm(np.array((tracked.first, tracked.second)) - placed, axis=1)
        result.errors += (error / (truth.kidney_length_cm * truth.px_per_cm)).tolist()
    return result


def sweep(seed: int, options: argparse.Namespace) -> Result:
    """Leave the kidney after two seconds; half a second after the end of the sweep it must have been lost."""
    seconds = 2.0 + SWEEP_S + AFTER_S
    kidney, strange = list(frames(seed, options, seconds)), list(frames(seed + 500, options, seconds))
    result = Result()
    for way in WAYS:
        tracker = PoleTracker(*kidney[0][1].poles)
        for (frame, truth), (other, _) in zip(kidney, strange, strict=True):
            t_s, sector = frame.t_ms / 1000 - 2.0, sector_of(truth)
            share = float(t_s >= 0) if way == "at once" else float(np.clip(t_s / SWEEP_S, 0.0, 1.0))
            tracked = tracker.follow(mixed(frame.pixels, other.pixels, share, sector, way), sector, False)
            if t_s > SWEEP_S + 0.5:
                result.gone[way] += 1
                result.false[way] += tracked.state != "lost"
    return result


def mixed(
    one: NDArray[np.uint8], other: NDArray[np.uint8], share: float, sector: Sector, way: str
) -> NDArray[np.uint8]:
    """The picture when the probe has gone this share of its way from one kidney to the other."""
    if way != "sliding":
        return np.asarray(cv2.addWeighted(one, 1 - share, other, share, 0), dtype=np.uint8)
    aside = int(share * 0.9 * (sector.bbox[2] - sector.bbox[0]))
    pixels = np.array(one, dtype=np.uint8)
    rolled = np.roll(np.concatenate([one, other], axis=1), -aside, axis=1)
    pixels[sector.mask] = rolled[:, : one.shape[1]][sector.mask]
    return pixels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--fps", type=float, default=15.0)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    whole = Result()
    for seed in range(100, 100 + options.patients):
        result = breathe(seed, options)
        result.add(sweep(seed, options))
        print(f"patient {seed}: {result}", flush=True)
        whole.add(result)
    print(f"all: {whole}")


if __name__ == "__main__":
    main()
