"""Trains (or takes from the work folder) all members of the stand-in and returns them as an Ensemble."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from convert.dataset import Table
from convert.egfr_heads import EGFR_HEADS
from convert.graph.parts import Ensemble, Member
from convert.graph.trees import read_booster
from convert.plan import BuildPlan
from convert.progress import Progress
from convert.reference.boost import train_booster
from convert.reference.network import MEAN, STD, Network
from convert.reference.train import draw_bag, predict, target_scale, train_member
from convert.reference.work import keep_member, load_member, member_key

RECIPE = (
    "Bag of small residual networks after Kuo 2019 (npj Digit Med 2:29), scaled down: bootstrap by patient to double "
    "size, out-of-bag patients choose the epoch, L1 loss, crop jitter, gain and mirror augmentation, AdamW with a "
    "one-cycle schedule; per member boosted trees on its pooled features for P(eGFR < 60); means over members."
)


def train_ensemble(plan: BuildPlan, train: Table, crops: NDArray[np.uint8], progress: Progress) -> Ensemble:
    """Return the ensemble; ``crops`` are the rows of ``train``, uint8 (K, H, W, 3)."""
    members = tuple(_member(plan, train, crops, index, progress) for index in range(plan.training.members))
    height, width = crops.shape[1:3]
    return Ensemble(members, EGFR_HEADS, height, width, MEAN, STD)


def _member(plan: BuildPlan, train: Table, crops: NDArray[np.uint8], index: int, progress: Progress) -> Member:
    stage = f"training member {index + 1} of {plan.training.members}"
    key = member_key(plan.dataset, plan.training, index)
    kept = load_member(plan.work, key, plan.training)
    if kept is None:
        network = train_member(train, crops, plan.training, index, lambda done, total: progress(stage, done, total))
        kept = network, _booster(plan, train, crops, network, index)
        keep_member(plan.work, key, *kept)
    progress(stage, 1, 1)
    network, booster = kept
    scale = target_scale(train)
    head = network.linear_head(scale.centre, scale.scale)
    return Member(network.trunk(), (head, read_booster(booster)))


def _booster(plan: BuildPlan, train: Table, crops: NDArray[np.uint8], network: Network, index: int) -> bytes:
    """Train the trees on the patients of the member's own bag."""
    random = np.random.default_rng([plan.training.seed, index])
    bag = draw_bag(train, plan.training.oversample, random)
    rows = np.unique(np.concatenate(bag.drawn))
    features = predict(network, crops[rows])[1].numpy()
    return train_booster(features, train.egfr[rows], plan.training, index)
