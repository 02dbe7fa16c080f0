"""Readings by hand-worked numbers: what each kind of head says of a crop, and what is no reading."""

from __future__ import annotations

import numpy as np
import pytest

from engines.bundle import open_bundle
from engines.errors import BundleError, InferenceError, TensorMismatchError
from engines.manifest import GradesHead, IntervalSpec, ProbabilityHead, RegressionHead
from engines.reading import Reader
from engines.runtimes import select
from engines.values import Chance, Graded, Regressed, heads_agree, interval, value_of

from .bundle_makers import BELOW_60_HEAD, EGFR_HEAD, MODELS, BundlePlan, domain_model, replace_listed, write_bundle

BANDS = IntervalSpec(
    level=0.9, edges=(30, 60), low=(-10, -20, 5), high=(15, 20, 40), patients=100, basis="chosen by hand"
)
ONE_BAND = IntervalSpec(level=0.8, edges=(), low=(-1.5,), high=(4.0,), patients=50, basis="chosen by hand")
EGFR = RegressionHead(
    name="egfr", title="eGFR", quantity="egfr", output="x", unit="mL/min/1.73 m2", resolution=1.0, lowest=0.0
)
LENGTH = RegressionHead(
    name="length",
    title="Length",
    quantity="other",
    output="x",
    unit="cm",
    resolution=0.1,
    boundaries=(9.0, 12.0),
    categories=("short", "usual", "long"),
)
CHANCE = ProbabilityHead(name="bright", title="P(bright)", quantity="other", output="x", event="bright")
GRADES = GradesHead(name="grade", title="Grade", output="x", grades=("low", "middle", "high"))


def flat(red: int, green: int, blue: int) -> np.ndarray:
    return np.full((64, 64, 3), (red, green, blue), np.uint8)


def row(values: object) -> dict[str, np.ndarray]:
    return {"x": np.array(values, np.float32)}


def read(bundle, crop: np.ndarray):
    with select(bundle, "onnxruntime", "fp32").open() as session:
        return Reader(bundle, session).read(crop)


@pytest.fixture
def reader(bundle):
    with select(bundle, "onnxruntime", "fp32").open() as session:
        yield Reader(bundle, session)


@pytest.mark.parametrize("apart", [(), (("fp32", "any"),)], ids=["fused", "apart"])
def test_a_reading_is_what_the_members_say(make_bundle, apart) -> None:
    # 8 * sqrt(250 - mean): 201 -> 56.0, 225 -> 40.0, 234 -> 32.0
    bundle = make_bundle(apart=apart)
    reading = read(bundle, flat(201, 225, 234))
    egfr, chance = reading.egfr, reading.egfr_below_60
    assert egfr is not None and chance is not None
    assert reading.values == (egfr, chance) and reading.main is egfr
    assert egfr.members == pytest.approx((56.0, 40.0, 32.0))
    assert egfr.value == pytest.approx(128 / 3)
    assert egfr.spread == pytest.approx(12.2202, abs=1e-3)  # n - 1
    assert (egfr.low, egfr.high) == pytest.approx((128 / 3 - 20, 128 / 3 + 20))
    assert (egfr.level, egfr.categories, egfr.head.unit) == (0.9, "G2-G4", "mL/min/1.73 m2")
    assert egfr.map is not None and egfr.map.shape == (8, 8)
    np.testing.assert_allclose(egfr.map, 220.0)  # the mean of 201, 225 and 234
    assert chance.members == pytest.approx([1 / (1 + np.exp((m - 60) / 10)) for m in (56.0, 40.0, 32.0)], abs=1e-5)
    assert chance.p == pytest.approx(np.mean(chance.members))
    assert chance.map is None
    assert reading.heads_agree
    assert (reading.runtime, reading.precision, reading.synthetic) == ("onnxruntime", "fp32", True)
    assert reading.provider.startswith("CPUExecutionProvider")
    assert (reading.bundle, reading.bundle_sha256) == ("test-bundle 1", bundle.sha256)
    if not apart:
        assert reading.artifact_sha256 == bundle.manifest.artifacts[0].sha256


def test_a_model_of_one_probability_is_read(make_bundle) -> None:
    # sigmoid((160 - 128) / 32) = 0.731059 twice, sigmoid(0) = 0.5
    reading = read(make_bundle(model="probability"), flat(160, 160, 128))
    (value,) = reading.values
    assert isinstance(value, Chance) and reading.main is value
    assert value.members == pytest.approx((0.731059, 0.731059, 0.5), abs=1e-6)
    assert value.p == pytest.approx(0.654039, abs=1e-6)
    assert value.spread == pytest.approx(0.133402, abs=1e-6)
    np.testing.assert_allclose(value.map, 64 / 3, rtol=1e-6)  # mean of 32, 32 and 0
    assert (value.head.event, reading.egfr, reading.egfr_below_60) == ("bright cortex", None, None)
    assert reading.heads_agree, "there are not two heads that could disagree"


def test_a_model_of_grades_is_read(make_bundle) -> None:
    # 90 lies on the second centre and 60 from its neighbours: exp(-3), 1, exp(-3), exp(-6) over 1.102053
    reading = read(make_bundle(model="grades"), flat(90, 90, 150))
    (value,) = reading.values
    assert isinstance(value, Graded)
    assert value.members[0] == pytest.approx((0.045176, 0.907397, 0.045176, 0.002249), abs=1e-6)
    assert value.members[2] == pytest.approx((0.002249, 0.045176, 0.907397, 0.045176), abs=1e-6)
    assert value.p == pytest.approx((0.030867, 0.619990, 0.332583, 0.016558), abs=2e-6)
    assert (value.top, value.grade) == (1, "grade 1")
    assert value.map is not None and value.map.shape == (4, 8, 8)
    np.testing.assert_allclose(value.map[:, 0, 0], (-80.0, -20.0, -40.0, -100.0), rtol=1e-6)
    assert (reading.egfr, reading.egfr_below_60, reading.heads_agree) == (None, None, True)


def test_a_number_without_an_interval_says_so_and_names_the_range_of_the_value_alone() -> None:
    value = value_of(EGFR, row([40.0, 50.0, 60.0]))
    assert isinstance(value, Regressed)
    assert (value.value, value.low, value.high, value.level) == (50.0, None, None, None)
    assert (value.spread, value.categories, value.map) == (10.0, "G3a", None)


def test_a_number_that_is_no_egfr_has_its_own_ranges_and_may_be_negative() -> None:
    value = value_of(LENGTH, row([8.0, 9.0, 10.0]))
    assert isinstance(value, Regressed)
    assert (value.value, value.categories) == (9.0, "usual")  # a boundary belongs to the range above it
    calibrated = LENGTH.model_copy(update={"interval": ONE_BAND})
    value = value_of(calibrated, row([9.0]))
    assert isinstance(value, Regressed)
    assert (value.low, value.high, value.level, value.spread) == (7.5, 13.0, 0.8, 0.0)
    assert value.categories == "short-long"
    value = value_of(calibrated.model_copy(update={"boundaries": (), "categories": ()}), row([-2.0, -4.0]))
    assert isinstance(value, Regressed)
    assert (value.value, value.low, value.high, value.categories) == (-3.0, -4.5, 1.0, "")
    value = value_of(calibrated.model_copy(update={"lowest": -2.5}), row([-2.0, -4.0]))
    assert isinstance(value, Regressed)
    assert (value.value, value.low, value.high, value.members) == (-2.5, -2.5, 1.5, (-2.0, -4.0))
    assert value.categories == "short"


@pytest.mark.parametrize(
    ("head", "values", "told"),
    [
        (CHANCE, [0.5, 1.2], r"a probability of 'bright' lies outside of 0 to 1 \(0.5 to 1.2\)"),
        (CHANCE, [-0.01, 0.5], "outside of 0 to 1"),
        (GRADES, [[0.2, 0.3, 0.5], [-0.1, 0.6, 0.5]], "a probability of 'grade' lies outside of 0 to 1"),
        (GRADES, [[0.2, 0.3, 0.5], [0.2, 0.3, 0.4]], "the grades of 'grade' do not add up to 1"),
        (GRADES, [[0.4, 0.3, 0.5]], "do not add up to 1"),
    ],
)
def test_what_is_no_probability_is_no_reading(head: ProbabilityHead | GradesHead, values: object, told: str) -> None:
    with pytest.raises(InferenceError, match=told):
        value_of(head, row(values))


def test_the_rounding_of_low_precision_is_no_reason_to_refuse() -> None:
    chance = value_of(CHANCE, row([1.0009, -0.0009]))
    assert isinstance(chance, Chance)
    assert (chance.members, chance.p) == ((1.0, 0.0), 0.5)
    graded = value_of(GRADES, row([[0.2, 0.3, 0.495], [0.0, 0.0, 1.0]]))
    assert isinstance(graded, Graded)
    assert (graded.grade, graded.p) == ("high", pytest.approx((0.1, 0.15, 0.7475)))


def test_a_probability_that_contradicts_the_egfr_is_told(make_bundle) -> None:
    # eGFR 42.7 and P(eGFR < 60) near 0.84; a tenth of it says the opposite
    disagreeing = make_bundle(graphs={("fp32", "any"): {"p_gain": 0.1}})
    assert not read(disagreeing, flat(201, 225, 234)).heads_agree
    other = {"heads": [EGFR_HEAD, {**BELOW_60_HEAD, "quantity": "other"}]}
    without = make_bundle(graphs={("fp32", "any"): {"p_gain": 0.1}}, changes=other)
    assert read(without, flat(201, 225, 234)).heads_agree, "a probability of something else contradicts nothing"


@pytest.mark.parametrize(
    ("model", "fitted", "told"),
    [
        ("probability", "egfr", "the model has no output of features and the check was fitted with them"),
        ("egfr", "probability", "the model has an output of features and the check was fitted without them"),
    ],
)
def test_a_domain_check_of_another_model_is_refused_before_anything_is_read(tmp_path, model, fitted, told) -> None:
    path = write_bundle(tmp_path / "bundle", BundlePlan(model=model))
    domain_model(fitted).save(tmp_path / "domain.npz")
    replace_listed(path, "domain", (tmp_path / "domain.npz").read_bytes())
    bundle = open_bundle(path)
    with pytest.raises(BundleError, match=told):
        Reader(bundle, select(bundle).open())


def test_many_are_read_as_each_alone(reader: Reader, make_crops) -> None:
    crops = make_crops(4, seed=8)
    together = reader.read_many(crops)
    values = [r.egfr.value for r in together if r.egfr]
    assert values == pytest.approx([alone.egfr.value for crop in crops if (alone := reader.read(crop)).egfr])
    assert len(values) == 4
    assert [r.domain_distance for r in reader.read_many(list(crops))] == [r.domain_distance for r in together]


@pytest.mark.parametrize("model", sorted(MODELS))
def test_pictures_of_the_development_kind_are_in_the_domain_and_others_are_not(make_bundle, make_crops, model) -> None:
    bundle = make_bundle(model=model)
    with select(bundle).open() as session:
        reader = Reader(bundle, session)
        known = reader.read_many(make_crops(40, seed=9))
        strange = reader.read(flat(240, 10, 10))
    assert np.mean([r.in_domain for r in known]) > 0.8
    assert not strange.in_domain and strange.domain_distance > 1.0


def test_a_class_activation_map_outlives_the_next_reading(reader: Reader, make_crops) -> None:
    first = reader.read(make_crops(1, seed=1)[0]).main.map
    assert first is not None
    kept = first.copy()
    reader.read(make_crops(1, seed=2)[0])
    np.testing.assert_array_equal(first, kept)


def test_wrong_crops_are_explained(reader: Reader) -> None:
    with pytest.raises(TensorMismatchError, match="give one crop"):
        reader.read(np.zeros((1, 64, 64, 3), np.uint8))
    with pytest.raises(TensorMismatchError, match=r"\(1, 32, 32, 3\) instead of uint8 \(N, 64, 64, 3\)"):
        reader.read(np.zeros((32, 32, 3), np.uint8))
    with pytest.raises(TensorMismatchError, match="there are none or they differ in size"):
        reader.read_many([])


def test_a_probability_beyond_one_is_no_reading(make_bundle) -> None:
    bundle = make_bundle(graphs={("fp32", "any"): {"p_gain": 1.2}})
    with select(bundle).open() as session, pytest.raises(InferenceError, match="outside of 0 to 1"):
        Reader(bundle, session).read(flat(249, 249, 249))


def test_a_negative_answer_is_shown_as_zero_with_the_interval_of_zero(make_bundle) -> None:
    # The residuals that the interval is made of are truth minus the value that is shown, hence never below 0.
    bundle = make_bundle(graphs={("fp32", "any"): {"gain": -1.0}})
    with select(bundle).open() as session:
        reading = Reader(bundle, session).read(flat(249, 249, 249))
    assert reading.egfr is not None
    assert reading.egfr.members == pytest.approx((-1.0, -1.0, -1.0))
    assert (reading.egfr.value, reading.egfr.low, reading.egfr.high) == (0.0, 0.0, 15.0)
    assert reading.egfr.categories == "G4-G5"


@pytest.mark.parametrize(
    ("predicted", "ends"),
    [
        (20.0, (10.0, 35.0)),
        (5.0, (0.0, 20.0)),  # clipped at 0
        (29.999, (19.999, 44.999)),
        (30.0, (10.0, 50.0)),  # an edge belongs to the upper band
        (60.0, (60.0, 100.0)),  # the band's low quantile is +5: widened to hold the value
        (-20.0, (0.0, 0.0)),
    ],
)
def test_the_interval_is_that_of_the_predicted_band(predicted: float, ends: tuple[float, float]) -> None:
    assert interval(BANDS, predicted, 0.0) == pytest.approx(ends)


@pytest.mark.parametrize(
    ("egfr", "p", "agree"),
    [
        (40, 0.9, True), (80, 0.1, True), (40, 0.1, False), (80, 0.9, False),
        (80, 0.55, True), (40, 0.45, True), (80, 0.6, True), (80, 0.601, False),
        (59.99, 0.399, False), (60.0, 0.399, True),
    ],
)  # fmt: skip
def test_the_heads_disagree_only_when_the_probability_is_decided(egfr: float, p: float, agree: bool) -> None:
    assert heads_agree(egfr, p) is agree
