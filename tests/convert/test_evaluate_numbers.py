"""Numbers of an evaluation, against hand calculation, published values, scipy and brute force."""

from __future__ import annotations

from dataclasses import replace
from math import isnan, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from convert.evaluate import agreement, reliability
from convert.evaluate.categories import category_matrix, category_numbers, weighted_kappa
from convert.evaluate.discrimination import auc, paired_test, roc
from convert.evaluate.egfr import FULL, STRATUM
from convert.evaluate.estimate import Estimator
from convert.evaluate.remarks import wrong_way_round
from convert.evaluate.resampling import Bootstrap
from convert.evaluate.sample import Sample
from convert.evaluate.shares import Share, decision_shares, predictive_values
from convert.statistics import Z95, clustered_delong, wilson

seeds = st.integers(0, 10_000)


def nothing() -> None:
    """No progress is shown."""


def make_sample(seed: int, patients: int, images: int) -> Sample:
    """Patients with an own truth and an own error that all of their images share, and noise on top."""
    random = np.random.default_rng(seed)
    codes = np.repeat(np.arange(patients), images)
    truth = random.uniform(5, 120, patients)[codes]
    egfr = np.maximum(0, truth + random.normal(0, 15, patients)[codes] + random.normal(0, 5, len(codes)))
    probability = 1 / (1 + np.exp((egfr - 60) / 12))
    none = np.zeros(len(codes), np.bool_)
    return Sample(codes, none, truth, egfr, np.maximum(0, egfr - 25), egfr + 25, probability, ~none)


def brute_paired(scores: np.ndarray, positive: np.ndarray) -> tuple[float, float]:
    """DeLong's z and the difference by their definition, in loops: every positive against every negative."""
    yes, no = np.flatnonzero(positive), np.flatnonzero(~positive)
    wins = np.array(
        [[[float(s[i] > s[j]) + 0.5 * float(s[i] == s[j]) for j in no] for i in yes] for s in scores]
    )  # (2, m, n)
    areas = wins.mean(axis=(1, 2))
    s10, s01 = np.cov(wins.mean(axis=2)), np.cov(wins.mean(axis=1))
    s = s10 / len(yes) + s01 / len(no)
    difference = float(areas[0] - areas[1])
    error = float(np.sqrt(max(0.0, s[0, 0] + s[1, 1] - 2 * s[0, 1])))
    return difference, difference / error if error > 1e-12 else (nan if abs(difference) > 1e-12 else 0.0)


# ------------------------------------------------------------------------------ shares


@pytest.mark.parametrize(
    ("hits", "total", "low", "high"), [(115, 128, 0.834, 0.940), (22, 33, 0.496, 0.802), (0, 10, 0.0, 0.2775)]
)
def test_wilson_interval_is_the_published_one(hits: int, total: int, low: float, high: float) -> None:
    assert wilson(hits, total) == pytest.approx((low, high), abs=6e-4)


@given(st.integers(1, 500), st.data())
def test_wilson_interval_holds_its_share_and_agrees_with_scipy(total: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, total))
    low, high = wilson(hits, total)
    assert 0.0 <= low <= hits / total <= high + 1e-12 <= 1.0 + 1e-12
    expected = stats.binomtest(hits, total).proportion_ci(method="wilson")
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_wilson_of_nothing_says_nothing() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("prevalence", "ppv", "npv"),
    [(0.05, 0.12, 0.99), (0.10, 0.23, 0.98), (0.20, 0.40, 0.96), (0.50, 0.73, 0.87), (0.795, 0.91, 0.63)],
)
def test_predictive_values_of_the_published_model_at_other_prevalences(
    prevalence: float, ppv: float, npv: float
) -> None:
    assert predictive_values(115 / 128, 22 / 33, prevalence) == pytest.approx((ppv, npv), abs=0.0051)


def test_decision_shares_of_the_published_confusion() -> None:
    below = np.arange(161) < 128
    called = np.concatenate([np.arange(128) < 115, np.arange(33) < 11])
    shares = decision_shares(called, below)
    found = {name: share.value for name, share in shares.items()}
    expected = {"sensitivity": 0.898, "specificity": 0.667, "ppv": 0.913, "npv": 0.629, "accuracy": 0.851}
    assert found == pytest.approx(expected, abs=6e-4)
    assert isnan(Share(called, np.zeros_like(below)).value)


# ------------------------------------------------------------------------------ agreement


def test_icc_and_concordance_by_hand() -> None:
    first, second = np.array([1.0, 2.0, 3.0]), np.array([2.0, 3.0, 4.0])
    assert agreement.icc_agreement(first, second) == pytest.approx(2 / 3)  # MSR 2, MSC 1.5, MSE 0
    assert agreement.concordance(first, second) == pytest.approx(4 / 7)
    assert agreement.icc_agreement(first, first) == pytest.approx(1.0)


@given(seeds)
def test_agreement_does_not_depend_on_who_comes_first(seed: int) -> None:
    first, second = np.random.default_rng(seed).uniform(5, 120, (2, 12))
    assert agreement.icc_agreement(first, second) == pytest.approx(agreement.icc_agreement(second, first))
    assert agreement.concordance(first, second) == pytest.approx(agreement.concordance(second, first))
    one, other = agreement.agreement_scalars(first, second), agreement.agreement_scalars(second, first)
    assert one["bias"] == pytest.approx(-other["bias"])
    assert (one["loa_low"], one["loa_high"]) == pytest.approx((-other["loa_high"], -other["loa_low"]))
    assert one["proportional_bias"] == pytest.approx(-other["proportional_bias"])


def test_standard_error_of_a_limit_by_hand() -> None:
    assert agreement.limit_error(10.0, 100) == pytest.approx(1.7147, abs=1e-4)  # near s sqrt(3/n) = 1.732


@given(seeds)
def test_line_is_that_of_scipy(seed: int) -> None:
    x, y = np.random.default_rng(seed).normal(size=(2, 15))
    found, expected = agreement.line(x, y), stats.linregress(x, y)
    half = float(stats.t.ppf(0.975, 13) * expected.stderr)
    assert (found.intercept, found.slope, found.slope_half) == pytest.approx(
        (expected.intercept, expected.slope, half), abs=1e-9
    )


def test_p30_counts_the_edge_and_a_reference_of_zero() -> None:
    predicted, truth = np.array([13.0, 13.1, 0.0, 1.0]), np.array([10.0, 10.0, 0.0, 0.0])
    assert agreement.within(predicted, truth, 0.3).tolist() == [True, False, True, False]


def test_scalars_by_hand() -> None:
    found = agreement.agreement_scalars(np.array([12.0, 18.0, 33.0]), np.array([10.0, 20.0, 30.0]))
    assert found["mae"] == pytest.approx(7 / 3)
    assert found["rmse"] == pytest.approx((17 / 3) ** 0.5)
    assert found["r2"] == pytest.approx(1 - 17 / 200)
    assert found["bias"] == pytest.approx(1.0)
    assert found["median_bias"] == pytest.approx(2.0)
    assert found["sd"] == pytest.approx(7**0.5)
    assert found["loa_high"] == pytest.approx(1 + Z95 * 7**0.5)


def test_constant_predictions_are_undefined_not_zero() -> None:
    found = agreement.agreement_scalars(np.full(5, 40.0), np.arange(5.0))
    assert isnan(found["r"])
    assert isnan(found["egfr_slope"])


# ------------------------------------------------------------------------------ categories


def test_kappa_by_hand() -> None:
    two = np.array([[20, 5], [10, 15]])
    assert weighted_kappa(two, "linear") == pytest.approx(0.4)  # the textbook example
    three = np.array([[1, 0, 0], [0, 1, 0], [1, 0, 1]])
    assert weighted_kappa(three, "linear") == pytest.approx(0.5)  # 1 - 2/4
    assert weighted_kappa(three, "quadratic") == pytest.approx(1 - 4 / 6.5)
    assert weighted_kappa(three.T, "quadratic") == pytest.approx(weighted_kappa(three, "quadratic"))
    assert isnan(weighted_kappa(np.array([[7, 0], [0, 0]]), "linear"))


def test_a_boundary_belongs_to_the_better_category() -> None:
    assert category_numbers(np.array([14.99, 15.0, 59.99, 60.0, 90.0])).tolist() == [0, 1, 3, 4, 5]
    matrix = category_matrix(np.array([10.0, 10.0, 100.0]), np.array([20.0, 10.0, 100.0]))
    assert (matrix[0, 1], matrix[0, 0], matrix[5, 5], matrix.sum()) == (1, 1, 1, 3)


# ------------------------------------------------------------------------------ discrimination


@settings(max_examples=50, deadline=None)
@given(seeds, st.integers(1, 30), st.integers(1, 30), st.booleans())
def test_area_is_a_share_symmetric_and_the_area_under_the_drawn_curve(
    seed: int, below: int, above: int, ties: bool
) -> None:
    random = np.random.default_rng(seed)
    score = random.normal(size=below + above)
    score = np.round(score) if ties else score
    positive = np.arange(below + above) < below
    found = auc(score, positive)
    assert 0.0 <= found <= 1.0
    assert auc(-score, positive) == pytest.approx(1 - found)
    x, y = roc(score, positive)
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
    assert np.all(np.diff(x) >= 0)
    assert np.all(np.diff(y) >= 0)
    assert float(np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2)) == pytest.approx(found)


def test_area_of_one_class_is_undefined() -> None:
    assert isnan(auc(np.array([0.1, 0.9]), np.array([True, True])))


@settings(max_examples=30, deadline=None)
@given(seeds, st.integers(3, 15), st.integers(3, 15), st.booleans())
def test_paired_test_equals_brute_force(seed: int, below: int, above: int, ties: bool) -> None:
    random = np.random.default_rng(seed)
    scores = random.normal(size=(2, below + above))
    scores = np.round(scores, 1) if ties else scores
    positive = np.arange(below + above) < below
    found = paired_test(scores, positive, np.arange(below + above))
    difference, z = brute_paired(scores, positive)
    assert found.difference == pytest.approx(difference)
    if isnan(z):  # separated in opposite ways: no spread to go by
        assert isnan(found.p)
        assert isnan(found.low)
        return
    assert found.z == pytest.approx(z)
    assert found.p == pytest.approx(2 * stats.norm.cdf(-abs(z)))
    swapped = paired_test(scores[::-1], positive, np.arange(below + above))
    assert (swapped.z, swapped.p) == pytest.approx((-found.z, found.p))
    assert (swapped.low, swapped.high) == pytest.approx((-found.high, -found.low))


def test_a_score_equals_itself() -> None:
    score = np.random.default_rng(1).normal(size=30)
    found = paired_test(np.stack([score, 2 * score + 1]), np.arange(30) < 12, np.arange(30))
    assert (found.difference, found.z, found.p) == (0.0, 0.0, 1.0)


def test_separated_classes_are_not_certain() -> None:
    score = np.arange(8.0)
    found = paired_test(np.stack([score, -score]), np.arange(8) >= 4, np.arange(8))
    assert (found.first, found.second) == (1.0, 0.0)
    assert isnan(found.p)
    assert isnan(found.low)
    perfect = make_sample(1, 40, 1)
    perfect = replace(perfect, probability=1 - perfect.truth / 200)
    area = Estimator(60.0, Bootstrap(100, 1)).estimate(perfect, STRATUM, nothing)["auc_p"]
    assert (area.value, area.low, area.method) == (1.0, None, "no interval")


def test_one_patient_of_a_class_is_not_tested() -> None:
    scores = np.random.default_rng(1).normal(size=(2, 6))
    found = paired_test(scores, np.array([True, True, False, False, False, False]), np.array([0, 0, 1, 2, 3, 4]))
    assert isnan(found.p)
    assert 0 <= found.first <= 1


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_clustered_delong_does_not_believe_copies(seed: int) -> None:
    scores, positive = np.random.default_rng(seed).normal(size=(2, 20)), np.arange(20) < 8
    areas, covariance = clustered_delong(scores, positive, np.arange(20))
    copies = clustered_delong(np.repeat(scores, 3, axis=1), np.repeat(positive, 3), np.repeat(np.arange(20), 3))
    assert copies[0] == pytest.approx(areas)
    assert copies[1] == pytest.approx(covariance)  # three copies of a picture are no news


def test_clustered_delong_agrees_with_the_patient_bootstrap() -> None:
    random = np.random.default_rng(8)
    patients = np.repeat(np.arange(80), 3)
    own = random.normal(size=80)[patients]
    positive = own + random.normal(0, 0.7, 240) > 0.2  # patients with images on both sides of the cut
    scores = np.stack([own + random.normal(0, 1, 240), own + random.normal(0, 2, 240)])
    error = float(np.sqrt(clustered_delong(scores, positive, patients)[1][0, 0]))
    draws = [auc(scores[0][index], positive[index]) for index in Bootstrap(1500, 1).draws(patients)]
    assert float(np.std(draws)) == pytest.approx(error, rel=0.12)
    test = paired_test(scores, positive, patients)
    assert test.low < test.difference < test.high
    assert test.difference > 0


# ------------------------------------------------------------------------------ calibration


def grouped(low: int, high: int) -> tuple[np.ndarray, np.ndarray]:
    """Ten crops said 0.2 and ten said 0.8, with so many events each."""
    probability = np.repeat([0.2, 0.8], 10)
    return probability, np.concatenate([np.arange(10) < low, np.arange(10) < high])


def test_calibration_by_hand() -> None:
    perfect, flat = grouped(2, 8), grouped(4, 6)
    assert reliability.recalibration(*perfect) == pytest.approx((0.0, 1.0), abs=1e-6)
    assert reliability.in_the_large(*perfect) == pytest.approx(0.0, abs=1e-6)
    assert reliability.brier(*perfect) == pytest.approx(0.16)
    assert reliability.expected_error(*perfect) == pytest.approx(0.0)
    assert reliability.recalibration(*flat) == pytest.approx((0.0, 0.29248), abs=1e-4)  # logit .6 / logit .8
    assert reliability.brier(*flat) == pytest.approx(0.28)
    assert reliability.expected_error(*flat) == pytest.approx(0.2)
    rows = reliability.bins(np.array([0.0, 0.05, 1.0]), np.array([False, True, True]))
    assert [(row.low, row.images, row.events) for row in rows] == [(0.0, 2, 1), (0.9, 1, 1)]


def test_recalibration_finds_the_maximum_of_the_likelihood() -> None:
    random = np.random.default_rng(5)
    probability = random.uniform(0.02, 0.98, 300)
    event = random.random(300) < 1 / (1 + np.exp(-(0.4 + 0.6 * reliability.log_odds(probability))))

    def loss(beta: np.ndarray) -> float:
        eta = beta[0] + beta[1] * reliability.log_odds(probability)
        return float(np.sum(np.logaddexp(0, eta) - event * eta))

    expected = optimize.minimize(loss, np.zeros(2), method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-10}).x
    assert reliability.recalibration(probability, event) == pytest.approx(expected.tolist(), abs=1e-4)


def test_calibration_of_what_has_no_maximum_is_undefined() -> None:
    separated = reliability.recalibration(np.array([0.1, 0.2, 0.8, 0.9]), np.array([False, False, True, True]))
    assert isnan(separated[1])
    assert isnan(reliability.recalibration(np.array([0.1, 0.9]), np.array([True, True]))[0])
    assert isnan(reliability.recalibration(np.array([0.3, 0.3]), np.array([True, False]))[0])


def test_a_probability_of_the_other_side_is_noticed() -> None:
    truth = np.array([20.0, 40.0, 70.0, 90.0])
    assert not wrong_way_round(np.array([0.9, 0.8, 0.2, 0.1]), truth)
    assert wrong_way_round(np.array([0.1, 0.2, 0.8, 0.9]), truth)
    assert not wrong_way_round(np.full(4, 0.5), truth)


# ------------------------------------------------------------------------------ bootstrap, estimates


def test_bootstrap_draws_whole_patients_and_is_seeded() -> None:
    patients = np.array([5, 9, 5, 7, 9, 5])
    draws = list(Bootstrap(20, 3).draws(patients))
    again = list(Bootstrap(20, 3).draws(patients))
    for index, same in zip(draws, again, strict=True):
        assert index.tolist() == same.tolist()
        counts = np.bincount(index, minlength=6)
        assert counts[0] == counts[2] == counts[5]
        assert counts[1] == counts[4]
        assert counts[0] + counts[1] + counts[3] == 3


def test_patient_bootstrap_covers_where_independent_images_would_not() -> None:
    random, covered, naive = np.random.default_rng(2), 0, 0
    patients = np.repeat(np.arange(30), 4)
    for trial in range(120):
        values = random.normal(size=30)[patients] + random.normal(0, 0.3, 120)  # true mean 0
        found = Bootstrap(150, trial).intervals(
            patients, lambda index, v=values: {"m": float(v[index].mean())}, nothing
        )
        covered += found["m"][0] <= 0 <= found["m"][1]
        naive += abs(values.mean()) <= Z95 * values.std() / np.sqrt(120)
    assert covered >= 0.88 * 120
    assert naive < 0.80 * 120


def test_a_measure_that_resamples_cannot_define_has_no_interval() -> None:
    found = Bootstrap(100, 1).intervals(np.arange(4), lambda index: {"x": nan if 0 in index else 1.0}, nothing)
    assert found == {}


def test_one_image_a_patient_gets_closed_forms() -> None:
    found = Estimator(60.0, Bootstrap(100, 1)).estimate(make_sample(1, 80, 1), FULL, nothing)
    methods = {key: found[key].method for key in ("r", "bias", "loa_low", "auc_p", "p30", "mae", "ece")}
    assert methods == {
        "r": "Fisher z",
        "bias": "t",
        "loa_low": "Bland-Altman 1999",
        "auc_p": "DeLong",
        "p30": "Wilson",
        "mae": "patient bootstrap",
        "ece": "no interval",
    }
    for estimate in found.values():
        if estimate.value is not None and estimate.low is not None and estimate.high is not None:
            assert estimate.low <= estimate.value + 1e-9
            assert estimate.value <= estimate.high + 1e-9


def test_repeated_patients_are_not_taken_for_more_patients() -> None:
    one = Estimator(60.0, Bootstrap(300, 1)).estimate(make_sample(1, 60, 1), STRATUM, nothing)
    many = Estimator(60.0, Bootstrap(300, 1)).estimate(make_sample(1, 60, 8), STRATUM, nothing)
    widths = [found["bias"].high - found["bias"].low for found in (one, many)]
    assert widths[1] > 0.75 * widths[0]  # eight times the images, hardly narrower
    assert many["bias"].method == "patient bootstrap"
    assert many["refused"].method == "Wilson by patient"  # 0 of 480 images, but of 60 patients
    assert many["refused"].high == pytest.approx(wilson(0, 60)[1])
