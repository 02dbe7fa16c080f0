"""Parts of a model as plain numpy arrays: what any source of weights is brought into before the graph is written."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
class Trunk:
    """Stem (convolution, ReLU, perhaps a max pool) and residual blocks; the last map (F, h, w) is what heads see."""

    stem: Convolution
    blocks: tuple[Residual, ...]
    max_pool: bool = False  # 3 x 3, stride 2, padding 1, as in ResNet (He 2016)


@dataclass(frozen=True, slots=True, eq=False)
class LinearHead:
    """eGFR = features . weight + bias, mL/min/1.73 m2; ``weight`` (F,)."""

    weight: Floats
    bias: float

    @property
    def inputs(self) -> int:
        """Number of pooled features."""
        return len(self.weight)

    @property
    def parameters(self) -> int:
        """Number of weights and biases."""
        return self.weight.size + 1


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


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """One network of the ensemble with both heads."""

    trunk: Trunk
    head: LinearHead | DeepHead
    trees: Trees


@dataclass(frozen=True, slots=True, eq=False)
class Ensemble:
    """All members, and the normalisation in front of them: (pixel / 255 - mean) / std by channel, RGB."""

    members: tuple[Member, ...]
    height: int
    width: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
