"""Measures the shipped bundle on ONNX Runtime against a peer: the same fp32 graph run by plain ``onnxruntime``.

Run: ``python tests/bench/inference.py [ROUNDS] [RUNS]``. Each measurement is a process of its own, so that
its peak memory is its own, and the candidates take turns, so that a busy minute hits all of them. The
peer does what a script of three lines would do: default session options (all physical cores, spinning
threads), no checks, no domain check. Ours is measured twice: ``infer`` is the session alone, and is what
the ratios compare; ``read`` is what the app calls for one crop. Nothing here is a test.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import numpy as np
from numpy.typing import NDArray

from edge_app.bundles import bundle_path
from engines import runtimes, selftest
from engines.bundle import load_golden, open_bundle
from engines.reading import Reader

PEER = "peer"  # plain onnxruntime, fp32
CANDIDATES = (PEER, "fp32", "fp16", "int8")
WARM_UP = 10


@dataclass(frozen=True)
class Result:
    """One process: times of one crop in ms, CPU time of one crop in ms, memory in MiB."""

    infer_p50_ms: float
    infer_p95_ms: float
    read_p50_ms: float
    cpu_ms: float
    rss_mib: float


def main(rounds: int = 3, runs: int = 150) -> None:
    """Print a table of medians over rounds, and ratios to the peer."""
    results: dict[str, list[Result]] = {name: [] for name in CANDIDATES}
    for number in range(rounds):
        order = CANDIDATES if number % 2 == 0 else CANDIDATES[::-1]
        for name in order:
            results[name].append(in_own_process(name, runs))
    peer = typical(results[PEER])
    print(f"{runs} crops in each of {rounds} processes a candidate; medians; ratio = ours / peer, same run")
    print("           infer p50    p95  ratio   1/s  ratio  cpu ms  ratio  RSS MiB  ratio  read p50")
    for name in CANDIDATES:
        found = typical(results[name])
        ratio = {key: value / getattr(peer, key) for key, value in asdict(found).items()}
        speed = ratio["infer_p50_ms"]
        print(
            f"{name:<8} {found.infer_p50_ms:9.2f} ms {found.infer_p95_ms:6.2f} {speed:6.2f}"
            f" {1000 / found.infer_p50_ms:5.0f} {1 / speed:6.2f} {found.cpu_ms:7.2f} {ratio['cpu_ms']:6.2f}"
            f" {found.rss_mib:8.0f} {ratio['rss_mib']:6.2f} {found.read_p50_ms:9.2f}"
        )


def in_own_process(name: str, runs: int) -> Result:
    """Measure one candidate in a fresh interpreter."""
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, __file__, "--one", name, str(runs)]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=300)
    return Result(**json.loads(done.stdout))


def typical(results: list[Result]) -> Result:
    """Return the median of each number."""
    return Result(**{key: median(asdict(result)[key] for result in results) for key in asdict(results[0])})


def measure_one(name: str, runs: int) -> Result:
    """Measure one candidate in this process."""
    return measure_peer(runs) if name == PEER else measure_ours(name, runs)


def measure_peer(runs: int) -> Result:
    """Three lines of onnxruntime, as anybody would write them."""
    import onnxruntime

    bundle = open_bundle(bundle_path(None))
    crops = load_golden(bundle).crops
    session = onnxruntime.InferenceSession(str(bundle.file("fp32.onnx")))
    times, cpu_ms = timed(lambda crop: session.run(None, {bundle.manifest.input.name: crop}), crops, runs)
    p50, p95 = np.percentile(times, [50, 95]).tolist()
    return Result(p50, p95, p50, cpu_ms, peak_mib())


def measure_ours(precision: str, runs: int) -> Result:
    """The session of the app, after its self-test, and the reader on top."""
    bundle = open_bundle(bundle_path(None))
    crops = load_golden(bundle).crops
    with runtimes.select(bundle, "onnxruntime", precision).open() as session:
        selftest.run(bundle, session)
        times, cpu_ms = timed(session.infer, crops, runs)
        rss_mib = peak_mib()
        reader = Reader(bundle, session)
        reads, _ = timed(reader.read_many, crops, runs)
    p50, p95 = np.percentile(times, [50, 95]).tolist()
    return Result(p50, p95, float(np.median(reads)), cpu_ms, rss_mib)


def timed(act: Callable[[NDArray[np.uint8]], object], crops: NDArray[np.uint8], runs: int) -> tuple[list[float], float]:
    """Return wall times in ms of ``runs`` single crops, and CPU time in ms of one."""
    for index in range(WARM_UP):
        act(crops[index % len(crops)][None])
    times, cpu_s = [], process_time()
    for index in range(runs):
        start = perf_counter()
        act(crops[index % len(crops)][None])
        times.append((perf_counter() - start) * 1000)
    return times, (process_time() - cpu_s) * 1000 / runs


def peak_mib() -> float:
    """Return the peak resident memory of this process (Linux: in KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(asdict(measure_one(sys.argv[2], int(sys.argv[3])))))
    else:
        main(*(int(word) for word in sys.argv[1:3]))
