"""Where a frame's pixel lies in the widget, and back, at any size of either."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_app.ui.handles import Handles, suggest
from edge_app.ui.mapping import Letterbox

sides = st.integers(min_value=16, max_value=4096)
areas = st.tuples(
    st.floats(0, 50), st.floats(0, 80), st.floats(min_value=40, max_value=4000), st.floats(min_value=40, max_value=4000)
)
parts = st.floats(min_value=0, max_value=1)


def test_a_frame_twice_as_large_as_the_widget_is_halved_and_centred() -> None:
    box = Letterbox.fit((200, 100), (0, 10, 100, 90))
    assert (box.scale, box.left, box.top) == (0.5, 0, 30)
    assert box.to_widget((-0.5, -0.5)) == (0, 30)
    assert box.to_widget((0, 0)) == (0.25, 30.25)
    assert box.to_frame((100, 80)) == (199.5, 99.5)


@given(sides, sides, areas, parts, parts)
def test_there_and_back_is_the_same_place(
    width: int, height: int, area: tuple[float, float, float, float], u: float, v: float
) -> None:
    box = Letterbox.fit((width, height), area)
    frame = (u * (width - 1), v * (height - 1))
    assert box.to_frame(box.to_widget(frame)) == pytest.approx(frame, abs=1e-6)


@given(sides, sides, areas)
def test_the_picture_lies_inside_its_area_and_touches_two_sides(
    width: int, height: int, area: tuple[float, float, float, float]
) -> None:
    box = Letterbox.fit((width, height), area)
    left, top = box.to_widget((-0.5, -0.5))
    right, bottom = box.to_widget((width - 0.5, height - 0.5))
    x, y, w, h = area
    rounding = 0.5 + 1e-6  # it begins on a whole pixel
    assert left >= x - rounding and top >= y - rounding and right <= x + w + rounding and bottom <= y + h + rounding
    assert right - left == pytest.approx(w) or bottom - top == pytest.approx(h)
    assert (right - left) / (bottom - top) == pytest.approx(width / height)


@given(sides, sides, st.floats(-5000, 9000), st.floats(-5000, 9000))
def test_a_handle_never_leaves_the_picture(width: int, height: int, x: float, y: float) -> None:
    cx, cy = Letterbox.fit((width, height), (0, 0, 100, 100)).clamp((x, y))
    assert 0 <= cx <= width - 1 and 0 <= cy <= height - 1


def test_handles_are_offered_at_the_calipers_and_count_only_when_both_are_placed() -> None:
    handles = suggest(((10, 20, 110, 20),), (0, 0, 200, 100))
    assert (handles.first, handles.second) == ((10, 20), (110, 20))
    assert not handles.complete
    one = handles.moved(1, (120, 20))
    assert not one.complete
    assert one.moved(0, (5, 20)).complete
    assert handles.accepted().complete


def test_without_calipers_they_are_offered_across_the_middle() -> None:
    assert suggest((), (100, 0, 200, 50)) == Handles((130, 25), (170, 25))


def test_two_taps_place_both_handles_and_then_only_a_near_press_holds_one() -> None:
    handles = Handles((10, 10), (90, 10))
    assert handles.grabbed((30, 40), 8) == 0
    assert handles.moved(0, (30, 40)).grabbed((35, 200), 8) == 1  # the other one is still to be placed
    done = handles.accepted()
    assert done.grabbed((50, 50), 8) is None
    assert done.grabbed((86, 12), 8) == 1
