"""The category ramp: neutral cells, those of the range framed; of an eGFR the six from G1 to G5.

No risk colours: KDIGO's belong to GFR and albuminuria together, and albuminuria is unknown here.
"""

from __future__ import annotations

from edge_app.ui import theme
from edge_app.ui._qt import QFontMetricsF, QPainter, QPaintEvent, QPen, QRectF, Qt, QWidget


class CategoryRamp(QWidget):
    """Paints the range; empty while there is no number."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._names: tuple[str, ...] = ()
        self._members: tuple[str, ...] = ()
        self._greyed = False

    def show_range(self, names: tuple[str, ...], inside: tuple[str, ...], greyed: bool) -> None:
        """Frame some of these categories; greyed for a stale number."""
        if (names, inside, greyed) == (self._names, self._members, self._greyed):
            return
        self._names, self._members, self._greyed = names, inside, greyed
        self.setAccessibleName(f"Category range {', '.join(inside)}")
        self.update()

    def paintEvent(self, a0: QPaintEvent | None) -> None:
        """Paint the cells; a name that is too long for its cell is shortened, and stands whole in the line above."""
        painter = QPainter(self)
        width = self.width() / max(1, len(self._names))
        for index, name in enumerate(self._names):
            cell = QRectF(index * width, 0, width, self.height()).adjusted(1.5, 1.5, -1.5, -1.5)
            inside = name in self._members
            ink = theme.GREYED if self._greyed or not inside else theme.STRONG
            painter.setBrush(theme.colour(theme.LINE if inside else theme.SURFACE))
            painter.setPen(QPen(theme.colour(ink if inside else theme.RAISED), 2 if inside else 1))
            painter.drawRect(cell)
            painter.setPen(theme.colour(ink))
            font = theme.font(0.5 * self.height(), bold=inside)
            painter.setFont(font)
            short = QFontMetricsF(font).elidedText(name, Qt.TextElideMode.ElideRight, cell.width() - 4)
            painter.drawText(cell, Qt.AlignmentFlag.AlignCenter, short)
        painter.end()
