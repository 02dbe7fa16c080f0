"""Rates, medians and the trend's history."""

from __future__ import annotations

from collections.abc import Callable

from edge_app.live.report import FrameReport
from edge_app.ui.meters import DropMeter, RateMeter, StageMeter
from edge_app.ui.trend import SPAN_MS, TrendHistory

Make = Callable[..., FrameReport]


def test_the_median_of_each_stage_forgets_what_is_older_than_two_seconds() -> None:
    meter = StageMeter()
    meter.add(0.0, {"infer": 900.0})
    for at, value in ((2500.0, 10.0), (2600.0, 30.0), (2700.0, 20.0)):
        meter.add(at, {"infer": value, "crop": 1.0})
    assert meter.medians_ms() == {"infer": 20.0, "crop": 1.0}


def test_a_rate_falls_to_zero_when_nothing_comes() -> None:
    meter = RateMeter()
    for index in range(60):
        meter.tick(index * 1000 / 30)
    assert meter.per_second(1990.0) == 30.0
    assert meter.per_second(9000.0) == 0.0


def test_dropped_frames_are_the_gaps_and_a_new_stream_is_none() -> None:
    meter = DropMeter()
    for index in (5, 6, 9, 9, 0, 1):
        meter.see(index)
    assert meter.dropped == 2


def test_the_trend_is_broken_by_a_refusal_and_by_a_stale_number(make: Make) -> None:
    history = TrendHistory()
    stale = make().readout.model_copy(update={"stale": True})  # type: ignore[union-attr]
    refusal = {"refusal": {"code": "no_calipers", "reason": "none"}, "readout": None}
    for t_ms, change in ((0, {}), (300, {}), (600, refusal), (900, {}), (1200, {"readout": stale}), (1500, {})):
        history.add(make(t_ms=float(t_ms), **change))
    assert [[p.t_ms for p in run] for run in history.runs] == [[0, 300], [900], [1500]]


def test_the_trend_keeps_three_minutes_at_four_points_a_second(make: Make) -> None:
    history = TrendHistory()
    for index in range(8000):
        history.add(make(t_ms=index * 33.3))
    (run,) = history.runs
    assert run[0].t_ms >= history.now_ms - SPAN_MS
    assert len(run) <= SPAN_MS / 250


def test_a_stream_that_begins_anew_begins_a_new_trend(make: Make) -> None:
    history = TrendHistory()
    history.add(make(t_ms=5000.0))
    history.add(make(t_ms=0.0))
    assert [p.t_ms for run in history.runs for p in run] == [0.0]
