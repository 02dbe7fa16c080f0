"""The network and its training: minutes on one core."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from time import monotonic

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from edge_app.imaging.patches import FLAT

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
        """Return scores (N, 7) of patches (N, 3, 32, 32) and (N, 2, 32, 32)."""
        both = torch.cat([self.near(near).flatten(1), self.far(far).flatten(1)], dim=1)
        mixed: torch.Tensor = self.out(functional.relu(self.mix(functional.dropout(both, 0.1, self.training))))
        return mixed


def _stack(widths: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for index, (a, b) in enumerate(pairwise(widths)):
        side = 5 if index == 0 else 3
        layers += [nn.Conv2d(a, b, side, 2, side // 2, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
    return nn.Sequential(*layers)


def train(
    data: dict[str, torch.Tensor], epochs: int, seed: int = 1, rate: float = 2e-3, start: MarkNet | None = None
) -> MarkNet:
    """Return the trained network; ``start``: the one to go on from."""
    torch.manual_seed(seed)
    net = start or MarkNet()
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
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
            torch.autograd.backward(loss)
            optimiser.step()
            schedule.step()
            total += loss.item()
        print(
            f"epoch {epoch + 1}/{epochs}: loss {total / (count // batch):.4f}, {monotonic() - begun:.0f} s", flush=True
        )
    net.eval()
    return net


def _flipped(
    data: dict[str, torch.Tensor], index: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
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


class Glance(nn.Module):
    """A first look at a small patch, twenty times cheaper: whether the network is to be asked at all."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = _stack((1, 12, 16))
        self.mix = nn.Linear(16 * 36, 24)
        self.out = nn.Linear(24, 1)

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """Return scores (N,) of patches (N, 1, 24, 24)."""
        scores: torch.Tensor = self.out(functional.relu(self.mix(self.stack(patches).flatten(1))))
        return scores[:, 0]


def train_glance(patches: torch.Tensor, marks: torch.Tensor, epochs: int, seed: int = 1) -> Glance:
    """Return the trained glance; a marker that it misses costs more than a place looked at in vain."""
    torch.manual_seed(seed)
    net, count, batch = Glance(), len(marks), 512
    optimiser = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, 3e-3, total_steps=epochs * (count // batch), pct_start=0.15
    )
    for epoch in range(epochs):
        order, total = torch.randperm(count), 0.0
        for at in range(0, count - batch + 1, batch):
            index = order[at : at + batch]
            some = own(patches[index].float())
            for axis in (2, 3):
                some = some.flip(axis) if torch.rand(()) < 0.5 else some
            loss = functional.binary_cross_entropy_with_logits(
                net(some), marks[index].float(), pos_weight=torch.tensor(4.0)
            )
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            schedule.step()
            total += loss.item()
        print(f"glance {epoch + 1}/{epochs}: loss {total / (count // batch):.4f}", flush=True)
    net.eval()
    return net


def own(patches: torch.Tensor) -> torch.Tensor:
    """Return (N, 1, GLANCE, GLANCE): each patch against its mean, in its spread."""
    mean, spread = patches.mean((1, 2), keepdim=True), patches.std((1, 2), keepdim=True, correction=0)
    return ((patches - mean) / (spread + FLAT))[:, None]


def arrays(net: MarkNet, glance: Glance) -> Arrays:
    """Return the weights with the normalisation folded into the convolutions."""
    kept: Arrays = {}
    for name, stack in (("near", net.near), ("far", net.far), ("glance", glance.stack)):
        for index in range(len(stack) // 3):
            held = {key: value.detach() for key, value in stack[3 * index + 1].state_dict().items()}
            gain = held["weight"] / torch.sqrt(held["running_var"] + 1e-5)
            weights = stack[3 * index].state_dict()["weight"]
            kept[f"{name}{index}.w"] = (weights * gain[:, None, None, None]).numpy()
            kept[f"{name}{index}.b"] = (held["bias"] - held["running_mean"] * gain).numpy()
    layers = {"mix": net.mix, "out": net.out, "glance.mix": glance.mix, "glance.out": glance.out}
    for name, layer in layers.items():
        kept[f"{name}.w"], kept[f"{name}.b"] = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    return kept


def save(kept: Arrays, path: Path) -> None:
    """Write the weights, in half precision."""
    np.savez_compressed(path, allow_pickle=False, **{k: v.astype(np.float16) for k, v in kept.items()})
