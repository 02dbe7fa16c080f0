"""Measures a bundle by runtime, precision and layout against a peer: its fp32 graph run by plain ``onnxruntime``.

Run: ``python tests/bench/inference.py [BUNDLE ...] [--rounds 3] [--runs 150]``; without a bundle, the shipped one. A
fused bundle and the same model with its members apart, given together, are compared in one run. Each measurement is a
process of its own, so that its peak memory is its own, and the candidates take turns, so that a busy minute hits all
of them; what is printed are medians over rounds and, of the same run, ratios to the peer of the first bundle. The peer
does what a script of three lines would do: default session options (all physical cores, spinning threads), no checks,
no domain check; where ONNX Runtime has CUDA, the same three lines are measured on it as well. ``infer`` is the session
alone, and is what the ratios compare; ``read`` is what the app calls for one crop, with all members, and ``turn``
where members take turns, with one. Nothing here is a test.
"""

from __future__ import annotations

import argparse
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
from engines.bundle import Bundle, load_golden, open_bundle
from engines.errors import RuntimeUnavailableError
from engines.providers import CUDA
from engines.reading import Reader
from engines.session import members_apart

PEER = "peer"  # plain onnxruntime, fp32
PEERS = {PEER: "CPUExecutionProvider", "peer on CUDA": "CUDAExecutionProvider"}
WARM_UP = 3


@dataclass(frozen=True)
class Candidate:
    """What is measured: a bundle on a runtime at a precision, all members at once or by turns."""

    bundle: str
    runtime: str
    precision: str
    turns: bool = False

    def __str__(self) -> str:
        how = f"{self.runtime} {self.precision}" + (", a turn" if self.turns else "")
        return f"{Path(self.bundle).name}: {how}"


@dataclass(frozen=True)
class Result:
    """One process: times of one crop in ms, CPU time of one crop in ms, memory in MiB, seconds to be ready."""

    infer_p50_ms: float
    infer_p95_ms: float
    infer_p99_ms: float
    read_p50_ms: float
    cpu_ms: float
    rss_mib: float
    ready_s: float


def main() -> None:
    """Print a table of medians over rounds, and ratios to the peer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", nargs="*", default=[str(bundle_path(None))])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--runs", type=int, default=150)
    asked = parser.parse_args()
    candidates = [one for path in asked.bundles for one in candidates_of(path)]
    results: dict[Candidate, list[Result]] = {one: [] for one in candidates}
    for number in range(asked.rounds):
        for one in candidates if number % 2 == 0 else candidates[::-1]:
            results[one].append(in_own_process(one, asked.runs))
    show(results, f"{asked.runs} crops in each of {asked.rounds} processes a candidate")


def candidates_of(path: str) -> list[Candidate]:
    """Return the peer, and every usable runtime and precision of a bundle, by turns as well where that is possible."""
    bundle = open_bundle(Path(path))
    found = [Candidate(path, PEER, "fp32")]
    for name, availability in runtimes.available():
        if not availability.usable:
            print(f"{name} is not measured: {availability.detail}")
            continue
        if name == CUDA.runtime:
            found.append(Candidate(path, "peer on CUDA", "fp32"))
        for precision in ("fp32", "fp16", "int8"):
            try:
                selection = runtimes.select(bundle, name, precision)
            except RuntimeUnavailableError:
                continue
            if selection.builds:
                print(f"{name} {precision} is not measured: {selection.runtime.named}")
                continue
            apart = (False, True) if len(selection.artifacts) > 1 else (False,)
            found += [Candidate(path, name, precision, turns) for turns in apart]
    return found


def show(results: dict[Candidate, list[Result]], how: str) -> None:
    """Print the table."""
    typical = {one: middle(found) for one, found in results.items()}
    peer = typical[next(iter(typical))]
    print(f"{how}; medians; ratio = ours / peer, same run")
    print(f"{'':<44} infer p50     p95     p99  ratio   1/s  cpu ms  ratio  RSS MiB  ratio  read p50  ready s")
    for one, found in typical.items():
        print(
            f"{one!s:<44} {found.infer_p50_ms:9.2f} {found.infer_p95_ms:7.2f} {found.infer_p99_ms:7.2f}"
            f" {found.infer_p50_ms / peer.infer_p50_ms:6.2f} {1000 / found.infer_p50_ms:5.1f}"
            f" {found.cpu_ms:7.2f} {found.cpu_ms / peer.cpu_ms:6.2f}"
            f" {found.rss_mib:8.0f} {found.rss_mib / peer.rss_mib:6.2f} {found.read_p50_ms:9.2f} {found.ready_s:8.2f}"
        )


def in_own_process(one: Candidate, runs: int) -> Result:
    """Measure one candidate in a fresh interpreter."""
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, __file__, "--one", json.dumps(asdict(one)), str(runs)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True, timeout=900)
    return Result(**json.loads(done.stdout))


def middle(results: list[Result]) -> Result:
    """Return the median of each number."""
    return Result(**{key: median(asdict(result)[key] for result in results) for key in asdict(results[0])})


def measure_one(one: Candidate, runs: int) -> Result:
    """Measure one candidate in this process."""
    bundle = open_bundle(Path(one.bundle))
    return measure_peer(bundle, one, runs) if one.runtime in PEERS else measure_ours(bundle, one, runs)


def measure_peer(bundle: Bundle, one: Candidate, runs: int) -> Result:
    """Three lines of onnxruntime, as anybody would write them; members that are apart one after the other."""
    import onnxruntime

    start = perf_counter()
    if one.runtime != PEER:
        onnxruntime.preload_dlls()
    files = [str(bundle.file(artifact.file)) for artifact in bundle.artifacts("fp32", "cpu")]
    sessions = [onnxruntime.InferenceSession(file, providers=[PEERS[one.runtime]]) for file in files]
    ready_s = perf_counter() - start
    name = bundle.manifest.input.name
    times, cpu_ms = timed(lambda crop: [session.run(None, {name: crop}) for session in sessions], bundle, runs)
    return result(times, times, cpu_ms, peak_mib(), ready_s)


def measure_ours(bundle: Bundle, one: Candidate, runs: int) -> Result:
    """The session of the app, after its self-test, and the reader on top."""
    start = perf_counter()
    with runtimes.select(bundle, one.runtime, one.precision).open() as session:
        selftest.run(bundle, session)
        ready_s = perf_counter() - start
        reader, members = Reader(bundle, session), members_apart(session)
        whole, turn = reader.read(load_golden(bundle).crops[0]), iter(range(10**9))
        if one.turns:
            times, cpu_ms = timed(lambda crop: session.infer_member(next(turn) % members, crop), bundle, runs)
        else:
            times, cpu_ms = timed(session.infer, bundle, runs)
        rss_mib = peak_mib()
        if one.turns:
            reads, _ = timed(lambda crop: reader.read_member(crop[0], next(turn) % members, whole), bundle, runs)
        else:
            reads, _ = timed(reader.read_many, bundle, runs)
    return result(times, reads, cpu_ms, rss_mib, ready_s)


def result(times: list[float], reads: list[float], cpu_ms: float, rss_mib: float, ready_s: float) -> Result:
    """Return the percentiles of what was timed."""
    p50, p95, p99 = np.percentile(times, [50, 95, 99]).tolist()
    return Result(p50, p95, p99, float(np.median(reads)), cpu_ms, rss_mib, ready_s)


def timed(act: Callable[[NDArray[np.uint8]], object], bundle: Bundle, runs: int) -> tuple[list[float], float]:
    """Return wall times in ms of ``runs`` single crops, and CPU time in ms of one."""
    crops = load_golden(bundle).crops
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
        print(json.dumps(asdict(measure_one(Candidate(**json.loads(sys.argv[2])), int(sys.argv[3])))))
    else:
        main()
