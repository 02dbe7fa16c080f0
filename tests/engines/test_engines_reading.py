from __future__ import annotations

import numpy as np
import pytest

from engines.errors import InferenceError, TensorMismatchError
from engines.manifest import IntervalSpec
from engines.reading import Reader, heads_agree, interval
from engines.runtimes import select

BANDS = IntervalSpec(
    level=0.9, edges=(30, 60), low=(-10, -20, 5), high=(15, 20, 40), patients=100, basis="chosen by hand"
)


def flat(red: int, green: int, blue: int) -> np.ndarray:
    return np.full((64, 64, 3), (red, green, blue), np.uint8)


@pytest.fixture
def reader(bundle):
    with select(bundle, "onnxruntime", "fp32").open() as session:
        yield Reader(bundle, session)


def test_a_reading_is_what_the_members_say(reader: Reader, bundle) -> None:
    # 8 * sqrt(250 - mean): 201 -> 56.0, 225 -> 40.0, 234 -> 32.0
    reading = reader.read(flat(201, 225, 234))
    assert reading.members == pytest.approx((56.0, 40.0, 32.0))
    assert reading.egfr == pytest.approx(128 / 3)
    assert reading.spread == pytest.approx(12.2202, abs=1e-3)  # n - 1
    assert (reading.low, reading.high) == pytest.approx((128 / 3 - 20, 128 / 3 + 20))
    assert reading.level == 0.9
    assert reading.category_range == "G2-G4"
    assert reading.p_members == pytest.approx([1 / (1 + np.exp((m - 60) / 10)) for m in (56.0, 40.0, 32.0)], abs=1e-5)
    assert reading.p_egfr_below_60 == pytest.approx(np.mean(reading.p_members))
    assert reading.heads_agree
    assert reading.cam is not None and reading.cam.shape == (8, 8)
    assert (reading.runtime, reading.precision, reading.synthetic) == ("onnxruntime", "fp32", True)
    assert reading.provider.startswith("CPUExecutionProvider")
    assert (reading.bundle, reading.bundle_sha256) == ("test-bundle 1", bundle.sha256)
    assert reading.artifact_sha256 == bundle.manifest.artifacts[0].sha256


def test_many_are_read_as_each_alone(reader: Reader, make_crops) -> None:
    crops = make_crops(4, seed=8)
    together = reader.read_many(crops)
    assert [r.egfr for r in together] == pytest.approx([reader.read(crop).egfr for crop in crops])
    assert [r.domain_distance for r in reader.read_many(list(crops))] == [r.domain_distance for r in together]


def test_pictures_of_the_development_kind_are_in_the_domain_and_others_are_not(reader: Reader, make_crops) -> None:
    known = reader.read_many(make_crops(40, seed=9))
    assert np.mean([r.in_domain for r in known]) > 0.8
    strange = reader.read(flat(240, 10, 10))
    assert not strange.in_domain and strange.domain_distance > 1.0


def test_a_class_activation_map_outlives_the_next_reading(reader: Reader, make_crops) -> None:
    first = reader.read(make_crops(1, seed=1)[0])
    kept = first.cam.copy()
    reader.read(make_crops(1, seed=2)[0])
    np.testing.assert_array_equal(first.cam, kept)


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
    assert reading.members == pytest.approx((-1.0, -1.0, -1.0))
    assert (reading.egfr, reading.low, reading.high) == (0.0, 0.0, 15.0)
    assert reading.category_range == "G4-G5"


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
    assert interval(BANDS, predicted) == pytest.approx(ends)


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
