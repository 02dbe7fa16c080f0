"""One member alone: what a session and a reader give of it, and that an interval of k of M members stays honest."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

import numpy as np
import pytest

from engines._onnxruntime_session import OnnxSession
from engines.errors import InferenceError, TensorMismatchError
from engines.manifest import IntervalSpec, RegressionHead
from engines.reading import Reader, Reading
from engines.session import MemberSession, members_apart
from engines.student import quantile
from engines.values import Graded, Regressed, unseen_margin, value_from

APART = (("fp32", "any"),)


def opened(bundle) -> OnnxSession:
    return OnnxSession(bundle, bundle.artifacts("fp32", "cpu"), threads=1)


@pytest.fixture
def apart(make_bundle):
    return make_bundle(apart=APART)


def test_a_member_alone_answers_what_it_says_among_all(apart, make_crops) -> None:
    crops = make_crops(3)
    with opened(apart) as session:
        assert isinstance(session, MemberSession)
        assert members_apart(session) == 3
        whole = session.infer(crops)
        for member in range(3):
            alone = session.infer_member(member, crops)
            np.testing.assert_array_equal(alone["egfr_members"], whole["egfr_members"][:, member : member + 1])
            assert alone["features"].shape == (3, 4)


def test_a_member_that_says_nan_never_leaves_the_session(apart, make_crops) -> None:
    crop = make_crops(1)
    crop[..., 1] = 255  # member 1 takes the root of a negative number; the others are well
    with opened(apart) as session:
        session.infer_member(0, crop)
        with pytest.raises(InferenceError, match="1 of 1 values of 'egfr_members' from onnxruntime are not finite"):
            session.infer_member(1, crop)
        with pytest.raises(InferenceError, match="not finite"):
            session.infer(crop)


def test_a_member_is_refused_where_there_is_none_by_itself(bundle, apart, make_crops) -> None:
    with opened(bundle) as session:
        assert members_apart(session) == 1
        with pytest.raises(InferenceError, match="no member 0 by itself"):
            session.infer_member(0, make_crops(1))
    session = opened(apart)
    with pytest.raises(InferenceError, match="not entered"):
        session.infer_member(0, make_crops(1))
    with session:
        for member in (-1, 3):
            with pytest.raises(InferenceError, match=f"no member {member} by itself"):
                session.infer_member(member, make_crops(1))
        with pytest.raises(TensorMismatchError, match="is float32"):
            session.infer_member(0, make_crops(1).astype(np.float32))


def test_the_reading_of_one_member_says_so_and_has_no_interval(apart, make_crops) -> None:
    crop = make_crops(1)[0]
    with opened(apart) as session:
        reader = Reader(apart, session)
        whole = reader.read(crop)
        one = reader.read_member(crop, 2, whole)
    assert (whole.seen, whole.members_seen, whole.members_total, whole.whole) == ((0, 1, 2), 3, 3, True)
    assert (one.seen, one.members_seen, one.members_total, one.whole) == ((2,), 1, 3, False)
    both: list[Reading] = [whole, one]
    first, second = (reading.egfr for reading in both)
    assert first is not None and second is not None
    assert first.level == 0.9
    assert second.members == first.members[2:]
    assert (second.low, second.high, second.level) == (None, None, None)


def test_a_member_is_vouched_for_by_the_whole_reading_and_by_its_own_texture(apart, make_crops) -> None:
    crop = make_crops(1)[0]
    stripes = np.zeros_like(crop)
    stripes[::2] = 200
    with opened(apart) as session:
        reader = Reader(apart, session)
        checked = reader.read(crop)
        assert checked.in_domain
        assert reader.read_member(crop, 0, checked).domain_distance == checked.domain_distance
        strange = reader.read_member(stripes, 0, checked)
        assert not strange.in_domain
        assert strange.domain_distance > 1.0
        doubted = replace(checked, in_domain=False)
        assert not reader.read_member(crop, 0, doubted).in_domain


def test_all_at_once_cannot_be_asked_for_a_member(bundle, make_crops) -> None:
    crop = make_crops(1)[0]
    with opened(bundle) as session:
        reader = Reader(bundle, session)
        with pytest.raises(InferenceError, match="no member 0 by itself"):
            reader.read_member(crop, 0, reader.read(crop))


@pytest.mark.parametrize(
    ("level", "freedom", "t"),
    [(0.9, 1, 6.3138), (0.9, 2, 2.9200), (0.9, 9, 1.8331), (0.8, 5, 1.4759), (0.99, 1, 63.657)],
)
def test_students_quantiles_are_those_of_the_printed_tables(level: float, freedom: int, t: float) -> None:
    assert quantile(level, freedom) == pytest.approx(t, abs=1e-4 * t)


def test_the_margin_by_hand() -> None:
    assert unseen_margin(4.0, 3, 3, 0.9) == 0.0
    assert unseen_margin(4.0, 1, 1, 0.9) == 0.0
    assert unseen_margin(4.0, 1, 3, 0.9) is None
    # two of three: 6.3138 * 4 * sqrt(1/2 - 1/3) = 10.310
    assert unseen_margin(4.0, 2, 3, 0.9) == pytest.approx(10.310, abs=1e-3)
    # four of ten: 2.3534 * 4 * sqrt(1/4 - 1/10) = 3.6458
    assert unseen_margin(4.0, 4, 10, 0.9) == pytest.approx(3.6458, abs=1e-3)


def head(low: float, high: float, lowest: float | None = None) -> RegressionHead:
    spec = IntervalSpec(level=0.9, edges=(), low=(low,), high=(high,), patients=100, basis="test")
    return RegressionHead(
        name="x", title="X", quantity="other", output="x", unit="mm", resolution=0.1, interval=spec, lowest=lowest
    )


def test_a_value_of_two_of_three_members_is_widened_at_both_ends() -> None:
    value = value_from(head(-10.0, 20.0, lowest=0.0), np.array([28.0, 32.0]), total=3)
    assert isinstance(value, Regressed)
    margin = 6.3138 * sqrt(8.0) * sqrt(1 / 6)  # s = sqrt(8): 7.2905
    assert (value.value, value.low, value.high) == pytest.approx((30.0, 20.0 - margin, 50.0 + margin), abs=1e-3)
    low = value_from(head(-10.0, 20.0, lowest=0.0), np.array([8.0, 12.0]), total=3)
    assert isinstance(low, Regressed)
    assert low.low == 0.0


def test_grades_are_the_mean_of_the_members_seen(make_bundle) -> None:
    grades = make_bundle(model="grades").manifest.heads[0]
    value = value_from(grades, np.array([[0.1, 0.2, 0.3, 0.4], [0.3, 0.4, 0.1, 0.2]]), total=3)
    assert isinstance(value, Graded)
    assert value.p == pytest.approx((0.2, 0.3, 0.2, 0.3))


RESIDUALS = {
    "normal": lambda rng, n: rng.normal(0.0, 10.0, n),
    "uniform": lambda rng, n: rng.uniform(-17.0, 17.0, n),
    "heavy tails": lambda rng, n: 6.0 * rng.standard_t(3, n),
    "skewed": lambda rng, n: rng.exponential(10.0, n) - 10.0,
    "none": lambda rng, n: np.zeros(n),
}
PATIENTS = 20000


@pytest.mark.parametrize("residuals", sorted(RESIDUALS))
@pytest.mark.parametrize("spread", [1.0, 6.0, 25.0])
@pytest.mark.parametrize("seen", [(2, 3), (2, 10), (3, 10), (5, 10), (9, 10)])
def test_coverage_does_not_fall_below_nominal(residuals: str, spread: float, seen: tuple[int, int]) -> None:
    """Truth = mean of all members + residual; calibrated on the mean of all, shown for the mean of k."""
    k, total = seen
    rng = np.random.default_rng([k, total, int(spread), sorted(RESIDUALS).index(residuals)])
    off = RESIDUALS[residuals](rng, 2 * PATIENTS)
    members = rng.normal(0.0, spread, (PATIENTS, total))
    truth = members.mean(axis=1) + off[:PATIENTS]
    low, high = np.quantile(off[PATIENTS:], [0.05, 0.95])  # calibrated on other patients
    mean, s = members[:, :k].mean(axis=1), members[:, :k].std(axis=1, ddof=1)
    unit = unseen_margin(1.0, k, total, 0.9)
    assert unit is not None
    margin = unit * s  # the margin is proportional to the spread
    covered = np.mean((truth >= mean + min(0.0, low) - margin) & (truth <= mean + max(0.0, high) + margin))
    assert covered >= 0.9 - 3 * sqrt(0.9 * 0.1 / PATIENTS) - 0.003, "three standard errors, and those of calibration"
    bare = np.mean((truth >= mean + low) & (truth <= mean + high))
    assert covered > bare
