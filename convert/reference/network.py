"""The stand-in's network: a small residual trunk, pooled features and a linear eGFR head.

Kuo 2019 uses ResNet-101; the stand-in keeps its shape (residual blocks, global average pool, head on
the pooled features) at 1/200 of its size. One linear layer as head makes the class activation map exact
(Zhou 2016).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from convert.graph.parts import Convolution, LinearHead, Residual, Trunk

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # Kuo's released code: ImageNet normalisation, RGB
STEM_KERNEL, STEM_STRIDE = 7, 4


class Block(nn.Module):
    """Two 3 x 3 convolutions and a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm0 = nn.BatchNorm2d(outputs)
        self.conv1 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)

    def forward(self, value: Tensor) -> Tensor:
        """Map (N, inputs, h, w) to (N, outputs, h / stride, w / stride)."""
        path = torch.relu(self.norm0(self.conv0(value)))
        return torch.relu(self.norm1(self.conv1(path)) + self.norm2(self.conv2(value)))

    def fold(self) -> Residual:
        """Return the block with batch norms folded."""
        path = (fold(self.conv0, self.norm0), fold(self.conv1, self.norm1))
        return Residual(path, fold(self.conv2, self.norm2))


class Network(nn.Module):
    """One member; belongs to the thread that trains it."""

    def __init__(self, channels: Sequence[int], strides: Sequence[int]) -> None:
        super().__init__()
        padding = STEM_KERNEL // 2
        self.stem = nn.Conv2d(3, channels[0], STEM_KERNEL, STEM_STRIDE, padding, bias=False)
        self.norm = nn.BatchNorm2d(channels[0])
        steps = zip(channels[:-1], channels[1:], strides, strict=True)
        self.blocks = nn.Sequential(*[Block(before, after, stride) for before, after, stride in steps])
        self.head = nn.Linear(channels[-1], 1)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks this form

    def forward(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """Map normalised (N, 3, H, W) to the standardised eGFR (N,) and pooled features (N, F)."""
        value = self.blocks(torch.relu(self.norm(self.stem(value))))
        features = value.mean((2, 3))
        return self.head(features)[:, 0], features

    def trunk(self) -> Trunk:
        """Return the trunk as arrays, batch norms folded."""
        blocks = tuple(block.fold() for block in self.blocks if isinstance(block, Block))
        return Trunk(fold(self.stem, self.norm), blocks)

    def linear_head(self, centre: float, scale: float) -> LinearHead:
        """Return the head in mL/min/1.73 m2, given how the target was standardised."""
        weight = self.head.weight.detach().numpy() * scale
        bias = self.head.bias.detach().numpy() * scale + centre
        return LinearHead(weight.astype(np.float32), bias.astype(np.float32))


def fold(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> Convolution:
    """Fold a batch norm in inference mode into the convolution in front of it."""
    if norm.running_mean is None or norm.running_var is None:
        raise TypeError("a batch norm without running statistics cannot be folded")
    gain = norm.weight.detach() / torch.sqrt(norm.running_var + norm.eps)
    weight = convolution.weight.detach() * gain[:, None, None, None]
    bias = norm.bias.detach() - norm.running_mean * gain
    stride, padding = int(convolution.stride[0]), int(convolution.padding[0])
    return Convolution(np.ascontiguousarray(weight.numpy()), np.ascontiguousarray(bias.numpy()), stride, padding)


def normalise(crops: Tensor) -> Tensor:
    """Map uint8 (N, H, W, 3) RGB to normalised float (N, 3, H, W), channels last in memory."""
    mean, std = torch.tensor(MEAN) * 255.0, torch.tensor(STD) * 255.0
    value = (crops.to(torch.float32) - mean) / std
    return value.permute(0, 3, 1, 2)
