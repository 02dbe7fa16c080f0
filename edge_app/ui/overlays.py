"""What is drawn over the picture: sector outline, calipers, crop rectangle, handles. Frame in, widget out."""

from __future__ import annotations

from edge_app.live.report import CropReport, FrameReport
from edge_app.ui import theme
from edge_app.ui._qt import QPainter, QPainterPath, QPen, QPointF, QPolygonF, QRectF, Qt
from edge_app.ui.handles import Handles
from edge_app.ui.mapping import Letterbox, Point

CALIPER_REACH = 0.55  # text units from a mark's centre to a bracket's corner
REFUSED_REACH = 0.3  # text units, at least, of the cross over a refused mark
REFUSED_TEXT = 0.6  # text units
HANDLE_RING = 0.95  # text units, radius


def point(box: Letterbox, at: Point) -> QPointF:
    """Return a frame position as a widget point."""
    return QPointF(*box.to_widget(at))


def outline_path(box: Letterbox, outline: tuple[Point, ...]) -> QPainterPath:
    """Return the sector's outline as a closed path in the widget."""
    path = QPainterPath()
    path.addPolygon(QPolygonF([point(box, at) for at in outline]))
    path.closeSubpath()
    return path


def draw_report(painter: QPainter, box: Letterbox, report: FrameReport, unit_px: float) -> None:
    """Draw what was found in the frame of ``report``; ``unit_px`` is the window's text unit."""
    if report.sector is not None:
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(theme.colour(theme.QUIET, 120), 1.0))
        painter.drawPath(outline_path(box, report.sector.outline))
    for x1, y1, x2, y2 in report.calipers:
        for at in ((x1, y1), (x2, y2)):
            _caliper(painter, point(box, at), CALIPER_REACH * unit_px)
    if report.crop is not None:
        _crop(painter, box, report.crop)


def draw_refused(painter: QPainter, box: Letterbox, report: FrameReport, unit_px: float) -> None:
    """Draw a small cross at every mark that was not taken for a caliper, and the reason beside it."""
    painter.setPen(QPen(theme.colour(theme.LOST), 1.5))
    painter.setFont(theme.font(REFUSED_TEXT * unit_px))
    for mark in report.refused:
        at, half = point(box, (mark.x, mark.y)), max(REFUSED_REACH * unit_px, 0.5 * mark.size * box.scale)
        for sy in (-1, 1):
            painter.drawLine(QPointF(at.x() - half, at.y() - sy * half), QPointF(at.x() + half, at.y() + sy * half))
        painter.drawText(QPointF(at.x() + half + 3, at.y() - half), mark.reason)


def _caliper(painter: QPainter, at: QPointF, reach: float) -> None:
    """Draw four brackets around the scanner's mark, which itself stays free."""
    painter.setPen(QPen(theme.colour(theme.CALIPER), 2.0))
    arm = 0.45 * reach
    for sx in (-1, 1):
        for sy in (-1, 1):
            corner = QPointF(at.x() + sx * reach, at.y() + sy * reach)
            painter.drawLine(corner, QPointF(corner.x() - sx * arm, corner.y()))
            painter.drawLine(corner, QPointF(corner.x(), corner.y() - sy * arm))


def _crop(painter: QPainter, box: Letterbox, crop: CropReport) -> None:
    """Draw the rectangle that the network reads; pixel-edge coordinates, hence the half pixel."""
    first = point(box, (crop.x0 - 0.5, crop.y0 - 0.5))
    last = point(box, (crop.x1 - 0.5, crop.y1 - 0.5))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(theme.colour(theme.STRONG, 190), 1.5, Qt.PenStyle.DashLine))
    painter.drawRect(QRectF(first, last))


def draw_handles(painter: QPainter, box: Letterbox, handles: Handles, chosen: int, unit_px: float) -> None:
    """Draw the two handles: dashed while only suggested, full when placed; the centre stays visible."""
    ends = point(box, handles.first), point(box, handles.second)
    dash = Qt.PenStyle.SolidLine if handles.complete else Qt.PenStyle.DotLine
    painter.setPen(QPen(theme.colour(theme.HANDLE, 150), 1.5, dash))
    painter.drawLine(*ends)
    for index, at in enumerate(ends):
        ring = QPen(theme.colour(theme.HANDLE), 4.0 if index == chosen else 2.5)
        ring.setStyle(Qt.PenStyle.SolidLine if index in handles.placed else Qt.PenStyle.DashLine)
        _handle(painter, at, str(index + 1), ring, HANDLE_RING * unit_px)


def _handle(painter: QPainter, at: QPointF, name: str, ring: QPen, radius: float) -> None:
    painter.setBrush(theme.colour(theme.HANDLE, 36))
    for pen in (QPen(theme.colour(theme.GROUND, 200), 6.0), ring):
        painter.setPen(pen)
        painter.drawEllipse(at, radius, radius)
        painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(theme.colour(theme.HANDLE), 1.5))
    for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        inner, outer = 0.2 * radius, 0.85 * radius
        painter.drawLine(
            QPointF(at.x() + inner * dx, at.y() + inner * dy), QPointF(at.x() + outer * dx, at.y() + outer * dy)
        )
    painter.setFont(theme.font(0.7 * radius, bold=True))
    painter.drawText(QPointF(at.x() + 1.1 * radius, at.y() - 0.7 * radius), name)
