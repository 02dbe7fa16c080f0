"""A mark over a number that is not to be relied on: stripes, a frame and the word, dim enough for a dark room."""

from __future__ import annotations

from edge_app.ui import theme
from edge_app.ui._qt import QFontMetricsF, QPainter, QPaintEvent, QPen, QRectF, Qt, QWidget


class MarkStrip(QWidget):
    """As wide as the readout and directly over the number; gone when there is nothing to mark."""

    def __init__(self, ink: str, ground: str) -> None:
        super().__init__()
        self._ink, self._ground = ink, ground
        self.text = ""
        self._unit_px = 16.0
        self.hide()

    def scale(self, unit_px: float) -> None:
        """Fit the height to the window."""
        self._unit_px = unit_px
        self.setFixedHeight(round(1.9 * unit_px))

    def say(self, text: str) -> None:
        """Show the mark, or nothing for an empty text."""
        if text != self.text:
            self.text = text
            self.setAccessibleName(text)
            self.update()
        self.setVisible(bool(text))

    def paintEvent(self, a0: QPaintEvent | None) -> None:
        """Paint stripes at both ends and the text between them."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        area = QRectF(self.rect()).adjusted(1, 1, -1, -1)
        painter.fillRect(area, theme.colour(self._ground))
        font = theme.font(0.78 * self._unit_px, bold=True)
        advance = QFontMetricsF(font).horizontalAdvance(self.text)
        if advance > 0.97 * area.width():
            font = theme.font(0.78 * self._unit_px * 0.97 * area.width() / advance, bold=True)
            advance = 0.97 * area.width()
        self._paint_stripes(painter, area, (area.width() - advance) / 2 - 0.5 * self._unit_px)
        painter.setPen(QPen(theme.colour(self._ink), 2))
        painter.drawRect(area)
        painter.setFont(font)
        painter.drawText(area, Qt.AlignmentFlag.AlignCenter, self.text)
        painter.end()

    def _paint_stripes(self, painter: QPainter, area: QRectF, width: float) -> None:
        painter.save()
        painter.setPen(QPen(theme.colour(self._ink, 150), 0.3 * self._unit_px))
        for left in (area.left(), area.right() - width):
            painter.setClipRect(QRectF(left, area.top(), width, area.height()))
            x = left - area.height()
            while x < left + width:
                painter.drawLine(round(x), round(area.bottom()), round(x + area.height()), round(area.top()))
                x += 0.8 * self._unit_px
        painter.restore()
