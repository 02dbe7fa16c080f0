"""Small ONNX files as other people's tools write them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIZE = 32


def weights(seed: int, channels: int = 3, features: int = 6, answers: int = 2) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    arrays = {
        "w0": random.normal(0, 0.4, (4, channels, 3, 3)),
        "b0": random.normal(0, 0.1, 4),
        "scale": random.uniform(0.5, 1.5, 4),
        "shift": random.normal(0, 0.1, 4),
        "mean": random.normal(0, 0.1, 4),
        "var": random.uniform(0.5, 1.5, 4),
        "w1": random.normal(0, 0.4, (features, 4, 3, 3)),
        "w2": random.normal(0, 0.6, (features, answers)),
        "b2": random.normal(0, 0.2, answers),
    }
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def body(first: str) -> list[onnx.NodeProto]:
    """Two convolutions, a batch norm between; the last map is called "map"."""
    spread = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [2, 2]}
    return [
        helper.make_node("Conv", [first, "w0", "b0"], ["c0"], **spread),
        helper.make_node("BatchNormalization", ["c0", "scale", "shift", "mean", "var"], ["n0"]),
        helper.make_node("Relu", ["n0"], ["r0"]),
        helper.make_node("Conv", ["r0", "w1"], ["c1"], **spread),
        helper.make_node("Relu", ["c1"], ["map"]),
    ]


def model(
    nodes: Sequence[onnx.NodeProto],
    arrays: dict[str, np.ndarray],
    outputs: Sequence[str] = ("answers",),
    opset: int = 17,
    batch: int | str = "n",
    shape: Sequence[int] = (3, SIZE, SIZE),
    width: int = 2,
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "made",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, *shape])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, width]) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    made.ir_version = 8
    return made


def pooled(tail: str = "", opset: int = 17, **options: object) -> onnx.ModelProto:
    """Convolutions, global average pooling, one linear layer, and perhaps a Softmax or Sigmoid."""
    nodes = [
        *body("image"),
        helper.make_node("GlobalAveragePool", ["map"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w2", "b2"], ["raw" if tail else "answers"]),
    ]
    if tail:
        nodes.append(helper.make_node(tail, ["raw"], ["answers"]))
    return model(nodes, weights(1), opset=opset, **options)


def numpy_answers(planes: np.ndarray, arrays: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Maps and raw answers of ``pooled`` for planes (N, C, H, W), without ONNX."""

    def convolve(value: np.ndarray, weight: np.ndarray) -> np.ndarray:
        padded = np.pad(value, ((0, 0), (0, 0), (1, 1), (1, 1)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))[:, :, ::2, ::2]
        return np.einsum("nchwij,ocij->nohw", windows, weight)

    gain = arrays["scale"] / np.sqrt(arrays["var"] + 1e-5)
    value = convolve(planes, arrays["w0"]) + arrays["b0"][:, None, None]
    value = (value - arrays["mean"][:, None, None]) * gain[:, None, None] + arrays["shift"][:, None, None]
    maps = np.maximum(convolve(np.maximum(value, 0), arrays["w1"]), 0)
    return maps, maps.mean((2, 3)) @ arrays["w2"] + arrays["b2"]
