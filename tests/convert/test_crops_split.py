"""Whole patients are held apart, enough on both sides; a set is known by its pixels and patients, not by names."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convert.crops.split import hold

from .crops_makers import crop_rows, picture, read, save, write_table


def patients_of(sizes: list[int]) -> list[str]:
    return [f"p{at}" for at, size in enumerate(sizes) for _ in range(size)]


def held_patients(sizes: list[int], seed: int = 1) -> list[int] | None:
    held = hold(patients_of(sizes), seed)
    if held is None:
        return None
    names = set(np.array(patients_of(sizes))[held])
    assert names.isdisjoint(np.array(patients_of(sizes))[~held]), "never the same patient on both sides"
    return sorted(int(name[1:]) for name in names)


def test_every_fifth_patient_is_held() -> None:
    held = held_patients([2] * 130)
    assert held is not None and len(held) == 26
    assert held == held_patients([2] * 130) != held_patients([2] * 130, seed=2)


def test_more_than_every_fifth_where_these_have_too_few_crops() -> None:
    held = held_patients([30] * 8 + [1] * 40)  # a fifth of 48 are 10 patients, which may have 10 crops only
    assert held is not None
    crops = sum(30 if at < 8 else 1 for at in held)
    assert 40 <= crops <= 80


@pytest.mark.parametrize("seed", range(5))
def test_a_patient_with_most_crops_is_not_held(seed: int) -> None:
    held = held_patients([200] + [2] * 25, seed)
    assert held is not None and 0 not in held and 20 <= len(held) <= 25


@pytest.mark.parametrize("seed", range(5))
def test_the_only_choice_there_is_is_found(seed: int) -> None:
    assert held_patients([30, 22, 20, 173], seed) == [1, 2], "245 crops: 40 to 45 may go, which is 22 and 20"


def test_where_no_choice_leaves_enough_nothing_is_held() -> None:
    assert held_patients([1] * 239) is None
    assert held_patients([120, 125]) is None
    assert held_patients([300]) is None
    assert len(held_patients([1] * 240) or ()) == 48 or sum(hold(patients_of([1] * 240), 1)) == 40


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=5, max_size=60), st.integers(0, 3))
def test_both_sides_are_always_large_enough(sizes: list[int], seed: int) -> None:
    held = held_patients(sizes, seed)
    if held is not None:
        crops = sum(sizes[at] for at in held)
        assert crops >= 40 and sum(sizes) - crops >= 200


@pytest.fixture
def table(tmp_path: Path) -> Path:
    write_table(tmp_path / "a" / "labels.csv", crop_rows(tmp_path / "a", 260))
    return tmp_path / "a"


def test_names_order_and_place_of_files_change_nothing(table: Path, tmp_path: Path) -> None:
    other, rows = tmp_path / "b", []
    for at in reversed(range(260)):
        save(other / "elsewhere" / f"{at * 7919 % 1000:03d}-{at}.png", picture(at))
        rows.append({"patient": f"{1000 - at // 2}", "crop": f"elsewhere/{at * 7919 % 1000:03d}-{at}.png"})
    write_table(other / "labels.csv", rows)
    first, second = read(table), read(other)
    assert first.sha256 == second.sha256
    assert np.array_equal(first.pixels, second.pixels) and np.array_equal(first.held, second.held)
    assert first.patients.tolist() == second.patients.tolist()
    assert first.apart and first.held.sum() == 52
    assert not set(first.patients[first.held]) & set(first.patients[~first.held])


def test_a_pixel_a_patient_or_a_size_changes_the_hash(table: Path, tmp_path: Path) -> None:
    known = read(table).sha256
    rows = crop_rows(tmp_path / "b", 260)
    rows[0]["patient"] = "Jane 77"
    write_table(tmp_path / "b" / "labels.csv", rows)
    moved = read(tmp_path / "b").sha256
    shutil.copytree(table, tmp_path / "c")
    changed = picture(9)
    changed[0, 0, 0] ^= 1
    save(tmp_path / "c" / "crops" / "c9.png", changed)
    assert len({known, moved, read(tmp_path / "c").sha256}) == 3


def test_too_few_crops_are_used_twice_and_it_is_said(tmp_path: Path) -> None:
    write_table(tmp_path / "labels.csv", crop_rows(tmp_path, 210))
    crops = read(tmp_path)
    assert not crops.apart and crops.held.all()
    assert any("parity is measured on crops that also calibrated" in text for text in crops.remarks)
