"""The live phantom: scan, freeze, measure, hold; each frame with its truth."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_app.capture.base import Frame, FrameSource, SourceError
from edge_app.capture.phantom import Cycle, PhantomPlan, PhantomSource, PhantomTruth, parse_plan
from edge_app.capture.phantom import source as source_module

SHORT = PhantomPlan(size=(960, 720), seed=5, fps=10.0, cycle=Cycle(1.0, 1.5, 1.0), frames=70, realtime=False)


def read_all(plan: PhantomPlan) -> list[Frame]:
    with PhantomSource(plan) as source:
        return list(iter(source.read, None))


def truth_of(frame: Frame) -> PhantomTruth:
    assert isinstance(frame.truth, PhantomTruth)
    return frame.truth


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    return read_all(SHORT)


def test_it_is_a_frame_source() -> None:
    source = PhantomSource(SHORT)
    assert isinstance(source, FrameSource)
    assert source.info.size == (960, 720) and source.info.fps == 10.0 and "ynthetic" in source.info.title


def test_an_examination_runs_from_scan_to_measurement_and_again(frames: list[Frame]) -> None:
    phases = [truth_of(frame).phase for frame in frames]
    assert len(frames) == 70
    runs = [phase for i, phase in enumerate(phases) if i == 0 or phases[i - 1] != phase]
    assert runs == ["live", "frozen", "measuring", "measured"] * 2
    assert phases.index("measured") == 25  # 1.0 s live + 1.5 s measuring, at 10 frames a second


def test_calipers_are_in_the_truth_only_when_final(frames: list[Frame]) -> None:
    for frame in frames:
        truth = truth_of(frame)
        assert (truth.calipers is not None) == (truth.phase == "measured")
        if truth.calipers is not None:
            for (x, y), (px, py) in zip(truth.calipers, truth.poles, strict=True):
                assert np.hypot(x - px, y - py) < 0.3 * truth.px_per_cm + 1.0  # the operator's 1-2 mm
            (x1, y1), (x2, y2) = truth.calipers
            assert np.hypot(x2 - x1, y2 - y1) / truth.px_per_cm == pytest.approx(truth.kidney_length_cm, abs=0.6)


def test_a_frozen_screen_stands_still_and_a_live_one_does_not(frames: list[Frame]) -> None:
    mask = truth_of(frames[0]).sector_mask
    for before, after in pairwise(frames):
        change = np.abs(before.pixels[mask].astype(int) - after.pixels[mask]).mean()
        phases = truth_of(before).phase, truth_of(after).phase
        if phases == ("live", "live"):
            assert change > 1.5
        if phases in {("frozen", "frozen"), ("measured", "measured"), ("live", "frozen")}:
            assert change == 0.0


def test_breathing_moves_the_kidney_by_one_to_two_centimetres() -> None:
    plan = PhantomPlan(size=(960, 720), seed=2, fps=4.0, cycle=Cycle(60.0, 1.0, 1.0), frames=24, realtime=False)
    poles = np.array([truth_of(frame).poles[0] for frame in read_all(plan)])
    scale = truth_of(read_all(PhantomPlan(size=(960, 720), seed=2, frames=1, realtime=False))[0]).px_per_cm
    assert 0.9 < np.ptp(poles[:, 0]) / scale < 2.0


def test_pixels_are_read_only_and_time_never_goes_back(frames: list[Frame]) -> None:
    assert all(not frame.pixels.flags.writeable for frame in frames)
    assert [frame.index for frame in frames] == list(range(70))
    assert np.all(np.diff([frame.t_ms for frame in frames]) > 0)


def test_the_same_seed_shows_the_same_patient_and_another_seed_another() -> None:
    def first(seed: int) -> Frame:
        return read_all(PhantomPlan(size=(960, 720), seed=seed, frames=1, realtime=False))[0]

    one, two, other = first(9), first(9), first(10)
    assert np.array_equal(one.pixels, two.pixels) and truth_of(one).egfr == truth_of(two).egfr
    assert not np.array_equal(one.pixels, other.pixels)


def test_the_patient_can_be_asked_for() -> None:
    truth = truth_of(read_all(parse_plan("phantom:egfr=33,side=left,frames=1,size=960x720", realtime=False))[0])
    assert truth.egfr == 33.0 and truth.side == "left"


def test_reading_before_entering_is_refused_in_a_sentence() -> None:
    with pytest.raises(SourceError, match="not open"):
        PhantomSource(SHORT).read()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """A clock that only sleeping and the test itself move."""
    now = [100.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(source_module.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(source_module.time, "sleep", sleep)
    yield now


def test_in_real_time_a_late_reader_misses_frames(clock: list[float]) -> None:
    with PhantomSource(PhantomPlan(size=(960, 720), seed=1, fps=25.0)) as source:
        first, second = source.read(), source.read()
        assert first is not None and second is not None
        assert (first.index, second.index) == (0, 1) and clock[0] == pytest.approx(100.04)
        clock[0] += 1.0
        third = source.read()
        assert third is not None and third.index == 26
        assert third.t_ms == pytest.approx(1040.0)


def test_an_address_sets_every_option() -> None:
    plan = parse_plan("phantom:look=canon,size=1920x1080,seed=7,egfr=45,side=right,fps=25,cycle=2/1/3,frames=9")
    assert plan == PhantomPlan("canon", (1920, 1080), 7, 45.0, "right", 25.0, Cycle(2.0, 1.0, 3.0), 9, True)
    assert parse_plan("phantom:") == PhantomPlan()
    assert parse_plan("phantom:cycle=live").cycle.live_s == 3600.0


@pytest.mark.parametrize(
    "option",
    (
        "look=siemens,size=10x10,size=720x960,egfr=nan,egfr=500,fps=0,seed=-1,cycle=1/2,side=up,frames=0,colour=red,"
        "egfr,size=axb"
    ).split(","),
)
def test_an_option_that_cannot_be_used_is_refused_with_a_cure(option: str) -> None:
    with pytest.raises(SourceError, match="use "):
        parse_plan(f"phantom:{option}")


@given(text=st.text(max_size=30))
def test_any_address_gives_a_plan_or_a_sentence(text: str) -> None:
    try:
        plan = parse_plan("phantom:" + text)
    except SourceError as error:
        assert error.sentence.startswith("The phantom cannot be opened")
    else:
        assert plan.fps > 0
