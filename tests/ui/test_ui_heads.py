"""A number, a probability and grades as the main head: what is seen of each, and no more than is known."""

from __future__ import annotations

import sys
from itertools import pairwise
from typing import Any

import pytest

from edge_app.live.report import FrameReport
from edge_app.ui import theme, wording
from edge_app.ui._qt import QLabel, QWidget
from edge_app.ui.axis import axis_of
from edge_app.ui.bars import NAME
from edge_app.ui.help_overlay import about
from edge_app.ui.narrator import told
from edge_app.ui.words import line_of, members, words_of

conftest = sys.modules[next(name for name in sys.modules if name.endswith("ui.conftest"))]
KINDS, CROWD = conftest.KINDS, conftest.CROWD
report, readout, of_kind = conftest.report, conftest.readout, conftest.of_kind
bright_value, echoes_value = conftest.bright_value, conftest.echoes_value
volume_value, shift_value = conftest.volume_value, conftest.shift_value
SIZES = [(960, 560), (1280, 720), (1920, 1080)]
OTHER_KINDS = [kind for kind in KINDS if kind != "egfr"]
FAULT = {"grade": "limited", "faults": (("dark", "the picture is dark: raise gain or TGC"),), "measures": {}}


def shown(bench: Any, kind: str, **changes: Any) -> str:
    return str(bench.shown(*of_kind(kind, **changes)))


def test_a_probability_stands_in_percent_with_its_event_and_how_far_the_networks_lie_apart(bench: Any) -> None:
    text = shown(bench, "probability")
    number = bench.window.readout.number
    assert (number.headline.text(), number.sign.text(), number.beside.text()) == ("83", "%", "P(bright cortex)")
    assert "3 networks say 71–93 %" in text
    assert "Kidney volume  131 mL, 88–171 (80 %)" in text
    assert number.headline.font().pixelSize() > 4 * number.interval.font().pixelSize()
    assert not number.ramp.isVisible() and not number.bars.isVisible() and not number.categories.isVisible()


@pytest.mark.parametrize(
    ("p", "headline"), [(0.0, "< 1"), (0.009, "< 1"), (0.5, "50"), (0.9999, "> 99"), (1.0, "> 99")]
)
def test_no_probability_is_shown_as_certain(p: float, headline: str) -> None:
    assert words_of(bright_value(p=p, members=(p, p)), conftest.BRIGHT).headline == headline
    words = words_of(echoes_value(1.0 - p, p / 2, p / 2, 0.0), conftest.ECHOES)
    assert not {"0 %", "100 %"} & {words.headline, *(bar.percent for bar in words.bars)}


def test_networks_that_say_the_same_and_one_network_alone_give_no_range() -> None:
    assert words_of(bright_value(members=(0.83,)), None).detail == ""
    assert words_of(bright_value(members=(0.83, 0.83)), None).detail == "2 networks say 83 %"
    assert words_of(bright_value(members=(0.001, 0.93)), None).detail == "2 networks say < 1 to 93 %"


def test_grades_stand_with_the_most_probable_one_large_and_a_bar_for_each(bench: Any) -> None:
    text = shown(bench, "grades")
    number = bench.window.readout.number
    assert (number.headline.text(), number.sign.text(), number.beside.text()) == ("64", "%", "brighter than liver")
    assert "Cortical echogenicity" in text and "P(bright cortex)  83 %" in text
    bars = number.bars
    assert bars.isVisible()
    assert [(bar.name, bar.percent, bar.top) for bar in bars.grades] == [
        ("darker than liver", "6 %", False),
        ("like liver", "20 %", False),
        ("brighter than liver", "64 %", True),
        ("like renal sinus", "10 %", False),
    ]
    assert not number.ramp.isVisible()


def test_the_bars_are_as_long_as_the_probabilities(bench: Any) -> None:
    shown(bench, "grades")
    image = bench.window.readout.number.bars.grab().toImage()
    lengths = []
    for row in range(4):
        y = round((row + 0.5) * image.height() / 4)
        track = [image.pixelColor(x, y).value() for x in range(round(NAME * image.width()) + 2, image.width())]
        lengths.append(next(at for at, value in enumerate(track) if value < 100))
    assert lengths[0] < lengths[3] < lengths[1] < lengths[2]
    assert lengths[2] / lengths[1] == pytest.approx(0.64 / 0.2, rel=0.2)


@pytest.mark.parametrize(
    ("p", "said"),
    [
        ((0.05, 0.40, 0.45, 0.10), "undecided between like liver and brighter than liver"),
        ((0.05, 0.45, 0.35, 0.15), "undecided between like liver and brighter than liver"),  # 0.1 apart: within
        ((0.05, 0.30, 0.45, 0.20), "brighter than liver"),
    ],
)
def test_two_grades_that_are_almost_as_probable_are_undecided(p: tuple[float, ...], said: str) -> None:
    assert words_of(echoes_value(*p), conftest.ECHOES).beside == said
    assert said in line_of(echoes_value(*p))[1]


def test_another_number_stands_with_its_unit_interval_and_own_ranges(bench: Any) -> None:
    text = shown(bench, "regression")
    number = bench.window.readout.number
    assert (number.headline.text(), number.unit.text()) == ("131", "mL")
    for part in ("Kidney volume", "88–171 (80 %)", "Category range small–high-medium"):
        assert part in text
    assert number.ramp.isVisible()
    assert members("small-high-medium", conftest.VOLUME.categories) == ("small", "low-medium", "high-medium")


def test_a_number_that_nobody_calibrated_says_so_in_place_of_an_interval(bench: Any) -> None:
    text = shown(bench, "uncalibrated")
    assert bench.window.readout.number.headline.text() == "−2.3"
    assert "No interval: not calibrated" in text
    assert not bench.window.readout.number.ramp.isVisible()
    assert line_of(shift_value()) == ("Cortical shift", "−2.3 mm, no interval")
    assert words_of(shift_value(low=-3.0, high=1.0, level=0.9), None).detail == "−3.0 to 1.0 (90 %)"


@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_a_model_without_egfr_never_speaks_of_one(bench: Any, kind: str) -> None:
    start, measured = of_kind(kind)
    text = bench.shown(start, measured) + bench.window.trend.title() + about(start.model).split("What it says")[0]
    text += told(bench.window.panel)
    bench.turn(conftest.refused(readout=readout(*KINDS[kind][1], stale=True, age_ms=4100.0)))
    text += told(bench.window.panel)
    for word in ("eGFR", "CKD", "creatinine", "G3a", "73 m", "detected", "tage"):
        assert word not in text.replace("percentage", "")
    assert "research use" in text and "one time point" in text.lower()


def test_the_purpose_follows_what_the_model_says() -> None:
    below_60 = (conftest.EGFR_HEADS[1],)
    assert wording.purpose(conftest.EGFR_HEADS) == f"{wording.PURPOSE} {wording.CAUTION}"
    assert wording.purpose(below_60) == f"P(eGFR < 60): image-derived estimate, research use. {wording.CAUTION}"
    assert "eGFR" not in wording.purpose(()) and "research use" in wording.purpose(())
    assert wording.purpose(KINDS["grades"][0]).startswith("Cortical echogenicity: image-derived estimate")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_marked_greyed_and_doubted_like_any_other(bench: Any, kind: str) -> None:
    shown(bench, kind)
    strong = bench.window.readout.number.headline.text()
    size = bench.window.readout.number.headline.font().pixelSize()
    text = shown(bench, kind, readout=readout(*KINDS[kind][1], in_domain=False, stale=True, age_ms=3200.0))
    number = bench.window.readout.number
    assert number.headline.text() == f"{strong}?"
    assert number.headline.font().pixelSize() <= size
    assert "STALE 3 s" in text and wording.SYNTHETIC_MODEL in text
    assert bench.window.readout.outside.isVisible()
    assert all(theme.GREYED in line.styleSheet() for line in (number.headline, number.sign, number.beside))


@pytest.mark.parametrize(
    ("kind", "former"),
    [
        ("probability", "STALE value: 83 %, frame 12, 4 s old"),
        ("grades", "STALE value: brighter than liver 64 %, frame 12, 4 s old"),
        ("regression", "STALE value: 131 mL, 88–171 (80 %), frame 12, 4 s old"),
        ("uncalibrated", "STALE value: −2.3 mm, frame 12, 4 s old"),
    ],
)
def test_under_a_refusal_the_former_value_of_any_kind_is_small_and_dated(bench: Any, kind: str, former: str) -> None:
    bench.turn(of_kind(kind)[0])
    text = bench.shown(conftest.refused(readout=readout(*KINDS[kind][1], stale=True, age_ms=4100.0)))
    assert former in text
    assert not bench.window.readout.number_is_shown


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("probability", "P(bright cortex) 83 %  |  3 networks say 71–93 %  |  Kidney volume 131 mL, 88–171 (80 %)"),
        (
            "grades",
            "Cortical echogenicity 64 % (brighter than liver)  |  darker than liver 6 %, like liver 20 %, "
            "brighter than liver 64 %, like renal sinus 10 %  |  P(bright cortex) 83 %",
        ),
        ("regression", "Kidney volume 131 mL  |  88–171 (80 %)  |  small–high-medium  |  Cortical echogenicity"),
        ("uncalibrated", "Cortical shift −2.3 mm  |  No interval: not calibrated  |  SYNTHETIC"),
    ],
)
def test_a_run_without_display_tells_every_kind_in_one_line(bench: Any, kind: str, line: str) -> None:
    shown(bench, kind)
    assert line in told(bench.window.panel)


def test_the_map_is_that_of_the_main_head(bench: Any) -> None:
    start, measured = of_kind("grades")
    bench.window.toggle_map()
    bench.turn(start, conftest.crop_message(measured))
    assert bench.window.inset.caption() == wording.MAP_CAPTION
    with_map = bench.window.inset.grab().toImage()
    reading = conftest.reading(*KINDS["grades"][1])
    bench.turn(conftest.crop_message(report(reading=reading, readout=measured.readout)))
    assert bench.window.inset.caption() == "this model gives no map"
    assert bench.window.inset.grab().toImage() != with_map


# -- trend ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "title", "labels"),
    [
        ("egfr", "eGFR estimate, SYNTHETIC", ["0", "30", "60", "90", "120"]),
        ("probability", "P(bright cortex), %, SYNTHETIC", ["0", "25", "50", "75", "100"]),
        ("grades", "P(brighter than liver), %, SYNTHETIC", ["0", "25", "50", "75", "100"]),
        ("regression", "Kidney volume, mL, SYNTHETIC", ["90", "150", "210"]),
        ("uncalibrated", "Cortical shift, mm, SYNTHETIC", ["−3", "−2.5", "−2", "−1.5"]),
    ],
)
def test_the_trend_has_the_axis_of_its_head(bench: Any, kind: str, title: str, labels: list[str]) -> None:
    shown(bench, kind)
    trend = bench.window.trend
    assert trend.title() == title
    assert [label for _, label in trend.axis().ticks] == labels
    assert trend.axis().dashed == (60.0 if kind == "egfr" else None)


def test_an_axis_of_boundaries_has_room_for_the_data_and_ends_where_the_head_does() -> None:
    axis = axis_of(conftest.VOLUME, [88.0, 171.4])
    assert (axis.low, axis.high) == (30.0, 270.0)
    assert axis_of(conftest.VOLUME, [-20.0, 400.0]).high == 400.0
    assert axis_of(conftest.VOLUME, [-20.0, 400.0]).low == 0.0, "a volume is never negative"
    assert axis.part(30.0) == 0.0 and axis.part(1000.0) == 1.0


@pytest.mark.parametrize("ends", [[0.0], [5.0, 5.0], [-0.31, 0.29], [12345.6, 12399.9], [1e-9, 2e-9]])
def test_an_axis_of_data_holds_the_data_between_round_ticks(ends: list[float]) -> None:
    axis = axis_of(conftest.SHIFT, ends)
    assert axis.low <= min(ends) and max(ends) <= axis.high
    assert axis.high - axis.low >= 10 * conftest.SHIFT.resolution
    assert 3 <= len(axis.ticks) <= 7
    assert len({label for _, label in axis.ticks}) == len(axis.ticks)


def test_the_trend_follows_the_grade_that_is_most_probable_now(bench: Any) -> None:
    start, measured = of_kind("grades")
    other = echoes_value(0.7, 0.1, 0.1, 0.1)
    bench.turn(start, measured, report(t_ms=900.0, readout=readout(other)))
    assert bench.window.trend.title().startswith("P(darker than liver), %")


def test_another_model_begins_another_trend(bench: Any) -> None:
    shown(bench, "egfr")
    assert bench.window.trend.history.runs
    bench.turn(of_kind("probability")[0])
    assert bench.window.trend.history.runs == ()


# -- room -----------------------------------------------------------------------------------------------


def assert_nothing_is_cut_off(bench: Any) -> None:
    number = bench.window.readout.number
    column: list[QWidget] = [
        number.title, number.headline, number.bars, number.interval, number.categories, number.ramp, number.others,
        number.length, number.basis,
    ]  # fmt: skip
    seen = [widget for widget in column if widget.isVisible()]
    places = [widget.mapTo(number, widget.rect().topLeft()).y() for widget in seen]
    for (above, top), (_, next_top) in pairwise(zip(seen, places, strict=True)):
        assert top + above.height() <= next_top, type(above)
    assert places[-1] + seen[-1].height() <= number.height()
    for line in number.others.lines:
        assert line.isHidden() or line.geometry().bottom() < number.others.height() + 1
    for label in bench.window.readout.findChildren(QLabel):
        if not label.isVisible() or label is number.headline:
            continue
        if label.wordWrap():
            assert label.height() >= label.heightForWidth(label.width()) - 1, label.text()
        else:
            assert label.fontMetrics().horizontalAdvance(label.text()) <= label.width() + 1, label.text()
    assert number.headline.fontMetrics().tightBoundingRect(number.headline.text()).width() <= number.headline.width()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("doubted", [False, True])
def test_no_kind_is_cut_off_in_any_window(bench: Any, size: tuple[int, int], kind: str, doubted: bool) -> None:
    bench.window.resize(*size)
    doubts = {"in_domain": False, "stale": True, "age_ms": 6200.0, "heads_agree": False} if doubted else {}
    changes: dict[str, Any] = {"readout": readout(*KINDS[kind][1], **doubts), "quality": FAULT if doubted else None}
    shown(bench, kind, **changes)
    assert (bench.window.width(), bench.window.height()) == size
    assert_nothing_is_cut_off(bench)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", CROWD)
def test_as_much_as_a_bundle_may_hold_is_still_readable(bench: Any, size: tuple[int, int], kind: str) -> None:
    heads, values = conftest.crowd(kind)
    bench.window.resize(*size)
    start = conftest.started(model=conftest.model(heads=heads))
    measured: FrameReport = report(reading=None, readout=readout(*values, in_domain=False), quality=FAULT)
    text = bench.shown(start, measured)
    assert (bench.window.width(), bench.window.height()) == size
    assert_nothing_is_cut_off(bench)
    others = bench.window.readout.number.others
    left_out = sum(line.isHidden() for line in others.lines)
    assert left_out < 7
    assert (f"and {left_out} more: in a larger window" in text) == (left_out > 0)
    assert "Cortical shift  −2.3 mm" in others.toolTip()


def test_networks_that_take_turns_are_counted_beside_the_number_and_all_of_them_are_not(bench: Any) -> None:
    assert "of 3 networks" not in bench.shown(report())
    some = readout(members_seen=2)
    told = bench.shown(report(readout=some))
    assert "2 of 3 networks  ·  7 readings  ·  frame 12" in told


@pytest.mark.parametrize("kind", ["probability", "grades"])
def test_a_probability_and_grades_of_some_networks_say_how_many(bench: Any, kind: str) -> None:
    values = (bright_value(members=(0.8, 0.9)),) if kind == "probability" else (echoes_value(),)
    said = "2 of 10 networks say 80–90 %" if kind == "probability" else "2 of 10 networks"
    words = words_of(values[0], None, 10)
    assert words.detail == said
    assert said in bench.shown(report(readout=readout(*values, members_seen=2, members_total=10)))
