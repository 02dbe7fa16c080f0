"""The network and its training: minutes on one core."""

from __future__ import annotations

from pathlib import Path
from time import monotonic

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

Arrays = dict[str, NDArray[np.float32]]


class MarkNet(nn.Module):
    """Two stacks of strided convolutions, of the place and of its surroundings, and two layers over both."""

    def __init__(self) -> None:
        super().__init__()
        self.near = _stack((3, 16, 32, 48))
        self.far = _stack((2, 12, 20, 28))
        self.mix = nn.Linear(16 * (48 + 28), 96)
        self.out = nn.Linear(96, 7)  # nothing, plus, cross, worded, dx, dy, log of arm ratio

    def forward(self, near: torch.Tensor, far: torch.Tensor) -> torch.Tensor:
        both = torch.cat([self.near(near).flatten(1), self.far(far).flatten(1)], dim=1)
        return self.out(functional.relu(self.mix(functional.dropout(both, 0.1, self.training))))


def _stack(widths: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for index, (a, b) in enumerate(zip(widths, widths[1:], strict=False)):
        side = 5 if index == 0 else 3
        layers += [nn.Conv2d(a, b, side, 2, side // 2, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
    return nn.Sequential(*layers)


def train(data: dict[str, torch.Tensor], epochs: int, seed: int = 1, start: MarkNet | None = None, rate: float = 2e-3) -> MarkNet:
    """Return the trained network."""
    torch.manual_seed(seed)
    net = (start or MarkNet()).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    count, batch = len(data["kind"]), 256
    steps = epochs * (count // batch)
    optimiser = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, pct_start=0.15)
    begun = monotonic()
    for epoch in range(epochs):
        net.train()
        order, total = torch.randperm(count), 0.0
        for at in range(0, count - batch + 1, batch):
            index = order[at : at + batch]
            near, far, truth = _flipped(data, index)
            loss = _loss(net(near, far), truth)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch + 1}/{epochs}: loss {total / (count // batch):.4f}, {monotonic() - begun:.0f} s", flush=True)
    return net.eval()


def _flipped(data: dict[str, torch.Tensor], index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
    """Return a batch, mirrored now and then left to right, upside down, or both."""
    near, far = data["near"][index].float(), data["far"][index].float()
    truth = {k: data[k][index].clone() for k in ("kind", "worded", "aim")}
    for axis, sign in ((3, 0), (2, 1)):
        if torch.rand(()) < 0.5:
            near, far = near.flip(axis), far.flip(axis)
            truth["aim"][:, sign] *= -1
    return _last(near), _last(far), truth


def _last(patches: torch.Tensor) -> torch.Tensor:
    return patches.contiguous(memory_format=torch.channels_last)


def _loss(out: torch.Tensor, truth: dict[str, torch.Tensor]) -> torch.Tensor:
    kind = functional.cross_entropy(out[:, :3], truth["kind"], label_smoothing=0.01)
    mark = truth["kind"] > 0
    if not bool(mark.any()):
        return kind
    worded = functional.binary_cross_entropy_with_logits(out[mark, 3], truth["worded"][mark].float())
    aim = functional.smooth_l1_loss(out[mark, 4:], truth["aim"][mark], beta=0.05)
    return kind + 0.25 * worded + 4.0 * aim


def arrays(net: MarkNet) -> Arrays:
    """Return the weights with the normalisation folded into the convolutions."""
    kept: Arrays = {}
    for name, stack in (("near", net.near), ("far", net.far)):
        for index in range(3):
            convolution, norm = stack[3 * index], stack[3 * index + 1]
            gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
            kept[f"{name}{index}.w"] = (convolution.weight * gain[:, None, None, None]).detach().numpy()
            kept[f"{name}{index}.b"] = (norm.bias - norm.running_mean * gain).detach().numpy()
    for name, layer in (("mix", net.mix), ("out", net.out)):
        kept[f"{name}.w"], kept[f"{name}.b"] = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    return kept


def save(kept: Arrays, path: Path) -> None:
    """Write the weights, in half precision."""
    np.savez_compressed(path, allow_pickle=False, **{k: v.astype(np.float16) for k, v in kept.items()})
