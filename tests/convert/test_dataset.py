"""A data set is checked before hours go into it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from convert.dataset import read_table
from engines.errors import UsageError


@pytest.fixture
def edited(fake_dataset: Path, tmp_path: Path) -> Callable[[str, str], Path]:
    """A copy of the labels with one piece of text replaced once."""

    def edit(old: str, new: str) -> Path:
        text = (fake_dataset / "labels.csv").read_text()
        assert old in text
        (tmp_path / "labels.csv").write_text(text.replace(old, new, 1))
        shutil.copytree(fake_dataset / "crops", tmp_path / "crops")
        return tmp_path

    return edit


def test_a_good_data_set_is_read_with_both_variants_of_each_patient(fake_dataset: Path) -> None:
    table = read_table(fake_dataset)
    assert (len(table), table.patient_count) == (176, 88)
    train = table.split("train")
    assert (len(train), train.patient_count, int(train.has_calipers.sum())) == (80, 40, 40)
    assert train.pixels().shape == (80, 96, 96, 3)


def test_pixels_are_rgb(fake_dataset: Path) -> None:
    """The fake calipers are yellow: in BGR they would be cyan."""
    table = read_table(fake_dataset)
    crop = table.rows(table.has_calipers).pixels()[0].astype(int)
    spread = crop[:, :, 0] - crop[:, :, 2]
    assert spread.max() > 100
    assert spread.min() > -30


def test_one_crop_a_patient(fake_dataset: Path) -> None:
    table = read_table(fake_dataset)
    single = table.rows(table.single(seed=5))
    assert len(single) == single.patient_count == 88
    assert 20 < int(single.has_calipers.sum()) < 68
    assert np.array_equal(single.crops, table.crops[table.single(seed=5)])


def test_no_labels(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"has no labels\.csv"):
        read_table(tmp_path)


def test_a_missing_column_is_named(edited: Callable[[str, str], Path]) -> None:
    with pytest.raises(UsageError, match="has no column egfr"):
        read_table(edited("egfr", "gfr"))


def test_a_patient_in_two_splits_is_a_leak(edited: Callable[[str, str], Path]) -> None:
    with pytest.raises(UsageError, match="patient p0000 is in two splits"):
        read_table(edited("p0000,train", "p0000,test"))


def test_an_egfr_that_is_no_number(edited: Callable[[str, str], Path]) -> None:
    root = edited("p0000,train,,crops/p0000-0.png,", "p0000,train,,crops/p0000-0.png,x")
    with pytest.raises(UsageError, match="an eGFR is no number"):
        read_table(root)


def test_a_missing_picture_is_named(edited: Callable[[str, str], Path]) -> None:
    root = edited("p0000-0.png", "gone.png")
    with pytest.raises(UsageError, match=r"gone\.png cannot be read"):
        read_table(root).pixels()
