"""Labels whose size follows the window, and one that shows only sentences that fit whole."""

from __future__ import annotations

from math import ceil

from edge_app.ui import theme
from edge_app.ui._qt import (
    QFontMetricsF,
    QLabel,
    QPainter,
    QPaintEvent,
    QRectF,
    QResizeEvent,
    QSizePolicy,
    Qt,
    QWidget,
)

SMALLEST = 0.66  # text units: a line that is too long gets no smaller than this
LEAST_NAME = 0.35  # of a line's width: so much of a name always stays


class Line(QLabel):
    """Plain text at ``size`` times the window's text unit."""

    def __init__(self, size: float, ink: str = theme.TEXT, *, bold: bool = False, wrap: bool = False) -> None:
        super().__init__()
        self._size, self._ink, self._bold = size, "", bold
        self._unit_px = 16.0
        self.setTextFormat(Qt.TextFormat.PlainText)  # a sentence of a file is never read as markup
        self.setWordWrap(wrap)
        self.ink(ink)

    def scale(self, unit_px: float) -> None:
        """Set the size for a window whose text unit is this many pixels."""
        self._unit_px = unit_px
        self.setFont(theme.font(self._size * unit_px, bold=self._bold))

    def resize_to(self, size: float) -> None:
        """Set the size in text units."""
        if size != self._size:
            self._size = size
            self.scale(self._unit_px)

    def full_height(self) -> int:
        """Height of one line in the size that was asked for, pixels."""
        return ceil(QFontMetricsF(theme.font(self._size * self._unit_px, bold=self._bold)).height())

    def ink(self, name: str) -> None:
        """Set the colour."""
        if name != self._ink:
            self._ink = name
            self.setStyleSheet(f"color: {name};")

    def say(self, text: str) -> None:
        """Show text; an empty text leaves no gap."""
        if text != self.text():
            self.setText(text)
        self.setVisible(bool(text))


class Named(Line):
    """A name and what is said of it: too long for its width it gets smaller, then the name gives way, then the rest."""

    def __init__(self, size: float, ink: str = theme.TEXT) -> None:
        super().__init__(size, ink)
        self._name = self._rest = ""
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)

    def tell(self, name: str, rest: str = "") -> None:
        """Show both; an empty name leaves no gap."""
        self._name, self._rest = name, rest
        self.setToolTip(self._whole())
        self._fit()
        self.setVisible(bool(name))

    def scale(self, unit_px: float) -> None:
        """Set the size for a window whose text unit is this many pixels."""
        super().scale(unit_px)
        self._fit()

    def resizeEvent(self, a0: QResizeEvent | None) -> None:
        """Fit anew."""
        super().resizeEvent(a0)
        self._fit()

    def _whole(self) -> str:
        return f"{self._name}  {self._rest}" if self._rest else self._name

    def _fit(self) -> None:
        super().scale(self._unit_px)
        needed = max(1, self.fontMetrics().horizontalAdvance(self._whole()))
        if needed > self.width() > 0:
            smaller = max(SMALLEST / self._size, 0.97 * self.width() / needed) * self._size * self._unit_px
            self.setFont(theme.font(min(smaller, self._size * self._unit_px)))
        self.setText(self._shortened())

    def _shortened(self) -> str:
        metrics, mode = self.fontMetrics(), Qt.TextElideMode.ElideRight
        if metrics.horizontalAdvance(self._whole()) <= self.width() or not self._rest:
            return metrics.elidedText(self._whole(), mode, self.width())
        rest = metrics.horizontalAdvance(f"  {self._rest}")
        name = metrics.elidedText(self._name, mode, max(round(LEAST_NAME * self.width()), self.width() - rest))
        return metrics.elidedText(f"{name}  {self._rest}", mode, self.width())


class Fitting(QWidget):
    """Sentences in small print, in order, as many as fit whole; ``rest`` follows if any are left out."""

    def __init__(self, size: float, rest: str) -> None:
        super().__init__()
        self._size, self._rest = size, rest
        self._sentences: tuple[str, ...] = ()
        self._unit_px = 16.0

    def scale(self, unit_px: float) -> None:
        """Set the size for a window whose text unit is this many pixels."""
        self._unit_px = unit_px
        self.setMinimumHeight(round(1.4 * self._size * unit_px))
        self.update()

    def say(self, sentences: tuple[str, ...]) -> None:
        """Show these sentences."""
        self._sentences = sentences
        self.setAccessibleDescription(" ".join(sentences))
        self.update()

    def shown(self) -> str:
        """Return the text that fits in the widget's present size."""
        for count in range(len(self._sentences), 0, -1):
            text = " ".join(self._sentences[:count])
            text += "" if count == len(self._sentences) else f" {self._rest}"
            if self._needed(text).height() <= self.height():
                return text
        return self._rest if self._sentences else ""

    def paintEvent(self, a0: QPaintEvent | None) -> None:
        """Paint them."""
        painter = QPainter(self)
        painter.setFont(theme.font(self._size * self._unit_px))
        painter.setPen(theme.colour(theme.QUIET))
        painter.drawText(QRectF(self.rect()), Qt.TextFlag.TextWordWrap | Qt.AlignmentFlag.AlignBottom, self.shown())
        painter.end()

    def _needed(self, text: str) -> QRectF:
        metrics = QFontMetricsF(theme.font(self._size * self._unit_px))
        return metrics.boundingRect(QRectF(0, 0, self.width(), 1e6), int(Qt.TextFlag.TextWordWrap), text)
