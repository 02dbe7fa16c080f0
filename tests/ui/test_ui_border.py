"""The image's border set by hand, and the choice between two images, in the window."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from pytestqt.qtbot import QtBot

from edge_app.live.messages import ChooseImage, MoveImage
from edge_app.live.report import SectorReport
from edge_app.ui._qt import QPointF, Qt

conftest = sys.modules[next(name for name in sys.modules if name.endswith("ui.conftest"))]
report, refused = conftest.report, conftest.refused

RIGHT = SectorReport(
    bbox=(780, 100, 950, 500),
    kind="convex",
    confidence=0.9,
    outline=((860.0, 100.0), (949.0, 480.0), (860.0, 499.0), (780.0, 480.0)),
)


def place(bench: Any, at: tuple[float, float]) -> Any:
    return QPointF(*bench.window.live.letterbox().to_widget(at)).toPoint()


def test_b_and_arrows_move_the_border_and_enter_sends_it_once(bench: Any, qtbot: QtBot) -> None:
    bench.turn(refused())
    live = bench.window.live
    qtbot.keyClick(bench.window, Qt.Key.Key_B)
    assert live.border is not None and live.border.box == (200.0, 90.0, 761.0, 661.0)
    qtbot.keyClick(live, Qt.Key.Key_Right, Qt.KeyboardModifier.ShiftModifier)
    qtbot.keyClick(live, Qt.Key.Key_Tab)
    qtbot.keyClick(live, Qt.Key.Key_Left)
    assert bench.worker.sent == []
    qtbot.keyClick(live, Qt.Key.Key_Return)
    (sent,) = bench.worker.sent
    assert isinstance(sent, MoveImage) and sent.by is not None
    assert [side * 960 for side in (sent.by.left, sent.by.right)] == pytest.approx([9, 10])
    assert live.border is None


def test_a_side_is_dragged_and_stays_within_the_picture(bench: Any, qtbot: QtBot) -> None:
    bench.turn(refused())
    live = bench.window.live
    live.edit_border()
    qtbot.mousePress(live, Qt.MouseButton.LeftButton, pos=place(bench, (480.0, 661.0)))
    qtbot.mouseMove(live, place(bench, (480.0, 600.0)))
    qtbot.mouseRelease(live, Qt.MouseButton.LeftButton, pos=place(bench, (480.0, 600.0)))
    assert live.border is not None
    assert live.border.box[3] == pytest.approx(600, abs=1.5 / live.letterbox().scale)
    assert live.border.box[:3] == (200.0, 90.0, 761.0)
    qtbot.mousePress(live, Qt.MouseButton.LeftButton, pos=place(bench, (761.0, 300.0)))
    qtbot.mouseMove(live, place(bench, (3000.0, 300.0)))
    qtbot.mouseRelease(live, Qt.MouseButton.LeftButton, pos=place(bench, (3000.0, 300.0)))
    assert live.border is not None and live.border.box[2] == 960.0


def test_escape_leaves_the_border_as_it_was(bench: Any, qtbot: QtBot) -> None:
    bench.turn(report())
    qtbot.keyClick(bench.window, Qt.Key.Key_B)
    qtbot.keyClick(bench.window.live, Qt.Key.Key_Up)
    qtbot.keyClick(bench.window, Qt.Key.Key_Escape)
    assert bench.window.live.border is None
    assert bench.worker.sent == []


def test_delete_goes_back_to_the_border_as_it_is_found(bench: Any, qtbot: QtBot) -> None:
    bench.turn(report(by_hand=True))
    qtbot.keyClick(bench.window, Qt.Key.Key_B)
    qtbot.keyClick(bench.window.live, Qt.Key.Key_Delete)
    (sent,) = bench.worker.sent
    assert isinstance(sent, MoveImage) and sent.by is None
    assert not bench.window.readout.number_is_shown  # what was read was another image


def test_where_no_image_is_found_its_border_begins_in_the_middle(bench: Any, qtbot: QtBot) -> None:
    bench.turn(refused(code="no_sector", sector=None))
    qtbot.keyClick(bench.window, Qt.Key.Key_B)
    assert bench.window.live.border.box == (240.0, 108.0, 720.0, 612.0)


def test_a_tap_on_the_other_of_two_images_asks_for_it(bench: Any, qtbot: QtBot) -> None:
    bench.turn(report(others=(RIGHT,)))
    live = bench.window.live
    qtbot.mouseClick(live, Qt.MouseButton.LeftButton, pos=place(bench, (480.0, 300.0)))
    assert bench.worker.sent == []  # that one is read
    qtbot.mouseClick(live, Qt.MouseButton.LeftButton, pos=place(bench, (860.0, 300.0)))
    (sent,) = bench.worker.sent
    assert isinstance(sent, ChooseImage)
    assert (sent.x, sent.y) == pytest.approx((860, 300), abs=1.0 / live.letterbox().scale)


def test_of_two_images_that_stand_still_the_operator_is_asked(bench: Any, qtbot: QtBot) -> None:
    bench.turn(refused(others=(RIGHT,), undecided=True))
    live = bench.window.live
    assert live.strip().text == "Two images: tap the one that is to be read."
    qtbot.mouseClick(live, Qt.MouseButton.LeftButton, pos=place(bench, (480.0, 300.0)))
    assert isinstance(bench.worker.sent[0], ChooseImage)


def test_that_a_border_could_not_be_kept_is_said(bench: Any) -> None:
    bench.turn(report(notice="layouts.json cannot be written, because the disk is full: choose another place."))
    assert "because the disk is full" in bench.window.live.strip().text
