"""Small bundles with real ONNX graphs whose answers can be worked out by hand; each colour channel is a member.

``egfr``: 8 * sqrt(250 - mean of the channel), 126.5 for black, NaN above 250; P(eGFR < 60) from it.
``probability``: sigmoid((mean - 128) / 32); no pooled features. ``grades``: softmax(-|mean - centre| / 20) over four.
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
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from engines.domain import DomainModel, fit

SIDE = 64
MEMBERS = 3
CENTRES = (30.0, 90.0, 150.0, 210.0)
Outputs = dict[str, NDArray[np.float32]]
Json = dict[str, Any]


@dataclass(frozen=True)
class GraphPlan:
    """What makes one test graph differ from another; ``names``: of its outputs where they are not as they should be."""

    gain: float = 8.0
    bomb: tuple[str, tuple[int, ...]] | None = None  # an operator that makes a tensor of this shape out of nothing
    p_gain: float = 1.0
    side: int = SIDE
    batch: str | int = "N"
    names: dict[str, str] = field(default_factory=dict)
    doc: str = ""


class Graph:
    """An ONNX graph in the making, on all colour channels or that of one member."""

    def __init__(self, plan: GraphPlan, member: int | None) -> None:
        self.plan = plan
        self.members = MEMBERS if member is None else 1
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._outputs: dict[str, list[int]] = {}
        real = self.add("Cast", "crops", to=TensorProto.FLOAT)
        every = self.add("Transpose", real, perm=[0, 3, 1, 2])
        ends = [[0], [MEMBERS]] if member is None else [[member], [member + 1]]
        self.planes = self.add("Slice", every, self.integers(ends[0]), self.integers(ends[1]), self.integers([1]))
        self.means = self.add("ReduceMean", self.planes, axes=[2, 3], keepdims=0)
        self.cells = self.add("AveragePool", self.planes, kernel_shape=[8, 8], strides=[8, 8])

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"n{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def number(self, *values: float, shape: tuple[int, ...] = ()) -> str:
        return self._constant(np.asarray(values, np.float32).reshape(shape))

    def integers(self, values: list[int]) -> str:
        return self._constant(np.asarray(values, np.int64))

    def give(self, tensor: str, output: str, shape: list[int]) -> None:
        output = self.plan.names.get(output, output)
        self._nodes.append(helper.make_node("Identity", [tensor], [output]))
        self._outputs[output] = shape

    def give_features(self) -> None:
        half = self.plan.side // 2
        pooled = self.add("AveragePool", self.planes, kernel_shape=[half, half], strides=[half, half])
        self.give(self.add("Flatten", pooled), "features", [4 * self.members])

    def serialise(self) -> bytes:
        side, batch = self.plan.side, self.plan.batch
        graph = helper.make_graph(
            self._nodes,
            "test",
            [helper.make_tensor_value_info("crops", TensorProto.UINT8, [batch, side, side, 3])],
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, [batch, *s]) for n, s in self._outputs.items()],
            list(self._constants.values()),
            doc_string=self.plan.doc,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        onnx.checker.check_model(model)
        return bytes(model.SerializeToString())

    def _constant(self, array: NDArray[Any]) -> str:
        name = f"c{len(self._constants)}"
        self._constants[name] = numpy_helper.from_array(array, name)
        return name


def gain_of(graph: Graph) -> str:
    gain = graph.number(graph.plan.gain)
    if graph.plan.bomb is None:
        return gain
    kind, shape = graph.plan.bomb
    if kind == "Loop":
        return endless(graph, gain)
    given = [graph.number(0.0, shape=(1,) * len(shape))] if kind in ("Tile", "Expand") else []
    return graph.add(
        "Add", gain, graph.add("ReduceMax", graph.add(kind, *given, graph.integers(list(shape))), keepdims=0)
    )


def endless(graph: Graph, gain: str) -> str:
    """Return what a loop gives that never ends."""
    told = [helper.make_tensor_value_info(name, TensorProto.BOOL, []) for name in ("goes on", "and on")]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("value", "same")]
    count = helper.make_tensor_value_info("turn", TensorProto.INT64, [])
    nodes = [helper.make_node("Identity", ["goes on"], ["and on"]), helper.make_node("Abs", ["value"], ["same"])]
    body = helper.make_graph(nodes, "body", [count, told[0], values[0]], [told[1], values[1]])
    yes = graph.add("Cast", graph.number(1.0), to=TensorProto.BOOL)
    start = graph.add("Mul", graph.means, gain)  # of the picture: nothing is worked out while it is loaded
    return graph.add("Loop", "", yes, start, body=body)


def egfr_graph(graph: Graph) -> None:
    left = graph.add("Sub", graph.number(250.0), graph.means)
    egfr = graph.add("Mul", graph.add("Sqrt", left), gain_of(graph))
    logit = graph.add("Div", graph.add("Sub", graph.number(60.0), egfr), graph.number(10.0))
    p = graph.add("Mul", graph.add("Sigmoid", logit), graph.number(graph.plan.p_gain))
    cells = graph.plan.side // 8
    graph.give(egfr, "egfr_members", [graph.members])
    graph.give(p, "p_egfr_below_60_members", [graph.members])
    graph.give_features()
    graph.give(graph.add("ReduceMean", graph.cells, axes=[1], keepdims=0), "egfr_map", [cells, cells])


def probability_graph(graph: Graph) -> None:
    logit = graph.add("Div", graph.add("Sub", graph.means, graph.number(128.0)), graph.number(32.0))
    p = graph.add("Mul", graph.add("Sigmoid", logit), graph.number(graph.plan.p_gain))
    signed = graph.add("Sub", graph.cells, graph.number(128.0))
    graph.give(p, "bright_members", [graph.members])
    graph.give(graph.add("ReduceMean", signed, axes=[1], keepdims=0), "bright_map", [8, 8])


def grades_graph(graph: Graph) -> None:
    def away(tensor: str, shape: tuple[int, ...]) -> str:
        unsqueezed = graph.add("Unsqueeze", tensor, graph.integers([2]))
        return graph.add("Neg", graph.add("Abs", graph.add("Sub", unsqueezed, graph.number(*CENTRES, shape=shape))))

    logits = graph.add("Div", away(graph.means, (1, 1, 4)), graph.number(20.0))
    p = graph.add("Mul", graph.add("Softmax", logits, axis=-1), graph.number(graph.plan.p_gain))
    maps = graph.add("ReduceMean", away(graph.cells, (1, 1, 4, 1, 1)), axes=[1], keepdims=0)
    graph.give(p, "echogenicity_members", [graph.members, 4])
    graph.give_features()
    graph.give(maps, "echogenicity_map", [4, 8, 8])


def channel_means(crops: NDArray[np.uint8]) -> NDArray[np.float64]:
    return crops.astype(np.float64).mean(axis=(1, 2))


def channel_cells(crops: NDArray[np.uint8], cell: int = 8) -> NDArray[np.float64]:
    """Return means of square cells, (N, 3, h, w)."""
    side = crops.shape[1] // cell
    cells = crops.astype(np.float64).reshape(-1, side, cell, side, cell, 3)
    return cells.mean(axis=(2, 4)).transpose(0, 3, 1, 2)


def pooled_features(crops: NDArray[np.uint8]) -> NDArray[np.float64]:
    return channel_cells(crops, crops.shape[1] // 2).reshape(-1, 12)


def _float32(**answers: NDArray[np.float64]) -> Outputs:
    return {name: value.astype(np.float32) for name, value in answers.items()}


def egfr_answer(crops: NDArray[np.uint8]) -> Outputs:
    egfr = 8.0 * np.sqrt(250.0 - channel_means(crops))
    return _float32(
        egfr_members=egfr,
        p_egfr_below_60_members=1 / (1 + np.exp((egfr - 60) / 10)),
        features=pooled_features(crops),
        egfr_map=channel_cells(crops).mean(axis=1),
    )


def probability_answer(crops: NDArray[np.uint8]) -> Outputs:
    p = 1 / (1 + np.exp((128 - channel_means(crops)) / 32))
    return _float32(bright_members=p, bright_map=(channel_cells(crops) - 128).mean(axis=1))


def grades_answer(crops: NDArray[np.uint8]) -> Outputs:
    raised = np.exp(-np.abs(channel_means(crops)[:, :, None] - np.array(CENTRES)) / 20)
    maps = -np.abs(channel_cells(crops)[:, :, None] - np.array(CENTRES)[:, None, None])
    return _float32(
        echogenicity_members=raised / raised.sum(axis=2, keepdims=True),
        features=pooled_features(crops),
        echogenicity_map=maps.mean(axis=1),
    )


EGFR_HEAD: Json = {
    "kind": "regression",
    "name": "egfr",
    "title": "Image-derived eGFR",
    "quantity": "egfr",
    "output": "egfr_members",
    "map": "egfr_map",
    "unit": "mL/min/1.73 m2",
    "resolution": 1.0,
    "lowest": 0.0,
    "interval": {
        "level": 0.9,
        "edges": [30, 60],
        "low": [-10, -20, -5],
        "high": [15, 20, 40],
        "patients": 100,
        "basis": "test",
    },
}
BELOW_60_HEAD: Json = {
    "kind": "probability",
    "name": "p_egfr_below_60",
    "title": "P(eGFR < 60)",
    "quantity": "egfr_below_60",
    "event": "eGFR < 60",
    "output": "p_egfr_below_60_members",
}
BRIGHT_HEAD: Json = {
    "kind": "probability",
    "name": "bright",
    "title": "P(bright cortex)",
    "quantity": "other",
    "event": "bright cortex",
    "output": "bright_members",
    "map": "bright_map",
}
GRADES_HEAD: Json = {
    "kind": "grades",
    "name": "echogenicity",
    "title": "Cortical echogenicity",
    "output": "echogenicity_members",
    "map": "echogenicity_map",
    "grades": ["grade 0", "grade 1", "grade 2", "grade 3"],
}


def output_entry(name: str, meaning: str, shape: list[int], unit: str = "1") -> Json:
    return {"name": name, "meaning": meaning, "shape": shape, "unit": unit}


@dataclass(frozen=True)
class Model:
    """One of the small models: its heads and outputs as in a manifest, its graph, and its answers by numpy."""

    heads: tuple[Json, ...]
    outputs: tuple[Json, ...]
    tolerance: dict[str, float]
    graph: Callable[[Graph], None]
    answer: Callable[[NDArray[np.uint8]], Outputs]


MODELS: dict[str, Model] = {
    "egfr": Model(
        (EGFR_HEAD, BELOW_60_HEAD),
        (
            output_entry("egfr_members", "members", [3], "mL/min/1.73 m2"),
            output_entry("p_egfr_below_60_members", "members", [3]),
            output_entry("features", "features", [12]),
            output_entry("egfr_map", "map", [8, 8], "mL/min/1.73 m2"),
        ),
        {"egfr_members": 0.05, "p_egfr_below_60_members": 0.001, "egfr_map": 0.05},
        egfr_graph,
        egfr_answer,
    ),
    "probability": Model(
        (BRIGHT_HEAD,),
        (output_entry("bright_members", "members", [3]), output_entry("bright_map", "map", [8, 8])),
        {"bright_members": 0.001, "bright_map": 0.05},
        probability_graph,
        probability_answer,
    ),
    "grades": Model(
        (GRADES_HEAD,),
        (
            output_entry("echogenicity_members", "grade_members", [3, 4]),
            output_entry("features", "features", [12]),
            output_entry("echogenicity_map", "map", [4, 8, 8]),
        ),
        {"echogenicity_members": 0.001, "echogenicity_map": 0.05},
        grades_graph,
        grades_answer,
    ),
}


def make_graph(plan: GraphPlan, model: str = "egfr", member: int | None = None) -> bytes:
    """Return a serialised ONNX model, uint8 (N, side, side, 3) to the outputs of that small model."""
    graph = Graph(plan, member)
    MODELS[model].graph(graph)
    return graph.serialise()


def speckle_crops(count: int, seed: int = 1, brightest: int = 200) -> NDArray[np.uint8]:
    """Speckle of differing brightness, grey with a little colour."""
    rng = np.random.default_rng(seed)
    grey = rng.integers(0, rng.integers(60, brightest, (count, 1, 1, 1)), (count, SIDE, SIDE, 1))
    return np.clip(grey + rng.integers(0, 6, (count, 1, 1, 3)), 0, 255).astype(np.uint8)


@dataclass
class BundlePlan:
    """Which model, its graphs by (precision, family), and changes to the manifest.

    ``apart``: pairs whose members are left as separate artifacts.
    """

    model: str = "egfr"
    graphs: dict[tuple[str, str], GraphPlan] = field(default_factory=lambda: {("fp32", "any"): GraphPlan()})
    apart: tuple[tuple[str, str], ...] = ()
    changes: Json = field(default_factory=dict)
    parity: tuple[tuple[str, str, bool], ...] = ()


def parity_row(model: str, precision: str, family: str, passed: bool) -> Json:
    numbers = dict.fromkeys(("p50", "p95", "p99", "largest"), 0.1)
    heads = [
        {"head": head["name"], "unit": head.get("unit", "1"), "flips": 0, "flips_far": 0, **numbers}
        for head in MODELS[model].heads
    ]
    reasons = [] if passed else ["egfr p99 is 4.2 where 1.0 is allowed"]
    row = {"precision": precision, "family": family, "crops": 10, "heads": heads}
    return {**row, "passed": passed, "reasons": reasons}


@lru_cache(maxsize=3)
def domain_model(model: str) -> DomainModel:
    crops = speckle_crops(500, seed=2)
    return fit(MODELS[model].answer(crops).get("features"), crops)


def write_bundle(folder: Path, plan: BundlePlan) -> Path:
    """Write a bundle that is valid unless the plan makes it otherwise."""
    folder.mkdir(parents=True)
    model = MODELS[plan.model]

    def ref(name: str, content: bytes) -> Json:
        (folder / name).write_bytes(content)
        return {"file": name, "sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}

    def artifacts(number: int, key: tuple[str, str], graph: GraphPlan) -> list[Json]:
        told = {"precision": key[0], "family": key[1]}
        if key not in plan.apart:
            return [{**ref(f"model-{number}.onnx", make_graph(graph, plan.model)), **told}]
        return [
            {**ref(f"model-{number}-{at}.onnx", make_graph(graph, plan.model, at)), **told, "member": at}
            for at in range(MEMBERS)
        ]

    crops = speckle_crops(5)
    np.savez(folder / "golden.npz", crops=crops, **model.answer(crops))
    domain_model(plan.model).save(folder / "domain.npz")
    tolerance = dict.fromkeys(("fp32", "fp16", "int8"), model.tolerance)
    manifest = {
        "schema_version": 2,
        "bundle_id": "test-bundle",
        "version": "1",
        "title": "Test",
        "created": "2026-11-21T00:00:00Z",
        "synthetic": True,
        "members": MEMBERS,
        "input": {"name": "crops", "height": SIDE, "width": SIDE, "crop_mode": "square"},
        "heads": model.heads,
        "outputs": model.outputs,
        "artifacts": [entry for at, item in enumerate(plan.graphs.items()) for entry in artifacts(at, *item)],
        "golden": {**ref("golden.npz", (folder / "golden.npz").read_bytes()), "tolerance": tolerance},
        "domain": {**ref("domain.npz", (folder / "domain.npz").read_bytes()), "limit": 1.0, "basis": "test"},
        "card": ref("card.md", b"# Card\n"),
        "report": ref("parity.html", b"<html></html>"),
        "report_json": ref("parity.json", b"{}"),
        "parity": [parity_row(plan.model, *row) for row in plan.parity],
        "training": {"recipe": "none", "data": "none", "patients": 0, "reproduce": "none"},
        "limits": ["Test only."],
        "tools": {},
    }
    (folder / "manifest.json").write_text(json.dumps({**manifest, **plan.changes}), encoding="utf-8")
    return folder


def rewrite(path: Path, **changes: Any) -> None:
    """Change fields of a manifest."""
    manifest = json.loads((path / "manifest.json").read_text())
    (path / "manifest.json").write_text(json.dumps({**manifest, **changes}))


def replace_listed(path: Path, field: str, content: bytes) -> None:
    """Replace a listed file and correct its manifest entry: a well-made bundle with other contents."""
    manifest = json.loads((path / "manifest.json").read_text())
    entry = manifest[field]
    (path / entry["file"]).write_bytes(content)
    entry |= {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
    (path / "manifest.json").write_text(json.dumps(manifest))
