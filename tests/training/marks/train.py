"""The networks and their training, on a GPU where there is one."""

from __future__ import annotations

from pathlib import Path
from time import monotonic

import onnx
import torch
from onnx import numpy_helper
from torch import nn
from torch.nn import functional

from edge_app.imaging.crossings import GLANCE as GLANCE_SIDE
from edge_app.imaging.mark_net import GLANCE, READER
from edge_app.imaging.patches import FLAT, SIDE

Data = dict[str, torch.Tensor]

NOTHING = 2.0
"""Weight of a place without a marker: on a screen there are many more of them than among the samples."""


class Reader(nn.Module):
    """Two stacks of convolutions, of the place and of its surroundings, and two layers over both."""

    def __init__(self) -> None:
        super().__init__()
        self.near = _stack(3, (36, 52, 72, 104))
        self.far = _stack(2, (24, 36, 52, 68))
        self.mix = nn.Linear(16 * (104 + 68), 224)
        self.out = nn.Linear(224, 7)  # nothing, plus, cross, worded, dx, dy, log of arm ratio

    def forward(self, near: torch.Tensor, far: torch.Tensor) -> torch.Tensor:
        """Return scores (N, 7) of patches (N, 3, 32, 32) and (N, 2, 32, 32)."""
        both = torch.cat([self.near(near).flatten(1), self.far(far).flatten(1)], dim=1)
        mixed: torch.Tensor = self.out(functional.relu(self.mix(functional.dropout(both, 0.2, self.training))))
        return mixed


def _stack(channels: int, widths: tuple[int, int, int, int]) -> nn.Sequential:
    """Return convolutions from 32 x 32 pixels to 4 x 4."""
    a, b, c, d = widths
    return nn.Sequential(
        _step(channels, a, 5, 2), _step(a, b), _step(b, c, 3, 2), Again(c), Again(c), _step(c, d, 3, 2)
    )


class Folded(Reader):
    """The same as it was written, with the normalisations folded into the convolutions: to go on from there."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        stored = {
            one.name: torch.from_numpy(numpy_helper.to_array(one).copy()) for one in onnx.load(path).graph.initializer
        }
        for name, layer in (("mix", self.mix), ("out", self.out)):
            layer.load_state_dict({kind: stored.pop(f"{name}.{kind}") for kind in ("weight", "bias")})
        rest = iter(stored.values())  # weights and bias of one convolution after the other
        for step in [step for step in self.modules() if isinstance(step, nn.Sequential) and _is_step(step)]:
            old = step[0]
            step[0] = nn.Conv2d(old.in_channels, old.out_channels, old.kernel_size, old.stride, old.padding)
            step[0].load_state_dict({"weight": next(rest), "bias": next(rest)})
            step[1] = nn.Identity()


@torch.no_grad()
def halfway(net: nn.Module, start: nn.Module) -> None:
    """Set the weights in the middle between those it started from and those it has: most of both is kept."""
    for now, before in zip(net.parameters(), start.parameters(), strict=True):
        now.add_(before.to(now.device)).div_(2)


def _is_step(module: nn.Sequential) -> bool:
    return isinstance(module[0], nn.Conv2d)


def _step(a: int, b: int, side: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(a, b, side, stride, side // 2, bias=False), nn.BatchNorm2d(b), nn.ReLU())


class Again(nn.Module):
    """A convolution on top of what is there."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.step = _step(width, width)

    def forward(self, here: torch.Tensor) -> torch.Tensor:
        """Return the same shape."""
        return here + self.step(here)


class Glance(nn.Module):
    """A first look at a small patch, ten times cheaper: whether the network is to be asked at all."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = nn.Sequential(_step(1, 16, 5, 2), _step(16, 24, 3, 2), _step(24, 32))
        self.mix = nn.Linear(32 * 36, 32)
        self.out = nn.Linear(32, 1)

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """Return scores (N,) of patches (N, 1, 24, 24)."""
        scores: torch.Tensor = self.out(functional.relu(self.mix(self.stack(patches).flatten(1))))
        return scores[:, 0]


def train(data: Data, epochs: int, rate: float, seed: int = 1, start: Reader | None = None) -> Reader:
    """Return the trained network; ``start``: the one to go on from."""
    torch.manual_seed(seed)
    place = data["near"].device
    net = (start or Reader()).to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def loss(index: torch.Tensor) -> torch.Tensor:
        near, far, truth = _flipped(data, index)
        with torch.autocast(place.type, torch.bfloat16):
            out = net(near, far)
        return _loss(out.float(), truth)

    _fit(net, loss, len(data["kind"]), place, epochs, 1024, rate)
    return net


def train_glance(patches: torch.Tensor, marks: torch.Tensor, epochs: int, seed: int = 1) -> Glance:
    """Return the trained glance; a marker that it misses costs more than a place looked at in vain."""
    torch.manual_seed(seed)
    net = Glance().to(patches.device)
    dearer = torch.tensor(4.0, device=patches.device)

    def loss(index: torch.Tensor) -> torch.Tensor:
        some = own(patches[index].float())
        for axis in (2, 3):
            some = some.flip(axis) if torch.rand(()) < 0.5 else some
        return functional.binary_cross_entropy_with_logits(net(some), marks[index].float(), pos_weight=dearer)

    _fit(net, loss, len(marks), patches.device, epochs, 1024, 3e-3)
    return net


def _fit(net: nn.Module, loss, count: int, place: torch.device, epochs: int, batch: int, rate: float) -> None:  # type: ignore[no-untyped-def]
    """Minimise the loss of random batches, epoch by epoch, under one rising and falling rate."""
    steps = max(1, count // batch)
    optimiser = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=1e-2, fused=place.type == "cuda")
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=epochs * steps, pct_start=0.15)
    begun = monotonic()
    net.train()
    for epoch in range(epochs):
        order, total = torch.randperm(count, device=place), torch.zeros((), device=place)
        for at in range(steps):
            value = loss(order[at * batch : (at + 1) * batch])
            optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(value)
            optimiser.step()
            schedule.step()
            total += value.detach()
        print(f"epoch {epoch + 1}/{epochs}: loss {total.item() / steps:.4f}, {monotonic() - begun:.0f} s", flush=True)
    net.eval()


@torch.no_grad()
def errors(net: Reader, data: Data) -> str:
    """Return in words how often the network errs on samples it was not trained on."""
    near, far, kind = data["near"], data["far"], data["kind"]
    parts = [net(near[at : at + 4096].float(), far[at : at + 4096].float()) for at in range(0, len(kind), 4096)]
    out = torch.cat(parts)
    likely = out[:, :3].softmax(1)
    marks, missed = kind > 0, 1 - likely.gather(1, kind[:, None])[:, 0]
    said = (
        float((missed[some] > at).float().mean())
        for some, at in ((marks, 0.5), (marks, 0.1), (~marks, 0.5), (~marks, 0.1))
    )
    return "held out: of markers {:.4f} missed, {:.4f} under 0.9; of others {:.4f} taken, {:.4f} over 0.1".format(*said)


def _flipped(data: Data, index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, Data]:
    """Return a batch, mirrored now and then left to right, upside down, or both."""
    near, far = data["near"][index].float(), data["far"][index].float()
    truth = {k: data[k][index].clone() for k in ("kind", "worded", "aim")}
    for axis, sign in ((3, 0), (2, 1)):
        if torch.rand(()) < 0.5:
            near, far = near.flip(axis), far.flip(axis)
            truth["aim"][:, sign] *= -1
    last = torch.channels_last
    return near.contiguous(memory_format=last), far.contiguous(memory_format=last), truth


def _loss(out: torch.Tensor, truth: Data) -> torch.Tensor:
    dearer = torch.tensor([NOTHING, 1.0, 1.0], device=out.device)
    kind = functional.cross_entropy(out[:, :3], truth["kind"], dearer, label_smoothing=0.005)
    mark = (truth["kind"] > 0).float()
    many = mark.sum().clamp(min=1.0)
    worded = functional.binary_cross_entropy_with_logits(out[:, 3], truth["worded"].float(), reduction="none")
    aim = functional.smooth_l1_loss(out[:, 4:], truth["aim"], beta=0.05, reduction="none").mean(1)
    return kind + ((0.25 * worded + 4.0 * aim) * mark).sum() / many


def own(patches: torch.Tensor) -> torch.Tensor:
    """Return (N, 1, GLANCE, GLANCE): each patch against its mean, in its spread."""
    mean, spread = patches.mean((1, 2), keepdim=True), patches.std((1, 2), keepdim=True, correction=0)
    return ((patches - mean) / (spread + FLAT))[:, None]


def save(net: Reader, folder: Path) -> None:
    """Write it as an ONNX graph of any number of patches."""
    near, far = torch.zeros(2, 3, SIDE, SIDE), torch.zeros(2, 2, SIDE, SIDE)
    _export(net, (near, far), ["near", "far"], folder / READER)


def save_glance(glance: Glance, folder: Path) -> None:
    """Write it as an ONNX graph of any number of patches."""
    _export(glance, (torch.zeros(2, 1, GLANCE_SIDE, GLANCE_SIDE),), ["patches"], folder / GLANCE)


def _export(net: nn.Module, example: tuple[torch.Tensor, ...], inputs: list[str], path: Path) -> None:
    place = next(net.parameters()).device
    path.parent.mkdir(parents=True, exist_ok=True)
    axes = {name: {0: "count"} for name in (*inputs, "out")}
    torch.onnx.export(
        net.eval().cpu(), example, path, input_names=inputs, output_names=["out"], dynamic_axes=axes, dynamo=False
    )
    net.to(place)
