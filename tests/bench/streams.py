"""Measures the observer on phantom streams: what it takes, and how near to the truth it comes.

Run: ``python tests/bench/imaging.py --streams [SEEDS FRAMES]``. One core; nothing here is a test.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import product
from math import hypot
from time import thread_time

import cv2
import numpy as np

from edge_app.capture.phantom.layout import LOOKS
from edge_app.capture.phantom.plan import Cycle, PhantomPlan
from edge_app.capture.phantom.source import PhantomSource
from edge_app.capture.phantom.truth import PhantomTruth
from edge_app.imaging.observer import SceneObserver
from edge_app.imaging.scene import CaliperPair, Scene
from tests.bench.clock import cpu_time

SIZES = ((960, 720), (1280, 960), (1920, 1080))
NEAR_PX = 1.5


class Tally:
    """Counts of one look and size."""

    def __init__(self) -> None:
        self.stages: dict[str, list[float]] = defaultdict(list)
        self.poles = [0, 0]  # near, all measured frames
        self.false_pairs = 0
        self.live = 0
        self.latency_ms: list[float] = []
        self.thaw_ms: list[float] = []
        self.scale_error: list[float] = []
        self.no_scale = 0
        self.overlap: list[float] = []
        self.misses: list[str] = []


def main(seeds: int = 2, frames: int = 240) -> None:
    """Print a table."""
    cv2.setNumThreads(1)
    for look, size in product(LOOKS, SIZES):
        tally = Tally()
        for seed in range(seeds):
            watch(tally, PhantomPlan(look, size, seed + 11, frames=frames, realtime=False, cycle=Cycle(2.0, 1.2, 2.5)))
        report(look, size, tally)


def watch(tally: Tally, plan: PhantomPlan) -> None:
    """Observe one stream."""
    observer = SceneObserver()
    phase_since, last_phase, seen_frozen = 0.0, "", False
    with PhantomSource(plan) as source:
        while (frame := source.read()) is not None:
            start = thread_time()
            with cpu_time():
                scene = observer.observe(frame)
            tally.stages["all"].append((thread_time() - start) * 1e3)
            for stage, took in observer.timings_ms.items():
                tally.stages[stage].append(took)
            truth = frame.truth
            if not isinstance(truth, PhantomTruth):
                raise TypeError("the phantom gave no truth")
            still = "live" if truth.phase == "live" else "frozen"
            if still != last_phase:
                phase_since, last_phase, seen_frozen = frame.t_ms, still, False
            if scene.frozen == (still == "frozen") and not seen_frozen:
                seen_frozen = True
                (tally.latency_ms if still == "frozen" else tally.thaw_ms).append(frame.t_ms - phase_since)
            judge(tally, scene, truth, f"{plan.look} {plan.size[0]} seed {plan.seed} frame {frame.index} {truth.phase}")


def judge(tally: Tally, scene: Scene, truth: PhantomTruth, where: str) -> None:
    """Count one frame."""
    if truth.phase == "live":
        tally.live += 1
        tally.false_pairs += bool(scene.calipers)
    if truth.calipers is not None:
        tally.poles[1] += 1
        near = bool(scene.calipers) and _error(scene.calipers[0], truth.calipers) <= NEAR_PX
        tally.poles[0] += near
        if not near:
            tally.misses.append(f"{where}: {scene.calipers} is {truth.calipers}")
    if scene.scale is None:
        tally.no_scale += 1
    else:
        tally.scale_error.append(100 * abs(scene.scale.px_per_cm / truth.px_per_cm - 1))
    if scene.sector is not None:
        a, b = scene.sector.mask, truth.sector_mask
        tally.overlap.append(float((a & b)[::4, ::4].sum() / (a | b)[::4, ::4].sum()))
    else:
        tally.overlap.append(0.0)


def _error(pair: CaliperPair, truth: tuple[tuple[float, float], tuple[float, float]]) -> float:
    ends = sorted(truth)
    found = sorted((pair.first, pair.second))
    return max(hypot(a[0] - b[0], a[1] - b[1]) for a, b in zip(found, ends, strict=True))


def report(look: str, size: tuple[int, int], tally: Tally) -> None:
    """Print one line, and the first misses."""
    times = " ".join(
        f"{stage} {np.median(took):.1f}/{np.percentile(took, 95):.1f}/{max(took):.0f}"
        for stage, took in tally.stages.items()
    )
    print(
        f"{look} {size[0]}x{size[1]}: poles {tally.poles[0]}/{tally.poles[1]}, "
        f"false pairs {tally.false_pairs}/{tally.live}, "
        f"freeze {max(tally.latency_ms, default=-1):.0f} ms, thaw {max(tally.thaw_ms, default=-1):.0f} ms, "
        f"scale max {max(tally.scale_error, default=-1):.2f} % none {tally.no_scale}, "
        f"overlap min {min(tally.overlap):.3f}\n    ms median/p95/max: {times}"
    )
    for miss in tally.misses[:3]:
        print("    missed", miss)
