"""Brings a graph of any operator set to the one of the project, or says by name which operator cannot be."""

from __future__ import annotations

import onnx
from onnx import defs, helper, numpy_helper, version_converter

from convert.checkpoint import DefectError
from convert.graph.writer import IR_VERSION, OPSET

OLDEST = 7  # what ONNX Runtime still runs
REDUCTIONS = frozenset({"ReduceL1", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd"})


def opset_of(model: onnx.ModelProto) -> int:
    """Return the version of the standard operators of a model; 0 if it names none."""
    return max((int(item.version) for item in model.opset_import if item.domain in ("", "ai.onnx")), default=0)


def to_opset(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return ``model`` in the project's opset, checked; the given one may be changed.

    Older graphs go through onnx's converter. Newer ones keep their nodes: what operators gained since is dropped
    where it says nothing (an attribute at its default) or has an older form (axes as an input). That answers stay the
    same is measured afterwards by whoever calls.

    Raises
    ------
    DefectError
        An operator has no form in the project's opset, or the converter refuses.
    """
    version = opset_of(model)
    if version < OPSET:
        try:
            model = version_converter.convert_version(model, OPSET)
        except (RuntimeError, ValueError) as error:  # what its C++ part raises
            cause = str(error).splitlines()[0][-160:]
            raise DefectError(f"cannot be brought from opset {version} to {OPSET} ({cause})") from error
    elif version > OPSET:
        _lower(model, version)
    del model.opset_import[:]
    model.opset_import.append(helper.make_opsetid("", OPSET))
    model.ir_version = IR_VERSION
    del model.graph.value_info[:]  # shapes are inferred anew
    try:
        model = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        cause = " ".join(str(error).split())[:200]
        raise DefectError(f"cannot be brought from opset {version} to {OPSET} ({cause})") from error
    return model


def _lower(model: onnx.ModelProto, version: int) -> None:
    constants = {str(tensor.name): tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        new = defs.get_schema(node.op_type, version, "")
        try:
            old = defs.get_schema(node.op_type, OPSET, "")
        except defs.SchemaError as error:
            raise DefectError(f"uses {node.op_type}, which opset {OPSET} has not") from error
        if new.since_version == old.since_version:
            continue
        if node.op_type in REDUCTIONS and len(node.input) > 1:
            _axes_as_attribute(node, constants)
        for attribute in [item for item in node.attribute if item.name not in old.attributes]:
            if not _says_nothing(node, attribute, new):
                raise DefectError(f"uses {attribute.name} of {node.op_type}, which opset {OPSET} has not")
            node.attribute.remove(attribute)


def _axes_as_attribute(node: onnx.NodeProto, constants: dict[str, onnx.TensorProto]) -> None:
    axes = constants.get(str(node.input[1]))
    if axes is None:
        raise DefectError(f"computes the axes of {node.op_type} instead of naming them")
    del node.input[1]
    node.attribute.append(helper.make_attribute("axes", numpy_helper.to_array(axes).ravel().tolist()))


def _says_nothing(node: onnx.NodeProto, attribute: onnx.AttributeProto, schema: defs.OpSchema) -> bool:
    """Tell whether leaving an attribute out changes nothing."""
    value = helper.get_attribute_value(attribute)
    if node.op_type == "Split" and attribute.name == "num_outputs":
        return bool(value == len(node.output))  # parts of one size; shape inference refuses others
    if attribute.name == "dilations":
        return all(step == 1 for step in value)
    default = schema.attributes[attribute.name].default_value
    return bool(default.type == attribute.type and helper.get_attribute_value(default) == value)
