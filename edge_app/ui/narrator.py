"""The narrator: says in lines of text what the window shows, for a run without a display."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from edge_app.live.messages import Ended, Message, Recovered, Recovering, Report, Started
from edge_app.ui import wording
from edge_app.ui._qt import QObject, QPixmap, QTimer
from edge_app.ui.main_window import MainWindow
from edge_app.ui.panel import Number, Panel, sentence
from edge_app.ui.screenshot import grab_masked

GRAB_EVERY_MS = 2000.0


class Narrator(QObject):
    """Listens to a window's bridge; prints each new readout, refusal and state, once.

    ``readings`` counts the numbers said; ``picture`` is the newest masked picture of a number on screen.
    """

    def __init__(self, window: MainWindow, say: Callable[[str], None]) -> None:
        super().__init__(window)
        self._window, self._say = window, say
        self._said = ""
        self._grabbed_ms = -GRAB_EVERY_MS
        self.readings = 0
        self.picture: QPixmap | None = None
        window.bridge.message_came.connect(self._on_message)
        window.bridge.time_passed.connect(self._on_change)

    def _on_message(self, message: Message) -> None:
        event = _event(message)
        if event:
            self._line(event)
        self._on_change(fresh=isinstance(message, Report))

    def _on_change(self, fresh: bool = False) -> None:
        panel = self._window.panel
        text = told(panel if self._window.situation.recovering is None else self._recovering(panel))
        if text != self._said:
            self._said = text
            self._line(f"{text}, {panel.age} old" if panel.stale else text)
            self.readings += panel.number is not None and not panel.number.stale
        if fresh and panel.number is not None and not panel.number.stale:
            self._grab()

    def _recovering(self, panel: Panel) -> Panel:
        """Leave out the count-down: a line is written when something new is known."""
        recovering = self._window.situation.recovering
        return panel if recovering is None else replace(panel, notice=recovery(recovering))

    def _line(self, text: str) -> None:
        self._say(f"{self._window.bridge.now_ms / 1000:6.2f} s  {text}")

    def _grab(self) -> None:
        """Take a picture once this turn's signals have all been handled."""
        if self._window.bridge.now_ms - self._grabbed_ms >= GRAB_EVERY_MS:
            QTimer.singleShot(0, self._take)

    def _take(self) -> None:
        now_ms = self._window.bridge.now_ms
        if now_ms - self._grabbed_ms >= GRAB_EVERY_MS and self._window.live.can_be_saved:
            self._grabbed_ms = now_ms
            self.picture = grab_masked(self._window)


def told(panel: Panel) -> str:
    """Return a panel as one line, without what changes by itself (ages)."""
    number = panel.number
    if number is None:
        last = f"  |  STALE value: {panel.name} {panel.last}" if panel.last and panel.stale else ""
        return f"{panel.badge:8}  {panel.notice_title}: {panel.notice}{last}"
    parts = [_main(number)]
    parts += [part for part in (number.main.detail, number.main.categories) if part]
    parts += [", ".join(f"{bar.name} {bar.percent}" for bar in number.main.bars)] if number.main.bars else []
    parts += [f"{name} {value}" for name, value in number.others]
    parts += [panel.synthetic] if panel.synthetic else []
    parts += [wording.OUT_OF_DOMAIN] if not number.in_domain else []
    parts += [number.networks] if number.networks and number.networks not in number.main.detail else []
    parts += [number.length] if number.length else []
    parts += list(panel.cautions)
    parts += [f"STALE value of {number.frame}"] if number.stale else []
    return f"{panel.badge:8}  " + "  |  ".join(parts)


def _main(number: Number) -> str:
    """Return the main head in one phrase: ``eGFR ≥60 (estimate 74) mL/min/1.73 m²``, ``P(event) 86 %``."""
    main = number.main
    beside = f" ({main.beside})" if main.beside and main.beside != main.name else ""
    sign, unit = f" {main.sign}" if main.sign else "", f" {main.unit}" if main.unit else ""
    return f"{main.name} {number.headline}{sign}{beside}{unit}"


def recovery(recovering: Recovering) -> str:
    """Return why and when something is tried again."""
    return f"{sentence(recovering.reason)} {wording.retry(recovering.attempt, recovering.wait_s)}"


def _event(message: Message) -> str:
    if isinstance(message, Started):
        model = message.model
        what = f"{model.bundle_id} {model.version} on {model.runtime} {model.precision}" if model else "no model"
        return f"started   {message.source.title}; {what}"
    if isinstance(message, Recovered):
        return "recovered pictures come again"
    if isinstance(message, Ended):
        return f"ended     the source has no more frames after {message.frames}"
    return ""  # everything else changes what the panel says
