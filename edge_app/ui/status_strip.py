"""The bottom line: which source, which model, which runtime, how fast. Key I shows all of it where there is no room."""

from __future__ import annotations

from edge_app.live.messages import Counts, ModelSummary, SourceSummary
from edge_app.live.report import FrameReport
from edge_app.ui import status_line, theme
from edge_app.ui._qt import QHBoxLayout, QLabel, QPoint, QSizePolicy, Qt, QWidget
from edge_app.ui.meters import CountMeter, DropMeter, RateMeter, StageMeter
from edge_app.ui.status_line import Figures, Part

GAP_PX = 24  # between left and right


class StatusStrip(QWidget):
    """Two labels that share one line: identity of the number on the left, figures on the right; and the full text."""

    def __init__(self) -> None:
        super().__init__()
        self.identity, self.figures, self.full = QLabel(), QLabel(), QLabel()
        self._stages, self._shown, self._analysed = StageMeter(), RateMeter(), RateMeter()
        self._drops = DropMeter()
        self._captured, self._counts = CountMeter(), Counts(captured=0, skipped=0)
        self._torn = 0
        self._model: ModelSummary | None = None
        self._source: SourceSummary | None = None
        self._runtime = ""
        self._left: tuple[Part, ...] = ()
        self._right: tuple[Part, ...] = ()
        row = QHBoxLayout(self)
        row.setContentsMargins(6, 0, 6, 0)
        row.addWidget(self.identity, 1)
        row.addWidget(self.figures)
        for label in (self.identity, self.figures, self.full):
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setStyleSheet(f"color: {theme.QUIET};")
            label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.figures.setSizePolicy(QSizePolicy.Policy.Minimum, QSizePolicy.Policy.Preferred)
        self.full.setWordWrap(True)
        self.full.setStyleSheet(f"color: {theme.TEXT}; background: {theme.GROUND}; padding: 6px;")
        self.full.hide()

    def scale(self, unit_px: float) -> None:
        """Fit the sizes to the window."""
        for label in (self.identity, self.figures, self.full):
            label.setFont(theme.font(max(11.0, 0.55 * unit_px)))
        self.setFixedHeight(round(1.1 * unit_px))
        self._fit()

    def toggle_full(self) -> None:
        """Show or hide, over the window and above the line, all that it says."""
        shown = not self.full.isHidden()
        self.full.setParent(self.window())
        self.full.setVisible(not shown)
        self._fit()

    def _lay_over(self) -> None:
        """Put the full text right above the line."""
        window, width = self.window(), self.width()
        if window is None or self.full.isHidden():
            return
        height = self.full.heightForWidth(width)
        at = self.mapTo(window, QPoint(0, 0))
        self.full.setGeometry(at.x(), at.y() - height, width, height)
        self.full.raise_()

    def show_identity(self, model: ModelSummary | None, source: SourceSummary) -> None:
        """Say what produces the numbers and where the pictures come from."""
        self._model, self._source = model, source
        self._name_runtime("" if model is None else f"{model.runtime} {model.precision}")

    def _name_runtime(self, runtime: str) -> None:
        self._runtime = runtime
        if self._source is not None:
            self._left = status_line.identity(self._source, self._model, runtime)
            self._fit()

    def see_frame(self, now_ms: float, index: int) -> None:
        """Count a frame that came on screen."""
        self._shown.tick(now_ms)
        self._drops.see(index)

    def see_report(self, now_ms: float, report: FrameReport) -> None:
        """Count a report."""
        self._analysed.tick(now_ms)
        self._stages.add(now_ms, report.timings_ms)
        self._torn = report.torn
        reading = report.reading
        if reading is not None and f"{reading.runtime} {reading.precision}" != self._runtime:
            self._name_runtime(f"{reading.runtime} {reading.precision}")  # a server left, or came back

    def see_counts(self, now_ms: float, counts: Counts) -> None:
        """Take in what became of the frames so far."""
        self._captured.add(now_ms, counts.captured)
        self._counts = counts

    def refresh(self, now_ms: float) -> None:
        """Write the figures anew; twice a second is enough for an eye."""
        medians = self._stages.medians_ms()
        figures = Figures(
            stages_ms=medians,
            captured=self._captured.per_second(now_ms),
            shown=self._shown.per_second(now_ms),
            analysed=self._analysed.per_second(now_ms),
            skipped=self._counts.skipped,
            dropped=self._drops.dropped,
            torn=self._torn,
        )
        self._right = status_line.counts(figures)
        every = "\n".join(f"{name}: {value:.1f} ms" for name, value in medians.items())
        self.figures.setToolTip(f"{_full(self._right)}\n{every}".strip())
        self._fit()

    def resizeEvent(self, a0: object) -> None:
        """Shorten anew."""
        self._fit()

    def _fit(self) -> None:
        """Say as much as there is room for; all of it is in the tool tips and in the full text."""
        parts, metrics = (*self._left, *self._right), self.identity.fontMetrics()
        room = self.width() - 12 - GAP_PX
        forms = status_line.fit(parts, room, metrics.horizontalAdvance)
        left, right = forms[: len(self._left)], forms[len(self._left) :]
        self.identity.setText(status_line.joined(left))
        self.figures.setText(status_line.joined(right))
        self.identity.setToolTip(_full(self._left))
        self.full.setText(f"{_full(self._left)}\n{_full(self._right)}")
        self._lay_over()


def _full(parts: tuple[Part, ...]) -> str:
    return status_line.joined([part.full for part in parts])
