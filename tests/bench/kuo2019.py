"""Converts seeded random full-size members in the published layout and measures how exact, how large and how slow.

    python tests/bench/kuo2019.py WORK [--old-python PATH] [--int8] [--ten]

With ``--old-python`` (a Python 3.7 with xgboost 0.72.1) the trees are real pickles of that version, otherwise JSON.
``--ten`` only writes the graph of ten members and reports its size, time and memory. Takes about a quarter of an
hour on two cores, 8 GB.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import xgboost

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "convert"))
from kuo_makers import Published, booster, legacy_bytes, network, write_crops

from convert.graph.ensemble import write_graph
from convert.kuo.build import KuoPlan, build_kuo
from convert.kuo.layout import Layout
from convert.kuo.source import Request, read_source
from convert.plan import ARTIFACTS
from engines._onnxruntime import OnnxSession
from engines.bundle import open_bundle
from engines.errors import EchoGFRError

CROPS, STATISTICS, CHECKED = 260, 32, 12
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


def main() -> None:
    """Make, convert, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--old-python")
    parser.add_argument("--int8", action="store_true")
    parser.add_argument("--ten", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(2)
    layout, models = Layout(), asked.work / "models"
    crops = write_crops(asked.work / "crops", CROPS, layout.size)
    if asked.ten:
        ten(models, layout)
        return
    networks = make(models, layout, crops, asked.old_python)
    wanted = [key for key in ARTIFACTS if asked.int8 or key[0] != "int8"]
    started = time.monotonic()
    target = asked.work / "bundle"
    plan = KuoPlan(models, asked.work / "crops", target, force=True, artifacts=tuple(wanted))
    try:
        manifest = build_kuo(plan, say)
    except EchoGFRError as error:
        print(f"\nrefused: {error.sentence}")
        return
    print(f"\nbundle of two members in {time.monotonic() - started:.0f} s, peak {peak():.1f} GB")
    for item in manifest.artifacts:
        print(f"{item.file}: {item.size_bytes / 1e6:.1f} MB")
    for row in manifest.parity:
        for head in row.heads:
            maps = "none" if head.map_correlation is None else f"{head.map_correlation:.5f}"
            print(f"{row.precision} {row.family} {head.head}: 95 % {head.p95:.4f}, flips {head.flips}, maps {maps}")
        print(f"{row.precision} {row.family}: {'passed' if row.passed else row.reasons}")
    compare(target, models, layout, networks, crops[:CHECKED], asked.old_python)


def make(models: Path, layout: Layout, crops: np.ndarray, old_python: str | None) -> list[Published]:
    """Write two members in the published layout."""
    models.mkdir(parents=True, exist_ok=True)
    networks = []
    for index in range(2):
        one = network(layout, 100 + index, crops[:STATISTICS])
        (models / f"model_{index}.pkl").write_bytes(legacy_bytes(one.state_dict()))
        egfr, features, _ = one.answers(crops[:STATISTICS])
        if old_python:
            write_old(models, index, features, egfr, old_python)
        else:
            booster(features, egfr, index, 400).save_model(models / f"xgb_{index}.json")
        networks.append(one)
        say("making members", index + 1, 2)
    return networks


def write_old(models: Path, index: int, features: np.ndarray, egfr: np.ndarray, python: str) -> None:
    """Train and pickle a booster with xgboost 0.72.1 itself; noise keeps thresholds off the values asked for."""
    random = np.random.default_rng(index)
    columns = np.sort(random.choice(layout_features(features), 400, replace=False))
    rows = np.repeat(features[:, columns], 8, axis=0)
    rows = rows + random.normal(size=rows.shape) * 0.05 * features.std()
    label = np.repeat(egfr < np.median(egfr), 8)
    old_predict(models, index, {"rows": rows.astype("f4"), "label": label.astype("f4"), "columns": columns}, python)


def layout_features(features: np.ndarray) -> int:
    """Number of pooled features."""
    return int(features.shape[1])


def old_predict(models: Path, index: int, data: dict[str, np.ndarray], python: str) -> np.ndarray:
    """Train in the old Python on ``data``; return what it answers for ``check``."""
    check = data.get("check", data["rows"][:1])
    np.savez(models.parent / f"old_{index}.npz", **{**data, "check": check})
    answer = models.parent / f"old_{index}.npy"
    pickled = models / f"xgb_{index}.pickle.dat"
    subprocess.run([python, "-c", OLD, models.parent / f"old_{index}.npz", pickled, answer], check=True)
    return np.load(answer)


def compare(
    target: Path, models: Path, layout: Layout, networks: list[Published], crops: np.ndarray, old: str | None
) -> None:
    """Compare the fp32 artifact with torch, autograd and xgboost."""
    bundle = open_bundle(target)
    with OnnxSession(bundle, bundle.artifact("fp32", "any")) as session:
        found = session.infer(crops)
        started = time.monotonic()
        session.infer(crops[:1])
        print(f"fp32: {time.monotonic() - started:.2f} s a crop")
    maps = []
    for index, one in enumerate(networks):
        egfr, features, cam = one.answers(crops)
        maps.append(cam)
        mine = found["features"][:, index * layout.features : (index + 1) * layout.features]
        print(f"member {index}: max |d eGFR| {np.abs(egfr - found['egfr_members'][:, index]).max():.2e}, ", end="")
        print(f"max |d feature| {np.abs(features - mine).max():.2e}, ", end="")
        expected = probability(models, index, mine, old)
        print(f"max |d P| {np.abs(expected - found['p_egfr_below_60_members'][:, index]).max():.2e}")
    mean = np.mean(maps, axis=0)
    difference = np.abs(mean - found["egfr_map"]).max()
    print(
        f"map: max |d| {difference:.2e} at a largest of {np.abs(mean).max():.1f}: {difference / np.abs(mean).max():.1e}"
    )


def probability(models: Path, index: int, features: np.ndarray, old: str | None) -> np.ndarray:
    """Return what xgboost answers for the graph's own features."""
    if old:
        data = dict(np.load(models.parent / f"old_{index}.npz"))
        return old_predict(models, index, {**data, "check": features[:, data["columns"]]}, old)
    trees = xgboost.Booster(model_file=models / f"xgb_{index}.json")
    columns = [int(name) for name in trees.feature_names]
    return trees.predict(xgboost.DMatrix(features[:, columns], feature_names=trees.feature_names))


def ten(models: Path, layout: Layout) -> None:
    """Write the fp32 graph of ten members (the two that are there, five times) and serialise it."""
    ensemble = read_source(Request(models, 2, layout=layout), say).ensemble
    started = time.monotonic()
    model = write_graph(replace(ensemble, members=ensemble.members * 5))
    print(f"\ngraph of ten members in {time.monotonic() - started:.0f} s, peak {peak():.1f} GB")
    data = model.SerializeToString(deterministic=True)
    print(f"{len(data) / 1e6:.1f} MB of the {(2**31 - 1) / 1e6:.1f} MB that protobuf allows; peak {peak():.1f} GB")


def peak() -> float:
    """Peak memory of this process, GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def say(stage: str, done: int, total: int) -> None:
    """Print the stage in place."""
    print(f"\r{stage} {done}/{total}      ", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
