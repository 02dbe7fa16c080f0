"""Members that take turns: what is joined, for how long, and that a frozen picture is read by all of them at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from math import sqrt
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from edge_app.capture.base import Frame
from edge_app.imaging.scene import Quality, Scene
from edge_app.live import pipeline as pipeline_module
from edge_app.live.fusion import Fusion, Moment, fuse
from edge_app.live.joining import join_members
from edge_app.live.messages import Poles, Report, SetPoles, WorkerPlan
from edge_app.live.model import ModelPlan, OpenModel, open_model
from edge_app.live.pipeline import Outcome, Pipeline, PipelineSettings
from edge_app.live.report import GradesReport, ProbabilityReport
from edge_app.live.rotation import CHECK_MS, OLDEST_MS, decide
from edge_app.live.supervisor import Supervisor
from edge_app.ui._qt import QApplication
from edge_app.ui.main_window import MainWindow
from engines import runtimes
from engines.bundle import open_bundle
from engines.errors import UsageError
from engines.manifest import IntervalSpec
from engines.reading import Reading
from engines.values import value_from
from tests.engines.bundle_makers import BundlePlan, rewrite, write_bundle

from .live_makers import BRIGHT, ECHOES, EGFR, frame, main_of, reading_of, scene

HEAD = EGFR.model_copy(
    update={"interval": IntervalSpec(level=0.9, edges=(), low=(-10.0,), high=(20.0,), patients=100, basis="test")}
)
POLES = (100.0, 150.0, 300.0, 150.0)
T1 = 6.3138  # Student's t for 90 %, one degree of freedom


def said(member: int, egfr: float, total: int = 3) -> Reading:
    return reading_of(value_from(HEAD, np.array([egfr]), total=total), seen=(member,), members_total=total)


def whole(*egfr: float) -> Reading:
    seen = tuple(range(len(egfr)))
    return reading_of(value_from(HEAD, np.array(egfr)), seen=seen, members_total=len(egfr))


def moment(t_ms: float, given: Reading | None = None, **changes: Any) -> Moment:
    facts = {"frame": int(t_ms // 33), "signal": True, "frozen": False, "poles": POLES, "generation": 0}
    return Moment(**{**facts, "t_ms": t_ms, "reading": given, **changes})


def test_the_newest_answer_of_each_member_is_joined() -> None:
    joined = join_members([said(0, 40.0), said(1, 50.0), said(0, 44.0), said(2, 56.0)])
    assert (joined.seen, joined.readings) == ((0, 1, 2), 3)
    assert main_of(fuse_of(said(0, 40.0), said(1, 50.0), said(0, 44.0), said(2, 56.0))).value == 50.0
    # all seen: -10 and +20 of calibration; member 0 said 40 and 44, each 2 off its median: 1.4826 * 2 between frames
    main = main_of(fuse_of(said(0, 40.0), said(1, 50.0), said(0, 44.0), said(2, 56.0)))
    assert (main.low, main.high) == pytest.approx((50.0 - 10 - 2.9652, 50.0 + 20 + 2.9652))
    assert main.members == (44.0, 50.0, 56.0)


def fuse_of(*readings: Reading) -> Any:
    return fuse(list(readings), moment(0), 0.0, False)


def test_two_of_three_members_make_a_mean_of_two_with_a_wider_interval() -> None:
    readout = fuse_of(said(0, 40.0), said(2, 44.0))
    main = main_of(readout)
    margin = T1 * sqrt(8.0) * sqrt(1 / 2 - 1 / 3)
    assert (main.value, main.low, main.high) == pytest.approx((42.0, 32.0 - margin, 62.0 + margin), abs=1e-3)
    assert (readout.members_seen, readout.members_total, readout.readings) == (2, 3, 2)
    assert main.categories == "G2-G4"  # 24.7 to 69.3; without the margin it would be G2-G3b


def test_a_whole_reading_counts_as_an_answer_of_each_member() -> None:
    readout = fuse_of(whole(40.0, 50.0, 60.0), said(1, 56.0))
    main = main_of(readout)
    assert main.members == (40.0, 56.0, 60.0)
    assert (main.value, readout.members_seen, readout.readings) == (52.0, 3, 2)
    assert (main.low, main.high) == pytest.approx((42.0 - 1.4826 * 3, 72.0 + 1.4826 * 3))


def test_probability_and_grades_are_means_of_the_members_seen() -> None:
    def both(member: int, p: float, grades: tuple[float, ...]) -> Reading:
        values = value_from(BRIGHT, np.array([p]), total=4), value_from(ECHOES, np.array([grades]), total=4)
        return reading_of(*values, seen=(member,), members_total=4)

    readout = fuse_of(both(0, 0.2, (0.5, 0.3, 0.2)), both(1, 0.6, (0.1, 0.7, 0.2)), both(0, 0.4, (0.3, 0.5, 0.2)))
    first, second = readout.values
    assert isinstance(first, ProbabilityReport) and isinstance(second, GradesReport)
    assert (first.p, first.members) == (pytest.approx(0.5), (0.4, 0.6))
    assert second.p == pytest.approx((0.2, 0.6, 0.2))
    assert (readout.members_seen, readout.members_total) == (2, 4)


def test_one_member_of_several_makes_no_number() -> None:
    fusion = Fusion()
    assert fusion.update(moment(0, said(1, 50.0))) == ("LIVE", None)
    assert fusion.waiting == (1, 3)
    assert fusion.update(moment(33, said(2, 50.0)))[1] is not None
    assert fusion.waiting is None


def test_the_answer_of_a_member_is_forgotten_after_three_seconds() -> None:
    fusion = Fusion()
    seen = []
    for step, member in enumerate((0, 1, 2, 0, 1)):
        readout = fusion.update(moment(1600.0 * step, said(member, 50.0)))[1]
        seen.append(0 if readout is None else readout.members_seen)
    assert seen == [0, 2, 2, 2, 2]


@pytest.mark.parametrize("change", [{"generation": 1}, {"poles": (0.0, 0.0, 90.0, 0.0)}, {"frozen": True}])
def test_other_poles_a_new_generation_and_freeze_drop_what_members_said_before(change: dict[str, Any]) -> None:
    fusion = Fusion()
    fusion.update(moment(0, whole(50.0, 52.0, 54.0)))
    fusion.update(moment(33, said(0, 50.0)))
    assert fusion.update(moment(66, said(1, 90.0), **change))[1] is None
    assert fusion.waiting == (1, 3)


class Seen:
    """Sees a live or a frozen scene, as the test sets it."""

    def __init__(self) -> None:
        self.frozen = False
        self.timings_ms = {"sector": 1.0}

    def observe(self, frame: object) -> Scene:
        return scene(frozen=self.frozen)


def tissue(index: int, t_ms: float, seed: int, contrast: float = 6.0, mean: float = 90.0) -> Frame:
    """The same place, so that handles stay on it, in another light and with other speckle for each seed."""
    anatomy = cv2.GaussianBlur(frame(0, 0.0, 77).pixels, (0, 0), 4.0).astype(np.float64)
    speckle = np.random.default_rng(seed).normal(0.0, 1.3 * contrast, anatomy.shape)
    lit = mean + contrast * (anatomy - anatomy.mean() + 7 * seed % 5) + speckle
    return Frame(index, t_ms, np.clip(lit, 0, 255).astype(np.uint8))


class Line:
    """A pipeline on a real model of three members in three files; handles are set, so that it reads at once."""

    def __init__(self, model: OpenModel, rotates: bool = True) -> None:
        self.eye = Seen()
        self.pipeline = Pipeline(model.reader, PipelineSettings(rotate=rotates), self.eye)
        self.pipeline.set_poles(Poles(x1=100, y1=150, x2=300, y2=150))
        self._index = count()

    def show(self, t_ms: float, seed: int | None = None) -> Outcome:
        index = next(self._index)
        return self.pipeline.process(tissue(index, t_ms, index if seed is None else seed))


def by_hand(outcome: Outcome) -> np.ndarray:
    assert outcome.crop_rgb is not None
    return 8 * np.sqrt(250 - outcome.crop_rgb.astype(np.float64).mean(axis=(0, 1)))


def seen_by(outcome: Outcome) -> tuple[int, ...]:
    assert outcome.reading is not None
    return outcome.reading.seen


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = write_bundle(tmp_path_factory.mktemp("rotation") / "apart", BundlePlan(apart=(("fp32", "any"),)))
    domain = json.loads((path / "manifest.json").read_text())["domain"]
    rewrite(path, domain={**domain, "limit": 1e9})
    return path


@pytest.fixture(scope="module")
def model(apart: Path) -> Iterator[OpenModel]:
    with open_model(ModelPlan(apart, rotate="on")) as opened:
        yield opened


@pytest.fixture
def line(model: OpenModel, monkeypatch: pytest.MonkeyPatch) -> Line:
    monkeypatch.setattr(pipeline_module, "assess", lambda *arguments: Quality({"mean": 90.0}, (), "diagnostic"))
    return Line(model)


def test_a_view_is_read_by_all_and_then_by_one_a_frame(line: Line) -> None:
    outcomes = [line.show(100.0 * step) for step in range(6)]
    assert [seen_by(outcome) for outcome in outcomes] == [(0, 1, 2), (0,), (1,), (2,), (0,), (1,)]
    readout = outcomes[-1].report.readout
    assert readout is not None
    assert (readout.members_seen, readout.members_total) == (3, 3)
    newest = [by_hand(outcomes[4])[0], by_hand(outcomes[5])[1], by_hand(outcomes[3])[2]]
    assert main_of(readout).members == pytest.approx(newest, abs=1e-3)
    assert main_of(readout).value == pytest.approx(np.mean(newest), abs=1e-3)
    report = outcomes[-1].report.reading
    assert report is not None
    assert (report.members_seen, report.members_total, main_of(report).low) == (1, 3, None)


def test_slow_turns_show_fewer_members_and_a_single_one_is_no_number(line: Line) -> None:
    outcomes = [line.show(2000.0 * step) for step in range(4)]
    told = [outcome.report.readout for outcome in outcomes]
    assert [readout and readout.members_seen for readout in told] == [3, 3, 2, 2]
    other = line.show(6000.0 + 3500.0)
    assert seen_by_none(other)
    assert other.report.refusal is not None
    assert (other.report.refusal.code, "1 of 3" in other.report.refusal.reason) == ("few_members", True)


def seen_by_none(outcome: Outcome) -> bool:
    return outcome.report.reading is None and outcome.report.readout is None


def test_a_frozen_picture_is_read_by_all_at_once_even_if_it_was_read_live(line: Line) -> None:
    line.show(0.0, seed=1)
    assert seen_by(line.show(100.0, seed=2)) == (0,)
    line.eye.frozen = True
    outcome = line.show(200.0, seed=2)  # the very picture that member 0 has just read
    assert seen_by(outcome) == (0, 1, 2)
    readout = outcome.report.readout
    assert readout is not None
    assert main_of(readout).members == pytest.approx(by_hand(outcome), abs=1e-3)
    assert (readout.members_seen, readout.readings, outcome.report.state) == (3, 1, "FROZEN")
    again = line.show(300.0, seed=2)
    assert (again.crop_rgb, again.report.state) == (None, "FROZEN")
    line.eye.frozen = False
    assert seen_by(line.show(400.0, seed=3)) == (0, 1, 2), "a new view"


def test_an_unchanged_live_picture_is_read_once_by_all(line: Line) -> None:
    outcomes = [line.show(100.0 * step, seed=1) for step in range(5)]
    assert [outcome.crop_rgb is not None for outcome in outcomes] == [True, False, False, False, False]


def test_other_poles_begin_with_all_members_and_forget_the_old_ones(line: Line) -> None:
    for step in range(3):
        line.show(100.0 * step)
    line.pipeline.set_poles(Poles(x1=120, y1=100, x2=280, y2=200))
    outcome = line.show(300.0)
    assert seen_by(outcome) == (0, 1, 2)
    assert outcome.report.readout is not None
    assert (outcome.report.readout.readings, outcome.report.generation) == (1, 2)


def test_the_domain_check_of_all_members_is_made_anew_after_ten_seconds(line: Line) -> None:
    steps = np.arange(0.0, CHECK_MS + 500.0, 500.0)
    outcomes = [line.show(float(t_ms)) for t_ms in [*steps, CHECK_MS + 500.0]]
    found = [len(seen_by(outcome)) for outcome in outcomes]
    assert found == [3, *[1] * (len(steps) - 1), 3]


def test_a_slow_bag_gives_each_member_two_turns_before_it_is_checked_anew(line: Line) -> None:
    outcomes = [line.show(2500.0 * step) for step in range(8)]
    assert [len(seen_by(outcome)) for outcome in outcomes] == [3, 1, 1, 1, 1, 1, 1, 3]
    waited = line.show(17500.0 + OLDEST_MS + 1.0)
    assert len(seen_by(waited)) == 3


def test_a_member_that_fails_is_a_refusal_and_no_number_of_this_frame(line: Line) -> None:
    line.show(0.0)
    outcome = line.pipeline.process(tissue(9, 100.0, 1, contrast=0.2, mean=253.0))
    assert outcome.report.refusal is not None
    assert outcome.report.refusal.code == "model_failed"
    assert "not finite" in outcome.report.refusal.reason
    assert outcome.reading is None


def test_without_turns_each_frame_is_read_by_all(line: Line, model: OpenModel) -> None:
    plain = Line(model, rotates=False)
    assert [len(seen_by(plain.show(100.0 * step))) for step in range(3)] == [3, 3, 3]


@pytest.fixture
def fused(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "fused", BundlePlan())


def clock_of(took_s: float) -> Any:
    ticks = count()
    return lambda: took_s * next(ticks)


@pytest.mark.parametrize(
    ("asked", "took_s", "rotates", "reason"),
    [
        ("auto", 0.3, True, "members take turns while live: all 3 took 300 ms, the limit is 250 ms"),
        ("auto", 0.2, False, "all members read each frame: all 3 took 200 ms, the limit is 250 ms"),
        ("on", 0.2, True, "members take turns while live: asked for"),
        ("off", 9.0, False, "all members read each frame: turns are off"),
    ],
)
def test_whether_members_take_turns_is_decided_and_said(
    apart: Path, asked: Any, took_s: float, rotates: bool, reason: str
) -> None:
    bundle = open_bundle(apart)
    with runtimes.select(bundle).open() as session:
        decision = decide(asked, bundle, session, clock_of(took_s))
    assert (decision.rotates, decision.reason) == (rotates, reason)


def test_members_in_one_artifact_never_take_turns(fused: Path) -> None:
    with open_model(ModelPlan(fused, rotate="auto")) as opened:
        assert not opened.rotates
        assert not any("turns" in line or "each frame" in line for line in opened.summary.selection)
    with (
        pytest.raises(UsageError, match=r"cannot take turns.*at once, as one artifact"),
        open_model(ModelPlan(fused, rotate="on")),
    ):
        pytest.fail("it was opened")


def test_the_window_shows_a_live_number_by_turns_and_a_frozen_one_of_all(
    qapp: QApplication, qtbot: QtBot, apart: Path
) -> None:
    """Real worker, real files of three members, real window; the phantom scans with handles on it, then freezes."""
    source = "phantom:seed=3,size=960x720,fps=10,cycle=3/0.5/60"
    worker = Supervisor(WorkerPlan(source=source, bundle=str(apart), rotate="on"))
    heard: list[Report] = []
    poll = worker.poll

    def noted() -> Any:
        came = poll()
        heard.extend(message for message in came if isinstance(message, Report))
        return came

    worker.poll = noted  # type: ignore[method-assign]
    window = MainWindow(worker)
    qtbot.addWidget(window)
    window.show()
    window.start()
    try:
        qtbot.waitUntil(lambda: bool(heard), timeout=30_000)
        worker.send(SetPoles(poles=Poles(x1=330, y1=330, x2=600, y2=330)))
        qtbot.waitUntil(lambda: any(of(report) == 1 for report in heard), timeout=30_000)
        qtbot.waitUntil(lambda: any(report.report.frozen and of(report) == 3 for report in heard), timeout=30_000)
        qtbot.waitUntil(lambda: window.readout.number_is_shown, timeout=10_000)
    finally:
        window.close()
        worker.close()
    frozen = [report for report in heard if report.report.frozen and of(report)]
    live = [report for report in heard if not report.report.frozen and of(report) == 1]
    assert live and all(report.report.readout and report.report.readout.members_total == 3 for report in live)
    assert of(frozen[0]) == 3, "the first reading of the frozen picture is one of all"


def of(report: Report) -> int:
    """Members of the reading of this frame; 0 without one."""
    return 0 if report.report.reading is None else report.report.reading.members_seen
