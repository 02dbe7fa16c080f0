"""The bedside path whole: phantom, worker, shipped model, window's side; nothing in it is made up."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from edge_app.analyze import AnalyzePlan, analyze
from edge_app.live.messages import ClearPoles, Message, Poles, Report, SetLength, SetPoles, Started, WorkerPlan
from edge_app.live.report import FrameReport, ProbabilityReport, RegressionReport
from edge_app.live.supervisor import Supervisor
from engines.preprocess import CropBox, extract

PHANTOM = "phantom:seed=3,egfr=50,size=960x720,fps=10,cycle=0.5/0.5/8"


def wait(supervisor: Supervisor, heard: list[Message], timeout_s: float = 30.0) -> Report:
    """Poll until a frame has been read; its report."""
    end_s = time.monotonic() + timeout_s
    while time.monotonic() < end_s:
        fresh = supervisor.poll()
        heard += fresh
        for message in fresh:
            if isinstance(message, Report) and message.crop_rgb is not None:
                return message
        time.sleep(0.02)
    raise AssertionError([message for message in heard if not isinstance(message, Report)])


def test_a_frozen_and_measured_kidney_gets_a_number_and_shows_the_crop_it_came_from() -> None:
    supervisor = Supervisor(WorkerPlan(source=PHANTOM))
    heard: list[Message] = []
    supervisor.start()
    try:
        message = wait(supervisor, heard)
        view = supervisor.frame(message.report.frame) or supervisor.newest_frame()
        assert view is not None
        pixels, intact = view.pixels.copy(), view.intact
        del view
    finally:
        supervisor.close()
    started = next(message for message in heard if isinstance(message, Started))
    assert started.model is not None
    assert started.model.synthetic
    assert any("self-test passed" in line for line in started.model.selection)
    report = message.report
    assert report.reading is not None
    assert report.readout is not None
    assert report.reading.synthetic
    main, second = report.reading.values
    assert isinstance(main, RegressionReport) and isinstance(second, ProbabilityReport)
    assert (main.quantity, second.quantity) == ("egfr", "egfr_below_60")
    assert main.low is not None and main.high is not None
    assert main.low <= main.value <= main.high
    assert main.map is not None
    assert [head.name for head in started.model.heads] == [main.head, second.head]
    assert report.crop is not None
    assert message.crop_rgb is not None
    assert message.crop_size == (224, 224)
    crop = np.frombuffer(message.crop_rgb, np.uint8).reshape(224, 224, 3)
    box = CropBox(report.crop.x0, report.crop.y0, report.crop.x1, report.crop.y1, "square")
    assert intact
    difference = np.abs(extract(pixels, box, 224, 224).astype(np.int16) - crop)
    assert float(difference.mean()) < 2.0, "cut from the picture on screen"


def test_handles_on_a_moving_picture_give_numbers_and_clearing_them_takes_them_away() -> None:
    supervisor = Supervisor(
        WorkerPlan(source="phantom:seed=3,size=960x720,fps=10,cycle=live", allow_out_of_domain=True)
    )
    heard: list[Message] = []
    supervisor.start()
    try:
        generation = supervisor.send(SetPoles(poles=Poles(x1=330, y1=330, x2=600, y2=330)))
        report = wait(supervisor, heard).report
        assert report.generation == generation
        assert report.state == "LIVE"
        assert report.crop is not None
        assert report.crop.basis == "poles"
        cleared = supervisor.send(ClearPoles())
        end_s = time.monotonic() + 10.0
        later: list[Report] = []
        while not later and time.monotonic() < end_s:
            later = [message for message in supervisor.poll() if isinstance(message, Report)]
            time.sleep(0.02)
        assert later[0].report.generation == cleared
        assert later[0].report.readout is None
        assert later[0].report.refusal is not None
        assert later[0].report.refusal.code == "no_calipers"
    finally:
        supervisor.close()


def test_the_printed_length_is_read_beside_the_picture_and_a_wrong_typed_one_takes_the_number_away() -> None:
    supervisor = Supervisor(WorkerPlan(source=PHANTOM))

    def first(wanted: Callable[[FrameReport], bool], typed: SetLength | None = None) -> FrameReport:
        end_s = time.monotonic() + 40.0
        next_s = 0.0
        while time.monotonic() < end_s:
            if typed is not None and time.monotonic() >= next_s:  # it is of the markers on the screen: type it again
                supervisor.send(typed)
                next_s = time.monotonic() + 2.0
            for message in supervisor.poll():
                if isinstance(message, Report) and wanted(message.report):
                    return message.report
            time.sleep(0.02)
        raise AssertionError("no such report came")

    supervisor.start()
    try:
        agreeing = first(lambda told: told.crop is not None and "printed" in told.crop.lengths_cm)
        assert agreeing.crop is not None and agreeing.crop.length_basis == "ruler"
        assert abs(agreeing.crop.lengths_cm["printed"] - agreeing.crop.lengths_cm["ruler"]) < 0.1
        typed = SetLength(length_cm=agreeing.crop.lengths_cm["ruler"] + 1.0)
        refused = first(lambda told: told.refusal is not None and told.refusal.code == "scale_disagrees", typed)
        assert refused.refusal is not None and "by the typed length" in refused.refusal.reason
        supervisor.send(SetLength(length_cm=None))
        first(lambda told: told.refusal is None and told.readout is not None)
    finally:
        supervisor.close()


def test_the_stand_in_abstains_on_a_patient_and_its_numbers_are_marked_if_allowed(shared_data: Path) -> None:
    clip = str(shared_data / "clips" / "philips_ruq_convex_gallbladder.mp4")
    plan = AnalyzePlan(clip, poles=Poles(x1=300, y1=200, x2=480, y2=260), max_frames=12)
    refused = analyze(plan)
    assert refused.readings == 0
    assert refused.refusals["out_of_domain"] > 0
    shown = analyze(replace(plan, allow_out_of_domain=True))
    assert shown.readings_out_of_domain == shown.readings > 0


def test_a_probe_in_air_is_refused_before_the_model_is_asked(shared_data: Path) -> None:
    still = str(shared_data / "dicom" / "siemens_s2000_6c1_renal.dcm")
    result = analyze(AnalyzePlan(still, poles=Poles(x1=400, y1=350, x2=700, y2=380), allow_out_of_domain=True))
    assert (result.frames, result.readings) == (1, 0)
    assert next(iter(result.refusals)).startswith("quality_")
