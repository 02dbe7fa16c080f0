"""What became of each convolution: as the artifact's types plan it, and as the builder compiled it.

The builder reports its layers as text only: the "Layers:" message of its log at VERBOSE, in the form of the
engine inspector's ONELINE. Seen in TensorRT for RTX 1.7; that TensorRT writes the same is documented, not seen.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from engines.engine_record import LayerSummary

MESSAGE = "Layers:"
UNKNOWN = "Unknown"
_LINE = re.compile(
    r"^Name: (?P<name>.*?), LayerType: (?P<kind>[^,]*), Inputs: \[(?P<inputs>.*?)\], (?:Constants|Outputs): ", re.M
)
_TYPE = re.compile(r"Datatype: \"?([^,\"}]*)")
_ONNX = re.compile(r"\[ONNX Layer: ([^\]]*)\]")
_COMPUTES = re.compile(r"correlation|conv|gemm", re.I)  # names of layer kinds that do a convolution's arithmetic
# A kernel that is put together when the engine is loaded; its name lists what is in it: "__myl_CorrMulAddRelu_myl0_4"
_FUSED, _FUSED_CONVOLUTION = "runtime_fusion", re.compile(r"Corr|Conv|Fc|Gemm")
_WORDS = (("Int8", ("int8",)), ("Half", ("half", "fp16")), ("Float", ("float", "fp32")))


@dataclass(frozen=True, slots=True)
class Layer:
    """One compiled layer. ``precision``: of its first input; ``nodes``: the ONNX nodes that went into it."""

    name: str
    kind: str
    precision: str
    nodes: tuple[str, ...]

    @property
    def computes(self) -> bool:
        """True if it does the arithmetic of a convolution or a matrix product, not only what comes after."""
        if self.kind == _FUSED:
            return _FUSED_CONVOLUTION.search(self.name) is not None
        return _COMPUTES.search(self.kind) is not None


def read_layers(text: str) -> list[Layer]:
    """Return the layers of a "Layers:" message or of an inspector's ONELINE text; lines of other form are left out."""
    layers = []
    for line in text.split("\n"):  # not splitlines: TensorRT parts ONNX names with a control character
        found = _LINE.match(line)
        if found:
            types = _TYPE.search(found["inputs"])
            nodes = tuple(_ONNX.findall(line)) or tuple(found["name"].split(" + "))
            layers.append(Layer(found["name"], found["kind"], _precision(types[1] if types else ""), nodes))
    return layers


def summarize(planned: Mapping[str, str], layers: list[Layer]) -> LayerSummary:
    """Compare ``planned`` (convolution to precision) with what was compiled."""
    compiled = {name: _compiled(name, layers) for name in planned}
    return LayerSummary(
        layers=len(layers),
        planned=dict(Counter(planned.values())),
        compiled=dict(Counter(compiled.values())),
        fallbacks=tuple(
            f"{name}: {planned[name]} planned, {compiled[name]} compiled"
            for name in planned
            if planned[name] != compiled[name]
        ),
    )


def _compiled(node: str, layers: list[Layer]) -> str:
    """Return the precision of the layers that compute ``node``: the widest, if there are several.

    A convolution may be so small that it became plain multiplications; then every layer that names it counts, but
    for INT8, of which those layers are no proof.
    """
    named = [layer for layer in layers if node in layer.nodes]
    found = {layer.precision for layer in named if layer.computes} or {layer.precision for layer in named} - {"Int8"}
    return next((name for name in ("Float", "Half", "Int8") if name in found), UNKNOWN)


def _precision(datatype: str) -> str:
    small = datatype.lower()
    return next((name for name, words in _WORDS if any(word in small for word in words)), UNKNOWN)
