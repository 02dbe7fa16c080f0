"""A worker without a process: the seam at which the window is tested. It answers as the supervisor would."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from edge_app.live.link import FrameView
from edge_app.live.messages import Command, Message, ModelSummary, Report, SourceSummary, Started
from edge_app.live.report import (
    CropReport,
    FrameReport,
    GradesReport,
    ProbabilityReport,
    ReadingReport,
    Readout,
    Refusal,
    RegressionReport,
    SectorReport,
)
from edge_app.ui import theme
from edge_app.ui._qt import QApplication
from edge_app.ui.main_window import MainWindow
from engines.manifest import GradesHead, IntervalSpec, ProbabilityHead, RegressionHead

WIDTH, HEIGHT = 960, 720
EGFR_HEADS = (
    RegressionHead(
        name="egfr",
        title="Image-derived eGFR",
        quantity="egfr",
        output="egfr_members",
        map="egfr_map",
        unit="mL/min/1.73 m2",
        resolution=1.0,
        lowest=0.0,
        interval=IntervalSpec(level=0.9, edges=(), low=(-16.0,), high=(21.0,), patients=300, basis="test"),
    ),
    ProbabilityHead(
        name="p_egfr_below_60",
        title="P(eGFR < 60)",
        quantity="egfr_below_60",
        event="eGFR < 60",
        output="p_egfr_below_60_members",
    ),
)
OUTLINE = ((480.0, 90.0), (760.0, 560.0), (480.0, 660.0), (200.0, 560.0))
NAME_BOX = (20, 10, 330, 50)  # where the made-up screen has its made-up name, outside the sector


def screen(index: int = 0, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A screen with a grey sector and a name burned in outside it."""
    pixels = np.full((height, width, 3), 6, np.uint8)
    scale = np.array([width / WIDTH, height / HEIGHT])
    outline = np.round(np.array(OUTLINE) * scale).astype(np.int32)
    cv2.fillPoly(pixels, [outline], (72, 72, 72))
    centre = (round(480 * scale[0]), round(400 * scale[1]))
    cv2.ellipse(pixels, centre, (150, 70), 12, 0, 360, (120, 120, 120), -1)
    cv2.ellipse(pixels, centre, (70, 25), 12, 0, 360, (190, 190, 190), -1)
    cv2.putText(pixels, "DOE JANE 1970", (24, 42), cv2.FONT_HERSHEY_SIMPLEX, 1.1, (240, 240, 240), 2)
    cv2.putText(pixels, str(index), (24, height - 20), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (200, 200, 200), 2)
    pixels.setflags(write=False)
    return pixels


def model(**changes: Any) -> ModelSummary:
    fields: dict[str, Any] = {
        "bundle_id": "synthetic-standin",
        "version": "0.1.0",
        "title": "Stand-in trained on simulated kidneys",
        "sha256": "ab" * 32,
        "signature": "signed by Ward 7 on 2026-11-27",
        "synthetic": True,
        "members": 3,
        "heads": EGFR_HEADS,
        "runtime": "onnxruntime",
        "provider": "CPUExecutionProvider 1.31.1",
        "precision": "fp32",
        "selection": ("tensorrt: not installed", "onnxruntime fp32: chosen, the only one that opens"),
        "limits": (
            "Trained on simulated pictures only.",
            "Tends to read too high in kidney failure and too low in normal function.",
            "Adults, long axis of the native kidney, B-mode.",
        ),
    }
    return ModelSummary(**{**fields, **changes})


def started(**changes: Any) -> Started:
    source = SourceSummary(uri="phantom:", title="Phantom, 960x720", live=True, fps=30.0, size=(WIDTH, HEIGHT))
    return Started(**{"pid": 1, "source": source, "model": model(), **changes})


def egfr_value(**changes: Any) -> RegressionReport:
    fields: dict[str, Any] = {
        "head": "egfr",
        "title": "Image-derived eGFR",
        "quantity": "egfr",
        "unit": "mL/min/1.73 m2",
        "resolution": 1.0,
        "value": 43.4,
        "low": 27.6,
        "high": 64.2,
        "level": 0.9,
        "spread": 4.0,
        "members": (40.0, 43.4, 46.8),
        "categories": "G2-G4",
        "map": None,
    }
    return RegressionReport(**{**fields, **changes})


def below_60_value(**changes: Any) -> ProbabilityReport:
    fields: dict[str, Any] = {
        "head": "p_egfr_below_60",
        "title": "P(eGFR < 60)",
        "quantity": "egfr_below_60",
        "event": "eGFR < 60",
        "p": 0.86,
        "spread": 0.05,
        "members": (0.81, 0.86, 0.91),
        "map": None,
    }
    return ProbabilityReport(**{**fields, **changes})


def readout(*values: Any, **changes: Any) -> Readout:
    """A readout of these values, or of an eGFR of 43 and P(eGFR < 60)."""
    fields: dict[str, Any] = {
        "values": values or (egfr_value(), below_60_value()),
        "readings": 7,
        "frame": 12,
        "t_ms": 400.0,
        "age_ms": 100.0,
        "stale": False,
        "in_domain": True,
        "heads_agree": True,
        "members_seen": 3,
        "members_total": 3,
    }
    return Readout(**{**fields, **changes})


def reading(*values: Any, **changes: Any) -> ReadingReport:
    """A reading of these values, or of an eGFR of 43 with its map, and P(eGFR < 60)."""
    fields: dict[str, Any] = {
        "values": values or (egfr_value(map=blob(7)), below_60_value()),
        "heads_agree": True,
        "domain_distance": 1.2,
        "in_domain": True,
        "synthetic": True,
        "runtime": "onnxruntime",
        "precision": "fp32",
        "bundle": "synthetic-standin",
        "members_seen": 3,
        "members_total": 3,
    }
    return ReadingReport(**{**fields, **changes})


def blob(side: int) -> tuple[tuple[float, ...], ...]:
    """A map with one bright place in the middle."""
    cells = range(side)
    return tuple(tuple(float(10 * np.exp(-((x - 3) ** 2 + (y - 3) ** 2) / 4)) for x in cells) for y in cells)


BRIGHT = ProbabilityHead(
    name="bright", title="P(bright cortex)", quantity="other", event="bright cortex", output="bright_members"
)
ECHOES = GradesHead(
    name="echo",
    title="Cortical echogenicity",
    output="echo_members",
    grades=("darker than liver", "like liver", "brighter than liver", "like renal sinus"),
)
VOLUME = RegressionHead(
    name="volume",
    title="Kidney volume",
    quantity="other",
    output="volume_members",
    unit="mL",
    resolution=5.0,
    lowest=0.0,
    boundaries=(90.0, 150.0, 210.0),
    categories=("small", "low-medium", "high-medium", "large"),
)
SHIFT = RegressionHead(
    name="shift", title="Cortical shift", quantity="other", output="shift_members", unit="mm", resolution=0.1
)


def bright_value(**changes: Any) -> ProbabilityReport:
    fields: dict[str, Any] = {
        "head": "bright",
        "title": BRIGHT.title,
        "quantity": "other",
        "event": BRIGHT.event,
        "p": 0.834,
        "spread": 0.06,
        "members": (0.714, 0.862, 0.926),
        "map": None,
    }
    return ProbabilityReport(**{**fields, **changes})


def echoes_value(*p: float, **changes: Any) -> GradesReport:
    shares = p or (0.06, 0.2, 0.64, 0.1)
    fields: dict[str, Any] = {
        "head": "echo",
        "title": ECHOES.title,
        "grades": ECHOES.grades,
        "p": shares,
        "top": shares.index(max(shares)),
        "members": (shares, shares),
        "map": None,
    }
    return GradesReport(**{**fields, **changes})


def volume_value(**changes: Any) -> RegressionReport:
    own: dict[str, Any] = {
        "head": "volume",
        "title": VOLUME.title,
        "quantity": "other",
        "unit": "mL",
        "resolution": 5.0,
    }
    said: dict[str, Any] = {"value": 131.2, "low": 88.0, "high": 171.4, "level": 0.8, "categories": "small-high-medium"}
    return egfr_value(**{**own, **said, "members": (120.0, 131.2, 142.4), **changes})


def shift_value(**changes: Any) -> RegressionReport:
    own: dict[str, Any] = {"head": "shift", "title": SHIFT.title, "quantity": "other", "unit": "mm", "resolution": 0.1}
    said: dict[str, Any] = {"value": -2.34, "low": None, "high": None, "level": None, "categories": ""}
    return egfr_value(**{**own, **said, "members": (-2.0, -2.68), **changes})


# a model by its main head: what its bundle declares, and what it says
KINDS: dict[str, tuple[tuple[Any, ...], tuple[Any, ...]]] = {
    "egfr": (EGFR_HEADS, (egfr_value(), below_60_value())),
    "probability": ((BRIGHT, VOLUME), (bright_value(), volume_value())),
    "grades": ((ECHOES, BRIGHT), (echoes_value(), bright_value())),
    "regression": ((VOLUME, ECHOES), (volume_value(), echoes_value())),
    "uncalibrated": ((SHIFT,), (shift_value(),)),
}
LONG = "a name as long as a bundle may give to what it says, eighty characters in all ok"
CROWD = {
    "probability": (BRIGHT.model_copy(update={"event": LONG}), bright_value(event=LONG)),
    "grades": (
        ECHOES.model_copy(update={"title": LONG, "grades": tuple(f"{at} {LONG}" for at in range(20))}),
        echoes_value(*[0.05] * 20, title=LONG, grades=tuple(f"{at} {LONG}" for at in range(20))),
    ),
    "regression": (
        VOLUME.model_copy(update={"title": LONG, "unit": LONG, "resolution": 0.001}),
        volume_value(title=LONG, unit=LONG, resolution=0.001, value=123456.789, high=234567.891),
    ),
}


def crowd(kind: str) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """A main head with names as long as they may be, and seven others: as much as a bundle may hold."""
    head, value = CROWD[kind]
    others = ((VOLUME, volume_value(title=LONG)), (ECHOES, echoes_value(0.3, 0.4, 0.2, 0.1)), (SHIFT, shift_value()))
    more = ((BRIGHT, bright_value(event=LONG)), (VOLUME, volume_value()), (ECHOES, echoes_value()))
    every = ((head, value), *others, *more, (SHIFT, shift_value()))
    return tuple(head for head, _ in every), tuple(value for _, value in every)


def of_kind(kind: str, **changes: Any) -> tuple[Started, FrameReport]:
    """The messages of a model of that kind: its start, and a measured frame."""
    heads, values = KINDS[kind]
    mapped = (values[0].model_copy(update={"map": blob(7)}), *values[1:])
    fields: dict[str, Any] = {"reading": reading(*mapped), "readout": readout(*values)}
    return started(model=model(heads=heads)), report(**{**fields, **changes})


def report(**changes: Any) -> FrameReport:
    """A report of a measured frame with a number."""
    fields: dict[str, Any] = {
        "frame": 12,
        "t_ms": 400.0,
        "generation": 0,
        "state": "LIVE",
        "sector": SectorReport(bbox=(200, 90, 761, 661), kind="convex", confidence=0.95, outline=OUTLINE),
        "calipers": ((333.0, 369.0, 627.0, 431.0),),
        "px_per_cm": 28.0,
        "crop": CropReport(
            x0=330.0,
            y0=250.0,
            x1=630.0,
            y1=550.0,
            mode="square",
            poles=(333, 369, 627, 431),
            basis="calipers",
            length_cm=10.7,
        ),
        "quality": None,
        "refusal": None,
        "reading": reading(),
        "readout": readout(),
        "timings_ms": {"sector": 2.1, "calipers": 3.4, "infer": 11.0, "total": 18.2},
    }
    fields["frozen"] = changes.get("state") == "FROZEN"  # a STALE picture may be either: tests say which
    return FrameReport(**{**fields, **changes})


def refused(code: str = "no_calipers", reason: str = "", **changes: Any) -> FrameReport:
    text = reason or "No length markers are seen: freeze and measure the kidney length pole to pole."
    fields: dict[str, Any] = {"crop": None, "calipers": (), "reading": None, "readout": None}
    return report(**{**fields, "refusal": Refusal(code=code, reason=text), **changes})


def crop_message(of: FrameReport) -> Report:
    """A report together with the crop that was read."""
    pixels = cv2.resize(screen()[250:550, 330:630], (224, 224), interpolation=cv2.INTER_LINEAR)
    return Report(report=of, crop_rgb=pixels.tobytes(), crop_size=(224, 224))


class FakeWorker:
    """Hands out what a test puts in; notes what the window asks of it."""

    def __init__(self) -> None:
        self.inbox: list[Message] = []
        self.frames: dict[int, FrameView] = {}
        self.newest: FrameView | None = None
        self.sent: list[Command] = []
        self.generation = 0
        self.started = self.closed = 0

    def put_frame(self, index: int = 12, t_ms: float = 400.0, size: tuple[int, int] = (WIDTH, HEIGHT)) -> None:
        self.newest = self.frames[index] = FrameView(index, t_ms, screen(index, *size))

    def start(self) -> None:
        self.started += 1

    def poll(self) -> list[Message]:
        came, self.inbox = self.inbox, []
        return came

    def newest_frame(self) -> FrameView | None:
        return self.newest

    def frame(self, index: int) -> FrameView | None:
        return self.frames.get(index)

    def send(self, command: Command) -> int:
        self.sent.append(command)
        self.generation += 1
        return self.generation

    def close(self, timeout_s: float = 2.0) -> None:
        self.closed += 1


class Bench:
    """A window on a fake worker, driven turn by turn: no timer runs, so each test decides what has come."""

    def __init__(self, window: MainWindow, worker: FakeWorker) -> None:
        self.window, self.worker = window, worker

    def turn(self, *messages: Message | FrameReport) -> None:
        """Let the window take in messages and the newest frame, and paint."""
        self.worker.inbox += [Report(report=m) if isinstance(m, FrameReport) else m for m in messages]
        self.window.bridge.turn()
        for _ in range(2):  # the height of wrapped text is settled one round after its width
            QApplication.processEvents()

    def shown(self, *messages: Message | FrameReport) -> str:
        """Take a turn and return all text that the readout then shows."""
        self.turn(*messages)
        return self.text()

    def text(self) -> str:
        from edge_app.ui._qt import QLabel

        panel = self.window.readout
        labels = [label.text() for label in panel.findChildren(QLabel) if label.isVisible()]
        strip = [panel.synthetic.text] if panel.synthetic.isVisible() else []
        return "\n".join([*strip, *labels])


@pytest.fixture(scope="session")
def dark(qapp: QApplication) -> QApplication:
    """The application, dressed once: each dressing re-polishes every widget."""
    theme.apply(qapp)
    return qapp


@pytest.fixture
def bench(qtbot: QtBot, dark: QApplication) -> Iterator[Bench]:
    """A window with a started model and one frame on screen."""
    worker = FakeWorker()
    window = MainWindow(worker)
    qtbot.addWidget(window)
    window.show()
    made = Bench(window, worker)
    worker.put_frame()
    made.turn(started())
    yield made
    window.close()


@pytest.fixture
def make() -> Callable[..., FrameReport]:
    """The maker of reports."""
    return report
