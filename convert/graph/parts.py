"""Parts of a model as plain numpy arrays: what any source of weights is brought into before the graph is written."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal

import numpy as np
import onnx
from numpy.typing import NDArray

from engines.manifest import HeadSpec

Activation = Literal["identity", "sigmoid", "softmax"]
Channels = Literal["rgb", "bgr", "grey"]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Convolution:
    """A convolution with its batch norm folded in; ``weight`` (out, in, k, k), ``bias`` (out,)."""

    weight: Floats
    bias: Floats
    stride: int
    padding: int

    @property
    def parameters(self) -> int:
        """Number of weights and biases."""
        return self.weight.size + self.bias.size


@dataclass(frozen=True, slots=True, eq=False)
class Residual:
    """A residual block: ReLU between the convolutions of ``path``, and after the sum with ``shortcut``."""

    path: tuple[Convolution, ...]
    shortcut: Convolution | None  # None: identity

    @property
    def parameters(self) -> int:
        """Number of weights and biases."""
        return sum(part.parameters for part in (*self.path, *([self.shortcut] if self.shortcut else [])))


@dataclass(frozen=True, slots=True, eq=False)
class Plain:
    """A convolution and a ReLU: what a block of RepVGG is after re-parameterisation (Ding 2021)."""

    convolution: Convolution

    @property
    def path(self) -> tuple[Convolution, ...]:
        """Its one convolution, as a path."""
        return (self.convolution,)

    @property
    def parameters(self) -> int:
        """Number of weights and biases."""
        return self.convolution.parameters


@dataclass(frozen=True, slots=True, eq=False)
class Trunk:
    """Stem (convolution, ReLU, perhaps a max pool) and blocks; the last map (F, h, w) is what heads see."""

    stem: Convolution
    blocks: tuple[Residual | Plain, ...]
    max_pool: bool = False  # 3 x 3, stride 2, padding 1, as in ResNet (He 2016)

    @property
    def parameters(self) -> int:
        """Number of weights and biases."""
        return self.stem.parameters + sum(block.parameters for block in self.blocks)


@dataclass(frozen=True, slots=True, eq=False)
class OnnxTrunk:
    """Any network as a graph: normalised planes float32 (N, C, H, W) to its last map (N, F, h, w) before the pooling.

    One input and one output of known size but for the batch; all weights inside; opset 17, standard operators.
    """

    model: onnx.ModelProto

    @property
    def parameters(self) -> int:
        """Number of weights and biases."""
        return _float_weights(self.model)


@dataclass(frozen=True, slots=True, eq=False)
class Whole:
    """A network that cannot be cut before a global average pooling: planes as of ``OnnxTrunk`` to raw answers (N, K).

    Its heads are linear layers on the raw answers; it has neither pooled features nor a map.
    """

    model: onnx.ModelProto

    @property
    def parameters(self) -> int:
        """Number of weights and biases."""
        return _float_weights(self.model)


@dataclass(frozen=True, slots=True, eq=False)
class LinearHead:
    """activation(features . weight + bias), K answers; ``weight`` (K, F), ``bias`` (K,).

    ``positive``: of a softmax, the one answer that is the event of a probability head; None: all are answers.
    """

    weight: Floats
    bias: Floats
    activation: Activation = "identity"
    positive: int | None = None

    @property
    def inputs(self) -> int:
        """Number of pooled features."""
        return int(self.weight.shape[1])

    @property
    def parameters(self) -> int:
        """Number of weights and biases."""
        return self.weight.size + self.bias.size


@dataclass(frozen=True, slots=True, eq=False)
class Dense:
    """A linear layer: ``weight`` (out, in), ``bias`` (out,), then a ReLU if ``relu``."""

    weight: Floats
    bias: Floats
    relu: bool


@dataclass(frozen=True, slots=True, eq=False)
class DeepHead:
    """eGFR, mL/min/1.73 m2, by several linear layers on the pooled features; the last has one output, no ReLU."""

    layers: tuple[Dense, ...]

    @property
    def inputs(self) -> int:
        """Number of pooled features."""
        return int(self.layers[0].weight.shape[1])

    @property
    def parameters(self) -> int:
        """Number of weights and biases."""
        return sum(layer.weight.size + layer.bias.size for layer in self.layers)


@dataclass(frozen=True, slots=True, eq=False)
class Trees:
    """Boosted trees as perfect trees of one depth d, nodes in level order; go left where feature < threshold.

    ``features`` int64 (T, 2**d - 1), ``thresholds`` float32 (T, 2**d - 1), ``values`` float32
    (T, 2**d) added up to the margin; probability = sigmoid(sum + base_margin).
    """

    features: NDArray[np.int64]
    thresholds: Floats
    values: Floats
    base_margin: float

    @property
    def depth(self) -> int:
        """Depth of every tree."""
        return int(self.values.shape[1]).bit_length() - 1

    @property
    def parameters(self) -> int:
        """Number of thresholds and leaves."""
        return self.thresholds.size + self.values.size


HeadPart = LinearHead | DeepHead | Trees


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """One network of the ensemble: a trunk, and one part a head in the order of ``Ensemble.heads``."""

    trunk: Trunk | OnnxTrunk | Whole
    parts: tuple[HeadPart, ...]

    @property
    def features(self) -> int:
        """Number of pooled features; 0 of a network that was not cut."""
        linear = (part.inputs for part in self.parts if isinstance(part, (LinearHead, DeepHead)))
        return 0 if isinstance(self.trunk, Whole) else next(linear)

    @property
    def parameters(self) -> int:
        """Number of weights and biases, batch norms folded where they could be; trees are not counted."""
        return self.trunk.parameters + sum(part.parameters for part in self.parts if not isinstance(part, Trees))


@dataclass(frozen=True, slots=True, eq=False)
class Ensemble:
    """All members, what their heads mean, and the normalisation in front: (pixel / divisor - mean) / std by channel.

    ``mean`` and ``std`` are in the order of ``channels``, which is that of the trunks; grey has one channel, made
    of RGB by the luma weights of ITU-R BT.601.

    Raises
    ------
    ValueError
        A member has not one part a head, some members are cut and some are not, or a head has a map that its
        part cannot give.
    """

    members: tuple[Member, ...]
    heads: tuple[HeadSpec, ...]
    height: int
    width: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    divisor: float = 255.0
    channels: Channels = "rgb"

    def __post_init__(self) -> None:
        """Check that heads, parts and channels go together."""
        channels = 1 if self.channels == "grey" else 3
        if not self.members or {len(self.mean), len(self.std)} != {channels}:
            raise ValueError(f"an ensemble has members, and {channels} values of mean and std")
        if len({isinstance(member.trunk, Whole) for member in self.members}) > 1:
            raise ValueError("some members are cut before their pooling and some are not")
        for member in self.members:
            for head, part in zip(self.heads, member.parts, strict=True):
                if head.map is not None and (isinstance(part, Trees) or isinstance(member.trunk, Whole)):
                    raise ValueError(f"the head {head.name} has a map that no part gives")

    @property
    def pooled(self) -> bool:
        """Whether members are cut before a global average pooling: there are features, and there can be maps."""
        return not isinstance(self.members[0].trunk, Whole)


def _float_weights(model: onnx.ModelProto) -> int:
    weights = (tensor for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT)
    return sum(prod(tensor.dims) for tensor in weights)
