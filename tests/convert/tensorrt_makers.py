"""Small networks of every kind that is converted, written by the converter itself, and a process that builds them."""

from __future__ import annotations

import hashlib
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from convert.anatomy import dissect
from convert.calibration import tensors_of, to_int8
from convert.egfr_heads import EGFR_HEADS
from convert.graph.ensemble import write_graph
from convert.graph.parts import (
    Convolution,
    DeepHead,
    Dense,
    Ensemble,
    LinearHead,
    Member,
    OnnxTrunk,
    Plain,
    Residual,
    Trees,
    Trunk,
    Whole,
)
from convert.precision import to_fp16
from convert.progress import silent
from convert.ranges import Ranges, measure
from convert.tensorrt_builder import CancelledError
from convert.tensorrt_library import Library
from convert.tensorrt_messages import MESSAGES, Failed, Finished
from convert.tensorrt_plan import BATCH, EnginePlan
from engines.engine_record import EngineKey, EngineRecipe, EngineTarget
from engines.manifest import Family, GradesHead, HeadSpec, Precision, ProbabilityHead, RegressionHead
from engines.store import EngineError
from tests.engines.bundle_makers import BundlePlan, parity_row, write_bundle

from .trunk_makers import strange_graph

ROOT = Path(__file__).resolve().parents[2]
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIDE = 64

GRADES: tuple[HeadSpec, ...] = (
    GradesHead(
        name="grade", title="Grade", output="grade_members", map="grade_map", grades=("one", "two", "three", "four")
    ),
)
CHANCE: tuple[HeadSpec, ...] = (
    ProbabilityHead(name="bright", title="P", quantity="other", event="bright", output="bright_members", map="where"),
)
LENGTH: tuple[HeadSpec, ...] = (
    RegressionHead(name="length", title="Length", quantity="other", output="length_members", unit="mm", resolution=1.0),
)


class Weights:
    """Random weights of a size that keeps values near 1, the same each time."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(11)

    def array(self, *shape: int) -> np.ndarray:
        return (self._random.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)

    def convolution(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> Convolution:
        return Convolution(
            self.array(outputs, inputs, kernel, kernel), self.array(outputs, 1)[:, 0], stride, kernel // 2
        )

    def linear(self, inputs: int, outputs: int, activation: str = "identity") -> LinearHead:
        return LinearHead(self.array(outputs, inputs), self.array(outputs, 1)[:, 0], activation)  # type: ignore[arg-type]

    def trees(self, inputs: int) -> Trees:
        features = self._random.integers(0, inputs, (3, 3))
        return Trees(features.astype(np.int64), np.abs(self.array(3, 3)), self.array(3, 4), 0.1)


def residual(members: int = 2) -> Ensemble:
    """As the stand-in: two residual blocks with a shortcut, a linear eGFR head with its map, trees."""
    draw = Weights()

    def block(inputs: int, outputs: int) -> Residual:
        path = (draw.convolution(inputs, outputs, 3, 2), draw.convolution(outputs, outputs))
        return Residual(path, draw.convolution(inputs, outputs, 1, 2))

    def member() -> Member:
        trunk = Trunk(draw.convolution(3, 16, 7, 4), (block(16, 16), block(16, 32)))
        return Member(trunk, (draw.linear(32, 1), draw.trees(32)))

    return Ensemble(tuple(member() for _ in range(members)), EGFR_HEADS, SIDE, SIDE, MEAN, STD)


def bottleneck() -> Ensemble:
    """As ResNet-101 of Kuo 2019: a max pool, bottlenecks, one without a shortcut, and a deep head."""
    draw = Weights()

    def block(inputs: int, shortcut: bool) -> Residual:
        path = (draw.convolution(inputs, 16, 1), draw.convolution(16, 16), draw.convolution(16, 32, 1))
        return Residual(path, draw.convolution(inputs, 32, 1) if shortcut else None)

    trunk = Trunk(draw.convolution(3, 16, 7, 2), (block(16, True), block(32, False)), max_pool=True)
    layers = (Dense(draw.array(8, 32), draw.array(8, 1)[:, 0], True), Dense(draw.array(1, 8), draw.array(1), False))
    return Ensemble((Member(trunk, (DeepHead(layers), draw.trees(32))),), EGFR_HEADS, SIDE, SIDE, MEAN, STD)


def plain() -> Ensemble:
    """As RepVGG after re-parameterisation: 3 x 3 convolutions one after the other, grades; BGR order."""
    draw = Weights()
    blocks = tuple(Plain(draw.convolution(16, 16, 3, stride)) for stride in (2, 1, 2))
    members = (Member(Trunk(draw.convolution(3, 16, 3, 2), blocks), (draw.linear(16, 4, "softmax"),)),)
    return Ensemble(members, GRADES, SIDE, SIDE, MEAN, STD, channels="bgr")


def dense() -> Ensemble:
    """As DenseNet: each layer sees all before it through Concat and BatchNormalization; a probability, grey."""
    draw, nodes, weights = Weights(), list[onnx.NodeProto](), dict[str, np.ndarray]()

    def add(kind: str, inputs: list[str], name: str, **attributes: object) -> str:
        nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def convolution(value: str, name: str, inputs: int, outputs: int, kernel: int, stride: int = 1) -> str:
        weights[f"{name}.w"] = draw.array(outputs, inputs, kernel, kernel)
        pads = [kernel // 2] * 4
        return add("Conv", [value, f"{name}.w"], name, kernel_shape=[kernel] * 2, pads=pads, strides=[stride] * 2)

    def norm(value: str, name: str, channels: int) -> str:
        parts = [f"{name}.{part}" for part in ("gain", "offset", "mean", "variance")]
        drawn = draw.array(channels, 1)[:, 0]
        values = (1 + drawn / 4, drawn, drawn / 2, 1 + np.abs(drawn))
        weights.update({part: np.asarray(value, np.float32) for part, value in zip(parts, values, strict=True)})
        return add("Relu", [add("BatchNormalization", [value, *parts], name)], f"{name}.relu")

    value, channels = norm(convolution("planes", "c0", 1, 16, 7, 2), "n0", 16), 16
    value = add("MaxPool", [value], "pool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    for at in (1, 2):
        found = convolution(norm(value, f"n{at}a", channels), f"c{at}a", channels, 16, 1)
        found = convolution(norm(found, f"n{at}b", 16), f"c{at}b", 16, 16, 3)
        value, channels = add("Concat", [value, found], f"joined{at}", axis=1), channels + 16
    found = convolution(norm(value, "nt", channels), "ct", channels, 16, 1)
    last = norm(add("AveragePool", [found], "half", kernel_shape=[2, 2], strides=[2, 2]), "n3", 16)
    trunk = OnnxTrunk(as_graph(nodes, weights, 1, last, [16, 8, 8]))
    members = (Member(trunk, (draw.linear(16, 1, "sigmoid"),)),)
    return Ensemble(members, CHANCE, SIDE, SIDE, (0.449,), (0.226,), channels="grey")


def mobile() -> Ensemble:
    """As EfficientNet: depthwise convolutions, and squeeze-and-excitation so small that it needs no convolution."""
    draw, nodes, weights = Weights(), list[onnx.NodeProto](), dict[str, np.ndarray]()

    def add(kind: str, inputs: list[str], name: str, **attributes: object) -> str:
        nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def convolution(value: str, name: str, inputs: int, outputs: int, kernel: int = 1, group: int = 1) -> str:
        weights[f"{name}.w"] = draw.array(outputs, inputs // group, kernel, kernel)
        weights[f"{name}.b"] = draw.array(outputs, 1)[:, 0]
        shape = {"kernel_shape": [kernel] * 2, "pads": [kernel // 2] * 4, "strides": [2 if kernel > 1 else 1] * 2}
        return add("Conv", [value, f"{name}.w", f"{name}.b"], name, group=group, **shape)

    value = add("Relu", [convolution("planes", "c0", 3, 96, 3)], "r0")
    value = add("Relu", [convolution(value, "c1", 96, 96, 3, group=96)], "r1")
    squeezed = add("Relu", [convolution(add("GlobalAveragePool", [value], "gap"), "c2", 96, 4)], "r2")
    gate = add("Sigmoid", [convolution(squeezed, "c3", 4, 96)], "gate")
    last = convolution(add("Mul", [value, gate], "gated"), "c4", 96, 16)
    members = (Member(OnnxTrunk(as_graph(nodes, weights, 3, last, [16, 16, 16])), (draw.linear(16, 1, "sigmoid"),)),)
    return Ensemble(members, CHANCE, SIDE, SIDE, MEAN, STD)


def whole() -> Ensemble:
    """A network that ends in a linear layer of its own, so that it has neither features nor a map."""
    draw, flat = Weights(), 16 * 16 * 16
    weights = {"w0": draw.array(16, 3, 3, 3), "w1": draw.array(16, 16, 3, 3), "w2": draw.array(flat, 4)}
    shape = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [2, 2]}
    nodes = [
        helper.make_node("Conv", ["planes", "w0"], ["a"], name="a", **shape),
        helper.make_node("Relu", ["a"], ["b"], name="b"),
        helper.make_node("Conv", ["b", "w1"], ["c"], name="c", **shape),
        helper.make_node("Flatten", ["c"], ["d"], name="d"),
        helper.make_node("Gemm", ["d", "w2"], ["e"], name="e"),
    ]
    members = (Member(Whole(as_graph(nodes, weights, 3, "e", [4])), (draw.linear(4, 1),)),)
    return Ensemble(members, LENGTH, SIDE, SIDE, MEAN, STD)


def as_graph(
    nodes: list[onnx.NodeProto], weights: dict[str, np.ndarray], channels: int, output: str, shape: list[int]
) -> onnx.ModelProto:
    """Return a network from ``planes`` to its one output, as an exporter would give it."""
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("planes", TensorProto.FLOAT, ["n", channels, SIDE, SIDE])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["n", *shape])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@dataclass(frozen=True)
class Kind:
    """A network, and in which precision its convolutions must run."""

    make: Callable[[], Ensemble | onnx.ModelProto]
    fp32: dict[str, int]
    fp16: dict[str, int]
    int8: dict[str, int]
    left: frozenset[str] = frozenset()  # units that stay out of INT8

    def expected(self, precision: str) -> dict[str, int]:
        return {"fp32": self.fp32, "fp16": self.fp16, "int8": self.int8}[precision]


# A new kind is one line. Stems stay half in INT8, as does what is left out; maps and what makes a picture grey, float.
KINDS: dict[str, Kind] = {
    "residual": Kind(residual, {"Float": 16}, {"Half": 14, "Float": 2}, {"Int8": 12, "Half": 2, "Float": 2}),
    "one member": Kind(lambda: residual(1), {"Float": 8}, {"Half": 7, "Float": 1}, {"Int8": 6, "Half": 1, "Float": 1}),
    "block left": Kind(
        lambda: residual(1),
        {"Float": 8},
        {"Half": 7, "Float": 1},
        {"Int8": 3, "Half": 4, "Float": 1},
        frozenset({"block1"}),
    ),
    "bottleneck": Kind(bottleneck, {"Float": 8}, {"Half": 8}, {"Int8": 7, "Half": 1}),
    "plain": Kind(plain, {"Float": 5}, {"Half": 4, "Float": 1}, {"Int8": 3, "Half": 1, "Float": 1}),
    "dense": Kind(dense, {"Float": 8}, {"Half": 6, "Float": 2}, {"Int8": 5, "Half": 1, "Float": 2}),
    "mobile": Kind(mobile, {"Float": 6}, {"Half": 5, "Float": 1}, {"Int8": 4, "Half": 1, "Float": 1}),
    "strange": Kind(strange_graph, {"Float": 6}, {"Half": 5, "Float": 1}, {"Int8": 4, "Half": 1, "Float": 1}),
    "whole": Kind(whole, {"Float": 2}, {"Half": 2}, {"Int8": 1, "Half": 1}),
}


@cache
def graph_of(kind: str) -> onnx.ModelProto:
    made = KINDS[kind].make()
    return write_graph(made) if isinstance(made, Ensemble) else made


@cache
def ranges_of(kind: str) -> Ranges:
    graph = graph_of(kind)
    edge = graph.graph.input[0].type.tensor_type.shape.dim[1].dim_value
    crops = np.random.default_rng(5).integers(0, 256, (24, edge, edge, 3), dtype=np.uint8)
    return measure(graph, tensors_of(dissect(graph)), crops, np.ones(len(crops), np.bool_), silent).ranges


def write_artifact(kind: str, precision: str, path: Path) -> Path:
    """Write what the converter makes of a kind at ``fp32``, ``fp16``, ``int8`` or ``int8-cpu``; once a path."""
    if path.exists():
        return path
    graph = graph_of(kind)
    if precision.startswith("int8"):
        family: Family = "cpu" if precision == "int8-cpu" else "tensorrt"
        onnx.save(to_int8(graph, family, ranges_of(kind), KINDS[kind].left), path)
    else:
        onnx.save(to_fp16(graph) if precision == "fp16" else graph, path)
    return path


def write_members(folder: Path) -> list[Path]:
    """Write three FP16 artifacts of one member each, that differ."""
    paths = [folder / f"fp16-{member}.onnx" for member in range(3)]
    for member, path in enumerate(paths):
        model = to_fp16(graph_of("one member"))
        model.graph.doc_string = f"member {member}"
        onnx.save(model, path)
    return paths


def plan_of(library: Library, artifact: Path, precision: Precision, *capabilities: str) -> EnginePlan:
    """Return the plan that builds any file for compute capabilities, ahead of time."""
    key = EngineKey(
        artifact_sha256=digest(artifact),
        recipe=EngineRecipe(batch=BATCH, workspace_mib=None, dla_core=None),
        builder=library.builder,
        target=EngineTarget(compute_capabilities=capabilities or ("8.6",)),
    )
    return EnginePlan(artifact, precision, library.runtime, key)


def write_kind_bundle(folder: Path, artifacts: dict[tuple[str, str], list[Path]]) -> Path:
    """Write a bundle of three members that holds these files by (precision, family): one, or one a member."""
    entries, parity = [], []
    for (precision, family), paths in artifacts.items():
        for member, path in enumerate(paths):
            entry = {"file": path.name, "sha256": digest(path), "size_bytes": path.stat().st_size}
            entry |= {"precision": precision, "family": family, "member": member if len(paths) > 1 else None}
            entries.append(entry)
        parity.append(parity_row("egfr", precision, family, True))
    write_bundle(folder, BundlePlan(changes={"artifacts": entries, "parity": parity}))
    (folder / "model-0.onnx").unlink()
    for path in (path for paths in artifacts.values() for path in paths):
        shutil.copyfile(path, folder / path.name)
    return folder


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Workshop:
    """One process that builds many engines, so that each costs no start; a hang in it ends one test and no more."""

    DEADLINE_S = 60.0
    SCRIPT = Path(__file__).with_name("tensorrt_workshop.py")

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def build(self, plan: EnginePlan, draft: Path, until: str = "") -> Finished:
        """Build as ``convert.tensorrt_builder.build`` does, and raise what it raises; cancel it at stage ``until``."""
        process = self._start()
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the workshop has no pipes")
        job = "\t".join((str(plan.artifact), plan.precision, plan.key.model_dump_json(), str(draft), until))
        process.stdin.write(job.encode() + b"\n")
        process.stdin.flush()
        if not select.select([process.stdout], [], [], self.DEADLINE_S)[0]:
            self.close()
            raise TimeoutError(f"the builder hung for {self.DEADLINE_S} s on {plan.artifact.name}")
        message = MESSAGES.validate_json(process.stdout.readline())
        if isinstance(message, Failed) and message.what == "cancelled":
            raise CancelledError
        if isinstance(message, Failed):
            raise EngineError(message.what, message.because, message.cure)
        if not isinstance(message, Finished):
            raise RuntimeError(f"the workshop said {message}")
        return message

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            with self._process:
                self._process.kill()
            self._process = None

    def _start(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])}
            command = [sys.executable, str(self.SCRIPT)]
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd=ROOT
            )
        return self._process
