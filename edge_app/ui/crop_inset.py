"""The crop as the network reads it, byte for byte, with the activation map on demand."""

from __future__ import annotations

from edge_app.live.report import CropReport, FrameReport
from edge_app.ui import theme
from edge_app.ui._qt import QImage, QPainter, QPainterPath, QPaintEvent, QPen, QPointF, QPolygonF, QRectF, Qt, QWidget
from edge_app.ui.mapping import Point
from edge_app.ui.pictures import image_of, map_image
from edge_app.ui.wording import MAP_CAPTION

LEAST_PX = 9  # of the caption


class CropInset(QWidget):
    """A square picture and its caption; it keeps the newest crop until the next one or ``clear``."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._crop: QImage | None = None
        self._map: QImage | None = None
        self._frame = 0
        self._outline: tuple[Point, ...] = ()  # of the sector, in 0..1 of the crop
        self._greyed = False
        self.show_map = False
        self.masked = False  # True: for saving; a crop can reach beyond the sector, where identity is burned in
        self.setAccessibleName("Crop as the network reads it")

    def show_crop(self, rgb: bytes, size: tuple[int, int], report: FrameReport) -> None:
        """Show (width, height) RGB bytes that were read in ``report``."""
        self._crop = image_of(rgb, size)
        rows = report.reading.values[0].map if report.reading is not None else None
        self._map = map_image(rows) if rows else None
        self._frame = report.frame
        self._outline = _in_crop(report.sector.outline if report.sector else (), report.crop)
        self.update()

    def clear(self) -> None:
        """Forget the crop: no number stands on it any more."""
        self._crop = self._map = None
        self.update()

    def set_greyed(self, greyed: bool) -> None:
        """Dim a crop whose number is stale or refused."""
        if greyed != self._greyed:
            self._greyed = greyed
            self.update()

    def set_show_map(self, on: bool) -> None:
        """Lay the activation map over the crop, or not."""
        self.show_map = on
        self.update()

    def paintEvent(self, a0: QPaintEvent | None) -> None:
        """Paint crop, map and caption."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        caption_px = max(12.0, 0.62 * theme.unit_of(self))
        side = max(1.0, min(self.width(), self.height() - 2.7 * caption_px))
        square = QRectF((self.width() - side) / 2, 0, side, side)
        painter.fillRect(square, theme.colour(theme.SURFACE))
        if self._crop is not None:
            self._paint_crop(painter, square, self._crop)
        painter.setPen(QPen(theme.colour(theme.LINE), 1))
        painter.drawRect(square)
        painter.setPen(theme.colour(theme.QUIET))
        self._paint_caption(painter, QRectF(0, side + 3, self.width(), self.height() - side - 3), caption_px)
        painter.end()

    def _paint_caption(self, painter: QPainter, area: QRectF, text_px: float) -> None:
        """Write the caption, smaller where it would be cut off."""
        flags = Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop | Qt.TextFlag.TextWordWrap
        for px in range(round(text_px), LEAST_PX - 1, -1):
            painter.setFont(theme.font(px))
            if painter.boundingRect(area, flags, self.caption()).height() <= area.height():
                break
        painter.drawText(area, flags, self.caption())

    def caption(self) -> str:
        """Return what is written under the crop."""
        if self._crop is None:
            return "no crop read yet"
        if self.show_map:
            return MAP_CAPTION if self._map is not None else "this model gives no map"
        return f"as the network reads it, frame {self._frame}"

    def _paint_crop(self, painter: QPainter, square: QRectF, crop: QImage) -> None:
        painter.save()
        if self.masked:
            painter.setClipPath(self._clip(square))
        painter.drawImage(square, crop)
        if self.show_map and self._map is not None:
            painter.drawImage(square, self._map)
        painter.restore()
        if self._greyed:
            painter.fillRect(square, theme.colour(theme.GROUND, 130))

    def _clip(self, square: QRectF) -> QPainterPath:
        width, height = square.width(), square.height()
        corners = [QPointF(square.x() + x * width, square.y() + y * height) for x, y in self._outline]
        path = QPainterPath()
        path.addPolygon(QPolygonF(corners))
        return path


def _in_crop(outline: tuple[Point, ...], crop: CropReport | None) -> tuple[Point, ...]:
    """Return a polygon of frame pixel centres in 0..1 of the crop (pixel-edge coordinates)."""
    if crop is None:
        return ()
    width, height = crop.x1 - crop.x0, crop.y1 - crop.y0
    return tuple(((x + 0.5 - crop.x0) / width, (y + 0.5 - crop.y0) / height) for x, y in outline)
