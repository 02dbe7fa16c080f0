"""Gives a graph of unknown origin its one input: planes of known size with a free batch."""

from __future__ import annotations

import onnx
from onnx import helper, numpy_helper

from convert.checkpoint import DefectError
from convert.sources.onnx_file import pictures

BATCH, PLANES = "batch", "echogfr/planes"  # a name that no file has
FREE = 4  # from this version of the format on, weights are not listed as inputs
Size = tuple[int, int, int]  # channels, height, width


def with_planes(model: onnx.ModelProto, size: Size, channels_last: bool) -> onnx.ModelProto:
    """Return a copy whose only input is (N, C, H, W) with a free batch.

    A batch that was fixed is freed: in the input, and where a constant shape begins with it. Whether crops still do
    not touch each other then is measured afterwards by whoever calls.

    Raises
    ------
    DefectError
        The input of the file has not this rank or size.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    copy.ir_version = max(copy.ir_version, FREE)
    graph = copy.graph
    value = pictures(graph)
    batch = fixed_batch(value, size, channels_last)
    if batch is not None:
        _free_shapes(graph, batch)
    del graph.input[:]
    graph.input.append(helper.make_tensor_value_info(PLANES, onnx.TensorProto.FLOAT, [BATCH, *size]))
    name = str(value.name)
    if channels_last:
        entrance = helper.make_node("Transpose", [PLANES], [name], name="entrance", perm=[0, 2, 3, 1])
    else:
        entrance = helper.make_node("Identity", [PLANES], [name], name="entrance")
    nodes = [entrance, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.value_info[:]
    for output in graph.output:
        output.type.tensor_type.ClearField("shape")
    return copy


def fixed_batch(value: onnx.ValueInfoProto, size: Size, channels_last: bool) -> int | None:
    """Return the batch size that the input of a file insists on, or None.

    Raises
    ------
    DefectError
        The input has another rank or size.
    """
    dimensions = [int(dimension.dim_value) or None for dimension in value.type.tensor_type.shape.dim]
    channels, height, width = size
    wanted = (height, width, channels) if channels_last else size
    if len(dimensions) == 4 and all(
        found in (None, expected) for found, expected in zip(dimensions[1:], wanted, strict=True)
    ):
        return dimensions[0]
    shown = " x ".join("?" if dimension is None else str(dimension) for dimension in dimensions) or "no size"
    named = "N x H x W x C" if channels_last else "N x C x H x W"
    raise DefectError(f"wants an input of {shown} where the recipe says {named} with {' x '.join(map(str, wanted))}")


def _free_shapes(graph: onnx.GraphProto, batch: int) -> None:
    """Let the batch come in as it is wherever a constant shape names it first."""
    constants = {str(tensor.name): tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].HasField("t"):
            constants[str(node.output[0])] = node.attribute[0].t
    for index, node in enumerate(graph.node):
        tensor = constants.get(str(node.input[1])) if node.op_type == "Reshape" and len(node.input) > 1 else None
        shape = None if tensor is None else numpy_helper.to_array(tensor).copy()
        if shape is None or len(shape) < 2 or shape[0] != batch:
            continue
        shape[0] = 0  # a 0 in a shape: as it comes in
        graph.initializer.append(numpy_helper.from_array(shape, f"freed{index}"))
        node.input[1] = f"freed{index}"
