"""How fast the phantom makes frames and patients: ``python tests/bench/phantom.py`` on one core."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from edge_app.capture.phantom import Cycle, DatasetPlan, PhantomPlan, PhantomSource, write_dataset
from edge_app.capture.phantom.layout import LOOKS, SIZES

FRAMES = 150


def live_ms(plan: PhantomPlan) -> list[float]:
    """Return milliseconds for each live frame."""
    times = []
    with PhantomSource(plan) as source:
        for _ in range(FRAMES):
            start = time.perf_counter()
            source.read()
            times.append(1000.0 * (time.perf_counter() - start))
    return times[10:]


def main() -> None:
    """Print one line a screen, then seconds a patient."""
    cv2.setNumThreads(1)
    print("look     size        p50 ms  p95 ms  frames/s")
    for look in LOOKS:
        for size in SIZES:
            times = live_ms(PhantomPlan(look, size, cycle=Cycle(3600.0, 0.0, 0.0), realtime=False))
            p50, p95 = np.percentile(times, [50, 95])
            print(f"{look:8} {size[0]}x{size[1]:<6} {p50:7.1f} {p95:7.1f} {1000.0 / np.mean(times):9.0f}")
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        write_dataset(DatasetPlan(20, Path(folder) / "set", processes=1))
        print(f"data set: {(time.perf_counter() - start) / 20:.3f} s a patient (4 crops), one process")


if __name__ == "__main__":
    main()
