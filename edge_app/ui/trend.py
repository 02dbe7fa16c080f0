"""Trend: the fused readouts of the last minutes as a line in a band, with gaps where there was no number."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from edge_app.live.report import FrameReport, GradesReport, ProbabilityReport, RegressionReport, ValueReport
from edge_app.ui import theme, wording
from edge_app.ui._qt import QFontMetricsF, QPainter, QPaintEvent, QPen, QPointF, QPolygonF, QRectF, Qt, QWidget
from edge_app.ui.axis import Axis, axis_of
from engines.manifest import GradesHead, HeadSpec, ProbabilityHead

SPAN_MS = 180_000.0  # three minutes: one visit to one kidney
STEP_MS = 250.0  # at most four points a second
BREAK_MS = 2000.0  # without a report for so long, the line is broken as well


@dataclass(frozen=True, slots=True)
class TrendPoint:
    """What the main head said at a stream time."""

    t_ms: float
    said: ValueReport
    in_domain: bool = True


@dataclass(frozen=True, slots=True)
class Span:
    """A value and the band around it, in what the axis counts: the head's unit, or percent."""

    value: float
    low: float
    high: float


def span_of(said: ValueReport, grade: int) -> Span:
    """Return what is drawn of a value: its interval, or of a probability how far the networks lie apart.

    ``grade``: of a head with grades, the one that is followed.
    """
    if isinstance(said, RegressionReport):
        if said.low is None or said.high is None:
            return Span(said.value, said.value, said.value)
        return Span(said.value, said.low, said.high)
    members = said.members if isinstance(said, ProbabilityReport) else [member[grade] for member in said.members]
    p = said.p if isinstance(said, ProbabilityReport) else said.p[grade]
    return Span(100 * p, 100 * min(*members, p), 100 * max(*members, p))


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
        self._append(TrendPoint(report.t_ms, readout.values[0], readout.in_domain), late)
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
    """Paints a TrendHistory in neutral greys; of an eGFR with one line at 60."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.history = TrendHistory()
        self._head: HeadSpec | None = None
        self._synthetic = False
        self._painted_ms = -STEP_MS
        self.setAccessibleName("Trend of the last three minutes")

    def show_head(self, head: HeadSpec | None) -> None:
        """Follow this head from now on; what another one said is forgotten."""
        if head != self._head:
            self.history.clear()
        self._head = head
        self.update()

    def add(self, report: FrameReport, synthetic: bool) -> None:
        """Take in a report; repaint no more often than points are added."""
        self.history.add(report)
        self._synthetic = synthetic
        if not 0 <= self.history.now_ms - self._painted_ms < STEP_MS:
            self._painted_ms = self.history.now_ms
            self.update()

    def title(self) -> str:
        """Return what is written over the plot."""
        return self._subject() + self._marks()

    def axis(self) -> Axis:
        """Return the axis for what is to be seen now."""
        spans = [self._span(point) for run in self.history.runs for point in run]
        return axis_of(self._head, [end for span in spans for end in (span.low, span.high)])

    def _marks(self) -> str:
        outside = any(not point.in_domain for run in self.history.runs for point in run)
        return "".join([", SYNTHETIC"] * self._synthetic + [", out of domain"] * outside)

    def _subject(self) -> str:
        head = self._head
        if head is None:
            return ""
        if isinstance(head, ProbabilityHead):
            return f"{wording.event(head.event)}, %"
        if isinstance(head, GradesHead):
            grade = self._grade()
            return f"{head.title}, %" if grade is None else f"{wording.event(head.grades[grade])}, %"
        return "eGFR estimate" if head.quantity == "egfr" else f"{head.title}, {head.unit}"

    def _grade(self) -> int | None:
        """Return the grade that is followed: the most probable one of the newest point."""
        runs = self.history.runs
        newest = runs[-1][-1].said if runs else None
        return newest.top if isinstance(newest, GradesReport) else None

    def _span(self, point: TrendPoint) -> Span:
        return span_of(point.said, self._grade() or 0)

    def paintEvent(self, a0: QPaintEvent | None) -> None:
        """Paint axes, bands and lines."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        text_px = max(12.0, 0.62 * theme.unit_of(self))
        font, axis = theme.font(text_px), self.axis()
        painter.setFont(font)
        widest = max((QFontMetricsF(font).horizontalAdvance(label) for _, label in axis.ticks), default=0.0)
        left = max(2.6 * text_px, widest + 8)
        width = self.width() - left - 0.4 * text_px
        # A long title begins at the very left, over the axis, whose topmost label has to keep clear of it.
        top = (2.0 if QFontMetricsF(font).horizontalAdvance(self.title()) > width else 1.5) * text_px
        plot = QRectF(left, top, width, self.height() - top - 1.6 * text_px)
        if plot.width() > 10 and plot.height() > 10:
            self._paint_axes(painter, plot, axis, text_px)
            self._paint_title(painter, plot, text_px)
            painter.setClipRect(plot)
            for run in self.history.runs:
                self._paint_run(painter, plot, axis, run)
        painter.end()

    def _paint_axes(self, painter: QPainter, plot: QRectF, axis: Axis, text_px: float) -> None:
        flags = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        written = plot.bottom() + 2 * text_px
        for value, label in axis.ticks:
            y = _y(plot, axis, value)
            dashed = value == axis.dashed
            style = Qt.PenStyle.DashLine if dashed else Qt.PenStyle.SolidLine
            painter.setPen(QPen(theme.colour(theme.QUIET if dashed else theme.RAISED), 1, style))
            painter.drawLine(QPointF(plot.left(), y), QPointF(plot.right(), y))
            if written - y >= text_px:  # a label that would cover the one below is left out
                written = y
                painter.setPen(theme.colour(theme.QUIET))
                painter.drawText(QRectF(0, y - text_px, plot.left() - 5, 2 * text_px), flags, label)
        painter.setPen(theme.colour(theme.QUIET))
        foot = QRectF(plot.left(), plot.bottom() + 3, plot.width(), 1.5 * text_px)
        painter.drawText(foot, Qt.AlignmentFlag.AlignLeft, "−3 min")
        painter.drawText(foot, Qt.AlignmentFlag.AlignRight, "now")

    def _paint_title(self, painter: QPainter, plot: QRectF, text_px: float) -> None:
        """Write the title smaller, and from the very left, where it is long; its marks are never shortened."""
        metrics, marks = painter.fontMetrics(), self._marks()
        area = QRectF(plot.left(), 0, plot.width(), 1.4 * text_px)
        if metrics.horizontalAdvance(self.title()) > area.width():
            area.setLeft(0)
            part = area.width() / metrics.horizontalAdvance(self.title())
            painter.setFont(theme.font(text_px * min(1.0, max(0.75, 0.98 * part))))
            metrics = painter.fontMetrics()
        room = area.width() - metrics.horizontalAdvance(marks)
        subject = metrics.elidedText(self._subject(), Qt.TextElideMode.ElideRight, int(room))
        painter.drawText(area, Qt.AlignmentFlag.AlignLeft, subject + marks)

    def _paint_run(self, painter: QPainter, plot: QRectF, axis: Axis, run: tuple[TrendPoint, ...]) -> None:
        def place(t_ms: float, value: float) -> QPointF:
            return QPointF(plot.right() - (self.history.now_ms - t_ms) / SPAN_MS * plot.width(), _y(plot, axis, value))

        spans = [(point.t_ms, self._span(point)) for point in run]
        edge = [place(t, span.high) for t, span in spans] + [place(t, span.low) for t, span in reversed(spans)]
        if len(run) == 1:
            edge = [QPointF(e.x() + dx, e.y()) for e, dx in zip((*edge, *reversed(edge)), (-1, -1, 1, 1), strict=True)]
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour(theme.QUIET, 60))
        painter.drawPolygon(QPolygonF(edge))
        ink = theme.colour(theme.STRONG if all(p.in_domain for p in run) else theme.LOST)
        painter.setPen(QPen(ink, 2))
        line = [place(t, span.value) for t, span in spans]
        painter.drawPolyline(QPolygonF(line))
        painter.setBrush(ink)
        painter.drawEllipse(line[-1], 2, 2)


def _y(plot: QRectF, axis: Axis, value: float) -> float:
    return plot.bottom() - axis.part(value) * plot.height()
