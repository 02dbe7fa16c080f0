"""The category ramp: six neutral cells, G5 to G1, those of the range framed and named.

No risk colours: KDIGO's belong to GFR and albuminuria together, and albuminuria is unknown here.
"""

from __future__ import annotations

from typing import Final

from edge_app.ui import theme
from edge_app.ui._qt import QPainter, QPaintEvent, QPen, QRectF, Qt, QWidget

CATEGORIES: Final = ("G1", "G2", "G3a", "G3b", "G4", "G5")


def members(category_range: str) -> tuple[str, ...]:
    """Return the categories of ``G3a-G4`` in order; empty if the text names none."""
    ends = [CATEGORIES.index(name) for name in category_range.split("-") if name in CATEGORIES]
    return CATEGORIES[min(ends) : max(ends) + 1] if ends else ()


class CategoryRamp(QWidget):
    """Paints the range; empty while there is no number."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._members: tuple[str, ...] = ()
        self._greyed = False

    def show_range(self, category_range: str, greyed: bool) -> None:
        """Frame the categories of ``G3a-G4``; greyed for a stale number."""
        if (members(category_range), greyed) == (self._members, self._greyed):
            return
        self._members, self._greyed = members(category_range), greyed
        self.setAccessibleName(f"Category range {category_range}")
        self.update()

    def paintEvent(self, a0: QPaintEvent | None) -> None:
        """Paint the six cells."""
        painter = QPainter(self)
        width = self.width() / len(CATEGORIES)
        for index, name in enumerate(CATEGORIES):
            cell = QRectF(index * width, 0, width, self.height()).adjusted(1.5, 1.5, -1.5, -1.5)
            inside = name in self._members
            ink = theme.GREYED if self._greyed or not inside else theme.STRONG
            painter.setBrush(theme.colour(theme.LINE if inside else theme.SURFACE))
            painter.setPen(QPen(theme.colour(ink if inside else theme.RAISED), 2 if inside else 1))
            painter.drawRect(cell)
            painter.setPen(theme.colour(ink))
            painter.setFont(theme.font(0.5 * self.height(), bold=inside))
            painter.drawText(cell, Qt.AlignmentFlag.AlignCenter, name)
        painter.end()
