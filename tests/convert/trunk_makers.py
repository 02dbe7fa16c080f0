"""A trunk of unknown origin: batch norms, concatenation, a squeeze, clipping, resizing by computed sizes, a sum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from convert.egfr_heads import EGFR
from convert.graph.ensemble import write_graph
from convert.graph.parts import Ensemble, LinearHead, Member, OnnxTrunk

EDGE, WIDTH = 32, 8


@dataclass
class Sketch:
    """Collects nodes and weights of a small graph."""

    random: np.random.Generator
    nodes: list[onnx.NodeProto]
    weights: list[onnx.TensorProto]

    def add(self, operator: str, inputs: list[str], output: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def constant(self, name: str, values: object, kind: type = np.float32) -> str:
        self.weights.append(numpy_helper.from_array(np.array(values, kind), name))
        return name

    def convolve(self, value: str, inputs: int, outputs: int, name: str, kernel: int = 3, stride: int = 1) -> str:
        shape = (outputs, inputs, kernel, kernel)
        weight = self.constant(f"{name}.w", self.random.normal(0, (2 / (inputs * kernel**2)) ** 0.5, shape))
        bias = self.constant(f"{name}.b", self.random.normal(0, 0.1, outputs))
        pads, strides = [kernel // 2] * 4, [stride] * 2
        return self.add("Conv", [value, weight, bias], name, kernel_shape=[kernel] * 2, pads=pads, strides=strides)

    def normalise(self, value: str, channels: int, name: str) -> str:
        random = self.random
        values = (random.uniform(0.5, 1.5, channels), random.normal(0, 0.2, channels), random.normal(0, 0.3, channels))
        names = [self.constant(f"{name}.{index}", array) for index, array in enumerate(values)]
        names.append(self.constant(f"{name}.3", random.uniform(0.5, 2.0, channels)))
        return self.add("BatchNormalization", [value, *names], name)


def strange_trunk(seed: int = 4) -> OnnxTrunk:
    """(N, 3, 32, 32) to (N, 8, 16, 16)."""
    sketch = Sketch(np.random.default_rng(seed), [], [])
    value = sketch.add("Relu", [sketch.convolve("planes", 3, WIDTH, "first", stride=2)], "first.relu")
    grown = sketch.add("Concat", [value, sketch.convolve(value, WIDTH, WIDTH, "grow")], "dense", axis=1)
    grown = sketch.add("Relu", [sketch.normalise(grown, 2 * WIDTH, "norm")], "norm.relu")
    thin = sketch.convolve(grown, 2 * WIDTH, WIDTH, "thin", kernel=1)
    small = sketch.add("AveragePool", [thin], "pool", kernel_shape=[2, 2], strides=[2, 2])
    gate = sketch.add("GlobalAveragePool", [small], "squeeze")
    gate = sketch.add("Sigmoid", [sketch.convolve(gate, WIDTH, WIDTH, "excite", kernel=1)], "gate")
    small = sketch.add("Mul", [small, gate], "gated")
    small = sketch.add("Clip", [small, sketch.constant("low", -3.0), sketch.constant("high", 3.0)], "clipped")
    sketch.nodes.append(
        helper.make_node("Constant", [], ["size"], value=numpy_helper.from_array(np.array([16, 16], np.int64)))
    )
    front = sketch.add("Slice", [sketch.add("Shape", [small], "shape"), *_ends(sketch)], "front")
    sizes = sketch.add("Concat", [front, "size"], "sizes", axis=0)
    large = sketch.add("Resize", [small, "", "", sizes], "large", mode="linear")
    scales = sketch.constant("scales", [1.0, 1.0, 1.0, 1.0])
    large = sketch.add("Resize", [large, "", scales], "same", mode="nearest")
    main = sketch.convolve(large, WIDTH, WIDTH, "last")
    sketch.add("Relu", [sketch.add("Add", [value, main], "sum")], "map")
    planes = helper.make_tensor_value_info("planes", TensorProto.FLOAT, ["batch", 3, EDGE, EDGE])
    last = helper.make_tensor_value_info("map", TensorProto.FLOAT, ["batch", WIDTH, EDGE // 2, EDGE // 2])
    graph = helper.make_graph(sketch.nodes, "strange", [planes], [last], sketch.weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return OnnxTrunk(model)


def _ends(sketch: Sketch) -> list[str]:
    return [sketch.constant("from", [0], np.int64), sketch.constant("to", [2], np.int64)]


def strange_graph(members: int = 1) -> onnx.ModelProto:
    """The trunk with an eGFR head of one linear layer on it."""
    head = LinearHead(np.random.default_rng(5).normal(0, 8, (1, WIDTH)).astype(np.float32), np.array([45], np.float32))
    found = tuple(Member(strange_trunk(4 + index), (head,)) for index in range(members))
    return write_graph(Ensemble(found, (EGFR,), EDGE, EDGE, (0.5,) * 3, (0.25,) * 3))
