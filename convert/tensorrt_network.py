"""Parses an artifact into a strongly typed network; what the parser refuses comes out as one sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from convert.tensorrt_library import Library
from engines.store import EngineError

HARMLESS = re.compile(
    r"cudaError (35|100)\b"
)  # no driver, no device: a builder without a GPU says it beside each error
_PLACE = re.compile(
    r"Myelin \(\[[^\]]*\]\s*|\s*In \w+(?:\(\))? at \S+:\d+\)?|^\S+: Error Code \d+: |^Invalid Node - .*$"
)
AGAIN = "convert the model again"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One thing that the parser refuses: how it says so, what that means, what to do."""

    says: str
    because: str
    cure: str


REFUSALS = (
    Refusal(
        "has type Int32 but must have type", "its bias is quantised to int32", "write int8 for TensorRT, not for CPUs"
    ),
    Refusal("shiftIsAllZeros", "its zero point is not zero", "quantise symmetrically, as int8 for TensorRT"),
    Refusal("Plugin not found", "TensorRT has no such operator", "write the model with standard operators"),
    Refusal("must be of same type", "its input and its weights differ in type", AGAIN),
    Refusal("failed to broadcast to input", "its weights do not go with its input", AGAIN),
    Refusal("std::bad_alloc", "there is too little free memory", "close other programs and try again"),
    Refusal(
        ": out of memory",  # as CUDA says it
        "there is too little GPU memory",
        "close other programs that use the GPU, or allow a smaller --workspace",
    ),
    Refusal("for Turing (SM75)", "GPUs of compute capability 7.5 cannot run all of it", "leave 7.5 out"),
    Refusal("Failed to parse the ONNX model", "the file is not an ONNX model", "copy the bundle again"),
)


class Tensor(Protocol):
    """What is read of ITensor."""

    name: str
    shape: tuple[int, ...]
    dtype: object


class NetworkLayer(Protocol):
    """What is read of ILayer."""

    name: str
    type: object
    num_inputs: int
    num_outputs: int

    def get_input(self, index: int) -> Tensor | None:
        """Return an input."""
        ...

    def get_output(self, index: int) -> Tensor | None:
        """Return an output."""
        ...


class Network(Protocol):
    """What is read of INetworkDefinition."""

    num_layers: int
    num_inputs: int
    num_outputs: int

    def get_layer(self, index: int) -> NetworkLayer:
        """Return a layer."""
        ...

    def get_input(self, index: int) -> Tensor:
        """Return an input."""
        ...


class ParserError(Protocol):
    """What is read of ParserError."""

    def desc(self) -> str:
        """Return the text."""
        ...

    def node_name(self) -> str:
        """Return the node's name."""
        ...

    def node_operator(self) -> str:
        """Return the node's operator."""
        ...


class Parser(Protocol):
    """What is used of OnnxParser."""

    num_errors: int

    def parse(self, model: bytes) -> bool:
        """Parse a serialised model."""
        ...

    def get_error(self, index: int) -> ParserError:
        """Return an error."""
        ...


def parse(parser: Parser, network: Network, data: bytes, what: str) -> None:
    """Parse ``data`` into ``network``; ``what`` begins the sentence.

    Raises
    ------
    EngineError
        The parser refused it, or understood it as a model without outputs, as it does with some garbage.
    """
    understood = parser.parse(data)
    if parser.num_errors:
        raise _refused(parser.get_error(0), what, parser.num_errors)
    if not understood:
        raise EngineError(what, "the parser refused it without a reason", AGAIN)
    if network.num_outputs == 0 or network.num_inputs == 0:
        raise EngineError(what, "it holds a model without inputs or outputs", "copy the bundle again")


def planned_precisions(library: Library, network: Network) -> dict[str, str]:
    """Return the precision of each convolution as the artifact's types ask for it: Int8, Half or Float, by name.

    Int8 is planned where data and weights both come out of a dequantisation.
    """
    kinds = library.module.LayerType
    layers = [network.get_layer(index) for index in range(network.num_layers)]
    dequantised = {tensor.name for layer in layers if layer.type == kinds.DEQUANTIZE for tensor in _outputs(layer)}
    return {layer.name: _planned(library, layer, dequantised) for layer in layers if layer.type == kinds.CONVOLUTION}


def _planned(library: Library, layer: NetworkLayer, dequantised: set[str]) -> str:
    inputs = [layer.get_input(index) for index in range(min(layer.num_inputs, 2))]
    names = [tensor.name for tensor in inputs if tensor is not None]
    if len(names) == 2 and dequantised.issuperset(names):
        return "Int8"
    first = inputs[0]
    return "Half" if first is not None and first.dtype == library.module.DataType.HALF else "Float"


def _outputs(layer: NetworkLayer) -> Iterator[Tensor]:
    for index in range(layer.num_outputs):
        tensor = layer.get_output(index)
        if tensor is not None:
            yield tensor


def _refused(error: ParserError, what: str, count: int) -> EngineError:
    node = f"{error.node_operator()} '{error.node_name()}': " if error.node_name() else ""
    more = f" ({count - 1} more errors)" if count > 1 else ""
    because, cure = explain(error.desc())
    return EngineError(what, f"{node}{because}{more}", cure)


def explain(text: str) -> tuple[str, str]:
    """Return the cause and the cure of a library's message, in the user's words where it is a known one."""
    found = next((refusal for refusal in REFUSALS if refusal.says in text), None)
    return (found.because, found.cure) if found else (plain(text), AGAIN)


def plain(text: str) -> str:
    """Return the first line of a library's message that says something, without its place in the source."""
    lines = [_PLACE.sub("", line).strip(" .") for line in text.splitlines() if not HARMLESS.search(line)]
    first = next((line for line in lines if line.strip("()")), "the library gave no reason")
    return first + ")" * (first.count("(") - first.count(")"))  # the place stood inside of them
