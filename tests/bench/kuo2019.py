"""Converts seeded random members in the published layout by the real command; measures how exact, large and slow.

    python tests/bench/kuo2019.py WORK [--members 10] [--full] [--old-python PATH] [-- OPTION ...]

Without ``--full`` the networks are small ones (minutes); with it they are ResNet-101, 181 MB each: ten take about a
quarter of an hour on two quiet cores, 8 GB of disk beside WORK and less than 12 GB of memory. With ``--old-python`` (a
Python 3.7 with xgboost 0.72.1) the trees are real pickles of that version, otherwise JSON. What follows ``--`` goes
to the command as it is, as ``--without int8-cpu`` or ``--separate-members``.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import torch
import xgboost

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "convert"))
from kuo_makers import Published, booster, legacy_bytes, network, normalise, write_crops

from convert.answers import artifact_sets
from convert.kuo.build import KuoPlan, build_kuo
from convert.kuo.layout import Layout
from convert.parity_table import lines
from convert.terminal import bars, boundary
from engines._onnxruntime_session import OnnxSession
from engines.bundle import Bundle, open_bundle

ROOT = Path(__file__).resolve().parents[2]
SMALL = Layout(layers=(2, 2, 3, 2), width=32, classes=100, hidden=(64, 32), size=112)
CROPS, STATISTICS, CHECKED = 250, 48, 12
SPREAD = 0.05  # how far a further member's weights lie from the first one's
SAMPLE_S = 0.1
OLD = """
import pickle, sys, numpy as np, xgboost as xgb
data = np.load(sys.argv[1]); names = [str(c) for c in data["columns"]]
train = xgb.DMatrix(data["rows"], data["label"], feature_names=names)
options = {"objective": "binary:logistic", "max_depth": 3, "silent": 1}
model = xgb.train(options, train, 60)
pickle.dump(model, open(sys.argv[2], "wb"))
check = xgb.DMatrix(data["check"], feature_names=names)
np.save(sys.argv[3], model.predict(check))
"""
COMMAND = "from convert.cli import main; main()"


@dataclass(frozen=True)
class Expected:
    """What torch answers for one member, over the checked crops: eGFR (K,), features (K, F), map (K, h, w)."""

    egfr: np.ndarray
    features: np.ndarray
    cam: np.ndarray


def main() -> None:
    """Make, convert, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--members", type=int, default=2)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--old-python")
    parser.add_argument("--small-conversion", action="store_true", help=argparse.SUPPRESS)
    ours, further = split(sys.argv[1:])
    asked = parser.parse_args(ours)
    if asked.small_conversion:
        convert_small(asked.work)
        return
    torch.set_num_threads(2)
    layout = Layout() if asked.full else SMALL
    crops = write_crops(asked.work / "crops", CROPS, layout.size)
    expected = make(asked.work / "models", layout, crops, asked.members, asked.old_python)
    seconds, peak = convert(asked.work, asked.full, further)
    print(f"{asked.members} members, {CROPS} crops: {seconds:.0f} s, peak of the process tree {peak / 1e9:.2f} GB")
    bundle = open_bundle(asked.work / "bundle")
    show(bundle)
    compare(bundle, asked.work / "models", layout, expected, crops[:CHECKED], asked.old_python)


def split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Part our own arguments from those of the command."""
    at = arguments.index("--") if "--" in arguments else len(arguments)
    return arguments[:at], arguments[at + 1 :]


def make(models: Path, layout: Layout, crops: np.ndarray, members: int, old_python: str | None) -> list[Expected]:
    """Write members in the published layout: one seeded network, and others near it."""
    models.mkdir(parents=True, exist_ok=True)
    first, expected = network(layout, 100, crops[:STATISTICS]), []
    weights = {name: value.clone() for name, value in first.state_dict().items()}
    for index in range(members):
        if index:
            first.load_state_dict(near(weights, index))
        align(first, crops[:STATISTICS])
        (models / f"model_{index}.pkl").write_bytes(legacy_bytes(first.state_dict()))
        egfr, features, _ = first.answers(crops[:STATISTICS])
        if old_python:
            write_old(models, index, features, egfr, old_python)
        else:
            booster(features, egfr, index, min(400, layout.features)).save_model(models / f"xgb_{index}.json")
        expected.append(Expected(*first.answers(crops[:CHECKED])))
        print(f"made member {index}", flush=True)
    return expected


def near(weights: dict[str, torch.Tensor], seed: int) -> dict[str, torch.Tensor]:
    """Return weights a little off; the statistics of batch norms stay."""
    generator = torch.Generator().manual_seed(seed)

    def moved(name: str, value: torch.Tensor) -> torch.Tensor:
        if not value.is_floating_point() or "running" in name:
            return value
        return value * (1 + SPREAD * torch.randn(value.shape, generator=generator))

    return {name: moved(name, value) for name, value in weights.items()}


def align(made: Published, crops: np.ndarray) -> None:
    """Fit the last layer to how bright a crop is, as 50 +- 15: a head that looks at noise tells nothing of INT8."""
    with torch.no_grad():
        parts = [made.base_model.maps(normalise(crops[at : at + 8])).mean((2, 3)) for at in range(0, len(crops), 8)]
        hidden = made.fc[:-1](made.base_model.fc(torch.cat(parts))).double()
        level = torch.from_numpy(crops.mean(axis=(1, 2, 3)))
        target = 50 + 15 * (level - level.mean()) / level.std()
        centred = hidden - hidden.mean(0)
        ridge = 0.1 * centred.square().sum() / len(centred) * torch.eye(hidden.shape[1], dtype=torch.float64)
        weight = torch.linalg.solve(centred.T @ centred + ridge, centred.T @ (target - 50))
        made.fc[6].weight.data = weight[None].float()
        made.fc[6].bias.data = (50 - hidden.mean(0) @ weight)[None].float()


def write_old(models: Path, index: int, features: np.ndarray, egfr: np.ndarray, python: str) -> None:
    """Train and pickle a booster with xgboost 0.72.1 itself; noise keeps thresholds off the values asked for."""
    random = np.random.default_rng(index)
    columns = np.sort(random.choice(features.shape[1], min(400, features.shape[1]), replace=False))
    rows = np.repeat(features[:, columns], 8, axis=0)
    rows = rows + random.normal(size=rows.shape) * 0.05 * features.std()
    label = np.repeat(egfr < np.median(egfr), 8)
    old_predict(models, index, {"rows": rows.astype("f4"), "label": label.astype("f4"), "columns": columns}, python)


def old_predict(models: Path, index: int, data: dict[str, np.ndarray], python: str) -> np.ndarray:
    """Train in the old Python on ``data``; return what it answers for ``check``."""
    check = data.get("check", data["rows"][:1])
    np.savez(models.parent / f"old_{index}.npz", **{**data, "check": check})
    answer = models.parent / f"old_{index}.npy"
    pickled = models / f"xgb_{index}.pickle.dat"
    subprocess.run([python, "-c", OLD, models.parent / f"old_{index}.npz", pickled, answer], check=True)
    return np.load(answer)


def convert(work: Path, full: bool, further: list[str]) -> tuple[float, int]:
    """Run the command in a process of its own; return seconds and the largest memory of its process tree, bytes."""
    arguments = ["kuo2019", work / "models", "--crops", work / "crops", "--out", work / "bundle", "--force", *further]
    command = [sys.executable, "-c", COMMAND, *map(str, arguments)]
    if not full:  # the command takes the published size alone
        command = [sys.executable, __file__, str(work), "--small-conversion"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    started, largest = time.monotonic(), 0
    with subprocess.Popen(command, env=environment) as child:
        while child.poll() is None:
            largest = max(largest, sum(resident(child.pid)))
            time.sleep(SAMPLE_S)
    if child.returncode:
        raise SystemExit(f"refused after {time.monotonic() - started:.0f} s, peak {largest / 1e9:.2f} GB")
    return time.monotonic() - started, largest


def convert_small(work: Path) -> None:
    """Do what the command does, for small networks."""
    with boundary(), bars() as progress:
        build_kuo(KuoPlan(work / "models", work / "crops", work / "bundle", force=True, layout=SMALL), progress)


def resident(pid: int) -> Iterator[int]:
    """Yield the memory of a process and of all below it."""
    try:
        parent = psutil.Process(pid)
        for process in [parent, *parent.children(recursive=True)]:
            yield process.memory_info().rss
    except psutil.NoSuchProcess:
        return


def show(bundle: Bundle) -> None:
    """Print sizes, parity and what was left in float."""
    for item in bundle.manifest.artifacts:
        print(f"{item.file}: {item.size_bytes / 1e6:.1f} MB")
    for row, found in lines(bundle.manifest.parity):
        for line in found:
            print(f"{line.artifact} {line.head}: 50 % {line.p50}, 95 % {line.p95}, max {line.largest}, ", end="")
            print(
                f"flips {line.flips} ({line.far} far), maps {line.maps or '-'}, {'passed' if row.passed else 'FAILED'}"
            )
    for text in bundle.file("card.md").read_text(encoding="utf-8").splitlines():
        if text.startswith("- INT8 for"):
            print(text[2:])


def compare(
    bundle: Bundle, models: Path, layout: Layout, expected: list[Expected], crops: np.ndarray, old: str | None
) -> None:
    """Compare the fp32 artifact with torch, autograd and xgboost, member by member."""
    with OnnxSession(bundle, artifact_sets(bundle)["fp32", "any"]) as session:
        found = session.infer(crops)
        started = time.monotonic()
        session.infer(crops[:1])
        print(f"fp32: {time.monotonic() - started:.2f} s a crop")
    for index, one in enumerate(expected):
        mine = found["features"][:, index * layout.features : (index + 1) * layout.features]
        print(f"member {index}: max |d eGFR| {np.abs(one.egfr - found['egfr_members'][:, index]).max():.2e}, ", end="")
        print(f"max |d feature| {np.abs(one.features - mine).max():.2e}, ", end="")
        chance = probability(models, index, mine, old)
        print(f"max |d P| {np.abs(chance - found['p_egfr_below_60_members'][:, index]).max():.2e}")
    mean = np.mean([one.cam for one in expected], axis=0)
    difference, largest = np.abs(mean - found["egfr_map"]).max(), np.abs(mean).max()
    print(f"map: max |d| {difference:.2e} at a largest of {largest:.1f}: {difference / largest:.1e}")


def probability(models: Path, index: int, features: np.ndarray, old: str | None) -> np.ndarray:
    """Return what xgboost answers for the graph's own features."""
    if old:
        data = dict(np.load(models.parent / f"old_{index}.npz"))
        return old_predict(models, index, {**data, "check": features[:, data["columns"]]}, old)
    trees = xgboost.Booster(model_file=models / f"xgb_{index}.json")
    columns = [int(name) for name in trees.feature_names]
    return trees.predict(xgboost.DMatrix(features[:, columns], feature_names=trees.feature_names))


if __name__ == "__main__":
    main()
