"""From the arrays of one checkpoint to parts of the graph: batch norms folded, ResNet bottlenecks, deep head."""

from __future__ import annotations

import numpy as np

from convert.checkpoint import State
from convert.graph.parts import Convolution, DeepHead, Dense, Residual, Trunk
from convert.kuo.layout import HEAD, Bottleneck, Layout, blocks

EPSILON = 1e-5  # torch's default of BatchNorm2d, which torchvision keeps


def trunk(state: State, layout: Layout) -> Trunk:
    """Return stem and blocks; the last map is what the pooled features are made of."""
    stem = _fold(state, ("base_model.conv1", "base_model.bn1"), stride=2, padding=3)
    return Trunk(stem, tuple(_block(state, block) for block in blocks(layout)), max_pool=True)


def head(state: State) -> DeepHead:
    """Return the 1000-way layer, behind which there is no ReLU, and the three layers of the eGFR head."""
    names = ("base_model.fc", *HEAD)
    layers = [Dense(state[f"{name}.weight"], state[f"{name}.bias"], relu=name in HEAD[:-1]) for name in names]
    return DeepHead(tuple(layers))


def _block(state: State, block: Bottleneck) -> Residual:
    strides, paddings = (1, block.stride, 1), (0, 1, 0)
    parts = block.convolutions
    path = tuple(
        _fold(state, names[:2], stride, padding)
        for names, stride, padding in zip(parts[:3], strides, paddings, strict=True)
    )
    shortcut = _fold(state, parts[3][:2], block.stride, 0) if block.downsample else None
    return Residual(path, shortcut)


def _fold(state: State, names: tuple[str, str], stride: int, padding: int) -> Convolution:
    """Fold a batch norm in inference mode into its convolution, in double precision."""
    convolution, norm = names
    variance = state[f"{norm}.running_var"].astype(np.float64)
    gain = state[f"{norm}.weight"] / np.sqrt(variance + EPSILON)
    weight = state[f"{convolution}.weight"] * gain[:, None, None, None]
    bias = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * gain
    return Convolution(weight.astype(np.float32), bias.astype(np.float32), stride, padding)
