"""Trains the localizer: cross-entropy of each pole's place, binary cross-entropy of the kidney."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from convert.localizer.dataset import Sectors
from convert.localizer.network import CELL, Localizer
from convert.reference.network import normalise

SIGMA = 0.8  # cells: how wide a pole's target is
TURN, ZOOM, SHIFT = 10.0, (0.85, 1.15), 0.06  # degrees, share, share of the side
GAIN, OFFSET, GAMMA = (0.75, 1.25), 15.0, (0.8, 1.25)
WARM_UP = 0.3
Step = Callable[[int, int], None]  # done, total


@dataclass(frozen=True, slots=True)
class LocalizerTraining:
    """How long and how fast; the same seed and data give the same weights on the same machine."""

    epochs: int = 16
    seed: int = 2019
    batch: int = 32
    learning_rate: float = 4e-3
    weight_decay: float = 1e-2
    threads: int = 1  # so small a network gains nothing from a second, and loses much where cores are shared


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    """Pictures uint8 (B, H, W, 3); kidney (B, h, w) 0..1 and poles (B, 2, 2) in cells."""

    pictures: NDArray[np.uint8]
    kidney: NDArray[np.float32]
    poles: NDArray[np.float32]


def train_localizer(train: Sectors, plan: LocalizerTraining, step: Step) -> Localizer:
    """Return the trained network in eval mode; ``step`` is called after each batch, and what it raises goes through."""
    torch.set_num_threads(plan.threads)
    torch.manual_seed(plan.seed)
    random = np.random.default_rng(plan.seed)
    network = Localizer()
    batches = max(1, len(train) // plan.batch)
    total = batches * plan.epochs
    optimiser = torch.optim.AdamW(network.parameters(), plan.learning_rate, weight_decay=plan.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, plan.learning_rate, total_steps=total, pct_start=WARM_UP)
    network.train()
    for done in range(total):
        if done % batches == 0:
            order = random.permutation(len(train))
        at = order[(done % batches) * plan.batch :][: plan.batch]
        batch = _augmented(train, at, random)
        loss = _loss(network(normalise(torch.from_numpy(batch.pictures))), batch)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimiser.step()
        schedule.step()
        step(done + 1, total)
    return network.eval()


def _loss(logits: Tensor, batch: _Batch) -> Tensor:
    kidney = nn.functional.binary_cross_entropy_with_logits(logits[:, 0], torch.from_numpy(batch.kidney))
    target = _targets(torch.from_numpy(batch.poles), logits.shape[-1])
    places = nn.functional.log_softmax(logits[:, 1:].flatten(2), dim=2)
    return kidney + 0.25 * -(target * places).sum(2).mean()


def _targets(poles: Tensor, cells: int) -> Tensor:
    """Return distributions (B, 2, cells * cells) around the poles."""
    line = torch.arange(cells, dtype=torch.float32)
    x = torch.exp(-0.5 * ((line - poles[..., 0:1]) / SIGMA) ** 2)
    y = torch.exp(-0.5 * ((line - poles[..., 1:2]) / SIGMA) ** 2)
    both = (y[..., :, None] * x[..., None, :]).flatten(2)
    return both / both.sum(2, keepdim=True).clamp_min(1e-6)


def _augmented(train: Sectors, at: NDArray[np.intp], random: np.random.Generator) -> _Batch:
    made = [_augment(train, int(index), random) for index in at]
    pictures, masks, poles = (np.stack(column) for column in zip(*made, strict=True))
    kidney = masks.reshape(len(at), masks.shape[1] // CELL, CELL, -1, CELL).mean((2, 4), dtype=np.float32)
    return _Batch(pictures, kidney, ((poles + 0.5) / CELL - 0.5).astype(np.float32))


def _augment(
    train: Sectors, index: int, random: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]:
    """Return picture, mask and poles, turned, moved and perhaps mirrored together; brightness changed."""
    picture, side = train.pictures[index], train.pictures.shape[1]
    middle = ((side - 1) / 2, (side - 1) / 2)
    matrix = cv2.getRotationMatrix2D(middle, random.uniform(-TURN, TURN), random.uniform(*ZOOM))
    matrix[:, 2] += random.uniform(-SHIFT, SHIFT, 2) * side
    mirrored = random.random() < 0.5
    if mirrored:
        matrix[0] = np.array([0.0, 0.0, side - 1.0]) - matrix[0]
    moved = cv2.warpAffine(picture, matrix, (side, side), flags=cv2.INTER_LINEAR)
    mask = cv2.warpAffine(train.masks[index].astype(np.float32), matrix, (side, side), flags=cv2.INTER_LINEAR)
    poles = train.poles[index] @ matrix[:, :2].T + matrix[:, 2]
    if mirrored:
        poles = poles[::-1]
    levels = 255.0 * (np.arange(256) / 255.0) ** random.uniform(*GAMMA)
    levels = np.where(np.arange(256) > 0, levels * random.uniform(*GAIN) + random.uniform(-OFFSET, OFFSET), 0.0)
    table = np.clip(levels, 0, 255).astype(np.uint8)  # what is black outside of the sector stays so
    return np.asarray(cv2.LUT(moved, table), np.uint8), np.asarray(mask, np.float32), poles.astype(np.float32)
