"""The layer table: what the builder's log says of each convolution, and what that is worth."""

from __future__ import annotations

import pytest

from convert.tensorrt_layers import read_layers, summarize

# Of TensorRT for RTX 1.7, shortened: a convolution in INT8, what comes after it, one in float, and a wait.
RTX = """Layers:
Name: a_myl0_9, LayerType: correlation, Inputs: [ { Name: q, Dimensions: [-1,16,56,56], Strides: [50176,1,896,16], \
StrideOrder: [3,0,2,1], Datatype: Int8, Format: (NHWC) Channel major format }], Constants: [ { Name: w, \
Dimensions: [32,16,3,3], Datatype: Int8, Format: (NHWC) Channel major format }], Outputs: [ { Name: o, Dimensions: \
[-1,32,28,28], Datatype: Float, Format: (NHWC) Channel major format }], TacticName: t, StreamId: 0, \
Metadata: [ONNX Layer: conv0][ONNX Layer: relu_DequantizeLinear]
Name: k_myl0_10, LayerType: kgen, Inputs: [ { Name: o, Dimensions: [-1,32,28,28], Datatype: Float, Format: x }], \
Constants: [], Outputs: [ { Name: p, Datatype: Int8 }], TacticName: t, StreamId: 0, Metadata: [ONNX Layer: conv0]
Name: b_myl0_11, LayerType: correlation, Inputs: [ { Name: p, Dimensions: [-1,3,9,9], Datatype: Float, Format: x }], \
Constants: [], Outputs: [], TacticName: t, StreamId: 0, Metadata: [ONNX Layer: conv1]
Name: w_myl0_12, LayerType: wait, Inputs: [], Constants: [], Outputs: [], TacticName: , StreamId: 5, Metadata: 
"""  # noqa: W291 the builder writes that blank

# As NVIDIA documents the inspector's ONELINE of TensorRT 10.
INSPECTOR = """Layers:
Name: conv0 + relu, LayerType: CaskConvolution, Inputs: [ { Name: x, Location: Device, Dimensions: [1,3,9,9], \
Format/Datatype: Half }], Outputs: [ { Name: y, Location: Device, Dimensions: [1,3,9,9], Format/Datatype: Half }], \
ParameterType: Convolution, TacticName: t, StreamId: 0, Metadata: [ONNX Layer: conv0]\x1e[ONNX Layer: relu]

Bindings:
x
"""


def test_the_precision_of_a_convolution_is_that_of_its_data() -> None:
    layers = read_layers(RTX)
    assert [(layer.kind, layer.precision) for layer in layers] == [
        ("correlation", "Int8"),
        ("kgen", "Float"),
        ("correlation", "Float"),
        ("wait", "Unknown"),
    ]
    assert layers[0].nodes == ("conv0", "relu_DequantizeLinear")


def test_a_table_where_all_went_as_planned_has_no_fallback() -> None:
    summary = summarize({"conv0": "Int8", "conv1": "Float"}, read_layers(RTX))
    assert (summary.layers, summary.compiled, summary.fallbacks) == (4, {"Int8": 1, "Float": 1}, ())


def test_a_silent_fallback_is_named() -> None:
    summary = summarize({"conv0": "Int8", "conv1": "Int8"}, read_layers(RTX))
    assert summary.planned == {"Int8": 2}
    assert summary.fallbacks == ("conv1: Int8 planned, Float compiled",)


def test_a_convolution_that_the_table_does_not_name_is_unknown_and_not_fine() -> None:
    summary = summarize({"conv2": "Half"}, read_layers(RTX))
    assert summary.fallbacks == ("conv2: Half planned, Unknown compiled",)


def test_the_inspector_s_text_is_read_as_well() -> None:
    (layer,) = read_layers(INSPECTOR)
    assert (layer.precision, layer.nodes, layer.computes) == ("Half", ("conv0", "relu"), True)


def test_a_layer_without_metadata_is_known_by_its_name() -> None:
    text = INSPECTOR.replace("Metadata: [ONNX Layer: conv0]\x1e[ONNX Layer: relu]", "Metadata: ")
    assert summarize({"conv0": "Half"}, read_layers(text)).fallbacks == ()


def layer(name: str, kind: str, precision: str) -> str:
    return (
        f"Name: __myl_{name}_myl0_4, LayerType: {kind}, Inputs: [ {{ Name: x, Dimensions: [-1,2,64,64], Datatype: "
        f"{precision}, Format: (NHWC) Channel major format }}], Constants: [], Outputs: [], Metadata: [ONNX Layer: c]\n"
    )


@pytest.mark.parametrize(
    ("table", "compiled"),
    [
        # seen in DenseNets: what lies around a convolution is put into its kernel, or into one of its own
        (layer("ReplConc", "kgen", "Float") + layer("CorrMulAddRelu", "runtime_fusion", "Half"), "Half"),
        (layer("MulAddRelu", "runtime_fusion", "Float") + layer("c_U13", "correlation", "Int8"), "Int8"),
        # seen in EfficientNets: a convolution of four channels became multiplications
        (layer("SlicSlicMulMulAddSigmResh", "kgen", "Half"), "Half"),
        # what only prepares INT8 is no proof that anything runs in it
        (layer("MulRoundCast", "kgen", "Int8"), "Unknown"),
    ],
)
def test_a_convolution_that_was_taken_apart_is_found_again(table: str, compiled: str) -> None:
    assert summarize({"c": "Half"}, read_layers(table)).compiled == {compiled: 1}


def test_text_of_another_form_gives_no_layers() -> None:
    assert read_layers("Layers:\nnothing of the kind\n") == []
