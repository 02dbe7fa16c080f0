"""What the operator has set holds again after the worker was killed or hung, or its loss is said."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_app.imaging.nudge import Nudge
from edge_app.live.messages import ChooseImage, MoveImage, Poles, Report, SetAgain, SetLength, SetPoles
from edge_app.live.report import FrameReport

from .test_live_faults import Bedside, bedside  # noqa: F401 - a fixture
from .test_live_images import two_fans

POLES = Poles(x1=840, y1=300, x2=1010, y2=330)
Picture = NDArray[np.uint8]


class Room:
    """A bedside whose scanner shows one picture after another."""

    def __init__(self, at: Bedside, folder: Path) -> None:
        self.bedside, self._folder, self._count = at, folder, 0

    def show(self, picture: Picture) -> None:
        self._count += 1
        path = self._folder / f"{self._count}.npy"
        np.save(path, picture)
        self.bedside.order(str(path))

    @property
    def report(self) -> FrameReport | None:
        found = [message.report for _, message in self.bedside.heard if isinstance(message, Report)]
        return found[-1] if found else None

    def until(self, right: Callable[[FrameReport], bool]) -> FrameReport:
        self.bedside.until(lambda: self.report is not None and right(self.report), 40.0)
        report = self.report
        assert report is not None
        return report

    def strike(self, how: signal.Signals) -> None:
        """Kill the worker, or make it hang for good."""
        pid = self.bedside.supervisor.status.pid
        assert pid is not None
        self.bedside.heard.clear()
        os.kill(pid, how)
        self.bedside.until(lambda: self.bedside.supervisor.status.pid not in (None, pid), 40.0)

    @property
    def settled(self) -> SetAgain | None:
        return next((message for _, message in self.bedside.heard if isinstance(message, SetAgain)), None)

    def set_all(self) -> FrameReport:
        """Choose the right one of two images, move its border, put handles on it and type a length."""
        send = self.bedside.supervisor.send
        self.show(two_fans())
        self.until(lambda report: report.undecided)
        send(ChooseImage(x=930.0, y=300.0))
        send_after = self.until(lambda report: report.sector is not None and report.sector.bbox[0] > 600)
        assert not send_after.undecided
        send(MoveImage(by=Nudge(bottom=-0.05)))
        self.until(lambda report: report.by_hand)
        send(SetPoles(poles=POLES))
        self.until(lambda report: report.crop is not None and report.crop.basis == "poles")
        send(SetLength(length_cm=10.5))
        return self.until(lambda report: report.crop is not None and report.crop.lengths_cm.get("operator") == 10.5)


@pytest.fixture
def room(bedside: Bedside, tmp_path: Path) -> Iterator[Room]:  # noqa: F811 - the fixture
    yield Room(bedside, tmp_path)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_all_that_was_set_holds_again_after_a_restart(room: Room, how: signal.Signals) -> None:
    before = room.set_all()
    for _ in range(2 if how == signal.SIGKILL else 1):
        room.strike(how)
        room.bedside.until(lambda: room.settled, 40.0)
        assert room.settled == SetAgain()
        after = room.until(lambda report: report.crop is not None and "operator" in report.crop.lengths_cm)
        assert after.generation == room.bedside.supervisor.status.generation
        assert after.crop is not None and before.crop is not None and after.sector is not None
        assert after.crop.poles == pytest.approx(before.crop.poles, abs=1.5)
        assert after.crop.lengths_cm["operator"] == 10.5
        assert after.sector.bbox[0] > 600 and not after.undecided
        assert after.by_hand and before.sector is not None
        assert after.sector.bbox == pytest.approx(before.sector.bbox, abs=6)
        others = [m.report for _, m in room.bedside.heard if isinstance(m, Report) and m.report.crop is not None]
        assert all(report.crop.basis == "poles" for report in others if report.crop), "nothing else was read meanwhile"


def test_on_another_layout_the_loss_is_said(room: Room) -> None:
    room.set_all()
    one = two_fans()
    one[:, 640:] = 0
    room.show(one)
    room.strike(signal.SIGKILL)
    room.bedside.until(lambda: room.settled, 40.0)
    told = room.settled
    assert told is not None and set(told.lost) == {"handles", "length", "image"} and "laid out" in told.because
    after = room.until(lambda report: report.sector is not None and report.refusal is not None)
    assert after.crop is None and not after.by_hand


def test_handles_from_which_the_kidney_is_gone_are_given_up(room: Room) -> None:
    room.set_all()
    other = two_fans()
    lit = other > 0
    room.show(np.where(lit, np.roll(other[::-1], 37, axis=1), 0).astype(np.uint8))
    room.strike(signal.SIGKILL)
    room.bedside.until(lambda: room.settled, 40.0)
    told = room.settled
    assert told is not None and told.lost == ("handles", "length") and "not seen" in told.because
    after = room.until(lambda report: report.by_hand)
    assert after.sector is not None and after.sector.bbox[0] > 600, "the image is still the chosen one"
    assert after.crop is None
