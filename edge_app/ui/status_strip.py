"""The bottom line: which model, which runtime, which source, how fast."""

from __future__ import annotations

from edge_app.live.messages import Counts, ModelSummary, SourceSummary
from edge_app.live.report import FrameReport
from edge_app.ui import theme
from edge_app.ui._qt import QHBoxLayout, QLabel, QSizePolicy, Qt, QWidget
from edge_app.ui.meters import CountMeter, DropMeter, RateMeter, StageMeter

FALLBACK = "a fallback, with consent"
STAGES = ("sector", "calipers", "infer", "total")  # the others are in the tool tip


class StatusStrip(QWidget):
    """Two labels: identity of the number on the left, figures on the right."""

    def __init__(self) -> None:
        super().__init__()
        self.identity = _Elided(Qt.TextElideMode.ElideRight)
        self.figures = QLabel()
        self._stages, self._shown, self._analysed = StageMeter(), RateMeter(), RateMeter()
        self._drops = DropMeter()
        self._captured, self._counts = CountMeter(), Counts(captured=0, skipped=0)
        self._model: ModelSummary | None = None
        self._source: SourceSummary | None = None
        self._runtime = ""
        row = QHBoxLayout(self)
        row.setContentsMargins(6, 0, 6, 0)
        row.addWidget(self.identity, 1)
        row.addWidget(self.figures)
        for label in (self.identity, self.figures):
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setStyleSheet(f"color: {theme.QUIET};")

    def scale(self, unit_px: float) -> None:
        """Fit the sizes to the window."""
        for label in (self.identity, self.figures):
            label.setFont(theme.font(max(11.0, 0.55 * unit_px)))
        self.setFixedHeight(round(1.1 * unit_px))

    def show_identity(self, model: ModelSummary | None, source: SourceSummary) -> None:
        """Say what produces the numbers and where the pictures come from."""
        self._model, self._source = model, source
        self._name_runtime("" if model is None else f"{model.runtime} {model.precision}")

    def _name_runtime(self, runtime: str) -> None:
        model, source, self._runtime = self._model, self._source, runtime
        if source is None:
            return
        parts = [source.title]
        if model is not None:
            mark = " SYNTHETIC" if model.synthetic else ""
            said = f"{runtime} ({FALLBACK})" if model.note else runtime
            parts = [f"{model.bundle_id} {model.version}{mark}, {model.signature}", said, source.title]
        self.identity.setText("  ·  ".join(parts))

    def see_frame(self, now_ms: float, index: int) -> None:
        """Count a frame that came on screen."""
        self._shown.tick(now_ms)
        self._drops.see(index)

    def see_report(self, now_ms: float, report: FrameReport) -> None:
        """Count a report."""
        self._analysed.tick(now_ms)
        self._stages.add(now_ms, report.timings_ms)
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
        stages = " ".join(f"{name} {medians[name]:.0f}" for name in STAGES if name in medians)
        self.figures.setToolTip("\n".join(f"{name}: {value:.1f} ms" for name, value in medians.items()))
        captured, shown = self._captured.per_second(now_ms), self._shown.per_second(now_ms)
        rates = f"{captured:.0f} in/s, {shown:.0f} shown/s, {self._analysed.per_second(now_ms):.0f} analysed/s"
        drops = f"{self._counts.skipped} not analysed, {self._drops.dropped} dropped"
        self.figures.setText((f"ms: {stages}  ·  " if stages else "") + f"{rates}, {drops}")


class _Elided(QLabel):
    """A label that gives way: it shortens its text instead of widening the window."""

    def __init__(self, mode: Qt.TextElideMode) -> None:
        super().__init__()
        self._mode, self._full = mode, ""
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)

    def setText(self, a0: str | None) -> None:
        """Keep the full text, show what fits."""
        self._full = a0 or ""
        self.setToolTip(self._full)
        self._elide()

    def resizeEvent(self, a0: object) -> None:
        """Shorten anew."""
        self._elide()

    def _elide(self) -> None:
        super().setText(self.fontMetrics().elidedText(self._full, self._mode, self.width()))
