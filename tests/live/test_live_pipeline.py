"""The pipeline: one frame in, one report out, and for every frame without a number the reason."""

from __future__ import annotations

import json
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edge_app.imaging.scene import CaliperPair, Quality, QualityFault, Scale, Scene, Tears
from edge_app.live import pipeline as pipeline_module
from edge_app.live import reports
from edge_app.live.messages import Poles
from edge_app.live.pipeline import Outcome, Pipeline, PipelineSettings
from edge_app.live.refusals import REASONS, explain_code
from edge_app.live.report import FrameReport
from engines.errors import InferenceError
from engines.manifest import InputSpec
from engines.preprocess import crop_box, extract

from .live_makers import FIRST, SECOND, echoes, frame, main_of, reading, reading_of, scene, shift

GOOD = Quality({"mean": 90.0}, (), "diagnostic")
KEYS = {"frame", "t_ms", "state", "sector", "calipers", "px_per_cm", "crop", "quality", "refusal", "reading"}


class ScriptedObserver:
    """Sees what the test says, scene by scene; the last one for ever."""

    def __init__(self, scenes: Iterable[Scene]) -> None:
        self._scenes = list(scenes)
        self.timings_ms = {"sector": 1.0, "calipers": 2.0, "ruler": 0.5}

    def observe(self, frame: object) -> Scene:
        return self._scenes.pop(0) if len(self._scenes) > 1 else self._scenes[0]


class FakeReader:
    """Answers what the test says and counts how often it was asked."""

    def __init__(self, answer: Any = None, synthetic: bool = True) -> None:
        spec = InputSpec(name="crop", height=224, width=224, crop_mode="square")
        self.manifest: Any = SimpleNamespace(input=spec, synthetic=synthetic, domain=SimpleNamespace(limit=1.0))
        self.answer = reading() if answer is None else answer
        self.crops: list[np.ndarray] = []

    def read(self, crop: np.ndarray) -> Any:
        self.crops.append(crop)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture(autouse=True)
def good_quality(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_module, "assess", lambda *arguments: GOOD)


def run(seen: Scene | list[Scene], reader: FakeReader | None, settings: PipelineSettings | None = None) -> Outcome:
    return made(seen, reader, settings).process(frame())


def made(seen: Scene | list[Scene], reader: FakeReader | None, settings: PipelineSettings | None = None) -> Pipeline:
    """A pipeline that does not wait for calipers to rest, unless told to."""
    scenes = seen if isinstance(seen, list) else [seen]
    return Pipeline(reader, settings or PipelineSettings(stills=True), ScriptedObserver(scenes))


def refusal(outcome: Outcome) -> str:
    report = outcome.report
    assert report.refusal is not None
    assert report.reading is None
    assert report.readout is None
    assert len(report.refusal.reason) > 20
    assert "{" not in report.refusal.reason
    return report.refusal.code


def test_a_measured_kidney_gets_a_number_of_its_own_frame() -> None:
    reader = FakeReader(reading(47.0))
    outcome = run(scene(), reader)
    report = outcome.report
    assert report.refusal is None
    assert report.reading is not None
    assert report.readout is not None
    assert (main_of(report.reading).value, main_of(report.readout).value, report.readout.frame) == (47.0, 47.0, 0)
    assert report.state == "FROZEN"
    assert report.crop is not None
    assert report.crop.length_cm == pytest.approx(10.0)
    assert (report.crop.poles, report.crop.basis) == ((*FIRST, *SECOND), "calipers")


def test_the_crop_shown_is_the_crop_read_byte_for_byte() -> None:
    reader = FakeReader()
    outcome = run(scene(), reader)
    expected = extract(frame().pixels, crop_box(FIRST, SECOND, "square"), 224, 224)
    assert outcome.crop_rgb is not None
    assert np.array_equal(outcome.crop_rgb, reader.crops[0])
    assert np.array_equal(reader.crops[0], expected)


def test_the_report_has_every_stage_and_the_keys_of_a_record() -> None:
    report = run(scene(), FakeReader()).report
    stages = {"sector", "calipers", "ruler", "gate", "crop", "infer", "fuse", "total"}
    assert stages == set(report.timings_ms)
    record = json.loads(report.model_dump_json())
    assert set(record) >= KEYS
    assert record["sector"]["bbox"] == [20, 20, 380, 280]
    assert record["calipers"] == [[*FIRST, *SECOND]]


def test_a_report_gives_the_map_of_the_most_probable_grade_alone() -> None:
    maps = np.arange(12, dtype=np.float32).reshape(3, 2, 2)
    report = run(scene(), FakeReader(reading_of(echoes(0.2, 0.1, 0.7, map=maps)))).report
    assert report.reading is not None
    assert report.reading.values[0].map == ((8.0, 9.0), (10.0, 11.0))


def test_a_line_keeps_the_digits_that_matter_to_a_number_and_no_more() -> None:
    report = run(scene(), FakeReader(reading_of(shift(-1.23456789), echoes(0.123456, 0.4, 0.476544)))).report
    record = json.loads(reports.line(report))
    number, grades = record["reading"]["values"]
    assert number["value"] == -1.23457  # its smallest difference that matters is 0.01
    assert grades["p"] == [0.123, 0.4, 0.477]
    assert FrameReport.model_validate(record).reading is not None


NEAR = (CaliperPair((100.0, 150.0), (160.0, 150.0), "plus", 0.9),)  # 3 cm
TOUCHING = (CaliperPair((100.0, 150.0), (103.0, 150.0), "plus", 0.9),)
BESIDE = (CaliperPair((2.0, 2.0), SECOND, "plus", 0.9),)


@pytest.mark.parametrize(
    ("seen", "code"),
    [
        (scene(signal=False, sector=None), "no_signal"),
        (scene(sector=None), "no_sector"),
        (scene(tears=Tears("older part", 1)), "torn_frame"),
        (scene(tears=Tears("shifted band", 7, often=True)), "tearing"),
        (scene(tears=Tears(None, 7, often=True), frozen=False), "tearing"),
        (scene(calipers=()), "no_calipers"),
        (scene(calipers=(), frozen=False), "no_calipers"),
        (scene(calipers=BESIDE), "calipers_outside"),
        (scene(calipers=NEAR), "length_implausible"),
        (scene(scale=Scale(10.0, "ruler", 0.9)), "length_implausible"),
        (scene(calipers=TOUCHING, scale=None), "crop_impossible"),
        (scene(synthetic=False), "out_of_domain"),
    ],
)
def test_each_refusal_has_its_code(seen: Scene, code: str) -> None:
    reader = FakeReader()
    assert refusal(run(seen, reader)) == code
    assert reader.crops == [], "what is refused is never read"


def test_a_frozen_picture_is_read_though_the_moving_ones_came_torn() -> None:
    outcome = run(scene(tears=Tears(None, 7, often=True), frozen=True), FakeReader())
    assert outcome.report.reading is not None
    assert outcome.report.torn == 7


def test_a_lost_signal_is_the_state_lost() -> None:
    assert run(scene(signal=False, sector=None), FakeReader()).report.state == "LOST"


def test_a_trained_model_does_not_read_the_phantom() -> None:
    assert refusal(run(scene(synthetic=True), FakeReader(synthetic=False))) == "phantom_picture"


def test_a_trained_model_reads_a_patient() -> None:
    assert run(scene(synthetic=False), FakeReader(synthetic=False)).report.reading is not None


def test_without_a_model_everything_but_the_number_is_there() -> None:
    report = run(scene(), None).report
    assert report.refusal is not None
    assert report.refusal.code == "no_model"
    assert report.crop is not None
    assert report.quality is not None


def test_hard_quality_faults_refuse_and_soft_ones_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    hard, soft = QualityFault("dark", "too dark: raise gain", True), QualityFault("blur", "hold still", False)
    monkeypatch.setattr(pipeline_module, "assess", lambda *a: Quality({}, (soft, hard), "non-diagnostic"))
    outcome = run(scene(), FakeReader())
    assert refusal(outcome) == "quality_dark"
    assert outcome.report.refusal is not None
    assert "raise gain" in outcome.report.refusal.reason
    monkeypatch.setattr(pipeline_module, "assess", lambda *a: Quality({}, (soft,), "limited"))
    report = run(scene(), FakeReader()).report
    assert report.reading is not None
    assert report.quality is not None
    assert report.quality.faults == (("blur", "hold still"),)


def test_a_strange_picture_is_refused_unless_allowed_and_then_marked() -> None:
    strange = reading(in_domain=False, domain_distance=2.5)
    outcome = run(scene(), FakeReader(strange))
    assert refusal(outcome) == "out_of_domain"
    assert outcome.report.refusal is not None
    assert "2.50" in outcome.report.refusal.reason
    report = run(scene(), FakeReader(strange), PipelineSettings(allow_out_of_domain=True, stills=True)).report
    assert report.reading is not None
    assert report.readout is not None
    assert not report.reading.in_domain
    assert not report.readout.in_domain


def test_the_stand_in_reads_a_patient_only_when_allowed_and_then_marked() -> None:
    outcome = run(scene(synthetic=False), FakeReader())
    assert outcome.report.refusal is not None
    assert "synthetic stand-in" in outcome.report.refusal.reason
    allowed = PipelineSettings(allow_out_of_domain=True, stills=True)
    report = run(scene(synthetic=False), FakeReader(), allowed).report
    assert report.reading is not None
    assert not report.reading.in_domain, "however near the picture may seem"


def test_a_trained_model_never_reads_the_phantom_even_when_allowed() -> None:
    allowed = PipelineSettings(allow_out_of_domain=True, stills=True)
    assert refusal(run(scene(synthetic=True), FakeReader(synthetic=False), allowed)) == "phantom_picture"


def test_a_model_that_fails_is_a_refusal_and_the_next_frame_is_read() -> None:
    reader = FakeReader(InferenceError("The model gave no usable answer", "it is NaN", "convert again"))
    line = made(scene(), reader)
    assert refusal(line.process(frame())) == "model_failed"
    reader.answer = reading()
    assert line.process(frame(1)).report.reading is not None


def test_a_busy_model_is_said_and_the_number_stands() -> None:
    reader = FakeReader()
    line = made(scene(), reader)
    line.process(frame(0))
    report = line.process(frame(1, seed=2), infer=False).report
    assert report.refusal is not None
    assert report.refusal.code == "busy"
    assert report.readout is not None
    assert report.readout.frame == 0


def at(x: float) -> Scene:
    return scene(calipers=(CaliperPair(FIRST, (x, 150.0), "plus", 0.9),))


def test_markers_that_still_move_are_not_read() -> None:
    dragged = [at(200.0 + 10 * step) for step in range(10)]
    line = made([*dragged, scene()], FakeReader(), PipelineSettings())
    codes = []
    for index in range(30):
        report = line.process(frame(index)).report
        codes.append("read" if report.refusal is None else report.refusal.code)
    rest = codes.index("read")
    assert set(codes[:rest]) == {"calipers_moving"}
    assert 10 <= rest <= 10 + 9, "250 ms after they came to rest"
    assert set(codes[rest:]) == {"read"}


def test_markers_that_tremble_by_a_pixel_are_at_rest() -> None:
    line = made([at(300.0 + index % 2) for index in range(40)], FakeReader(), PipelineSettings())
    assert line.process(frame(0)).report.refusal is not None
    assert all(line.process(frame(index)).report.refusal is None for index in range(8, 40))


def test_handles_are_read_at_once() -> None:
    line = made(scene(calipers=()), FakeReader(), PipelineSettings())
    line.set_poles(Poles(x1=100, y1=150, x2=300, y2=150))
    assert line.process(frame(0)).report.reading is not None


def test_an_unchanged_picture_is_read_once() -> None:
    reader = FakeReader()
    line = made(scene(), reader)
    outcomes = [line.process(frame(index)) for index in range(50)]
    assert len(reader.crops) == 1
    assert [outcome.crop_rgb is not None for outcome in outcomes] == [True] + [False] * 49
    assert all(outcome.report.reading is not None for outcome in outcomes)
    assert outcomes[-1].report.state == "FROZEN"
    readout = outcomes[-1].report.readout
    assert readout is not None
    assert (readout.readings, readout.frame, readout.stale) == (1, 0, False)


def test_a_noisy_grabber_is_read_a_few_times_and_no_more() -> None:
    reader = FakeReader()
    line = made(scene(), reader)
    base = frame().pixels.astype(np.int16)
    for index in range(60):
        noise = np.random.default_rng(index).integers(-1, 2, base.shape)
        pixels = np.clip(base + noise, 0, 255).astype(np.uint8)
        report = line.process(type(frame())(index, index * 33.0, pixels)).report
    assert len(reader.crops) == pipeline_module.ENOUGH_READINGS
    assert report.refusal is None
    assert report.readout is not None
    assert (report.readout.readings, report.state) == (5, "FROZEN")


def test_a_new_picture_is_read_anew() -> None:
    reader = FakeReader()
    line = made(scene(), reader)
    line.process(frame(0))
    line.process(frame(1, seed=2))
    assert len(reader.crops) == 2


def test_the_operators_handles_win_over_calipers_until_cleared() -> None:
    reader = FakeReader()
    line = made(scene(), reader)
    line.set_poles(Poles(x1=120, y1=100, x2=280, y2=200))
    report = line.process(frame(0)).report
    assert report.crop is not None
    assert (report.crop.basis, report.crop.poles, report.generation) == ("poles", (120, 100, 280, 200), 1)
    line.set_poles(None)
    report = line.process(frame(1)).report
    assert report.crop is not None
    assert (report.crop.basis, report.generation) == ("calipers", 2)


def test_handles_work_where_no_calipers_are_seen() -> None:
    line = made(scene(calipers=(), frozen=False), FakeReader())
    line.set_poles(Poles(x1=100, y1=150, x2=300, y2=150))
    report = line.process(frame(0)).report
    assert report.reading is not None
    assert report.state == "LIVE"


def test_a_handle_beside_the_image_is_said() -> None:
    line = made(scene(), FakeReader())
    line.set_poles(Poles(x1=-50, y1=-50, x2=300, y2=150))
    assert refusal(line.process(frame(0))) == "poles_outside"


def test_new_handles_take_the_old_number_away() -> None:
    line = made(scene(), FakeReader())
    line.process(frame(0))
    line.set_poles(Poles(x1=0, y1=0, x2=1, y2=1))
    assert line.process(frame(1)).report.readout is None


def test_measures_that_are_no_numbers_do_not_reach_a_record(monkeypatch: pytest.MonkeyPatch) -> None:
    strange = Quality({"mean": float("nan"), "contrast": float("inf"), "dark": 0.1}, (), "diagnostic")
    monkeypatch.setattr(pipeline_module, "assess", lambda *a: strange)
    report = run(scene(), FakeReader()).report
    assert report.quality is not None
    assert report.quality.measures == {"dark": 0.1}


def test_every_reason_tells_what_to_do() -> None:
    for code, reason in REASONS.items():
        assert reason.endswith("."), code
        assert "{" not in explain_code(code)
