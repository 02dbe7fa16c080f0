"""An artifact is compared in clinical units, and refused with its reasons."""

from __future__ import annotations

import numpy as np
import pytest

from convert.answers import Answers
from convert.golden import choose, tolerances
from convert.parity import ParityError, cam_correlation, compare, refuse_failed


def answers(egfr: list[float], chance: list[float] | None = None, seed: int = 0) -> Answers:
    count = len(egfr)
    cam = np.random.default_rng(seed).normal(size=(count, 4, 4)).astype(np.float32)
    chance = chance or np.linspace(0.9, 0.1, count).tolist()
    column = np.array(egfr, np.float32)[:, None]
    return Answers(column, np.array(chance, np.float32)[:, None], np.zeros((count, 3), np.float32), cam)


TRUTH = np.array([20.0, 40.0, 50.0, 70.0, 80.0, 100.0])
BEFORE = answers([22.0, 41.0, 59.5, 66.0, 80.0, 88.0])


def test_fp32_against_itself_passes_without_a_difference() -> None:
    row = compare(("fp32", "any"), BEFORE, BEFORE, TRUTH)
    assert row.passed
    assert (row.egfr_max, row.category_flips, row.auc_change, row.cam_correlation) == (0.0, 0, 0.0, 1.0)


def test_a_flip_beside_a_boundary_is_counted_and_forgiven() -> None:
    row = compare(("int8", "cpu"), BEFORE, answers([22.0, 41.0, 60.2, 66.0, 80.0, 88.0]), TRUTH)
    assert (row.category_flips, row.category_flips_far, row.passed) == (1, 0, True)


def test_a_flip_far_from_every_boundary_fails_and_says_so() -> None:
    row = compare(("int8", "cpu"), BEFORE, answers([22.0, 41.0, 59.5, 66.0, 80.0, 91.0]), TRUTH)
    assert row.category_flips_far == 1
    assert not row.passed
    assert any("category flips far from a boundary is 1, limit 0" in reason for reason in row.reasons)


def test_each_limit_has_its_own_reason() -> None:
    bad = answers([25.0, 44.0, 56.5, 69.0, 83.0, 85.0], chance=[0.1, 0.9, 0.2, 0.8, 0.3, 0.7], seed=1)
    row = compare(("fp16", "any"), BEFORE, bad, TRUTH)
    text = "; ".join(row.reasons)
    assert "95 % of |delta eGFR| is 3 mL/min/1.73 m2, limit 0.2" in text
    assert "loss of AUC" in text
    assert "activation maps correlate" in text
    with pytest.raises(ParityError, match="fp16 for any") as caught:
        refuse_failed([row])
    assert caught.value.rows == (row,)


def test_flat_maps_that_agree_count_as_agreement() -> None:
    flat = np.zeros((2, 3, 3), np.float32)
    assert cam_correlation(flat, flat) == 1.0
    assert cam_correlation(flat, flat + np.eye(3, dtype=np.float32)) == 0.0


def test_golden_crops_span_the_range() -> None:
    egfr = np.random.default_rng(2).permutation(np.arange(100.0))
    chosen = egfr[choose(egfr, 8)]
    assert chosen.tolist() == [0.0, 14.0, 28.0, 42.0, 57.0, 71.0, 85.0, 99.0]


def test_tolerances_leave_room_over_what_was_seen_and_are_never_below_the_floor() -> None:
    after = answers([22.0, 41.0, 59.5, 66.0, 80.0, 89.5])
    found = tolerances({("fp32", "any"): BEFORE, ("int8", "cpu"): after, ("int8", "tensorrt"): BEFORE})
    assert found["int8"]["egfr_members"] == pytest.approx(3.0)
    assert found["fp32"]["egfr_members"] == 0.1


def test_the_quantiles_of_the_difference_are_those_that_they_are_named_after() -> None:
    truth = np.linspace(20.0, 110.0, 101)
    before, off = np.full(101, 70.0), np.arange(101) / 10.0  # differences 0.0, 0.1 ... 10.0
    row = compare(("int8", "cpu"), answers(before.tolist()), answers((before + off).tolist()), truth)
    assert (row.egfr_p50, row.egfr_p95, row.egfr_p99, row.egfr_max) == pytest.approx((5.0, 9.5, 9.9, 10.0), abs=1e-4)
