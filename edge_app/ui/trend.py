"""Trend: the fused readouts of the last minutes as a line in a band, with gaps where there was no number."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from edge_app.live.report import FrameReport
from edge_app.ui import theme
from edge_app.ui._qt import QPainter, QPaintEvent, QPen, QPointF, QPolygonF, QRectF, Qt, QWidget

SPAN_MS = 180_000.0  # three minutes: one visit to one kidney
STEP_MS = 250.0  # at most four points a second
BREAK_MS = 2000.0  # without a report for so long, the line is broken as well
TOP = 120.0  # mL/min/1.73 m2; a fixed axis, so that the eye compares like with like


@dataclass(frozen=True, slots=True)
class TrendPoint:
    """A readout at a stream time."""

    t_ms: float
    egfr: float
    low: float
    high: float
    in_domain: bool = True


class TrendHistory:
    """Runs of readouts without a gap, newest last."""

    def __init__(self) -> None:
        self._runs: deque[list[TrendPoint]] = deque()
        self._open = False
        self.now_ms = 0.0

    @property
    def runs(self) -> tuple[tuple[TrendPoint, ...], ...]:
        """Runs of points, each unbroken."""
        return tuple(tuple(run) for run in self._runs)

    def add(self, report: FrameReport) -> None:
        """Take in a report: a fresh number goes on, a refusal or a stale number breaks the line."""
        if report.t_ms < self.now_ms:
            self.clear()  # the stream began anew
        late = report.t_ms - self.now_ms > BREAK_MS
        self.now_ms = report.t_ms
        readout = report.readout
        if readout is None or readout.stale or report.refusal is not None:
            self._open = False
            return
        self._append(TrendPoint(report.t_ms, readout.egfr, readout.low, readout.high, readout.in_domain), late)
        self._forget()

    def clear(self) -> None:
        """Forget everything."""
        self._runs.clear()
        self._open = False
        self.now_ms = 0.0

    def _append(self, point: TrendPoint, late: bool) -> None:
        other = bool(self._runs) and self._runs[-1][-1].in_domain != point.in_domain
        if not self._open or late or other or not self._runs:
            self._runs.append([point])
        elif point.t_ms - self._runs[-1][-1].t_ms >= STEP_MS:
            self._runs[-1].append(point)
        self._open = True

    def _forget(self) -> None:
        while self._runs and self._runs[0][-1].t_ms < self.now_ms - SPAN_MS:
            self._runs.popleft()
        if self._runs and self._runs[0][0].t_ms < self.now_ms - SPAN_MS:
            self._runs[0] = [p for p in self._runs[0] if p.t_ms >= self.now_ms - SPAN_MS]


class TrendPlot(QWidget):
    """Paints a TrendHistory: neutral greys, one line at 60."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.history = TrendHistory()
        self._synthetic = False
        self._painted_ms = -STEP_MS
        self.setAccessibleName("Trend of the last three minutes")

    def add(self, report: FrameReport, synthetic: bool) -> None:
        """Take in a report; repaint no more often than points are added."""
        self.history.add(report)
        self._synthetic = synthetic
        if not 0 <= self.history.now_ms - self._painted_ms < STEP_MS:
            self._painted_ms = self.history.now_ms
            self.update()

    def title(self) -> str:
        """Return what is written over the plot."""
        outside = any(not point.in_domain for run in self.history.runs for point in run)
        marks = [", SYNTHETIC"] * self._synthetic + [", out of domain"] * outside
        return "eGFR estimate" + "".join(marks)

    def paintEvent(self, a0: QPaintEvent | None) -> None:
        """Paint axes, bands and lines."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        text_px = max(12.0, 0.62 * theme.unit_of(self))
        painter.setFont(theme.font(text_px))
        plot = QRectF(2.6 * text_px, 1.5 * text_px, self.width() - 3.0 * text_px, self.height() - 3.1 * text_px)
        if plot.width() > 10 and plot.height() > 10:
            self._paint_axes(painter, plot, text_px)
            painter.setClipRect(plot)
            for run in self.history.runs:
                self._paint_run(painter, plot, run)
        painter.end()

    def _paint_axes(self, painter: QPainter, plot: QRectF, text_px: float) -> None:
        flags = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        for value in (0, 30, 60, 90, 120):
            y = _y(plot, value)
            style = Qt.PenStyle.DashLine if value == 60 else Qt.PenStyle.SolidLine
            painter.setPen(QPen(theme.colour(theme.QUIET if value == 60 else theme.RAISED), 1, style))
            painter.drawLine(QPointF(plot.left(), y), QPointF(plot.right(), y))
            painter.setPen(theme.colour(theme.QUIET))
            painter.drawText(QRectF(0, y - text_px, plot.left() - 5, 2 * text_px), flags, str(value))
        painter.drawText(QRectF(plot.left(), 0, plot.width(), 1.4 * text_px), Qt.AlignmentFlag.AlignLeft, self.title())
        foot = QRectF(plot.left(), plot.bottom() + 3, plot.width(), 1.5 * text_px)
        painter.drawText(foot, Qt.AlignmentFlag.AlignLeft, "−3 min")
        painter.drawText(foot, Qt.AlignmentFlag.AlignRight, "now")

    def _paint_run(self, painter: QPainter, plot: QRectF, run: tuple[TrendPoint, ...]) -> None:
        def place(t_ms: float, value: float) -> QPointF:
            return QPointF(plot.right() - (self.history.now_ms - t_ms) / SPAN_MS * plot.width(), _y(plot, value))

        edge = [place(p.t_ms, p.high) for p in run] + [place(p.t_ms, p.low) for p in reversed(run)]
        if len(run) == 1:
            edge = [QPointF(e.x() + dx, e.y()) for e, dx in zip((*edge, *reversed(edge)), (-1, -1, 1, 1), strict=True)]
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour(theme.QUIET, 60))
        painter.drawPolygon(QPolygonF(edge))
        ink = theme.colour(theme.STRONG if all(p.in_domain for p in run) else theme.LOST)
        painter.setPen(QPen(ink, 2))
        painter.drawPolyline(QPolygonF([place(p.t_ms, p.egfr) for p in run]))
        last = run[-1]
        painter.setBrush(ink)
        painter.drawEllipse(place(last.t_ms, last.egfr), 2, 2)


def _y(plot: QRectF, value: float) -> float:
    return plot.bottom() - min(max(value, 0.0), TOP) / TOP * plot.height()
