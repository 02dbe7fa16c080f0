"""Numbers of the report, against hand calculation and brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convert.evaluation import coverage
from convert.labels import band_label
from convert.statistics import (
    agreement,
    agreement_by_band,
    area,
    clustered_delong,
    conformal_bands,
    merge_edges,
    pearson,
    signed_quantiles,
)
from engines.manifest import IntervalSpec


def brute_delong(scores: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """DeLong 1988 by its definition: every positive against every negative."""
    yes, no = scores[:, positive], scores[:, ~positive]
    wins = (yes[:, :, None] > no[:, None, :]) + 0.5 * (yes[:, :, None] == no[:, None, :])
    by_yes, by_no = wins.mean(axis=2), wins.mean(axis=1)
    return wins.mean(axis=(1, 2)), np.cov(by_yes) / yes.shape[1] + np.cov(by_no) / no.shape[1]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 25), st.integers(2, 25), st.booleans())
def test_fast_delong_equals_the_definition(seed: int, sick: int, well: int, ties: bool) -> None:
    random = np.random.default_rng(seed)
    scores = random.normal(size=(2, sick + well))
    scores = np.round(scores) if ties else scores
    positive = np.arange(sick + well) < sick
    areas, covariance = clustered_delong(scores, positive, np.arange(sick + well))
    expected = brute_delong(scores, positive)
    assert areas == pytest.approx(expected[0])
    assert covariance == pytest.approx(expected[1])


def test_area_counts_pairs() -> None:
    score = np.array([0.9, 0.8, 0.3, 0.7, 0.2, 0.1])
    found = area(score, np.array([True, True, True, False, False, False]))
    assert found.value == pytest.approx(8 / 9)
    assert 0.0 <= found.low < found.value <= found.high <= 1.0


def test_copies_of_a_picture_of_the_same_patients_make_an_area_no_surer() -> None:
    score = np.array([0.9, 0.8, 0.3, 0.7, 0.2, 0.1])
    sick, patients = np.array([True, True, True, False, False, False]), np.arange(6)
    once, often = area(score, sick), area(np.tile(score, 4), np.tile(sick, 4), np.tile(patients, 4))
    assert (often.value, often.low, often.high) == pytest.approx((once.value, once.low, once.high))
    assert area(np.tile(score, 4), np.tile(sick, 4)).low > once.low  # as if they were of other patients


def test_area_of_one_class_says_nothing() -> None:
    assert area(np.array([0.1, 0.9]), np.array([True, True])).value == 0.5


def test_pearson_by_hand() -> None:
    r, low, high = pearson(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 3.0, 2.0, 4.0]))
    assert r == pytest.approx(0.8)
    assert low < 0.8 < high
    assert pearson(np.ones(5), np.arange(5.0)) == (0.0, 0.0, 0.0)


def test_bland_altman_by_hand() -> None:
    row = agreement("all", np.array([10.0, 22.0, 33.0]), np.array([10.0, 20.0, 30.0]))
    assert row.bias == pytest.approx(5 / 3)
    assert row.sd == pytest.approx(1.527525, abs=1e-6)
    assert row.high - row.low == pytest.approx(2 * 1.959964 * 1.527525, abs=1e-4)
    assert row.mae == pytest.approx(5 / 3)


def test_bands_follow_the_true_value_and_their_lower_edge_belongs_to_them() -> None:
    rows = agreement_by_band(np.array([20.0, 20.0, 100.0]), np.array([14.9, 15.0, 90.0]))
    assert [(row.label, row.patients) for row in rows] == [
        ("all", 3),
        ("below 15", 1),
        ("15 to 30", 1),
        ("90 and above", 1),
    ]


def test_conformal_ranks_by_hand() -> None:
    residuals = np.arange(1.0, 20.0)  # n = 19: ranks floor(20 * 0.05) = 1 and ceil(20 * 0.95) = 19
    assert signed_quantiles(residuals, 0.9) == (1.0, 19.0)
    residuals = np.arange(1.0, 40.0)  # n = 39: ranks 2 and 38
    assert signed_quantiles(residuals, 0.9) == (2.0, 38.0)


def test_conformal_interval_covers_what_it_promises_on_new_patients() -> None:
    random = np.random.default_rng(4)
    truth = random.uniform(5, 120, 4000)
    predicted = 30 + 0.5 * truth + random.normal(0, 8 + truth / 12)
    bands = conformal_bands(predicted[:2000], truth[:2000], 0.9)
    spec = IntervalSpec(level=0.9, edges=bands.edges, low=bands.low, high=bands.high, patients=2000, basis="test")
    assert 0.87 < coverage(spec, predicted[2000:], truth[2000:]) < 0.94
    assert min(bands.patients) >= 50


def test_thin_bands_are_merged() -> None:
    values = np.concatenate([np.full(60, 10.0), np.full(3, 20.0), np.full(55, 50.0)])
    edges = merge_edges(values, (15.0, 30.0, 45.0), 50)
    counts = np.bincount(np.searchsorted(edges, values, side="right"))
    assert counts.min() >= 50
    assert len(edges) == 1
    assert merge_edges(values[:10], (15.0, 30.0), 50) == ()


def test_band_labels() -> None:
    assert [band_label(index, (15.0, 30.0)) for index in range(3)] == ["below 15", "15 to 30", "30 and above"]
    assert band_label(0, ()) == "all"


@pytest.mark.parametrize(("count", "low", "high"), [(39, 2, 38), (40, 2, 39), (19, 1, 19), (5, 1, 5)])
def test_the_conformal_ranks_are_those_worked_out_by_hand(count: int, low: int, high: int) -> None:
    # rank = ceil((n + 1) * 0.95): 38 of 39, ceil(38.95) = 39 of 40, 19 of 19; the low end mirrors it
    residuals = np.random.default_rng(1).permutation(np.arange(1.0, count + 1.0))
    assert signed_quantiles(residuals, 0.9) == (low, high)
