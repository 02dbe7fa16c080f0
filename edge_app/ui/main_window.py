"""The window: picture on the left, readout on the right. Never runs inference, never waits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from edge_app.imaging.nudge import Nudge
from edge_app.live.link import FrameView
from edge_app.live.messages import (
    ChooseImage,
    ClearPoles,
    Command,
    Counts,
    Message,
    MoveImage,
    Opened,
    Poles,
    Report,
    SetAgain,
    SetLength,
    SetPoles,
    Started,
)
from edge_app.ui import theme
from edge_app.ui._qt import (
    QCloseEvent,
    QHBoxLayout,
    QKeySequence,
    QMainWindow,
    QMargins,
    QPushButton,
    QResizeEvent,
    QShortcut,
    Qt,
    QVBoxLayout,
    QWidget,
)
from edge_app.ui.bridge import Bridge
from edge_app.ui.crop_inset import CropInset
from edge_app.ui.help_overlay import HelpOverlay
from edge_app.ui.length_entry import LengthEntry
from edge_app.ui.live_view import LiveView
from edge_app.ui.panel import Panel, describe
from edge_app.ui.readout_panel import ReadoutPanel
from edge_app.ui.situation import Situation, after_command, follow
from edge_app.ui.status_strip import StatusStrip
from edge_app.ui.supply import Worker
from edge_app.ui.trend import TrendPlot

SHORT_LABELS = {"Place handles  P": "Handles  P", "Clear handles  C": "Clear  C"}
BUTTON_PAD_PX = 10
FRAME = QMargins(4, 36, 4, 4)
"""Pixels that a desktop's title bar and borders may take: it tells them only once the window is there."""


class MainWindow(QMainWindow):
    """Owns the bridge and through it the worker: closing the window ends both.

    All state is one Situation; each message replaces it, and the panel is derived from it anew.
    """

    def __init__(self, worker: Worker) -> None:
        super().__init__()
        self.setWindowTitle("EchoGFR, research use")
        self.situation = Situation()
        self._worker = worker
        self.bridge = Bridge(worker, self)
        self.live = LiveView(worker)
        self.readout = ReadoutPanel()
        self.inset = CropInset()
        self.trend = TrendPlot()
        self.status = StatusStrip()
        self._buttons: list[QPushButton] = []
        self._lay_out()
        self.help = HelpOverlay(self)
        self.length = LengthEntry(self)
        self._connect()
        self.setMinimumSize(800, 480)
        self.resize(1280, 800)
        self._refresh()

    @property
    def panel(self) -> Panel:
        """What the readout says now."""
        return describe(replace(self.situation, now_ms=self.bridge.now_ms))

    # -- building -------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        left, self._right, self._small = QVBoxLayout(), QVBoxLayout(), QHBoxLayout()
        left.addWidget(self.live, 1)
        left.addLayout(self._button_row())
        self._small.addWidget(self.inset, 2)
        self._small.addWidget(self.trend, 3)
        self._right_side = QWidget()
        self._right_side.setLayout(self._right)
        self._right.setContentsMargins(0, 0, 0, 0)
        self._right.addWidget(self.readout, 1)
        self._right.addLayout(self._small)
        body = QHBoxLayout()
        body.setContentsMargins(8, 8, 8, 0)
        body.setSpacing(10)
        body.addLayout(left, 1)
        body.addWidget(self._right_side)
        whole, central = QVBoxLayout(), QWidget()
        whole.setContentsMargins(0, 0, 0, 4)
        whole.setSpacing(4)
        whole.addLayout(body, 1)
        whole.addWidget(self.status)
        central.setLayout(whole)
        self.setCentralWidget(central)

    def _button_row(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(8)
        for text, act in (
            ("Place handles  P", self.live.place_handles),
            ("Clear handles  C", self.live.clear_handles),
            ("Length  L", self.type_length),
            ("Map  M", self.toggle_map),
            ("Help  F1", self.toggle_help),
        ):
            button = QPushButton(text)
            button.setProperty("label", text)
            button.clicked.connect(act)
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # a tap leaves the arrow keys with the handles
            self._buttons.append(button)
            row.addWidget(button, 3 if "andles" in text else 2)
        self._buttons[3].setCheckable(True)
        return row

    def _label(self, button: QPushButton) -> str:
        """Return what a button says: in short where the window is narrow."""
        text: str = button.property("label")
        room = 0.235 * (self.width() - self._right_side.width()) - 2 * BUTTON_PAD_PX
        wide = button.fontMetrics().horizontalAdvance(text) > room
        return SHORT_LABELS.get(text, text) if wide else text

    def _connect(self) -> None:
        self.bridge.message_came.connect(self._on_message)
        self.bridge.frame_came.connect(self._on_frame)
        self.bridge.time_passed.connect(self._on_time)
        self.live.poles_placed.connect(self._on_poles)
        self.live.proposal_accepted.connect(self._on_proposal_accepted)
        self.live.poles_cleared.connect(self._on_poles_cleared)
        self.length.typed.connect(self._on_length)
        self.length.left.connect(self.live.setFocus)
        self.live.border_moved.connect(self._on_border)
        self.live.image_chosen.connect(self._on_image)
        for keys, act in self._keys().items():
            QShortcut(QKeySequence(keys), self).activated.connect(act)

    def _keys(self) -> dict[str, Callable[[], None]]:
        return {
            "P": self.live.place_handles,
            "C": self.live.clear_handles,
            "Esc": self.escape,
            "L": self.type_length,
            "B": self.live.edit_border,
            "M": self.toggle_map,
            "I": self.status.toggle_full,
            "D": self.live.toggle_refused,
            "F11": self.toggle_fullscreen,
            "F1": self.toggle_help,
            "Q": self._quit,
            "Ctrl+Q": self._quit,
        }

    # -- actions --------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the worker and begin to ask it."""
        self.live.setFocus()  # Enter accepts what is proposed
        self.bridge.start()

    def open(self, *, fullscreen: bool) -> None:
        """Show the window: on the whole screen, or no larger than the screen has room for."""
        screen = self.screen()
        if screen is not None and fullscreen:
            self.setGeometry(screen.geometry())  # a bedside box may run without a window manager
        elif screen is not None:
            self.resize(self.size().boundedTo(screen.availableSize().shrunkBy(FRAME)))
        if fullscreen:
            self.showFullScreen()
        else:
            self.show()

    def toggle_map(self) -> None:
        """Show or hide where the network looked."""
        self.inset.set_show_map(not self.inset.show_map)
        self._buttons[3].setChecked(self.inset.show_map)

    def type_length(self) -> None:
        """Ask for the kidney length that the scanner shows."""
        report = self.situation.report
        self.length.ask(report.crop if report is not None else None)

    def toggle_help(self) -> None:
        """Show or hide the help."""
        if self.help.isVisible():
            self._hide_help()
            return
        failed = self.situation.failed
        why = failed.sentence if failed is not None else ""
        self.help.show_about(self.situation.model, why, self.situation.localizer)
        self.help.show()
        self.help.raise_()
        self.help.text.setFocus()  # arrow keys scroll it, and move no handle that is out of sight

    def toggle_fullscreen(self) -> None:
        """Fill the screen, or go back."""
        if self.isFullScreen():
            self.showNormal()
        else:
            self.showFullScreen()

    def escape(self) -> None:
        """Close what is open over the picture; if nothing is, clear the handles."""
        if self.length.isVisible():
            self.length.leave()
        elif self.help.isVisible():
            self._hide_help()
        elif self.live.border is not None:
            self.live.leave_border()
        else:
            self.live.clear_handles()

    def _hide_help(self) -> None:
        self.help.hide()
        self.live.setFocus()

    def _quit(self) -> None:
        self.close()

    # -- news -----------------------------------------------------------------------------------------

    def _on_message(self, message: Message) -> None:
        if isinstance(message, Counts):
            self.status.see_counts(self.bridge.now_ms, message)
            return
        self.situation = follow(replace(self.situation, now_ms=self.bridge.now_ms), message)
        if isinstance(message, Report):
            self._on_report(message)
        elif isinstance(message, Started):
            self._on_started(message)
        elif isinstance(message, SetAgain):
            self._on_set_again(message)
        elif isinstance(message, Opened):
            self.status.show_identity(self.situation.model, message.source)
        if self.situation.report is None:
            self.live.show_report(None)
        self._refresh()

    def _on_time(self) -> None:
        self._refresh()
        self.status.refresh(self.bridge.now_ms)

    def _on_started(self, message: Started) -> None:
        self.status.show_identity(message.model, message.source)
        self.readout.show_model(message.model)
        self.trend.show_head(message.model.heads[0] if message.model else None)
        self.inset.clear()

    def _on_set_again(self, message: SetAgain) -> None:
        """Take away handles that did not outlive the restart, and say so."""
        said = self.situation.forgotten
        if "handles" in message.lost:
            self.live.clear_handles()  # which is a command, and commands end what was said before
        self.situation = replace(self.situation, forgotten=said)
        self.live.show_notice(said)

    def _on_report(self, message: Report) -> None:
        report = message.report
        if self.situation.report is not report:
            return  # of an older generation
        self.status.see_report(self.bridge.now_ms, report)
        self.trend.add(report, self.situation.synthetic is not None)
        self.live.show_report(report)
        if message.crop_rgb is not None and message.crop_size is not None:
            self.inset.show_crop(message.crop_rgb, message.crop_size, report)

    def _on_frame(self, view: FrameView) -> None:
        if not self.situation.has_frame:
            self.situation = replace(self.situation, has_frame=True)
            self._refresh()
        self.status.see_frame(self.bridge.now_ms, view.index)
        self.live.show_frame((view.pixels.shape[1], view.pixels.shape[0]))

    def _on_poles(self, x1: float, y1: float, x2: float, y2: float, frame: int) -> None:
        self._command(SetPoles(poles=Poles(x1=x1, y1=y1, x2=x2, y2=y2, frame=None if frame < 0 else frame)))

    def _on_proposal_accepted(self, x1: float, y1: float, x2: float, y2: float, frame: int) -> None:
        at = None if frame < 0 else frame
        self._command(SetPoles(poles=Poles(x1=x1, y1=y1, x2=x2, y2=y2, proposed=True, frame=at)))

    def _on_length(self, length_cm: float | None) -> None:
        self._worker.send(SetLength(length_cm=length_cm))

    def _on_poles_cleared(self) -> None:
        self._command(ClearPoles())

    def _on_border(self, by: Nudge | None) -> None:
        self._command(MoveImage(by=by))

    def _on_image(self, x: float, y: float) -> None:
        self._command(ChooseImage(x=x, y=y))

    def _command(self, command: Command) -> None:
        self.situation = after_command(self.situation, self._worker.send(command))
        self.live.show_notice("")
        self.live.show_report(None)
        self._refresh()

    def _refresh(self) -> None:
        panel = self.panel
        self.readout.show_panel(panel)
        self.live.show_badge(panel.badge, panel.age if panel.stale else "")
        self.inset.set_greyed(panel.number is None or panel.stale)

    # -- window ---------------------------------------------------------------------------------------

    def resizeEvent(self, a0: QResizeEvent | None) -> None:
        """Fit text, targets and columns to the window."""
        unit = theme.unit_px(self.height())
        self._right_side.setFixedWidth(round(min(0.38 * self.width(), 24 * unit)))
        self.inset.setFixedHeight(round(0.19 * self.height()))
        self.trend.setFixedHeight(round(0.19 * self.height()))
        for button in self._buttons:
            button.setFont(theme.font(0.8 * unit))
            button.setText(self._label(button))
            button.setFixedHeight(round(max(theme.TARGET_PX, 2.2 * unit)))
        self.readout.scale(unit)
        self.status.scale(unit)
        self.help.fit(unit)
        self.length.fit(unit)
        super().resizeEvent(a0)

    def closeEvent(self, a0: QCloseEvent | None) -> None:
        """End the worker with the window."""
        self.bridge.close()
        super().closeEvent(a0)
