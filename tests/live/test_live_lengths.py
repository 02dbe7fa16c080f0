"""The kidney's length by ruler, file, result text and the operator: shown with its basis, and never two that differ."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_app.imaging.scene import PrintedLength, Quality, Scale, Scene
from edge_app.live import pipeline as pipeline_module
from edge_app.live.lengths import require_agreement
from edge_app.live.messages import Poles
from edge_app.live.pipeline import Pipeline, PipelineSettings
from edge_app.live.refusals import Refused
from edge_app.live.report import FrameReport

from .live_makers import frame, scene
from .test_live_pipeline import FakeReader, ScriptedObserver

PX = 200.0  # between the markers of ``scene``: 10 cm by its ruler


@pytest.fixture(autouse=True)
def good_quality(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_module, "assess", lambda *arguments: Quality({"mean": 90.0}, (), "diagnostic"))


def printed(length_cm: float) -> PrintedLength:
    return PrintedLength(length_cm, f"1 L {length_cm} cm", 0.98)


def line(*seen: Scene) -> Pipeline:
    return Pipeline(FakeReader(), PipelineSettings(stills=True), ScriptedObserver(seen))


def report(seen: Scene, typed_cm: float | None = None) -> FrameReport:
    pipeline = line(seen)
    pipeline.set_length(typed_cm)
    return pipeline.process(frame()).report


@pytest.mark.parametrize("basis", ["ruler", "dicom"])
@pytest.mark.parametrize("said", [None, 10.0, 9.84, 10.2])
def test_lengths_that_agree_give_a_number_and_name_what_they_rest_on(basis: str, said: float | None) -> None:
    seen = scene(scale=Scale(PX / 10, basis, 0.9), printed=None if said is None else printed(said))  # type: ignore[arg-type]
    told = report(seen)
    assert told.refusal is None and told.crop is not None
    assert (told.crop.length_cm, told.crop.length_basis) == (10.0, basis)
    assert told.crop.lengths_cm == {basis: 10.0} | ({} if said is None else {"printed": said})
    assert told.scale_basis == basis


@pytest.mark.parametrize(
    "wrong, words",
    [
        ({"printed": printed(8.84)}, "10.0 cm by the depth ruler, 8.8 cm by the scanner's result"),
        ({"printed": printed(10.3)}, "10.0 cm by the depth ruler, 10.3 cm by the scanner's result"),
    ],
)
def test_lengths_that_disagree_give_both_values_and_no_number(wrong: dict[str, PrintedLength], words: str) -> None:
    told = report(scene(**wrong))
    assert told.refusal is not None and told.refusal.code == "scale_disagrees"
    assert words in told.refusal.reason and told.reading is None


def test_a_typed_length_is_checked_against_the_ruler() -> None:
    assert report(scene(), 10.1).refusal is None
    told = report(scene(), 11.4)
    assert told.refusal is not None and "11.4 cm by the typed length" in told.refusal.reason
    assert report(scene(), None).refusal is None


def test_without_a_ruler_the_typed_length_is_the_length() -> None:
    told = report(scene(scale=None), 10.6)
    assert told.refusal is None and told.crop is not None
    assert (told.crop.length_cm, told.crop.length_basis) == (10.6, "operator")
    assert (told.scale_basis, told.px_per_cm) == ("operator", pytest.approx(PX / 10.6))
    implausible = report(scene(scale=None), 4.0)
    assert implausible.refusal is not None and implausible.refusal.code == "length_implausible"


def test_a_typed_length_ends_with_its_markers() -> None:
    seen = scene()
    (pair,) = seen.calipers
    other = replace(pair, second=(pair.second[0] - 30, pair.second[1]))
    pipeline = line(seen, replace(seen, calipers=(other,)), seen)
    pipeline.set_length(10.0)
    lengths = [pipeline.process(frame()).report.crop for _ in range(3)]
    assert [crop is not None and "operator" in crop.lengths_cm for crop in lengths] == [True, False, False]


def test_a_printed_length_says_nothing_of_the_operators_own_poles() -> None:
    pipeline = line(scene(printed=printed(10.0)))
    pipeline.set_poles(Poles(x1=100, y1=150, x2=250, y2=150))
    told = pipeline.process(frame()).report
    assert told.refusal is None and told.crop is not None
    assert told.crop.lengths_cm == {"ruler": 7.5}


def test_a_printed_length_is_the_scale_where_there_is_no_ruler() -> None:
    seen = scene(scale=Scale(PX / 10.4, "printed", 0.9), printed=printed(10.4))
    assert report(seen).crop is not None
    pipeline = line(seen)
    pipeline.set_poles(Poles(x1=100, y1=150, x2=250, y2=150))
    crop = pipeline.process(frame()).report.crop
    assert crop is not None and crop.lengths_cm == {"printed": 7.8}


@pytest.mark.parametrize(
    "mode, code",
    [
        ("colour-doppler", "mode_doppler"),
        ("spectral-doppler", "mode_doppler"),
        ("m-mode", "mode_doppler"),
        ("contrast", "mode_contrast"),
        ("dual", "mode_dual"),
        ("other-organ", "mode_other_organ"),
    ],
)
def test_what_is_no_grey_kidney_image_is_refused_before_the_model_is_asked(mode: str, code: str) -> None:
    reader = FakeReader()
    seen = ScriptedObserver([scene(modes=frozenset({mode}))])
    told = Pipeline(reader, PipelineSettings(stills=True), seen).process(frame()).report
    assert told.refusal is not None and told.refusal.code == code
    assert reader.crops == [] and told.modes == (mode,)


@given(st.floats(5, 16), st.floats(-3, 3))
def test_two_lengths_agree_within_2_mm_or_2_percent_and_not_beyond(length_cm: float, away_cm: float) -> None:
    limit = max(0.2, 0.02 * max(length_cm, length_cm + away_cm))
    try:
        require_agreement({"ruler": length_cm, "printed": length_cm + away_cm})
        assert abs(away_cm) <= limit + 1e-6
    except Refused:
        assert abs(away_cm) > limit - 1e-6
