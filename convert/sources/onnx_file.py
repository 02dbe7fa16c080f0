"""Opens an ONNX file of unknown origin: within limits, plain float operators only, nothing outside of the file.

Nothing in it is run here; later it runs in ONNX Runtime alone, as every bundle does.
"""

from __future__ import annotations

from math import prod
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto

from convert.checkpoint import DefectError, some
from convert.sources.opset import OLDEST, opset_of

LARGEST_FILE = 1 << 30  # bytes: half of what protobuf can hold
LARGEST_TENSOR = 1 << 29  # bytes, of one picture
MOST_NODES = 20_000
OPERATORS = frozenset(
    "Abs Add AveragePool BatchNormalization Cast Clip Concat Constant Conv DepthToSpace Div Dropout Elu "
    "Erf Exp Expand Flatten Floor Gather Gemm GlobalAveragePool GlobalMaxPool HardSigmoid HardSwish "
    "Identity InstanceNormalization LRN LayerNormalization LeakyRelu Log LogSoftmax MatMul Max MaxPool "
    "Min Mul Neg PRelu Pad Pow ReduceL1 ReduceL2 ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum Relu "
    "Reshape Resize Shape Sigmoid Slice Softmax Softplus SpaceToDepth Split Sqrt Squeeze Sub Sum Tanh "
    "Transpose Unsqueeze".split()
)  # feed-forward, deterministic, without subgraphs; TensorRT has all of them
KINDS = frozenset({TensorProto.FLOAT, TensorProto.INT64, TensorProto.INT32, TensorProto.BOOL})


def open_onnx(path: Path) -> onnx.ModelProto:
    """Return the model of a file that passed every check.

    Raises
    ------
    DefectError
        It is too large, damaged, refers to other files, or uses what is not on the list; named.
    """
    size = path.stat().st_size
    if not 0 < size <= LARGEST_FILE:
        raise DefectError("is empty" if not size else f"has {size >> 20} MB and {LARGEST_FILE >> 20} are the most")
    try:
        model = onnx.load_model_from_string(path.read_bytes())
    except (DecodeError, ValueError) as error:
        raise DefectError("is no ONNX file or it is cut short") from error
    check(model)
    return model


def check(model: onnx.ModelProto) -> None:
    """Refuse a model that cannot be taken over.

    Raises
    ------
    DefectError
        What ``open_onnx`` says of its file.
    """
    graph = model.graph
    if not graph.node or not graph.output:
        raise DefectError("is no ONNX file or it is cut short")
    if len(graph.node) > MOST_NODES:
        raise DefectError(f"has {len(graph.node)} nodes and {MOST_NODES} are the most")
    check_operators(model)
    _check_tensors(graph)
    _check_opset(opset_of(model))
    try:
        onnx.checker.check_model(model, full_check=True)
        inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise DefectError(f"is no valid ONNX: {' '.join(str(error).split())[:200]}") from error
    _check_values(inferred.graph)


def _check_opset(version: int) -> None:
    if version < OLDEST:
        raise DefectError(f"is of opset {version} and {OLDEST} is the oldest that can be run")
    newest = onnx.defs.onnx_opset_version()
    if version > newest:
        raise DefectError(f"is of opset {version} and {newest} is the newest that the installed onnx knows")


def pictures(graph: onnx.GraphProto) -> onnx.ValueInfoProto:
    """Return the one input that is no weight.

    Raises
    ------
    DefectError
        There is not exactly one.
    """
    weights = {str(tensor.name) for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    if len(inputs) != 1:
        named = some([str(value.name) for value in inputs]) or "none"
        raise DefectError(f"has {len(inputs)} inputs ({named}) instead of the picture alone")
    value: onnx.ValueInfoProto = inputs[0]
    return value


def check_operators(model: onnx.ModelProto) -> None:
    """Refuse a model with a node that is not on the list.

    Raises
    ------
    DefectError
        The nodes are named.
    """
    custom = sorted({str(node.domain) for node in model.graph.node} - {"", "ai.onnx"})
    if custom:
        raise DefectError(f"uses operators of {some(custom)}, which are not ONNX's own")
    if model.functions:
        raise DefectError(f"defines functions of its own ({some([str(item.name) for item in model.functions])})")
    foreign = sorted({str(node.op_type) for node in model.graph.node} - OPERATORS)
    if foreign:
        raise DefectError(f"uses {some(foreign)}, which cannot be taken over")
    nested = (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS)
    if any(attribute.type in nested for node in model.graph.node for attribute in node.attribute):
        raise DefectError("holds graphs inside of nodes")


def _check_tensors(graph: onnx.GraphProto) -> None:
    if graph.sparse_initializer:
        raise DefectError("holds sparse weights")
    values = [attribute.t for node in graph.node for attribute in node.attribute if attribute.HasField("t")]
    for tensor in (*graph.initializer, *values):
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            raise DefectError("keeps weights in other files, so save it again with all data inside")
        _check_kind(tensor.data_type, str(tensor.name) or "a constant")


def _check_values(graph: onnx.GraphProto) -> None:
    for value in (*graph.input, *graph.value_info, *graph.output):
        kind = value.type.tensor_type
        _check_kind(kind.elem_type, str(value.name))
        elements = prod(dimension.dim_value or 1 for dimension in kind.shape.dim)
        if 4 * elements > LARGEST_TENSOR:
            raise DefectError(f"makes a tensor of {4 * elements >> 20} MB ({value.name})")


def _check_kind(kind: int, name: str) -> None:
    if kind not in KINDS:
        raise DefectError(f"has {TensorProto.DataType.Name(kind).lower()} in {name}, so save it in float32")
