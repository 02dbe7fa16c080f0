"""The localizer's network: a small U-net (Ronneberger 2015) whose skips are sums.

From a sector of 128 x 128 to three maps of 32 x 32: the kidney, and one for each pole, left one first. A pole's map is
a distribution over the cells (softmax), so that how narrow it is says how sure the network is.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

CHANNELS = (16, 32, 48, 64)
CELL = 4  # pixels of the picture a cell of the maps


class Step(nn.Module):
    """Convolution, batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, value: Tensor) -> Tensor:
        """Map (N, inputs, h, w) to (N, outputs, h / stride, w / stride)."""
        return torch.relu(self.norm(self.convolution(value)))


class Localizer(nn.Module):
    """Belongs to the thread that trains it."""

    def __init__(self) -> None:
        super().__init__()
        first, second, third, fourth = CHANNELS
        self.stem = Step(3, first, 5, 2)
        self.down1 = nn.Sequential(Step(first, second, 3, 2), Step(second, second))
        self.down2 = nn.Sequential(Step(second, third, 3, 2), Step(third, third))
        self.down3 = nn.Sequential(Step(third, fourth, 3, 2), Step(fourth, fourth), Step(fourth, fourth))
        self.up2 = Step(fourth, third)
        self.up1 = Step(third, second)
        self.head = nn.Conv2d(second, 3, 1)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks this form

    def forward(self, value: Tensor) -> Tensor:
        """Map normalised pictures (N, 3, H, W) to logits (N, 3, H / 4, W / 4): kidney, left pole, right pole."""
        quarter = self.down1(self.stem(value))
        eighth = self.down2(quarter)
        value = self.down3(eighth)
        value = self.up2(_twice(value)) + eighth
        value = self.up1(_twice(value)) + quarter
        return torch.as_tensor(self.head(value))


def _twice(value: Tensor) -> Tensor:
    return nn.functional.interpolate(value, scale_factor=2.0, mode="nearest")
