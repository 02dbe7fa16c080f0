"""Trains one member by Kuo's recipe: bootstrap by patient, L1 loss, early choice on the out-of-bag patients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from convert.dataset import Table
from convert.plan import TrainingPlan
from convert.reference.augment import augment
from convert.reference.network import Network, normalise

Step = Callable[[int, int], None]  # done, total
OOB_CROPS = 400  # enough to choose an epoch by; more costs time in every epoch
WARM_UP = 0.3  # share of the one-cycle schedule; a value n in 1 / n steps divides by zero in torch


@dataclass(frozen=True, slots=True, eq=False)
class Bag:
    """A bootstrap sample: rows of crops by drawn patient, and rows of the patients never drawn."""

    drawn: tuple[NDArray[np.intp], ...]  # one entry a drawn patient, with repetitions
    out_of_bag: NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Scale:
    """How the target is standardised for training; mL/min/1.73 m2."""

    centre: float
    scale: float


def draw_bag(table: Table, oversample: float, random: np.random.Generator) -> Bag:
    """Draw patients with replacement, ``oversample`` times as many as there are (Kuo 2019: 2)."""
    patients, member = np.unique(table.patients, return_inverse=True)
    rows = [np.flatnonzero(member == index) for index in range(len(patients))]
    drawn = random.integers(0, len(patients), round(oversample * len(patients)))
    absent = np.setdiff1d(np.arange(len(patients)), drawn)
    if not len(absent):  # a handful of patients: keep one out, so that there is something to choose by
        absent, drawn = drawn[:1], drawn[drawn != drawn[0]]
    return Bag(tuple(rows[index] for index in drawn), np.concatenate([rows[index] for index in absent]))


def train_member(table: Table, crops: NDArray[np.uint8], plan: TrainingPlan, index: int, step: Step) -> Network:
    """Train member ``index`` on ``crops`` (rows of ``table``); return the network of the best epoch, in eval mode.

    ``step`` is called after each batch; what it raises (a cancel) goes through.
    """
    torch.set_num_threads(plan.threads)
    torch.manual_seed(plan.seed + index)
    random = np.random.default_rng([plan.seed, index])
    bag, scale = draw_bag(table, plan.oversample, random), target_scale(table)
    network = Network(plan.channels, plan.strides)
    target = torch.tensor((table.egfr - scale.centre) / scale.scale, dtype=torch.float32)
    chosen = bag.out_of_bag if len(bag.out_of_bag) <= OOB_CROPS else random.choice(bag.out_of_bag, OOB_CROPS, False)
    epochs = _Epochs(network, plan, len(bag.drawn), step)
    best, best_error = network.state_dict(), float("inf")
    for _ in range(plan.epochs):
        epochs.run([random.choice(rows) for rows in bag.drawn], crops, target, random)
        error = float((predict(network, crops[chosen])[0] - target[chosen]).abs().mean())
        if error < best_error:
            best, best_error = {key: value.clone() for key, value in network.state_dict().items()}, error
    network.load_state_dict(best)
    return network.eval()


def target_scale(table: Table) -> Scale:
    """Return mean and standard deviation of the labels."""
    return Scale(float(table.egfr.mean()), float(table.egfr.std()) or 1.0)


def predict(network: Network, crops: NDArray[np.uint8], batch: int = 64) -> tuple[Tensor, Tensor]:
    """Return the standardised eGFR (K,) and pooled features (K, F) of ``crops``, in eval mode."""
    network.eval()
    with torch.inference_mode():
        answers = [
            network(normalise(torch.from_numpy(crops[start : start + batch]))) for start in range(0, len(crops), batch)
        ]
    return torch.cat([egfr for egfr, _ in answers]), torch.cat([features for _, features in answers])


class _Epochs:
    """Optimiser and one-cycle schedule over all epochs of one network."""

    def __init__(self, network: Network, plan: TrainingPlan, drawn: int, step: Step) -> None:
        self._network, self._batch, self._step = network, plan.batch, step
        self._per_epoch = max(1, drawn // plan.batch)
        self._total, self._done = self._per_epoch * plan.epochs, 0
        self._optimiser = torch.optim.AdamW(network.parameters(), plan.learning_rate, weight_decay=plan.weight_decay)
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimiser, plan.learning_rate, total_steps=self._total, pct_start=WARM_UP
        )

    def run(self, rows: list[int], crops: NDArray[np.uint8], target: Tensor, random: np.random.Generator) -> None:
        """Train one epoch on ``rows`` in random order."""
        self._network.train()
        order = random.permutation(np.asarray(rows))
        for number in range(self._per_epoch):
            chosen = order[number * self._batch : (number + 1) * self._batch]
            pictures = np.stack([augment(crops[row], random) for row in chosen])
            self._learn(normalise(torch.from_numpy(pictures)), target[chosen])
            self._done += 1
            self._step(self._done, self._total)

    def _learn(self, pictures: Tensor, target: Tensor) -> None:
        loss = nn.functional.l1_loss(self._network(pictures)[0], target)
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self._optimiser.step()
        self._schedule.step()
