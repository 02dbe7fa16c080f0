"""One bar a grade, in one neutral colour: what is probable is not what is grave."""

from __future__ import annotations

from edge_app.ui import theme
from edge_app.ui._qt import QFontMetricsF, QPainter, QPaintEvent, QPen, QRectF, QSize, QSizePolicy, Qt, QWidget
from edge_app.ui.words import Bar

ONE_COLUMN = 6  # more grades stand in two
ROW, LEAST_ROW = 1.2, 0.55  # text units: height of a row, and where there is no room for it
DENSE_ROW = 0.95  # as ROW, in two columns
NAME, FIGURE = 0.42, 3.2  # share of a row that the name may take; text sizes that the percentage takes


class GradeBars(QWidget):
    """Paints name, bar and probability of every grade; gone where the main head has none."""

    def __init__(self) -> None:
        super().__init__()
        self.grades: tuple[Bar, ...] = ()
        self._greyed = False
        self._unit_px = 16.0
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Maximum)
        self.hide()

    @property
    def rows(self) -> int:
        """How many rows there are, in one column or two."""
        return len(self.grades) if len(self.grades) <= ONE_COLUMN else -(-len(self.grades) // 2)

    def scale(self, unit_px: float) -> None:
        """Fit the height to the window."""
        self._unit_px = unit_px
        self.updateGeometry()

    def sizeHint(self) -> QSize:
        """Ask for rows that are easy to read."""
        row = ROW if len(self.grades) <= ONE_COLUMN else DENSE_ROW
        return QSize(0, round(self.rows * row * self._unit_px))

    def minimumSizeHint(self) -> QSize:
        """Be content with less in a crowded window."""
        return QSize(0, round(self.rows * LEAST_ROW * self._unit_px))

    def show_grades(self, grades: tuple[Bar, ...], greyed: bool) -> None:
        """Show these grades, lowest first; greyed for a stale number."""
        if (grades, greyed) != (self.grades, self._greyed):
            self.grades, self._greyed = grades, greyed
            self.setAccessibleName(", ".join(f"{grade.name} {grade.percent}" for grade in grades))
            self.setToolTip("\n".join(f"{grade.name}  {grade.percent}" for grade in grades))
            self.updateGeometry()
            self.update()
        self.setVisible(bool(grades))

    def paintEvent(self, a0: QPaintEvent | None) -> None:
        """Paint the rows, top to bottom, then the second column."""
        painter = QPainter(self)
        rows = max(1, self.rows)
        height = self.height() / rows
        columns = 1 if len(self.grades) <= rows else 2
        gap = 0.8 * self._unit_px
        width = (self.width() - gap * (columns - 1)) / columns
        for at, grade in enumerate(self.grades):
            left = (at // rows) * (width + gap)
            self._paint_grade(painter, QRectF(left, (at % rows) * height, width, height), grade)
        painter.end()

    def _paint_grade(self, painter: QPainter, area: QRectF, grade: Bar) -> None:
        text_px = 0.68 * area.height()
        ink = theme.GREYED if self._greyed else theme.STRONG if grade.top else theme.TEXT
        font = theme.font(text_px, bold=grade.top)
        painter.setFont(font)
        painter.setPen(theme.colour(ink))
        name = QRectF(area.left(), area.top(), NAME * area.width(), area.height())
        short = QFontMetricsF(font).elidedText(grade.name, Qt.TextElideMode.ElideRight, name.width() - 4)
        painter.drawText(name, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, short)
        figure = QRectF(area.right() - FIGURE * text_px, area.top(), FIGURE * text_px, area.height())
        painter.drawText(figure, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, grade.percent)
        track = QRectF(name.right(), area.top(), figure.left() - name.right(), area.height())
        self._paint_bar(painter, track.adjusted(0, 0.2 * area.height(), 0, -0.2 * area.height()), grade)

    def _paint_bar(self, painter: QPainter, track: QRectF, grade: Bar) -> None:
        painter.fillRect(track, theme.colour(theme.RAISED))
        filled = QRectF(track.left(), track.top(), max(1.0, grade.p * track.width()), track.height())
        bright = theme.GREYED if self._greyed else theme.STRONG if grade.top else theme.QUIET
        painter.fillRect(filled, theme.colour(bright))
        painter.setPen(QPen(theme.colour(theme.LINE), 1))
        painter.drawRect(track)
