"""An artifact is compared head by head in clinical units, and refused with its reasons."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import pytest

from convert.answers import Answers
from convert.egfr_heads import BELOW_60, EGFR, EGFR_HEADS, egfr_truth
from convert.golden import choose, floors, tolerances
from convert.overview import parity_table
from convert.parity import ParityError, compare, from_trees, map_correlation, refuse_failed
from convert.plan import ArtifactKey
from engines.manifest import GradesHead, HeadParity, HeadSpec, ParityRow, ProbabilityHead, RegressionHead

FP16: ArtifactKey = ("fp16", "any")
INT8: ArtifactKey = ("int8", "cpu")
KNOWN = egfr_truth(np.array([20.0, 40.0, 50.0, 70.0, 80.0, 100.0]))


def egfr_answers(egfr: Sequence[float], chance: Sequence[float] | None = None, seed: int = 0) -> Answers:
    """An eGFR, P(eGFR < 60) from trees, a map of noise and features, of one member."""
    count = len(egfr)
    chance = np.linspace(0.9, 0.1, count).tolist() if chance is None else chance
    maps = np.random.default_rng(seed).normal(size=(count, 4, 4)).astype(np.float32)
    return Answers(
        EGFR_HEADS,
        {
            "egfr_members": np.array(egfr, np.float32)[:, None],
            "egfr_map": maps,
            "p_egfr_below_60_members": np.array(chance, np.float32)[:, None],
            "features": np.zeros((count, 3), np.float32),
        },
    )


BEFORE = egfr_answers([22.0, 41.0, 59.5, 66.0, 80.0, 88.0])
LENGTH = RegressionHead(
    name="length",
    title="Length",
    quantity="other",
    output="length_members",
    unit="mm",
    resolution=2.0,
    boundaries=(90.0, 120.0),
    categories=("short", "middle", "long"),
)
LESION = ProbabilityHead(
    name="lesion", title="Lesion", quantity="other", event="lesion in the picture", output="lesion_members", cut=0.3
)
ECHO = GradesHead(name="echo", title="Echogenicity", output="echo_members", grades=("low", "middle", "high"))
PAIR = GradesHead(name="pair", title="Cortex", output="pair_members", grades=("thin", "thick"))


def single(head: HeadSpec, values: Sequence[float] | Sequence[Sequence[float]]) -> Answers:
    """Answers of one member of a model with this head alone."""
    return Answers((head,), {head.output: np.array(values, np.float32)[:, None]})


def _without_features(answers: Answers) -> dict[str, np.ndarray]:
    return {name: array for name, array in answers.outputs.items() if name != "features"}


def only(row: ParityRow) -> HeadParity:
    (found,) = row.heads
    return found


# ------------------------------------------------------------------------------ the two heads of an eGFR model


def test_fp32_against_itself_passes_without_a_difference() -> None:
    row = compare(("fp32", "any"), BEFORE, BEFORE, KNOWN)
    egfr, below = row.heads
    assert row.passed and row.crops == 6
    assert (egfr.head, egfr.unit, below.head, below.unit) == ("egfr", "mL/min/1.73 m2", "p_egfr_below_60", "1")
    assert (egfr.largest, egfr.flips, egfr.map_correlation, egfr.auc) == (0.0, 0, 1.0, None)
    assert (below.largest, below.flips, below.map_correlation) == (0.0, 0, None)
    assert below.auc is not None and (below.auc.value, below.auc.change) == (1.0, 0.0)


def test_a_flip_beside_a_boundary_is_counted_and_forgiven() -> None:
    row = compare(INT8, BEFORE, egfr_answers([22.0, 41.0, 60.2, 66.0, 80.0, 88.0]), KNOWN)
    assert (row.heads[0].flips, row.heads[0].flips_far, row.passed) == (1, 0, True)


def test_a_flip_over_a_second_boundary_is_far_from_that_one() -> None:
    """60.2 stands beside a boundary; at 44 it has crossed another, 15 away, in one crop that no quantile shows."""
    before = [60.2, *[70.0] * 400]
    found = compare(INT8, egfr_answers(before), egfr_answers([44.0, *before[1:]]), {}).heads[0]
    assert (found.p99, found.flips, found.flips_far) == (0.0, 1, 1)
    beside = compare(INT8, egfr_answers(before), egfr_answers([46.0, *before[1:]]), {}).heads[0]
    assert (beside.flips, beside.flips_far) == (1, 0)


def test_a_value_on_a_boundary_belongs_to_the_range_above() -> None:
    on, below = egfr_answers([60.0, 45.0]), egfr_answers([59.9, 45.0])
    assert compare(INT8, on, on, {}).heads[0].flips == 0
    assert compare(INT8, on, below, {}).heads[0].flips == 1


def test_a_flip_far_from_every_boundary_fails_and_says_so() -> None:
    row = compare(INT8, BEFORE, egfr_answers([22.0, 41.0, 59.5, 66.0, 80.0, 91.0]), KNOWN)
    assert (row.heads[0].flips, row.heads[0].flips_far, row.passed) == (1, 1, False)
    assert "category flips of eGFR far from a boundary: 1, limit 0" in row.reasons


def test_each_limit_has_its_own_reason() -> None:
    chance = [0.1, 0.9, 0.2, 0.8, 0.3, 0.7]
    row = compare(FP16, BEFORE, egfr_answers([25.0, 44.0, 56.5, 69.0, 83.0, 85.0], chance, seed=1), KNOWN)
    text = "; ".join(row.reasons)
    assert "delta P" not in text  # of trees
    assert "95 % of |delta eGFR| is 3 mL/min/1.73 m2, limit 0.2" in text
    assert "99 % of |delta eGFR| is 3 mL/min/1.73 m2, limit 0.2" in text
    assert "loss of AUC of P(eGFR < 60) is 0.667, limit 0.005" in text  # 3 of 9 pairs are still in order
    assert "activation maps of eGFR correlate by" in text
    with pytest.raises(ParityError, match="fp16 for any") as caught:
        refuse_failed([row])
    assert caught.value.rows == (row,)
    assert caught.value.cure == "leave out what failed: --without fp16 --without int8-tensorrt"


def test_the_quantiles_of_the_difference_are_those_that_they_are_named_after() -> None:
    before, off = np.full(101, 70.0), np.arange(101) / 10.0  # differences 0.0, 0.1 ... 10.0
    row = compare(INT8, egfr_answers(before.tolist()), egfr_answers((before + off).tolist()), {})
    found = row.heads[0]
    assert (found.p50, found.p95, found.p99, found.largest) == pytest.approx((5.0, 9.5, 9.9, 10.0), abs=1e-4)


def test_members_are_averaged_before_they_are_compared() -> None:
    first = Answers((LENGTH,), {"length_members": np.array([[100.0, 104.0]], np.float32)})
    second = Answers((LENGTH,), {"length_members": np.array([[106.0, 100.0]], np.float32)})
    assert only(compare(INT8, first, second, {})).largest == pytest.approx(1.0)


def test_jumps_of_trees_are_shown_and_not_limited_those_of_a_smooth_head_are() -> None:
    jumped = egfr_answers([22.0, 41.0, 59.5, 66.0, 80.0, 88.0], [0.9, 0.74, 0.47, 0.42, 0.26, 0.1])
    row = compare(INT8, BEFORE, jumped, KNOWN)  # the third of 0.58 fell to 0.47, 0.08 from the cut
    assert (row.heads[1].flips, row.heads[1].flips_far) == (1, 1)
    assert row.heads[1].p95 == pytest.approx(0.0825) and row.passed
    smooth = [Answers(EGFR_HEADS, _without_features(answers)) for answers in (BEFORE, jumped)]
    assert compare(INT8, *smooth, KNOWN).reasons == (
        "95 % of |delta P(eGFR < 60)| is 0.0825, limit 0.05",
        "flips of P(eGFR < 60) from far: 1, limit 0",
    )
    assert from_trees(BELOW_60, BEFORE) and not from_trees(BELOW_60, smooth[0])
    assert not from_trees(BELOW_60.model_copy(update={"map": "m"}), BEFORE) and not from_trees(EGFR, BEFORE)


# ------------------------------------------------------------------------------ regressions of any unit


def test_limits_of_a_regression_are_multiples_of_its_resolution() -> None:
    before = single(LENGTH, [100.0] * 20)
    passed = compare(INT8, before, single(LENGTH, [101.9] * 20), {})
    failed = compare(INT8, before, single(LENGTH, [102.1] * 20), {})
    assert passed.passed and only(passed).unit == "mm"
    assert failed.reasons == ("95 % of |delta Length| is 2.1 mm, limit 2",)


def test_a_regression_flips_at_its_own_boundaries() -> None:
    row = compare(INT8, single(LENGTH, [89.0, 91.9, 117.9]), single(LENGTH, [90.0, 89.9, 120.0]), {})
    assert (only(row).flips, only(row).flips_far) == (3, 1)  # two within 2 mm of a boundary, one 2.1 mm away
    assert any("category flips of Length far from a boundary: 1" in reason for reason in row.reasons)


def test_a_regression_without_categories_cannot_flip() -> None:
    plain = LENGTH.model_copy(update={"boundaries": (), "categories": ()})
    row = compare(INT8, single(plain, [89.0, 91.0]), single(plain, [91.0, 89.0]), {})
    assert (only(row).flips, only(row).flips_far, row.passed) == (0, 0, True)


# ------------------------------------------------------------------------------ probabilities


def test_a_probability_flips_at_its_cut_and_is_forgiven_near_it_only() -> None:
    near = compare(INT8, single(LESION, [0.28, 0.9]), single(LESION, [0.31, 0.9]), {})
    assert (only(near).flips, only(near).flips_far, near.passed) == (1, 0, True)
    far = compare(INT8, single(LESION, [0.36] + [0.9] * 40), single(LESION, [0.29] + [0.9] * 40), {})
    assert (only(far).flips, only(far).flips_far) == (1, 1)
    assert far.reasons == ("flips of P(lesion in the picture) from far: 1, limit 0",)
    assert not compare(FP16, single(LESION, [0.28, 0.9]), single(LESION, [0.3, 0.9]), {}).passed


def test_the_area_is_that_of_the_known_crops_with_its_interval_by_delong() -> None:
    truth = {"lesion": np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0, np.nan])}
    before = single(LESION, [0.9, 0.8, 0.6, 0.5, 0.2, 0.1, 0.99])
    after = single(LESION, [0.9, 0.8, 0.5, 0.52, 0.2, 0.1, 0.01])
    found = only(compare(INT8, before, after, truth)).auc
    assert found is not None
    assert found.value == pytest.approx(8 / 9) and found.change == pytest.approx(-1 / 9)
    # placement values (1, 1, 2/3) and (2/3, 1, 1): variance 1/27 each, over 3 of each class
    half = 1.959964 * np.sqrt(2 / 81)
    assert (found.low, found.high) == (pytest.approx(8 / 9 - half), 1.0)


def test_the_interval_of_the_area_is_by_patient() -> None:
    chance, lesion = [0.9, 0.8, 0.6, 0.5, 0.7, 0.1], np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
    once = single(LESION, chance)
    often = single(LESION, chance * 4)
    names = ["a", "b", "c", "d", "e", "f"]
    first = only(compare(INT8, once, once, {"lesion": lesion})).auc
    copied = only(compare(INT8, often, often, {"lesion": np.tile(lesion, 4)}, names * 4)).auc
    assert first is not None and copied is not None
    assert (copied.value, copied.low, copied.high) == pytest.approx((first.value, first.low, first.high))
    one_sick = ["a", "a", "a", "d", "e", "f"]
    assert only(compare(INT8, once, once, {"lesion": lesion}, one_sick)).auc is None


def test_without_two_known_crops_of_each_class_there_is_no_area() -> None:
    one = {"lesion": np.array([1.0, 0.0, 0.0, np.nan])}
    before = single(LESION, [0.9, 0.2, 0.1, 0.5])
    assert only(compare(INT8, before, before, one)).auc is None
    assert only(compare(INT8, before, before, {})).auc is None


# ------------------------------------------------------------------------------ grades


def test_the_largest_difference_over_the_grades_counts() -> None:
    before, after = [[0.7, 0.2, 0.1]] * 20, [[0.64, 0.23, 0.13]] * 20
    row = compare(INT8, single(ECHO, before), single(ECHO, after), {})
    assert only(row).p95 == pytest.approx(0.06)
    assert row.reasons == ("95 % of |delta Echogenicity| is 0.06, limit 0.05",)


def test_a_grade_flips_when_another_becomes_the_most_probable() -> None:
    before = [[0.48, 0.42, 0.10], [0.60, 0.30, 0.10]] + [[0.1, 0.1, 0.8]] * 40
    near = single(ECHO, [[0.44, 0.46, 0.10], *before[1:]])  # lead of 0.06: 0.03 from the tie
    far = single(ECHO, [before[0], [0.44, 0.46, 0.10], *before[2:]])  # lead of 0.30: 0.15 from it
    passed, failed = compare(INT8, single(ECHO, before), near, {}), compare(INT8, single(ECHO, before), far, {})
    assert (only(passed).flips, only(passed).flips_far, passed.passed) == (1, 0, True)
    assert (only(failed).flips, only(failed).flips_far) == (1, 1)
    assert failed.reasons == ("flips of Echogenicity from far: 1, limit 0",)


def test_two_grades_have_the_area_of_the_higher_one_more_have_none() -> None:
    chances = [[0.8, 0.2], [0.7, 0.3], [0.4, 0.6], [0.1, 0.9]]
    truth = {"pair": np.array([0.0, 0.0, 1.0, 1.0]), "echo": np.array([0.0, 0.0, 1.0, 2.0])}
    found = only(compare(INT8, single(PAIR, chances), single(PAIR, chances), truth)).auc
    assert found is not None and found.value == 1.0
    three = single(ECHO, [[0.8, 0.1, 0.1]] * 4)
    assert only(compare(INT8, three, three, truth)).auc is None


# ------------------------------------------------------------------------------ maps


def test_flat_maps_that_agree_count_as_agreement() -> None:
    flat = np.zeros((2, 3, 3), np.float32)
    assert map_correlation(flat, flat) == 1.0
    assert map_correlation(flat, flat + np.eye(3, dtype=np.float32)) == 0.0


def test_maps_of_grades_are_compared_grade_by_grade() -> None:
    ramp = np.arange(4, dtype=np.float32).reshape(2, 2)
    before, after = np.stack([ramp, 100 * ramp])[None], np.stack([-ramp, 100 * ramp])[None]
    assert map_correlation(before, after) == pytest.approx(0.0)  # one grade turned round, the other the same


def test_a_turned_map_fails_int8() -> None:
    mapped = LESION.model_copy(update={"map": "lesion_map"})
    maps = np.random.default_rng(1).normal(size=(2, 4, 4)).astype(np.float32)
    outputs = {"lesion_members": np.array([[0.9], [0.1]], np.float32), "lesion_map": maps}
    turned = Answers((mapped,), {**outputs, "lesion_map": maps.transpose(0, 2, 1)})
    row = compare(INT8, Answers((mapped,), outputs), turned, {})
    assert len(row.reasons) == 1 and "activation maps of P(lesion in the picture) correlate by" in row.reasons[0]


# ------------------------------------------------------------------------------ golden vectors, terminal


def test_golden_crops_span_the_range() -> None:
    egfr = np.random.default_rng(2).permutation(np.arange(100.0))
    chosen = egfr[choose(egfr, 8)]
    assert chosen.tolist() == [0.0, 14.0, 28.0, 42.0, 57.0, 71.0, 85.0, 99.0]
    assert single(ECHO, [[0.2, 0.3, 0.5]]).score(ECHO).tolist() == pytest.approx([1.3])


def test_tolerances_leave_room_over_what_was_seen_and_are_never_below_the_floor() -> None:
    after = egfr_answers([22.0, 41.0, 59.5, 66.0, 80.0, 89.5])
    found = tolerances({("fp32", "any"): BEFORE, ("int8", "cpu"): after, ("int8", "tensorrt"): BEFORE})
    assert found["int8"]["egfr_members"] == pytest.approx(3.0)
    assert found["fp32"] == {"egfr_members": 0.1, "egfr_map": 1.0, "p_egfr_below_60_members": 0.05, "features": 0.02}


def test_one_odd_crop_of_many_makes_no_room_for_all() -> None:
    before = np.linspace(90.0, 110.0, 1000)
    after = before + 0.5
    after[500] += 40.0
    key = ("int8", "cpu")
    found = tolerances({("fp32", "any"): single(LENGTH, before.tolist()), key: single(LENGTH, after.tolist())})
    assert found["int8"] == {"length_members": pytest.approx(1.0, abs=1e-3)}
    after[0] -= 3.0  # the lowest is a golden one: it has to pass
    found = tolerances({("fp32", "any"): single(LENGTH, before.tolist()), key: single(LENGTH, after.tolist())})
    assert found["int8"] == {"length_members": pytest.approx(5.0, abs=1e-3)}


def test_floors_follow_the_unit_and_the_kind_of_the_head() -> None:
    assert floors(single(LENGTH, [100.0])) == {"length_members": 0.2}
    assert floors(single(LESION, [0.5])) == {"lesion_members": 0.02}
    features = Answers((LESION,), {"lesion_members": np.ones((1, 1), np.float32), "features": np.full((1, 2), 50.0)})
    assert floors(features)["features"] == pytest.approx(0.1)


def test_the_terminal_shows_a_table_a_head_and_every_number_of_it_in_80_columns() -> None:
    from rich.console import Console

    rows = [compare(("int8", "tensorrt"), BEFORE, egfr_answers([22.0, 41.0, 60.2, 66.0, 80.0, 91.0]), KNOWN)]
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(parity_table(rows))
    text = console.export_text()
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80 and "…" not in text
    assert [line.strip() for line in lines if line.startswith(("egfr", "p_egfr"))] == [
        "egfr, mL/min/1.73 m2",
        "p_egfr_below_60",
    ]
    egfr, below = (line.split() for line in lines if "int8 tensorrt" in line)
    assert egfr[2:] == ["0.000", "2.425", "2.885", "3.000", "2/1", "1.000", "FAILED"]
    assert below[-2:] == ["1.000", "(1.00-1.00)"]  # the verdict stands once, in the table of the main head
    assert "int8 (tensorrt): 95 % of |delta eGFR|" in text
