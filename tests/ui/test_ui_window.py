"""The window on a worker that says exactly what a test wants: what the clinician then sees."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from pytestqt.qtbot import QtBot

from edge_app.live.messages import (
    ClearPoles,
    Counts,
    Ended,
    Failed,
    Lost,
    Opened,
    Poles,
    Recovered,
    Recovering,
    SetAgain,
    SetLength,
    SetPoles,
    SourceSummary,
)
from edge_app.live.refusals import REASONS
from edge_app.live.report import FrameReport, ProposalReport, RefusedMarkReport, TrackingReport
from edge_app.ui import theme, wording
from edge_app.ui._qt import QColor, QImage, QPointF, Qt
from edge_app.ui.main_window import MainWindow

conftest = sys.modules[next(name for name in sys.modules if name.endswith("ui.conftest"))]
Bench = conftest.Bench
report, refused, readout, reading = conftest.report, conftest.refused, conftest.readout, conftest.reading
egfr_value, below_60_value = conftest.egfr_value, conftest.below_60_value
FORBIDDEN = ("Stage 3", "stage 3", "CKD detected", "CKD stage", "normal kidney", "rules out", "rule out", "GFR = ")

OUTLINE_OF_RIGHT_HALF = ((580.0, 299.5), (680.0, 299.5), (680.0, 399.5), (580.0, 399.5))

NUMERIC = {
    "live": {},
    "frozen": {"state": "FROZEN"},
    "stale": {"state": "STALE", "readout": readout(stale=True, age_ms=3200.0)},
    "above": {"readout": readout(egfr_value(value=74.2, low=48.0, high=110.0, categories="G1-G3a"))},
    "disagree": {"readout": readout(heads_agree=False)},
    "out of domain": {"readout": readout(in_domain=False)},
    "between readings": {"reading": None},
}


def high(value: float) -> tuple[Any, ...]:
    return egfr_value(value=value, high=140.0), below_60_value()


def test_a_number_comes_with_all_that_it_may_not_be_read_without(bench: Any) -> None:
    text = bench.shown(report())
    for part in ("43", wording.UNIT, "28–64 (90 %)", "G2–G4", "P(eGFR < 60)  86 %", "7 readings", "frame 12", "s old"):
        assert part in text
    for part in ("research use", "One time point", "3 months", "Confirm with serum creatinine"):
        assert part in text
    assert "too high in kidney failure" in bench.window.readout.limits.shown()


@pytest.mark.parametrize("name", NUMERIC)
def test_every_number_of_a_synthetic_model_is_marked(bench: Any, name: str) -> None:
    text = bench.shown(report(**NUMERIC[name]))
    assert bench.window.readout.number_is_shown
    assert "SYNTHETIC" in text
    strip = bench.window.readout.synthetic
    assert strip.isVisible()
    assert _pixels_like(strip.grab().toImage(), QColor("#e3a53c")) > 200
    assert strip.width() > 0.8 * bench.window.readout.width()


def test_a_real_model_on_the_phantom_is_marked_by_its_picture(bench: Any) -> None:
    real = conftest.model(synthetic=False, bundle_id="kuo2019")
    text = bench.shown(conftest.started(model=real), report(reading=reading(synthetic=False)))
    assert wording.SYNTHETIC_PICTURE in text


def test_a_real_model_on_a_scanner_carries_no_synthetic_mark(bench: Any) -> None:
    source = conftest.started().source.model_copy(update={"uri": "v4l2:/dev/video0"})
    real = conftest.started(model=conftest.model(synthetic=False), source=source)
    assert "SYNTHETIC" not in bench.shown(real, report(reading=reading(synthetic=False)))


def test_a_refusal_stands_large_in_place_of_the_number(bench: Any) -> None:
    bench.turn(report())
    text = bench.shown(refused())
    assert "No number" in text
    assert "freeze and measure the kidney length pole to pole." in text
    assert not bench.window.readout.number_is_shown
    assert "43" not in text
    notice = bench.window.readout.notice.text
    assert notice.font().pixelSize() >= 1.2 * bench.window.readout.number.basis.font().pixelSize()


def test_under_a_refusal_the_former_number_is_small_and_dated(bench: Any) -> None:
    text = bench.shown(refused(readout=readout(stale=True, age_ms=4100.0)))
    assert "STALE value: 43, 28–64 (90 %), frame 12, 4 s old" in text
    assert not bench.window.readout.number_is_shown


def test_a_model_that_is_busy_does_not_take_back_its_last_number(bench: Any) -> None:
    bench.turn(report(reading=None, refusal={"code": "busy", "reason": "The model is still reading."}))
    assert bench.window.readout.number_is_shown


def test_a_stale_number_is_greyed_and_says_so(bench: Any) -> None:
    bench.turn(report())
    fresh = bench.window.readout.number.headline.grab().toImage()
    text = bench.shown(report(state="STALE", readout=readout(stale=True, age_ms=3200.0)))
    assert "STALE 3 s" in text
    assert _brightest(bench.window.readout.number.headline.grab().toImage()) < 0.65 * _brightest(fresh)


def test_a_number_that_nobody_confirms_goes_stale_by_the_windows_own_clock(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.turn(report())
    later_ms = bench.window.bridge.now_ms + 1500.0
    monkeypatch.setattr(type(bench.window.bridge), "now_ms", property(lambda _: later_ms))
    bench.window.bridge.time_passed.emit()
    assert "STALE 2 s" in bench.text()
    assert bench.window.panel.badge == "WAITING"  # nobody says any more whether the picture moves


@pytest.mark.parametrize(
    ("change", "caution"),
    [
        ({"heads_agree": False}, "Heads disagree: inconclusive."),
        ({"note": "Read on this machine: the server is away."}, "Read on this machine: the server is away."),
    ],
)
def test_doubts_stand_beside_the_number(bench: Any, change: dict[str, Any], caution: str) -> None:
    assert f"! {caution}" in bench.shown(report(readout=readout(**change)))


def test_the_status_strip_names_what_gave_the_last_reading(bench: Any) -> None:
    identity = bench.window.status.identity
    bench.shown(report(reading=reading(runtime="triton")))
    assert "triton fp32" in identity.toolTip()
    bench.shown(report(reading=reading(runtime="onnxruntime")))
    assert "onnxruntime fp32" in identity.toolTip() and "triton" not in identity.toolTip()


def test_the_status_strip_and_the_help_say_that_a_fallback_reads(bench: Any) -> None:
    note = "Read by onnxruntime at fp32, with consent: the engine of tensorrt at fp16 failed."
    summary = conftest.model(note=note, selection=("onnxruntime fp32: the reference precision", note))
    bench.turn(conftest.started(model=summary))
    assert "onnxruntime fp32 (a fallback, with consent)" in bench.window.status.identity.toolTip()
    bench.window.toggle_help()
    assert note in bench.window.help.text.widget().text()


def test_a_number_out_of_domain_cannot_be_taken_for_one_within(bench: Any) -> None:
    bench.turn(report())
    outside = bench.window.readout.outside
    assert not outside.isVisible()
    size = bench.window.readout.number.headline.font().pixelSize()
    bench.turn(report(readout=readout(in_domain=False)))
    headline = bench.window.readout.number.headline
    assert headline.text() == "43?"
    assert headline.font().pixelSize() < 0.8 * size
    assert outside.isVisible() and outside.text == wording.OUT_OF_DOMAIN
    assert _pixels_like(outside.grab().toImage(), QColor(theme.LOST)) > 200
    assert bench.window.trend.title() == "eGFR estimate, SYNTHETIC, out of domain"
    assert "out of domain" in bench.shown(refused(readout=readout(in_domain=False, stale=True, age_ms=4100.0)))
    assert not outside.isVisible()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "Kidney length 10.7 cm (calipers)"),
        ({"basis": "poles", "length_cm": 9.16}, "Kidney length 9.2 cm (handles)"),
        ({"length_cm": None}, "Length unknown: no depth scale (calipers)"),
        ({"lengths_cm": {"ruler": 10.7}}, "Kidney length 10.7 cm (ruler)"),
        ({"lengths_cm": {"ruler": 10.7, "printed": 10.71}}, "Kidney length 10.7 cm (ruler = result)"),
        ({"length_cm": 10.7, "lengths_cm": {"operator": 10.7}}, "Kidney length 10.7 cm (typed)"),
        ({"length_cm": 7.2}, "Kidney length 7.2 cm (calipers), usual 8–13.5"),
        ({"length_cm": 14.1}, "Kidney length 14.1 cm (calipers), usual 8–13.5"),
    ],
)
def test_the_kidney_length_stands_beside_the_number_with_its_basis(
    bench: Any, change: dict[str, Any], said: str
) -> None:
    crop = report().crop
    assert crop is not None
    assert said in bench.shown(report(crop=crop.model_copy(update=change)))


@pytest.mark.parametrize(("frozen", "badge"), [(False, "LIVE"), (True, "FROZEN")])
def test_the_badge_speaks_of_the_picture_and_a_second_one_of_the_old_value(
    bench: Any, frozen: bool, badge: str
) -> None:
    bench.turn(report())
    plain = bench.window.live.grab().toImage()
    bench.turn(refused(state="STALE", frozen=frozen, readout=readout(stale=True, age_ms=6200.0)))
    assert bench.window.panel.badge == badge
    assert (bench.window.panel.stale, bench.window.panel.age) == (True, "6 s")
    strip = round(bench.window.live.strip_px())
    row = [bench.window.live.grab().toImage().pixelColor(x, strip // 2).value() for x in range(200, 420)]
    before = [plain.pixelColor(x, strip // 2).value() for x in range(200, 420)]
    assert sum(value > 200 for value in row) > sum(value > 200 for value in before) + 10


def test_markers_that_are_still_being_set_leave_no_old_overlay_behind(bench: Any) -> None:
    crop_edge = [(330.0 + i, 549.5) for i in range(60)]
    moving = {"state": "FROZEN", "reading": None, "readout": None}
    bench.turn(report(**moving, refusal={"code": "calipers_moving", "reason": "Still moving."}))
    assert _brightest_at(bench, crop_edge) > 150
    bench.worker.put_frame(20, 650.0)
    bench.turn()
    assert _brightest_at(bench, crop_edge) < 90


def test_above_sixty_the_value_steps_back(bench: Any) -> None:
    text = bench.shown(report(readout=readout(egfr_value(value=74.2, low=48.0, high=110.0))))
    number = bench.window.readout.number
    assert number.headline.text() == "≥60"
    assert "estimate 74" in text
    assert number.beside.font().pixelSize() < number.headline.font().pixelSize() / 2


def test_no_number_without_a_frame(qtbot: QtBot) -> None:
    worker = conftest.FakeWorker()
    window = MainWindow(worker)
    qtbot.addWidget(window)
    window.show()
    bench = Bench(window, worker)
    text = bench.shown(conftest.started(), report())
    assert not window.readout.number_is_shown
    assert "43" not in text
    worker.put_frame()
    bench.turn()
    assert window.readout.number_is_shown


@pytest.mark.parametrize("cause", ["worker_died", "worker_silent", "no_frames"])
def test_lost_takes_the_number_away_and_says_why(bench: Any, cause: Any) -> None:
    bench.turn(report())
    text = bench.shown(Lost(cause=cause, reason="the scanner worker has stopped; it is being restarted"))
    assert "LOST" in text
    assert "The scanner worker has stopped; it is being restarted." in text
    assert not bench.window.readout.number_is_shown
    assert bench.window.panel.badge == "LOST"
    bench.turn(report())  # a report that was still under way revives nothing
    assert not bench.window.readout.number_is_shown


def test_after_a_loss_the_window_is_live_again_by_itself(bench: Any) -> None:
    bench.turn(Lost(cause="worker_died", reason="gone"))
    bench.turn(conftest.started(), report())
    assert bench.window.readout.number_is_shown
    bench.turn(Lost(cause="no_frames", reason="gone"), Recovered(after_ms=300.0), report())
    assert bench.window.panel.badge == "LIVE"


def test_what_is_tried_again_is_said_with_its_count_and_its_time(bench: Any) -> None:
    bench.turn(report())
    reason = "The grabber gives no picture, because it was unplugged: plug it in."
    bench.turn(Lost(cause="source_down", reason=reason))
    text = bench.shown(Recovering(attempt=3, wait_s=2.0, reason=reason))
    assert bench.window.panel.badge == "RECOVERING"
    assert "plug it in. Trying again in 2 s (attempt 3)." in text
    bench.window.situation = replace(bench.window.situation, recovering_at_ms=-5000.0)
    bench.window.bridge.time_passed.emit()
    assert "Trying again (attempt 3) …" in bench.shown()
    assert not bench.window.readout.number_is_shown
    bench.turn(Recovered(after_ms=2500.0), report())
    assert bench.window.panel.badge == "LIVE"


def test_another_source_after_a_loss_is_named(bench: Any) -> None:
    bench.turn(Opened(source=SourceSummary(uri="v4l2:0", title="Grabber 2", live=True, fps=25.0, size=(64, 48))))
    assert "Grabber 2" in bench.window.status.identity.toolTip()


@pytest.mark.parametrize(("for_ms", "said"), [(20_000.0, False), (70_000.0, True)])
def test_a_live_picture_without_a_moving_clock_is_doubted(bench: Any, for_ms: float, said: bool) -> None:
    live = conftest.started().source.model_copy(update={"live": True})
    bench.turn(Opened(source=live))
    text = bench.shown(report(frozen=True, repeated_ms=for_ms))
    assert ("The very same picture for 70 s" in text) == said
    assert bench.window.readout.number_is_shown


def test_a_model_that_does_not_open_leaves_the_picture_and_says_what_to_do(bench: Any) -> None:
    sentence = "The bundle cannot be opened, because it was changed: install it again."
    text = bench.shown(
        Failed(scope="model", sentence=sentence), conftest.started(model=None), refused("no_model", "No.")
    )
    assert sentence in text
    assert "No model" in text


def test_a_source_that_fails_stops_with_its_sentence(bench: Any) -> None:
    text = bench.shown(Failed(scope="source", sentence="The file cannot be read, because it is empty: choose another."))
    assert "Stopped" in text and "choose another." in text
    assert _at(bench, (480.0, 600.0)).value() < 40  # the picture that is left is veiled


def test_the_last_number_of_an_ended_recording_stays(bench: Any) -> None:
    bench.turn(report(state="FROZEN"), Ended(frames=13))
    assert bench.window.panel.badge == "ENDED"
    assert bench.window.readout.number_is_shown


def test_no_text_ever_claims_what_the_app_cannot_know(bench: Any) -> None:
    said = [bench.shown(report(**change)) for change in NUMERIC.values()]
    said += [bench.shown(refused()), bench.shown(Lost(cause="worker_died", reason="gone"))]
    bench.window.toggle_help()
    said.append(
        "\n".join(label.text() for label in bench.window.help.findChildren(type(bench.window.readout.cautions)))
    )
    for text in said:
        for claim in FORBIDDEN:
            assert claim not in text
        assert not re.search(r"\bstage\b", text, re.IGNORECASE)


# -- the typed length -----------------------------------------------------------------------------------


def test_the_length_on_the_scanner_is_typed_with_two_keys_and_goes_to_the_worker(bench: Any, qtbot: QtBot) -> None:
    bench.turn(report())
    qtbot.keyClick(bench.window, Qt.Key.Key_L)
    entry = bench.window.length
    assert entry.isVisible() and entry.field.isVisible()
    for typed, said in (("10,4", 10.4), ("10.4", 10.4), ("", None)):
        entry.ask(report().crop)
        entry.field.setText("")
        qtbot.keyClicks(entry.field, typed)
        qtbot.keyClick(entry.field, Qt.Key.Key_Return)
        assert bench.worker.sent[-1] == SetLength(length_cm=said)
        assert not entry.isVisible()
    assert bench.window.readout.number_is_shown  # nothing was taken back: the crop is the same


@pytest.mark.parametrize("wrong", ["104", "0", "-3", "abc", "1e9", "nan"])
def test_what_is_no_length_is_not_sent_and_the_field_stays(bench: Any, qtbot: QtBot, wrong: str) -> None:
    bench.turn(report())
    bench.window.type_length()
    bench.window.length.field.setText(wrong)
    qtbot.keyClick(bench.window.length.field, Qt.Key.Key_Return)
    assert bench.worker.sent == []
    assert "such as 10.4" in bench.window.length.question.text() and bench.window.length.isVisible()
    qtbot.keyClick(bench.window, Qt.Key.Key_Escape)
    assert not bench.window.length.isVisible()
    assert bench.worker.sent == []  # the handles were left alone


def test_a_typed_length_is_offered_again_and_without_markers_there_is_none_to_type(bench: Any) -> None:
    crop = report().crop
    assert crop is not None
    bench.turn(report(crop=crop.model_copy(update={"lengths_cm": {"operator": 10.4}})))
    bench.window.type_length()
    assert bench.window.length.field.text() == "10.4"
    bench.window.length.leave()
    bench.turn(refused(crop=None))
    bench.window.type_length()
    assert not bench.window.length.field.isVisible()
    assert "Mark the kidney first" in bench.window.length.question.text()


@pytest.mark.parametrize("size", [(960, 560), (1280, 800), (1920, 1080)])
def test_the_entry_lies_inside_the_window_and_shows_its_question_whole(bench: Any, size: tuple[int, int]) -> None:
    bench.window.resize(*size)
    bench.turn(report())
    bench.window.type_length()
    entry = bench.window.length
    assert bench.window.rect().contains(entry.geometry())
    assert entry.question.sizeHint().width() <= entry.question.width() + 1


# -- handles --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(960, 560), (1024, 600), (1280, 800), (1920, 1080)])
def test_two_taps_send_the_poles_in_frame_pixels_at_any_window_size(
    bench: Any, qtbot: QtBot, size: tuple[int, int]
) -> None:
    bench.window.resize(*size)
    bench.turn(refused())
    qtbot.keyClick(bench.window, Qt.Key.Key_P)
    _drag(bench, qtbot, (300.0, 300.0), (310.0, 320.0))
    assert bench.worker.sent == []  # one pole is no length
    _drag(bench, qtbot, (640.0, 430.0), (640.0, 430.0))
    (sent,) = bench.worker.sent
    assert isinstance(sent, SetPoles)
    tolerance = 1.0 / bench.window.live.letterbox().scale  # a mouse moves by whole widget pixels
    got = (sent.poles.x1, sent.poles.y1, sent.poles.x2, sent.poles.y2)
    assert got == pytest.approx((310, 320, 640, 430), abs=tolerance)


def test_a_placed_handle_is_dragged_from_within_a_large_radius_only(bench: Any, qtbot: QtBot) -> None:
    bench.turn(report())
    bench.window.live.place_handles()
    qtbot.keyClick(bench.window.live, Qt.Key.Key_Return)
    assert len(bench.worker.sent) == 1
    assert bench.worker.sent[0].poles.x1 == 333.0  # offered at the calipers
    scale = bench.window.live.letterbox().scale
    _drag(bench, qtbot, (333 + 30 / scale, 369.0), (400.0, 380.0))
    assert bench.worker.sent[-1].poles.x1 == pytest.approx(400, abs=1 / scale)
    _drag(bench, qtbot, (480.0, 600.0), (500.0, 600.0))
    assert len(bench.worker.sent) == 2


def test_a_handle_cannot_be_dragged_out_of_the_picture(bench: Any, qtbot: QtBot) -> None:
    bench.turn(report())
    bench.window.live.place_handles()
    bench.window.live.accept_handles()
    _drag(bench, qtbot, (627.0, 431.0), (1500.0, -300.0))
    assert (bench.worker.sent[-1].poles.x2, bench.worker.sent[-1].poles.y2) == (959.0, 0.0)


def test_arrow_keys_nudge_by_one_pixel_and_with_shift_by_ten(bench: Any, qtbot: QtBot) -> None:
    bench.turn(report())
    live = bench.window.live
    live.place_handles()
    live.accept_handles()
    qtbot.keyClick(live, Qt.Key.Key_2)
    qtbot.keyClick(live, Qt.Key.Key_Right)
    qtbot.keyClick(live, Qt.Key.Key_Up, Qt.KeyboardModifier.ShiftModifier)
    assert (bench.worker.sent[-1].poles.x2, bench.worker.sent[-1].poles.y2) == (628.0, 421.0)
    assert (bench.worker.sent[-1].poles.x1, bench.worker.sent[-1].poles.y1) == (333.0, 369.0)


@pytest.mark.parametrize("key", [Qt.Key.Key_C, Qt.Key.Key_Escape])
def test_handles_are_cleared_by_a_key(bench: Any, qtbot: QtBot, key: Qt.Key) -> None:
    bench.turn(report())
    bench.window.live.place_handles()
    bench.window.live.accept_handles()
    qtbot.keyClick(bench.window, key)
    assert isinstance(bench.worker.sent[-1], ClearPoles)
    assert bench.window.live.handles is None


def tracked(state: str, *poles: float) -> FrameReport:
    return report(generation=1, tracking=TrackingReport(state=state, poles=poles, confidence=0.9))  # type: ignore[arg-type]


def test_handles_follow_the_kidney_and_the_operator_is_told(bench: Any) -> None:
    bench.turn(report())
    bench.window.live.place_handles()
    bench.window.live.accept_handles()
    bench.turn(tracked("following", 343, 372, 637, 434))
    assert (bench.window.live.handles.first, bench.window.live.handles.second) == ((343, 372), (637, 434))
    assert "following" in bench.window.live.strip().text
    bench.turn(tracked("held", 343, 372, 637, 434))
    assert "frozen" in bench.window.live.strip().text
    bench.turn(tracked("lost", 343, 372, 637, 434))
    assert bench.window.live.strip().text.startswith("LOST")
    assert len(bench.worker.sent) == 1  # to follow is no new placement


def test_a_handle_in_the_hand_is_not_pulled_away(bench: Any, qtbot: QtBot) -> None:
    bench.turn(report())
    bench.window.live.place_handles()
    bench.window.live.accept_handles()
    bench.window.live.setFocus()
    qtbot.keyPress(bench.window.live, Qt.Key.Key_Left)
    bench.turn(tracked("following", 343, 372, 637, 434))
    assert bench.window.live.handles.first == (332.0, 369.0)
    qtbot.keyRelease(bench.window.live, Qt.Key.Key_Left)
    assert bench.worker.sent[-1].poles.x1 == 332.0


PROPOSAL = ProposalReport(poles=(340.0, 370.0, 620.0, 430.0), confidence=0.9, localizer="test 1")


@pytest.mark.parametrize("key", [Qt.Key.Key_Return, Qt.Key.Key_Space])
def test_proposed_poles_are_said_to_be_proposed_and_taken_by_one_key(bench: Any, qtbot: QtBot, key: Qt.Key) -> None:
    bench.turn(report(calipers=(), crop=None, reading=None, readout=None, proposal=PROPOSAL))
    assert "PROPOSED, not measured" in bench.window.live.strip().text
    assert bench.worker.sent == []
    bench.window.live.setFocus()
    qtbot.keyClick(bench.window.live, key)
    assert bench.worker.sent[-1].poles == Poles(x1=340, y1=370, x2=620, y2=430, proposed=True, frame=12)
    assert bench.window.live.handles.complete
    bench.window.live._move(0, (350.0, 380.0))
    bench.window.live._announce()
    assert not bench.worker.sent[-1].poles.proposed  # now it is the operator's own


def test_a_touch_on_a_proposed_pole_takes_both_and_a_touch_elsewhere_does_not(bench: Any, qtbot: QtBot) -> None:
    bench.turn(report(calipers=(), crop=None, reading=None, readout=None, proposal=PROPOSAL))
    live = bench.window.live
    qtbot.mouseClick(live, Qt.MouseButton.LeftButton, pos=QPointF(*live.letterbox().to_widget((480, 600))).toPoint())
    assert live.handles is None
    qtbot.mouseClick(live, Qt.MouseButton.LeftButton, pos=QPointF(*live.letterbox().to_widget((342, 371))).toPoint())
    assert bench.worker.sent[-1].poles.proposed


def test_after_the_poles_moved_the_number_of_the_old_crop_is_gone(bench: Any) -> None:
    bench.turn(report())
    bench.window.live.place_handles()
    bench.window.live.accept_handles()
    assert not bench.window.readout.number_is_shown
    bench.turn(report(generation=0))
    assert not bench.window.readout.number_is_shown
    bench.turn(report(generation=1))
    assert bench.window.readout.number_is_shown


def test_handles_of_a_picture_of_another_size_are_taken_away(bench: Any) -> None:
    bench.turn(report())
    bench.window.live.place_handles()
    bench.window.live.accept_handles()
    bench.worker.put_frame(13, 433.0, size=(1280, 720))
    bench.turn()
    assert bench.window.live.handles is None
    assert isinstance(bench.worker.sent[-1], ClearPoles)


# -- picture --------------------------------------------------------------------------------------------


def test_the_picture_is_shown_as_it_is(bench: Any) -> None:
    bench.turn()
    assert _at(bench, (480.0, 600.0)) == QColor(72, 72, 72)
    assert _at(bench, (100.0, 650.0)) == QColor(6, 6, 6)


def test_the_overlay_is_gone_when_it_lags_behind_a_moving_picture(bench: Any) -> None:
    crop_edge = [(330.0 + i, 549.5) for i in range(60)]
    bench.turn(report())
    assert _brightest_at(bench, crop_edge) > 150
    bench.worker.put_frame(20, 650.0)
    bench.turn()
    assert _brightest_at(bench, crop_edge) < 90
    bench.turn(report(state="FROZEN"))  # it stands still: the overlay is still true
    assert _brightest_at(bench, crop_edge) > 150
    bench.worker.put_frame(60, 1500.0)
    bench.turn()
    assert _brightest_at(bench, crop_edge) < 90  # but not for ever


def test_a_saved_picture_shows_nothing_outside_the_sector(bench: Any, make: Callable[..., FrameReport]) -> None:
    from edge_app.ui.screenshot import grab_masked

    bench.turn(conftest.crop_message(make(crop=None)))
    x0, y0, x1, y1 = conftest.NAME_BOX
    name = [(float(x), float(y)) for x in range(x0, x1, 3) for y in range(y0, y1, 3)]
    assert _brightest_at(bench, name) > 200
    masked = grab_masked(bench.window).toImage()
    live = bench.window.live
    place, box = live.mapTo(bench.window, live.rect().topLeft()), live.letterbox()

    def saved(at: tuple[float, float]) -> QColor:
        x, y = box.to_widget(at)
        return masked.pixelColor(round(x + place.x()), round(y + place.y()))

    assert max(saved(at).value() for at in name) < 20
    assert saved((480.0, 600.0)) == QColor(72, 72, 72)
    assert not bench.window.live.masked


def test_a_saved_crop_shows_nothing_outside_the_sector(bench: Any) -> None:
    square = OUTLINE_OF_RIGHT_HALF
    sector = conftest.SectorReport(bbox=(580, 300, 680, 400), kind="convex", confidence=0.9, outline=square)
    crop = conftest.CropReport(
        x0=480.0,
        y0=300.0,
        x1=680.0,
        y1=400.0,
        mode="legacy_tight",
        poles=(480, 350, 680, 350),
        basis="calipers",
        length_cm=None,
    )
    white = conftest.Report(
        report=report(sector=sector, crop=crop), crop_rgb=b"\xff" * 3 * 224 * 224, crop_size=(224, 224)
    )
    bench.turn(white)
    inset = bench.window.inset
    inset.masked = True
    masked = inset.grab().toImage()
    inset.masked = False
    middle, side = masked.width() / 2, min(inset.width(), inset.height())
    y = side // 3
    left, right = (masked.pixelColor(round(middle + part * side), y).value() for part in (-0.1, 0.1))
    assert (left < 40, right > 240) == (True, True)
    assert inset.grab().toImage().pixelColor(round(middle - 0.1 * side), y).value() > 240


def test_without_a_sector_a_saved_picture_is_black(bench: Any) -> None:
    bench.turn(refused("no_sector", "No ultrasound image.", sector=None))
    live = bench.window.live
    live.masked = True
    picture, box = live.grab().toImage(), live.letterbox()
    places = [box.to_widget((x, y)) for x in range(0, 960, 20) for y in range(0, 720, 20)]
    assert max(picture.pixelColor(round(x), round(y)).value() for x, y in places) < 20


def test_the_map_is_shown_on_demand_with_its_caption(bench: Any, qtbot: QtBot) -> None:
    bench.turn(conftest.crop_message(report()))
    assert bench.window.inset.caption() == "as the network reads it, frame 12"
    before = bench.window.inset.grab().toImage()
    qtbot.keyClick(bench.window, Qt.Key.Key_M)
    assert bench.window.inset.caption() == wording.MAP_CAPTION
    assert bench.window.inset.grab().toImage() != before


def test_marks_that_were_not_taken_for_calipers_are_shown_on_demand(bench: Any, qtbot: QtBot) -> None:
    mark = RefusedMarkReport(x=300.0, y=600.0, size=16.0, reason="single")
    bench.turn(report(refused=(mark,)))
    middle = [(300.0 + i, 600.0 + i) for i in range(-4, 5)]
    assert _brightest_at(bench, middle) < 90
    qtbot.keyClick(bench.window, Qt.Key.Key_D)
    assert _brightest_at(bench, middle) > 150
    qtbot.keyClick(bench.window, Qt.Key.Key_D)
    assert _brightest_at(bench, middle) < 90


# -- window ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(960, 560), (1024, 600), (1280, 800), (1920, 1080)])
def test_targets_are_large_and_nothing_is_cut_off(bench: Any, size: tuple[int, int]) -> None:
    from edge_app.ui._qt import QLabel, QPushButton

    bench.window.resize(*size)
    bench.turn(report(readout=readout(*high(104.0), heads_agree=False, in_domain=False)))
    assert (bench.window.width(), bench.window.height()) == size
    for button in bench.window.findChildren(QPushButton):
        assert button.height() >= 56
        assert button.fontMetrics().horizontalAdvance(button.text()) < button.width()
    for label in bench.window.readout.findChildren(QLabel):
        if label.isVisible() and label is not bench.window.readout.number.headline:
            assert label.height() >= label.heightForWidth(label.width()) - 1 if label.wordWrap() else True
            assert label.width() >= (0 if label.wordWrap() else label.sizeHint().width()), label.text()
    headline = bench.window.readout.number.headline
    assert headline.fontMetrics().tightBoundingRect(headline.text()).width() <= headline.width()


@pytest.mark.parametrize("size", [(960, 560), (1024, 600), (1280, 800), (1920, 1080)])
@pytest.mark.parametrize("value", [43.0, 104.0])
@pytest.mark.parametrize("in_domain", [True, False])
def test_no_line_of_the_readout_covers_another(
    bench: Any, size: tuple[int, int], value: float, in_domain: bool
) -> None:
    bench.window.resize(*size)
    doubts = {"heads_agree": False, "in_domain": in_domain, "stale": True, "age_ms": 6200.0}
    quality = {"grade": "limited", "faults": (("dark", "the picture is dark: raise gain or TGC"),), "measures": {}}
    crop = report().crop.model_copy(update={"length_cm": None, "basis": "poles"})
    bench.turn(report(readout=readout(*high(value), **doubts), crop=crop, quality=quality))
    number = bench.window.readout.number
    lines = [number.interval, number.categories, number.ramp, number.others, number.length, number.basis]
    assert number.headline.geometry().bottom() < number.interval.geometry().top()
    assert all(one.geometry().bottom() < other.geometry().top() for one, other in pairwise(lines))
    assert number.rect().contains(number.basis.geometry())
    assert number.length.sizeHint().width() <= number.length.width()
    ink = number.headline.fontMetrics().tightBoundingRect(number.headline.text())
    assert ink.height() <= number.headline.height()


@pytest.mark.parametrize("size", [(960, 560), (1280, 800), (1920, 1080)])
@pytest.mark.parametrize("code", REASONS)
def test_every_refusal_can_be_read_to_its_end(bench: Any, size: tuple[int, int], code: str) -> None:
    bench.window.resize(*size)
    reason = REASONS[code].replace("{detail}", "the picture is too dark in the lower half: raise gain")
    for before in (None, readout(stale=True, age_ms=4100.0) if code != "busy" else None):
        bench.turn(refused(code, reason, readout=before))
        notice = bench.window.readout.notice
        for label in filter(lambda label: label.isVisible(), (notice.title, notice.text, notice.last)):
            assert label.height() >= label.heightForWidth(label.width())
            assert notice.rect().contains(label.geometry())


def test_help_lists_the_keys_and_says_what_made_the_numbers(bench: Any, qtbot: QtBot) -> None:
    from edge_app.ui.help_overlay import about

    qtbot.keyClick(bench.window, Qt.Key.Key_F1)
    assert bench.window.help.isVisible()
    text = about(bench.window.situation.model)
    for part in (
        "GPL-3.0-or-later",
        "onnxruntime",
        "tensorrt: not installed",
        "SYNTHETIC",
        "not for diagnosis",
        "signed by Ward 7",
    ):
        assert part in text
    qtbot.keyClick(bench.window, Qt.Key.Key_Escape)
    assert not bench.window.help.isVisible()


def test_while_help_is_open_arrow_keys_move_no_hidden_handle(bench: Any, qtbot: QtBot) -> None:
    bench.turn(report())
    bench.window.live.place_handles()
    bench.window.live.accept_handles()
    before = bench.window.live.handles
    bench.window.activateWindow()
    qtbot.keyClick(bench.window, Qt.Key.Key_F1)
    assert bench.window.focusWidget() is bench.window.help.text
    qtbot.keyClick(bench.window.focusWidget(), Qt.Key.Key_Down)
    assert bench.window.live.handles == before
    qtbot.keyClick(bench.window, Qt.Key.Key_F1)
    assert bench.window.focusWidget() is bench.window.live


def test_whatever_has_the_keyboard_shows_it(bench: Any) -> None:
    live, buttons = bench.window.live, bench.window._buttons
    bench.window.activateWindow()
    buttons[-1].setFocus()
    for target in (live, *buttons):
        before = target.grab().toImage()
        target.setFocus(Qt.FocusReason.TabFocusReason)
        assert target.hasFocus()
        assert target.grab().toImage() != before
        target.clearFocus()
    live.setFocus(Qt.FocusReason.MouseFocusReason)
    assert not live._tabbed


def test_closing_the_window_ends_the_worker_once_and_stops_asking(bench: Any, qtbot: QtBot) -> None:
    bench.window.start()
    assert bench.worker.started == 1
    bench.window.close()
    bench.window.close()
    assert bench.worker.closed == 1
    bench.worker.inbox.append(report())
    qtbot.wait(60)
    assert len(bench.worker.inbox) == 1


def test_the_status_line_says_what_runs_and_how_fast(bench: Any) -> None:
    for index in range(10, 14):
        bench.worker.put_frame(2 * index, 66.0 * index)
        bench.turn(report(frame=2 * index), Counts(captured=3 * index, skipped=index))
    bench.window.bridge.time_passed.emit()
    assert "synthetic-standin 0.1.0 SYNTHETIC, signed by Ward 7 on 2026-11-27" in bench.window.status.identity.toolTip()
    assert "onnxruntime fp32" in bench.window.status.identity.toolTip()
    figures = bench.window.status.figures.text()
    assert "sector 2" in bench.window.status.figures.toolTip() and "18 ms" in figures
    assert figures.endswith("13 not analysed, 10 dropped")  # 12 to 20 misses 7, then one between each of 20, 22, 24, 26


LONG_SOURCE = "Hochfrequenzultraschalluntersuchungsgerätebildschirmaufzeichnungskarte Nephrologie Zimmer 12, USB 3.0"
LONG_MODEL = "nierenfunktionsabschaetzungsmodell-universitaetsklinikum"


@pytest.mark.parametrize("size", [(1920, 1080), (1280, 720), (800, 480)])
def test_the_status_line_names_the_source_whatever_else_there_is_to_say(
    bench: Any, qapp: Any, size: tuple[int, int]
) -> None:
    source = conftest.started().source.model_copy(update={"title": LONG_SOURCE})
    bench.window.resize(*size)
    bench.turn(conftest.started(source=source, model=conftest.model(bundle_id=LONG_MODEL)))
    bench.turn(report(torn=12_345), Counts(captured=2_000_000, skipped=1_234_567))
    bench.window.bridge.time_passed.emit()
    qapp.processEvents()
    status = bench.window.status
    identity, figures = status.identity, status.figures
    assert (bench.window.width(), bench.window.height()) == size
    assert identity.text().startswith("Hochfre") and "USB 3.0" in identity.text()
    assert "SYNTHETIC" in identity.text()
    assert "torn" in figures.text()
    for label in (identity, figures):
        assert label.fontMetrics().horizontalAdvance(label.text()) <= label.width()
    for said in (LONG_SOURCE, LONG_MODEL, "signed by Ward 7", "1234567 not analysed", "12345 torn"):
        assert said in status.full.text()
    assert LONG_SOURCE in identity.toolTip() and "1234567" in figures.toolTip()


def test_a_key_shows_all_that_the_status_line_says_over_the_window(bench: Any, qtbot: QtBot) -> None:
    bench.turn(report())
    full, live = bench.window.status.full, bench.window.live.geometry()
    assert full.isHidden()
    qtbot.keyClick(bench.window, Qt.Key.Key_I)
    assert full.isVisible() and full.geometry().bottom() <= bench.window.status.geometry().top()
    assert bench.window.live.geometry() == live, "the picture stays where it is"
    qtbot.keyClick(bench.window, Qt.Key.Key_I)
    assert full.isHidden()


def test_handles_that_did_not_outlive_a_restart_are_taken_away_and_that_is_said(bench: Any) -> None:
    bench.turn(report())
    bench.window.live.place_handles()
    bench.window.live.accept_handles()
    bench.turn(SetAgain())
    assert bench.window.live.handles is not None
    bench.turn(SetAgain(lost=("handles", "length"), because="the kidney is not seen at the handles any more"))
    assert bench.window.live.handles is None
    said = bench.window.live.strip().text
    assert said.startswith("After the restart the kidney is not seen") and "the handles and the typed length" in said
    bench.window.live.place_handles()
    bench.window.live.accept_handles()
    assert "After the restart" not in bench.window.live.strip().text


def _drag(bench: Any, qtbot: QtBot, start: tuple[float, float], end: tuple[float, float]) -> None:
    live = bench.window.live
    box = live.letterbox()
    first, last = (QPointF(*box.to_widget(at)).toPoint() for at in (start, end))
    qtbot.mousePress(live, Qt.MouseButton.LeftButton, pos=first)
    qtbot.mouseMove(live, last)
    qtbot.mouseRelease(live, Qt.MouseButton.LeftButton, pos=last)


def _at(bench: Any, frame: tuple[float, float]) -> QColor:
    image = bench.window.live.grab().toImage()
    return image.pixelColor(*map(round, bench.window.live.letterbox().to_widget(frame)))


def _brightest_at(bench: Any, places: list[tuple[float, float]]) -> int:
    image = bench.window.live.grab().toImage()
    box = bench.window.live.letterbox()
    near = [(round(x), round(y) + dy) for x, y in map(box.to_widget, places) for dy in (-1, 0, 1)]
    return max(image.pixelColor(x, y).value() for x, y in near)


def _brightest(image: QImage) -> int:
    return max(image.pixelColor(x, y).value() for x in range(image.width()) for y in range(0, image.height(), 3))


def _pixels_like(image: QImage, colour: QColor) -> int:
    wanted = colour.rgb()
    return sum(image.pixel(x, y) == wanted for x in range(image.width()) for y in range(image.height()))


def test_on_a_screen_of_its_own_size_the_window_leaves_room_for_a_title_bar(bench: Any) -> None:
    window = bench.window
    screen = window.screen().availableSize()
    window.hide()
    window.resize(2 * screen)
    window.open(fullscreen=False)
    assert window.height() <= screen.height() - 36 and window.width() <= screen.width()
