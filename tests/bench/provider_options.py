"""Measures the options of ONNX Runtime's CUDA provider, one at a time, against those that the session of the app uses.

Run: ``python tests/bench/provider_options.py [BUNDLE [PRECISION ...]] [--rounds 3] [--runs 200]``; without a bundle,
the shipped one at fp32, fp16 and int8. Each measurement is a process of its own, and the candidates take turns; what is
printed are medians over rounds of one crop and of eight, of the seconds until a session has run both, and the largest
difference of an eGFR from the golden vectors, of whatever output is called ``egfr_members``. The last rows are plain
ONNX Runtime as a script of three lines would use it, on the GPU and on the CPU. Nothing here is a test.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import numpy as np

from engines import _onnxruntime, _onnxruntime_graph
from engines.bundle import Bundle, load_golden, open_bundle
from engines.providers import CUDA, chain

SHIPPED = Path(__file__).resolve().parents[2] / "edge_app" / "bundles" / "synthetic-standin"
CHANGES: dict[str, dict[str, str]] = {
    "as the app": {},
    "search DEFAULT": {"cudnn_conv_algo_search": "DEFAULT"},
    "search EXHAUSTIVE": {"cudnn_conv_algo_search": "EXHAUSTIVE"},
    "channels last": {"prefer_nhwc": "1"},
    "EXHAUSTIVE, last": {"cudnn_conv_algo_search": "EXHAUSTIVE", "prefer_nhwc": "1"},
    "TF32": {"use_tf32": "1"},
    "arena doubles": {"arena_extend_strategy": "kNextPowerOfTwo"},
}
BOUND, PLAIN, PLAIN_CPU = "bound outputs", "three lines, CUDA", "three lines, CPU"
NAMES = (*CHANGES, BOUND, PLAIN, PLAIN_CPU)
COLUMNS = ("one_p50", "one_p95", "one_p99", "eight_p50", "ready_s", "egfr")


def main() -> None:
    """Print medians over rounds, and ratios to the first row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", nargs="?", default=str(SHIPPED))
    parser.add_argument("precisions", nargs="*", default=["fp32", "fp16", "int8"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--runs", type=int, default=200)
    asked = parser.parse_args()
    print(_onnxruntime_graph.probe(CUDA))
    for precision in asked.precisions:
        found: dict[str, list[dict[str, float]]] = {name: [] for name in NAMES}
        for number in range(asked.rounds):
            for name in NAMES if number % 2 == 0 else NAMES[::-1]:
                found[name].append(in_own_process(name, asked.bundle, precision, asked.runs))
        show(precision, found)


def show(precision: str, found: dict[str, list[dict[str, float]]]) -> None:
    """Print the table of one precision."""
    typical = {name: {key: median(one[key] for one in all_) for key in COLUMNS} for name, all_ in found.items()}
    first = typical["as the app"]
    print(f"{precision}; medians in ms; ratio = row / first row")
    for name, row in typical.items():
        told = "  ".join(f"{key} {row[key]:8.4f}" for key in COLUMNS)
        print(f"{name:<18} {told}  ratio {row['one_p50'] / first['one_p50']:.2f}", flush=True)


def in_own_process(name: str, bundle: str, precision: str, runs: int) -> dict[str, float]:
    """Measure one candidate in a fresh interpreter."""
    command = [sys.executable, __file__, "--one", name, bundle, precision, str(runs)]
    root = str(Path(__file__).resolve().parents[2])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
    if name in ("TF32", PLAIN):
        environment.pop("NVIDIA_TF32_OVERRIDE", None)
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True, timeout=300)
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def one(name: str, path: str, precision: str, runs: int) -> dict[str, float]:
    """Measure one candidate, all artifacts one after the other."""
    bundle = open_bundle(Path(path))
    golden, input_name = load_golden(bundle), bundle.manifest.input.name
    crops = np.resize(golden.crops, (8, *golden.crops.shape[1:]))
    start = perf_counter()
    sessions = open_sessions(name, bundle, precision)

    def infer(batch: Any) -> list[Any]:
        return [run_one(name, session, input_name, batch) for session in sessions]

    for batch in (crops, crops[:1]):
        infer(batch)
    ready_s = perf_counter() - start
    every = np.concatenate([np.asarray(part[0]) for part in infer(golden.crops)], axis=1)
    egfr = float(np.abs(every - golden.outputs["egfr_members"]).max()) if "egfr_members" in golden.outputs else 0.0
    alone, together = (timed(infer, batch, runs) for batch in (crops[:1], crops))
    p50, p95, p99 = np.percentile(alone, (50, 95, 99)).tolist()
    eight = float(np.median(together))
    return {"one_p50": p50, "one_p95": p95, "one_p99": p99, "eight_p50": eight, "ready_s": ready_s, "egfr": egfr}


def open_sessions(name: str, bundle: Bundle, precision: str) -> list[Any]:
    """Open a session of each artifact with the options of a candidate."""
    if name in (PLAIN, PLAIN_CPU):
        import onnxruntime

        _onnxruntime.load_library()
        if name == PLAIN:
            onnxruntime.preload_dlls()
        providers = ["CUDAExecutionProvider", "CPUExecutionProvider"] if name == PLAIN else ["CPUExecutionProvider"]
        family = "cpu" if name == PLAIN_CPU else "tensorrt"
        artifacts = bundle.artifacts(precision, family)  # type: ignore[arg-type]
        return [onnxruntime.InferenceSession(str(bundle.file(a.file)), providers=providers) for a in artifacts]
    place = _onnxruntime.find_place(CUDA)
    if name == "TF32":
        os.environ.pop("NVIDIA_TF32_OVERRIDE", None)
    asked = [(provider, {**options, **CHANGES.get(name, {})}) for provider, options in chain(CUDA)]
    sessions = []
    for artifact in bundle.artifacts(precision, "tensorrt"):  # type: ignore[arg-type]
        options: Any = _onnxruntime_graph._options(place, 1)
        if artifact.family == "tensorrt":
            options.add_session_config_entry("session.disable_quant_qdq", "1")
        sessions.append(_onnxruntime_graph._create(place, CUDA, bundle.read(artifact.file), options, asked))
    return sessions


def run_one(name: str, session: Any, input_name: str, batch: Any) -> list[Any]:
    """Run one session, as the app does, or with its outputs bound to the host beforehand."""
    if name != BOUND:
        answers: list[Any] = session.run(None, {input_name: batch})
        return answers
    binding = session.io_binding()
    binding.bind_cpu_input(input_name, batch)
    for output in session.get_outputs():
        binding.bind_output(output.name, "cpu")
    session.run_with_iobinding(binding)
    copied: list[Any] = binding.copy_outputs_to_cpu()
    return copied


def timed(act: Any, batch: Any, runs: int) -> list[float]:
    """Return wall times in ms."""
    for _ in range(5):
        act(batch)
    times = []
    for _ in range(runs):
        start = perf_counter()
        act(batch)
        times.append((perf_counter() - start) * 1000)
    return times


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(one(*sys.argv[2:5], int(sys.argv[5]))))
    else:
        main()
