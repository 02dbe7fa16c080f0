"""A small bundle with a real ONNX graph whose answers can be worked out by hand.

The three members are ``8 * sqrt(250 - mean of one colour channel)``: 126.5 for black, NaN above 250.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from engines.bundle import Bundle, open_bundle
from engines.domain import DomainModel, fit

SIDE = 64
Outputs = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class GraphPlan:
    """What makes one test graph differ from another."""

    gain: float = 8.0
    p_gain: float = 1.0
    side: int = SIDE
    batch: str | int = "N"
    names: tuple[str, ...] = ("egfr", "p", "features", "cam")
    doc: str = ""


def make_graph(plan: GraphPlan) -> bytes:
    """Return a serialised ONNX model: uint8 (N, side, side, 3) -> egfr, p, features, cam."""
    egfr, p, features, cam = plan.names
    half = plan.side // 2
    nodes = [
        helper.make_node("Cast", ["crops"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["real"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("ReduceMean", ["planes"], ["means"], axes=[2, 3], keepdims=0),
        helper.make_node("Sub", ["top", "means"], ["left"]),
        helper.make_node("Sqrt", ["left"], ["root"]),
        helper.make_node("Mul", ["root", "gain"], [egfr]),
        helper.make_node("Sub", ["sixty", egfr], ["below"]),
        helper.make_node("Div", ["below", "ten"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["unit"]),
        helper.make_node("Mul", ["unit", "p_gain"], [p]),
        helper.make_node("AveragePool", ["planes"], ["quarters"], kernel_shape=[half, half], strides=[half, half]),
        helper.make_node("Flatten", ["quarters"], [features]),
        helper.make_node("AveragePool", ["planes"], ["cells"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("ReduceMean", ["cells"], [cam], axes=[1], keepdims=0),
    ]
    numbers = {"top": 250.0, "gain": plan.gain, "sixty": 60.0, "ten": 10.0, "p_gain": plan.p_gain}
    shapes = {egfr: [3], p: [3], features: [12], cam: [plan.side // 8, plan.side // 8]}
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("crops", TensorProto.UINT8, [plan.batch, plan.side, plan.side, 3])],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, [plan.batch, *s]) for n, s in shapes.items()],
        [helper.make_tensor(name, TensorProto.FLOAT, [], [value]) for name, value in numbers.items()],
        doc_string=plan.doc,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def graph_answer(crops: NDArray[np.uint8]) -> Outputs:
    """What the graph must answer, by numpy."""
    real = crops.astype(np.float64)
    side, half = crops.shape[1], crops.shape[1] // 2
    egfr = 8.0 * np.sqrt(250.0 - real.mean(axis=(1, 2)))
    quarters = real.reshape(-1, 2, half, 2, half, 3).mean(axis=(2, 4)).transpose(0, 3, 1, 2)
    cells = real.reshape(-1, side // 8, 8, side // 8, 8, 3).mean(axis=(2, 4, 5))
    answer = {"egfr": egfr, "p": 1 / (1 + np.exp((egfr - 60) / 10)), "features": quarters.reshape(-1, 12), "cam": cells}
    return {name: value.astype(np.float32) for name, value in answer.items()}


def speckle_crops(count: int, seed: int = 1, brightest: int = 200) -> NDArray[np.uint8]:
    """Speckle of differing brightness, grey with a little colour."""
    rng = np.random.default_rng(seed)
    grey = rng.integers(0, rng.integers(60, brightest, (count, 1, 1, 1)), (count, SIDE, SIDE, 1))
    return np.clip(grey + rng.integers(0, 6, (count, 1, 1, 3)), 0, 255).astype(np.uint8)


@dataclass
class BundlePlan:
    """Graphs by (precision, family), changes to the manifest, and where it goes."""

    graphs: dict[tuple[str, str], GraphPlan] = field(default_factory=lambda: {("fp32", "any"): GraphPlan()})
    changes: dict[str, Any] = field(default_factory=dict)
    parity: tuple[tuple[str, str, bool], ...] = ()


def parity_row(precision: str, family: str, passed: bool) -> dict[str, Any]:
    numbers = ("egfr_p50", "egfr_p95", "egfr_p99", "egfr_max", "p_max", "auc_change", "cam_correlation")
    counts = {"crops": 10, "category_flips": 0, "category_flips_far": 0}
    reasons = [] if passed else ["egfr_p99 is 4.2 where 1.0 is allowed"]
    return {"precision": precision, "family": family, **dict.fromkeys(numbers, 0.1), **counts} | {
        "passed": passed,
        "reasons": reasons,
    }


@lru_cache(maxsize=1)
def domain_model() -> DomainModel:
    crops = speckle_crops(500, seed=2)
    return fit(graph_answer(crops)["features"], crops)


def write_bundle(folder: Path, plan: BundlePlan) -> Path:
    """Write a bundle that is valid unless the plan makes it otherwise."""
    folder.mkdir(parents=True)

    def ref(name: str, content: bytes) -> dict[str, Any]:
        (folder / name).write_bytes(content)
        return {"file": name, "sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}

    crops = speckle_crops(5)
    np.savez(folder / "golden.npz", crops=crops, **graph_answer(crops))
    domain_model().save(folder / "domain.npz")
    artifacts = []
    for number, ((precision, family), graph) in enumerate(plan.graphs.items()):
        content = make_graph(graph)
        artifacts.append({**ref(f"model-{number}.onnx", content), "precision": precision, "family": family})
    loose = {"egfr_members": 0.05, "p_egfr_below_60_members": 0.001}
    manifest = {
        "schema_version": 1,
        "bundle_id": "test-bundle",
        "version": "1",
        "title": "Test",
        "created": "2026-11-21T00:00:00Z",
        "synthetic": True,
        "members": 3,
        "input": {"name": "crops", "height": SIDE, "width": SIDE, "crop_mode": "square"},
        "outputs": [
            {"name": "egfr", "meaning": "egfr_members", "shape": [3], "unit": "mL/min/1.73 m2"},
            {"name": "p", "meaning": "p_egfr_below_60_members", "shape": [3], "unit": ""},
            {"name": "features", "meaning": "features", "shape": [12], "unit": ""},
            {"name": "cam", "meaning": "cam", "shape": [8, 8], "unit": "mL/min/1.73 m2"},
        ],
        "artifacts": artifacts,
        "golden": {
            **ref("golden.npz", (folder / "golden.npz").read_bytes()),
            "tolerance": dict.fromkeys(("fp32", "fp16", "int8"), loose),
        },
        "interval": {
            "level": 0.9,
            "edges": [30, 60],
            "low": [-10, -20, -5],
            "high": [15, 20, 40],
            "patients": 100,
            "basis": "test",
        },
        "domain": {**ref("domain.npz", (folder / "domain.npz").read_bytes()), "limit": 1.0, "basis": "test"},
        "card": ref("card.md", b"# Card\n"),
        "report": ref("parity.html", b"<html></html>"),
        "report_json": ref("parity.json", b"{}"),
        "parity": [parity_row(*row) for row in plan.parity],
        "training": {"recipe": "none", "data": "none", "patients": 0, "reproduce": "none"},
        "limits": ["Test only."],
        "tools": {},
    }
    (folder / "manifest.json").write_text(json.dumps({**manifest, **plan.changes}), encoding="utf-8")
    return folder


@pytest.fixture
def expected() -> Callable[[NDArray[np.uint8]], Outputs]:
    return graph_answer


@pytest.fixture
def make_crops() -> Callable[..., NDArray[np.uint8]]:
    return speckle_crops


@pytest.fixture
def bundle_path(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "bundle", BundlePlan())


@pytest.fixture
def bundle(bundle_path: Path) -> Bundle:
    return open_bundle(bundle_path)


@pytest.fixture
def make_bundle(tmp_path: Path) -> Callable[..., Bundle]:
    """``make_bundle(graphs={("fp32", "any"): {"gain": 9.0}}, changes={...}, parity=(("int8", "cpu", True),))``."""
    made: list[Path] = []

    def make(graphs: dict[tuple[str, str], dict[str, Any]] | None = None, **fields: Any) -> Bundle:
        plans = {key: GraphPlan(**plan) for key, plan in (graphs or {("fp32", "any"): {}}).items()}
        made.append(write_bundle(tmp_path / f"bundle-{len(made)}", BundlePlan(graphs=plans, **fields)))
        return open_bundle(made[-1])

    return make
