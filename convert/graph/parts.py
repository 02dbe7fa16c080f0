"""Parts of a model as plain numpy arrays: what any source of weights is brought into before the graph is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnx
from numpy.typing import NDArray

from engines.manifest import HeadSpec

Activation = Literal["identity", "sigmoid", "softmax"]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Convolution:
    """A convolution with its batch norm folded in; ``weight`` (out, in, k, k), ``bias`` (out,)."""

    weight: Floats
    bias: Floats
    stride: int
    padding: int


@dataclass(frozen=True, slots=True, eq=False)
class Residual:
    """A residual block: ReLU between the convolutions of ``path``, and after the sum with ``shortcut``."""

    path: tuple[Convolution, ...]
    shortcut: Convolution | None  # None: identity


@dataclass(frozen=True, slots=True, eq=False)
class Plain:
    """A convolution and a ReLU: what a block of RepVGG is after re-parameterisation (Ding 2021)."""

    convolution: Convolution


@dataclass(frozen=True, slots=True, eq=False)
class Trunk:
    """Stem (convolution, ReLU, perhaps a max pool) and blocks; the last map (F, h, w) is what heads see."""

    stem: Convolution
    blocks: tuple[Residual | Plain, ...]
    max_pool: bool = False  # 3 x 3, stride 2, padding 1, as in ResNet (He 2016)


@dataclass(frozen=True, slots=True, eq=False)
class OnnxTrunk:
    """Any network as a graph: float32 (N, 3, H, W), normalised, to its last map (N, F, h, w) before the pooling."""

    model: onnx.ModelProto


@dataclass(frozen=True, slots=True, eq=False)
class LinearHead:
    """activation(features . weight + bias), K answers; ``weight`` (K, F), ``bias`` (K,)."""

    weight: Floats
    bias: Floats
    activation: Activation = "identity"

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


HeadPart = LinearHead | DeepHead | Trees


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """One network of the ensemble: a trunk, and one part a head in the order of ``Ensemble.heads``."""

    trunk: Trunk | OnnxTrunk
    parts: tuple[HeadPart, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Ensemble:
    """All members, what their heads mean, and the normalisation in front: (pixel / 255 - mean) / std by channel, RGB."""

    members: tuple[Member, ...]
    heads: tuple[HeadSpec, ...]
    height: int
    width: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
