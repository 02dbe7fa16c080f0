"""GraphWriter: a thin, named way to write ONNX nodes; every node and tensor gets the name it is given."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 17  # the newest that TensorRT 10.3 (JetPack 6.2) is documented to take in full
IR_VERSION = 8  # goes with opset 17; older runtimes refuse newer ones

Attribute = int | float | str | Sequence[int]


class GraphWriter:
    """Collects nodes and constants of one graph, in order; belongs to the caller, no threads."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}

    def constant(self, name: str, array: NDArray[np.float32] | NDArray[np.int64]) -> str:
        """Store ``array`` under ``name`` (once) and return the name."""
        self._constants.setdefault(name, numpy_helper.from_array(np.asarray(array), name))
        return name

    def adopt(self, nodes: Sequence[onnx.NodeProto], constants: Sequence[onnx.TensorProto]) -> None:
        """Take over finished nodes and constants, whose names are free; the constants are not copied."""
        self._nodes.extend(nodes)
        self._constants.update((str(constant.name), constant) for constant in constants)

    def node(self, operator: str, inputs: Sequence[str], name: str, **attributes: Attribute) -> str:
        """Add a node whose one output has the node's own name; return that name."""
        node = helper.make_node(operator, list(inputs), [name], name=name)
        node.attribute.extend(helper.make_attribute(key, value) for key, value in sorted(attributes.items()))
        self._nodes.append(node)
        return name

    def model(self, inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[onnx.ValueInfoProto]) -> onnx.ModelProto:
        """Return the finished model: checked, with the shape of every tensor inferred. The writer is empty then."""
        graph = helper.make_graph(
            self._nodes, self._name, list(inputs), list(outputs), initializer=list(self._constants.values())
        )
        self._nodes, self._constants = [], {}  # weights of ten large members are 1.8 GB: not one copy too many
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="echogfr")
        del graph
        model.ir_version = IR_VERSION
        onnx.checker.check_model(model, full_check=True)
        return onnx.shape_inference.infer_shapes(model, strict_mode=True)


def tensor(name: str, kind: type[np.generic], shape: Sequence[int]) -> onnx.ValueInfoProto:
    """Describe a tensor with a dynamic batch axis in front of ``shape``."""
    kinds: dict[type[np.generic], int] = {np.float32: TensorProto.FLOAT, np.uint8: TensorProto.UINT8}
    return helper.make_tensor_value_info(name, kinds[kind], ["batch", *shape])
