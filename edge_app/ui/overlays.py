"""What is drawn over the picture: sector outline, calipers, crop rectangle, handles. Frame in, widget out."""

from __future__ import annotations

from edge_app.live.report import CropReport, FrameReport
from edge_app.ui import theme
from edge_app.ui._qt import QPainter, QPainterPath, QPen, QPointF, QPolygonF, QRectF, Qt
from edge_app.ui.border import Border
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


def draw_others(painter: QPainter, box: Letterbox, report: FrameReport) -> None:
    """Draw the outlines of the images that are not read; where one is asked for, of all of them plainly."""
    images = [*report.others, *([report.sector] if report.undecided and report.sector is not None else [])]
    ink, style = (theme.HANDLE, 220) if report.undecided else (theme.QUIET, 120), Qt.PenStyle.DashLine
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(theme.colour(*ink), 2.5 if report.undecided else 1.0, style))
    for image in images:
        painter.drawPath(outline_path(box, image.outline))


def draw_border(painter: QPainter, box: Letterbox, border: Border) -> None:
    """Draw the box that the operator moves; the side that arrow keys move is thick."""
    x0, y0, x1, y1 = border.box
    corners = [point(box, (x - 0.5, y - 0.5)) for x, y in ((x0, y0), (x1, y0), (x1, y1), (x0, y1))]
    ends = ((3, 0), (0, 1), (1, 2), (2, 3))  # left, top, right, bottom
    for side, (first, last) in enumerate(ends):
        chosen = border.side is None or border.side == side
        painter.setPen(QPen(theme.colour(theme.HANDLE), 4.0 if chosen else 1.5))
        painter.drawLine(corners[first], corners[last])


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


def draw_proposal(painter: QPainter, box: Letterbox, poles: tuple[float, float, float, float], unit_px: float) -> None:
    """Draw proposed poles: dashed and without a crop, as nothing is read from them."""
    ends = point(box, poles[:2]), point(box, poles[2:])
    pen = QPen(theme.colour(theme.HANDLE, 190), 1.5, Qt.PenStyle.DashLine)
    painter.setPen(pen)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawLine(*ends)
    for at in ends:
        painter.drawEllipse(at, HANDLE_RING * unit_px, HANDLE_RING * unit_px)


def draw_handles(painter: QPainter, box: Letterbox, handles: Handles, chosen: int | None, unit_px: float) -> None:
    """Draw the two handles: dashed while only suggested, full when placed; the centre stays visible.

    ``chosen`` None: the kidney was lost from them; they stand, in the colour of that, where it was last.
    """
    ends = point(box, handles.first), point(box, handles.second)
    lost = chosen is None
    name = theme.LOST if lost else theme.HANDLE
    painter.setPen(QPen(theme.colour(name, 150), 1.5, _line(handles.complete and not lost)))
    painter.drawLine(*ends)
    for index, at in enumerate(ends):
        ring = QPen(theme.colour(name), 4.0 if index == chosen else 2.5)
        ring.setStyle(Qt.PenStyle.SolidLine if index in handles.placed and not lost else Qt.PenStyle.DashLine)
        _handle(painter, at, str(index + 1), ring, HANDLE_RING * unit_px)


def _line(sure: bool) -> Qt.PenStyle:
    return Qt.PenStyle.SolidLine if sure else Qt.PenStyle.DotLine


def _handle(painter: QPainter, at: QPointF, name: str, ring: QPen, radius: float) -> None:
    painter.setBrush(theme.colour(theme.HANDLE, 36))
    for pen in (QPen(theme.colour(theme.GROUND, 200), 6.0), ring):
        painter.setPen(pen)
        painter.drawEllipse(at, radius, radius)
        painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(ring.color(), 1.5))
    for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        inner, outer = 0.2 * radius, 0.85 * radius
        painter.drawLine(
            QPointF(at.x() + inner * dx, at.y() + inner * dy), QPointF(at.x() + outer * dx, at.y() + outer * dy)
        )
    painter.setFont(theme.font(0.7 * radius, bold=True))
    painter.drawText(QPointF(at.x() + 1.1 * radius, at.y() - 0.7 * radius), name)
