"""Fusion: what may be said, how long it may be said, and never a number without its frame."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_app.live.fusion import DROP_MS, STALE_MS, WINDOW_MS, Ends, Fusion, Moment, fuse, same_poles
from edge_app.live.report import GradesReport, ProbabilityReport, Readout, RegressionReport
from engines.reading import Reading

from .live_makers import bright, echoes, main_of, reading, reading_of, shift

POLES: Ends = (100.0, 150.0, 300.0, 150.0)


def moment(t_ms: float, given_reading: Reading | None = None, **changes: object) -> Moment:
    facts: dict[str, object] = {
        "frame": int(t_ms // 33),
        "t_ms": t_ms,
        "generation": 0,
        "signal": True,
        "frozen": True,
        "poles": POLES,
        "reading": given_reading,
    }
    return Moment(**{**facts, **changes})  # type: ignore[arg-type]


def shown(fusion: Fusion, at: Moment) -> Readout:
    readout = fusion.update(at)[1]
    assert readout is not None
    return readout


def test_without_a_reading_there_is_no_number() -> None:
    fusion = Fusion()
    assert fusion.update(moment(0, frozen=False)) == ("LIVE", None)
    assert fusion.update(moment(33)) == ("FROZEN", None)


def test_a_number_comes_with_its_frame_and_time() -> None:
    fusion = Fusion()
    readout = shown(fusion, moment(330, reading(50.0)))
    assert (readout.frame, readout.t_ms, readout.age_ms, readout.readings) == (10, 330, 0, 1)
    later = shown(fusion, moment(660, same=True))
    assert (later.frame, later.t_ms, later.age_ms) == (10, 330, 330)


def test_one_odd_reading_of_five_changes_little() -> None:
    fusion = Fusion()
    for step, value in enumerate((50.0, 51.0, 110.0, 49.0, 50.5)):
        readout = shown(fusion, moment(step * 100.0, reading(value)))
    assert main_of(readout).value == 50.5
    assert readout.readings == 5
    assert main_of(readout).low == pytest.approx(35.5 - 1.4826 * 0.5)
    assert main_of(readout).high == pytest.approx(65.5 + 1.4826 * 0.5)


def test_old_readings_leave_the_window() -> None:
    fusion = Fusion()
    fusion.update(moment(0, reading(20.0)))
    readout = shown(fusion, moment(WINDOW_MS + 1, reading(80.0)))
    assert (main_of(readout).value, readout.readings) == (80.0, 1)


def test_a_frozen_picture_keeps_its_number_as_long_as_it_stands() -> None:
    fusion = Fusion()
    fusion.update(moment(0, reading(50.0)))
    for t_ms in range(0, 120_000, 500):
        state, readout = fusion.update(moment(float(t_ms), same=True))
    assert state == "FROZEN"
    assert readout is not None
    assert not readout.stale
    assert readout.age_ms == 119_500


def test_after_unfreezing_the_number_is_greyed_within_a_second_and_dropped_after_thirty() -> None:
    fusion = Fusion()
    fusion.update(moment(0, reading(50.0)))
    gone = {"frozen": False, "poles": None}
    assert fusion.update(moment(STALE_MS, **gone))[0] == "LIVE"
    state, readout = fusion.update(moment(STALE_MS + 1, **gone))
    assert state == "STALE"
    assert readout is not None
    assert readout.stale
    assert fusion.update(moment(DROP_MS, **gone))[0] == "STALE"
    assert fusion.update(moment(DROP_MS + 1, **gone)) == ("LIVE", None)


def test_a_lost_signal_takes_the_number_at_once_and_for_good() -> None:
    fusion = Fusion()
    fusion.update(moment(0, reading(50.0)))
    assert fusion.update(moment(33, signal=False)) == ("LOST", None)
    assert fusion.update(moment(66)) == ("FROZEN", None)


def test_a_new_generation_starts_from_nothing() -> None:
    fusion = Fusion()
    fusion.update(moment(0, reading(50.0)))
    assert fusion.update(moment(33, generation=1))[1] is None
    readout = shown(fusion, moment(66, reading(90.0), generation=1))
    assert (main_of(readout).value, readout.readings) == (90.0, 1)


def test_two_kidneys_are_never_fused() -> None:
    fusion = Fusion()
    fusion.update(moment(0, reading(50.0)))
    readout = shown(fusion, moment(100, reading(90.0), poles=(400.0, 150.0, 600.0, 150.0)))
    assert (main_of(readout).value, readout.readings) == (90.0, 1)


def test_unfreezing_between_the_same_handles_starts_anew() -> None:
    fusion = Fusion()
    fusion.update(moment(0, reading(50.0)))
    readout = shown(fusion, moment(100, reading(90.0), frozen=False))
    assert (main_of(readout).value, readout.readings) == (90.0, 1)


def test_one_reading_outside_of_the_domain_marks_the_value() -> None:
    fused = fuse([reading(50.0), reading(50.0, in_domain=False), reading(50.0)], moment(0), 0.0, False)
    assert not fused.in_domain
    assert not fuse([reading(heads_agree=False), reading()], moment(0), 0.0, False).heads_agree


def test_markers_that_swap_ends_are_the_same_markers() -> None:
    assert same_poles(POLES, (300.0, 152.0, 101.0, 149.0))
    assert not same_poles(POLES, (120.0, 150.0, 300.0, 150.0))


values = st.floats(0, 150, allow_nan=False)
widths = st.floats(0, 60, allow_nan=False)


@settings(deadline=None)  # a busy computer is no fault
@given(st.lists(st.tuples(values, widths, widths), min_size=1, max_size=12))
def test_the_fused_value_lies_in_its_interval_and_among_its_readings(parts: list[tuple[float, float, float]]) -> None:
    readings = [reading(value, max(0.0, value - below), value + above) for value, below, above in parts]
    fused = fuse(readings, moment(0), 0.0, False)
    main = main_of(fused)
    assert main.low is not None and main.high is not None
    assert 0 <= main.low <= main.value <= main.high
    assert min(value for value, _, _ in parts) <= main.value <= max(value for value, _, _ in parts)
    assert fused.readings == len(readings)


@settings(deadline=None)  # a busy computer is no fault
@given(st.lists(st.tuples(values, widths), min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_the_order_of_readings_does_not_matter(parts: list[tuple[float, float]], random: object) -> None:
    readings = [reading(value, max(0.0, value - width), value + width) for value, width in parts]
    turned = list(readings)
    random.shuffle(turned)  # type: ignore[attr-defined]
    assert fuse(readings, moment(0), 0.0, False) == fuse(turned, moment(0), 0.0, False)


@settings(deadline=None)  # a busy computer is no fault
@given(st.lists(values, min_size=3, max_size=9), values)
def test_replacing_one_of_many_never_leaves_the_range_of_the_others(many: list[float], odd: float) -> None:
    fused = fuse([reading(value) for value in [*many, odd]], moment(0), 0.0, False)
    assert min(many) <= main_of(fused).value <= max(many)


events = st.lists(
    st.tuples(
        st.floats(0, 3000),  # time since the frame before
        st.sampled_from(["reading", "same", "refused", "lost", "unfrozen", "other", "generation"]),
        values,
    ),
    max_size=40,
)


@settings(deadline=None)  # a busy computer is no fault
@given(events)
def test_whatever_happens_a_number_is_of_a_frame_that_was_read(happenings: list[tuple[float, str, float]]) -> None:
    fusion = Fusion()
    t_ms, generation = 0.0, 0
    read: dict[int, tuple[float, int]] = {}
    for index, (wait_ms, what, value) in enumerate(happenings):
        t_ms += wait_ms
        generation += what == "generation"
        poles = None if what in ("refused", "unfrozen") else (0.0, 0.0, 90.0, 0.0) if what == "other" else POLES
        at = Moment(
            frame=index,
            t_ms=t_ms,
            generation=generation,
            signal=what != "lost",
            frozen=what != "unfrozen",
            poles=poles,
            reading=reading(value) if what in ("reading", "other") else None,
            same=what == "same",
        )
        if at.reading is not None:
            read[index] = (t_ms, generation)
        state, readout = fusion.update(at)
        assert (state == "LOST") == (what == "lost")
        if readout is None:
            assert state != "STALE"
            continue
        assert read[readout.frame] == (readout.t_ms, generation), "of a frame that was read, in this generation"
        assert readout.age_ms == pytest.approx(t_ms - readout.t_ms)
        assert (state == "STALE") == readout.stale
        main = main_of(readout)
        assert all(number is not None and math.isfinite(number) for number in (main.value, main.low, main.high))


def test_a_head_without_interval_stays_without_one() -> None:
    fused = fuse([reading_of(shift(value)) for value in (-2.0, -1.5, 9.0)], moment(0), 0.0, False)
    main = main_of(fused)
    assert (main.value, main.low, main.high, main.level, main.categories) == (-1.5, None, None, None, "")


def test_one_odd_frame_moves_no_probability_and_its_networks_are_kept_apart() -> None:
    fused = fuse([reading_of(bright(p, p + 0.2)) for p in (0.6, 0.61, 0.1)], moment(0), 0.0, False)
    (main,) = fused.values
    assert isinstance(main, ProbabilityReport)
    assert main.p == pytest.approx(0.7)
    assert main.members == pytest.approx((0.6, 0.8))


def test_grades_are_medians_that_add_up_to_one() -> None:
    shares = ((0.2, 0.5, 0.3), (0.1, 0.6, 0.3), (0.9, 0.05, 0.05))
    (main,) = fuse([reading_of(echoes(*p)) for p in shares], moment(0), 0.0, False).values
    assert isinstance(main, GradesReport)
    assert main.p == pytest.approx((0.2, 0.5, 0.3))
    assert main.grade == "alike"


def test_readings_that_contradict_each_other_wholly_still_give_grades() -> None:
    """The median of each grade is then 0, and 0 of 0 is no probability."""
    shares = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    (main,) = fuse([reading_of(echoes(*p)) for p in shares], moment(0), 0.0, False).values
    assert isinstance(main, GradesReport)
    assert main.p == pytest.approx((1 / 3, 1 / 3, 1 / 3))


@settings(deadline=None)  # a busy computer is no fault
@given(st.lists(st.tuples(*[st.floats(0.0, 1.0)] * 3).filter(lambda p: sum(p) > 0.1), min_size=1, max_size=7))
def test_fused_grades_always_add_up_to_one_whatever_their_order(parts: list[tuple[float, ...]]) -> None:
    readings = [reading_of(echoes(*(p / sum(share) for p in share))) for share in parts]
    (main,) = fuse(readings, moment(0), 0.0, False).values
    (turned,) = fuse(readings[::-1], moment(0), 0.0, False).values
    assert isinstance(main, GradesReport)
    assert sum(main.p) == pytest.approx(1.0)
    assert main.p[main.top] == max(main.p)
    assert main == turned


def test_every_head_is_fused_by_itself_and_no_map_is() -> None:
    both = [reading_of(shift(value), bright(p, p)) for value, p in ((1.0, 0.9), (2.0, 0.2), (3.0, 0.3))]
    first, second = fuse(both, moment(0), 0.0, False).values
    assert isinstance(first, RegressionReport) and isinstance(second, ProbabilityReport)
    assert (first.value, second.p) == (2.0, pytest.approx(0.3))
    mapped = reading_of(echoes(0.2, 0.5, 0.3, map=np.ones((3, 2, 2), np.float32)))
    assert fuse([mapped], moment(0), 0.0, False).values[0].map is None


@pytest.mark.parametrize("poles", [None, (0.0, 0.0, 90.0, 0.0)])
def test_the_same_crop_between_other_markers_confirms_nothing(poles: Ends | None) -> None:
    fusion = Fusion()
    fusion.update(moment(0, reading(50.0)))
    assert fusion.update(moment(STALE_MS + 1, same=True, poles=poles))[0] == "STALE"
