"""Training by the recipe: bags by patient, the same seed the same weights, members kept for the next run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from convert.dataset import read_table
from convert.plan import BuildPlan, TrainingPlan
from convert.reference.augment import augment
from convert.reference.standin import train_ensemble
from convert.reference.train import draw_bag, train_member
from engines.errors import UsageError

PLAN = TrainingPlan(members=1, epochs=1, batch=16, channels=(8, 8, 16), strides=(2, 1), tree_rounds=5, threads=1)


def test_out_of_bag_patients_are_never_drawn(fake_dataset: Path) -> None:
    train = read_table(fake_dataset).split("train")
    bag = draw_bag(train, 2.0, np.random.default_rng(0))
    drawn = {train.patients[row] for rows in bag.drawn for row in rows}
    absent = {train.patients[row] for row in bag.out_of_bag}
    assert len(bag.drawn) == 80  # twice the patients
    assert absent
    assert not drawn & absent
    assert drawn | absent == set(train.patients)


def test_the_same_seed_gives_the_same_weights(fake_dataset: Path) -> None:
    train = read_table(fake_dataset).split("train")
    crops = train.pixels()
    first, second = (train_member(train, crops, PLAN, 0, lambda *_: None) for _ in range(2))
    other = train_member(train, crops, PLAN, 1, lambda *_: None)
    assert np.array_equal(first.stem.weight.detach().numpy(), second.stem.weight.detach().numpy())
    assert not np.array_equal(first.stem.weight.detach().numpy(), other.stem.weight.detach().numpy())


def test_a_finished_member_is_not_trained_again(fake_dataset: Path, tmp_path: Path) -> None:
    train = read_table(fake_dataset).split("train")
    crops = train.pixels()
    plan = BuildPlan(fake_dataset, tmp_path / "b", tmp_path / "work", training=PLAN)
    steps: list[str] = []
    first = train_ensemble(plan, train, crops, lambda stage, done, total: steps.append(stage))
    trained = len(steps)
    second = train_ensemble(plan, train, crops, lambda stage, done, total: steps.append(stage))
    assert trained > 2
    assert len(steps) == trained + 1
    assert np.array_equal(first.members[0].trunk.stem.weight, second.members[0].trunk.stem.weight)
    assert np.array_equal(first.members[0].parts[1].values, second.members[0].parts[1].values)


def test_a_cancel_goes_through_and_keeps_nothing_half_done(fake_dataset: Path, tmp_path: Path) -> None:
    train = read_table(fake_dataset).split("train")
    plan = BuildPlan(fake_dataset, tmp_path / "b", tmp_path / "work", training=PLAN)

    def cancel(stage: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_ensemble(plan, train, train.pixels(), cancel)
    assert not (tmp_path / "work").exists()


def test_augmentation_changes_the_view_but_not_the_kind() -> None:
    crop = np.random.default_rng(0).integers(0, 256, (64, 48, 3), dtype=np.uint8)
    before = crop.copy()
    views = [augment(crop, np.random.default_rng(seed)) for seed in range(4)]
    assert all(view.shape == crop.shape and view.dtype == np.uint8 for view in views)
    assert not np.array_equal(views[0], views[1])
    assert np.array_equal(crop, before)


@pytest.mark.parametrize(("name", "value"), [("members", 0), ("epochs", 0), ("tree_depth", 7)])
def test_a_plan_out_of_range_is_refused(name: str, value: int) -> None:
    with pytest.raises(UsageError, match=f"{name} is {value}"):
        TrainingPlan(**{name: value})


def test_a_plan_without_fp32_or_with_too_few_calibration_crops_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="fp32 is left out"):
        BuildPlan(tmp_path, tmp_path, tmp_path, artifacts=(("fp16", "any"),))
    with pytest.raises(UsageError, match="199 crops"):
        BuildPlan(tmp_path, tmp_path, tmp_path, calibration_crops=199)
