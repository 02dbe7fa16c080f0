"""Measures ONNX Runtime's session options, one at a time, against those that the session of the app uses.

Run: ``python tests/bench/session_options.py BUNDLE [PRECISION [ROUNDS [RUNS]]]``. Each measurement is a process of its
own, and the candidates take turns, so that a busy minute hits all of them; what is printed are medians over rounds and
ratios to the first row in the same run. Members that are separate artifacts are all loaded and all run, one after the
other. Nothing here is a test.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import numpy as np
import psutil

from engines._onnxruntime import PROVIDER
from engines._onnxruntime_session import default_threads
from engines.bundle import load_golden, open_bundle

Options = Any


def ours(options: Options) -> None:
    """What ``engines._onnxruntime_graph`` sets."""
    options.intra_op_num_threads = default_threads()
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")


def level(name: str) -> Callable[[Options], None]:
    """Return a change of the optimisation level."""

    def change(options: Options) -> None:
        import onnxruntime

        options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, name)

    return change


def entry(name: str, value: str) -> Callable[[Options], None]:
    """Return a change of a configuration entry."""
    return lambda options: options.add_session_config_entry(name, value)


CHANGES: dict[str, Callable[[Options], None]] = {
    "as the app": lambda options: None,
    "1 thread": lambda options: setattr(options, "intra_op_num_threads", 1),
    "2 threads": lambda options: setattr(options, "intra_op_num_threads", 2),
    "2, spinning": lambda options: (
        setattr(options, "intra_op_num_threads", 2),
        options.add_session_config_entry("session.intra_op.allow_spinning", "1"),
    )[0],
    "no arena": lambda options: setattr(options, "enable_cpu_mem_arena", False),
    "no pattern": lambda options: setattr(options, "enable_mem_pattern", False),
    "extended": level("ORT_ENABLE_EXTENDED"),
    "basic": level("ORT_ENABLE_BASIC"),
    "no prepacking": entry("session.disable_prepacking", "1"),
    "env allocator": entry("session.use_env_allocators", "1"),
    "denormals zero": entry("session.set_denormal_as_zero", "1"),
    "bytes kept": lambda options: None,
}
COLUMNS = ("p50", "p95", "load_s", "rss_mib")


def main(bundle: str, precision: str = "int8", rounds: int = 3, runs: int = 40) -> None:
    """Print medians over rounds, and ratios to the first row."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in CHANGES}
    for number in range(rounds):
        for name in list(CHANGES) if number % 2 == 0 else list(CHANGES)[::-1]:
            command = [sys.executable, __file__, "--one", name, bundle, precision, str(runs)]
            environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=600)
            found[name].append(json.loads(done.stdout))
    typical = {name: {key: median(one[key] for one in all_) for key in COLUMNS} for name, all_ in found.items()}
    first = typical["as the app"]
    print(f"{precision}, {runs} crops in each of {rounds} processes; medians, and ratios to the first row")
    for name, row in typical.items():
        told = "  ".join(f"{key} {row[key]:8.2f} ({row[key] / first[key]:.2f})" for key in COLUMNS)
        print(f"{name:<15} {told}", flush=True)


def one(name: str, path: str, precision: str, runs: int) -> dict[str, float]:
    """Measure one candidate: ms of a crop through all artifacts, seconds to load, MiB when done."""
    import onnxruntime

    bundle = open_bundle(Path(path))
    crops = load_golden(bundle).crops
    if name == "env allocator":
        info = onnxruntime.OrtMemoryInfo(
            "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
        )
        onnxruntime.create_and_register_allocator(info, None)
    start = perf_counter()
    sessions = []
    for artifact in bundle.artifacts(precision, "cpu"):  # type: ignore[arg-type]
        options = onnxruntime.SessionOptions()
        ours(options)
        CHANGES[name](options)
        session = onnxruntime.InferenceSession(bundle.read(artifact.file), options, providers=[PROVIDER])
        if name != "bytes kept":  # as the app
            session._model_bytes = None
        sessions.append(session)
    load_s = perf_counter() - start
    times = []
    for index in range(runs + 3):
        start = perf_counter()
        for session in sessions:
            session.run(None, {bundle.manifest.input.name: crops[index % len(crops)][None]})
        times.append((perf_counter() - start) * 1000)
    p50, p95 = np.percentile(times[3:], [50, 95]).tolist()
    ctypes.CDLL(None).malloc_trim(0)
    return {"p50": p50, "p95": p95, "load_s": load_s, "rss_mib": psutil.Process().memory_info().rss / 2**20}


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(one(*sys.argv[2:5], int(sys.argv[5]))))
    else:
        main(*sys.argv[1:3], *(int(word) for word in sys.argv[3:5]))
