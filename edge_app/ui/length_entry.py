"""The entry for the kidney length that the scanner shows: one field over the picture, in centimetres."""

from __future__ import annotations

from edge_app.live.report import CropReport
from edge_app.ui import theme
from edge_app.ui._qt import QFrame, QHBoxLayout, QLineEdit, QWidget, pyqtSignal
from edge_app.ui.text import Line

RANGE_CM = (1.0, 30.0)  # what may be typed: a foetus to a polycystic giant; what is no kidney is refused later
NO_MARKERS = "Mark the kidney first: the length belongs to its markers."
QUESTION = "Kidney length on the scanner, cm (empty: none), then Enter:"
WRONG = f"Type centimetres from {RANGE_CM[0]:g} to {RANGE_CM[1]:g}, such as 10.4."


class LengthEntry(QFrame):
    """A child of the window at its foot; hidden until asked.

    Signals: ``typed(float | None)`` with centimetres, None for an empty field; ``left()`` when it closes.
    """

    typed = pyqtSignal(object)
    left = pyqtSignal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("surface")
        self.setStyleSheet(f"#surface {{ border: 2px solid {theme.LINE}; background: {theme.SURFACE}; }}")
        self.question = Line(0.9, theme.STRONG)
        self.field = QLineEdit()
        self.field.setMaxLength(6)
        self.field.returnPressed.connect(self._take)
        row = QHBoxLayout(self)
        row.setContentsMargins(16, 8, 16, 8)
        row.setSpacing(12)
        row.addWidget(self.question, 1)
        row.addWidget(self.field)
        self.hide()

    def ask(self, crop: CropReport | None) -> None:
        """Open for the markers of ``crop``, with what was typed for them; without markers say what to do."""
        self.question.say(QUESTION if crop is not None else NO_MARKERS)
        self.field.setVisible(crop is not None)
        known = None if crop is None else crop.lengths_cm.get("operator")
        self.field.setText("" if known is None else f"{known:g}")
        self.field.selectAll()
        self.show()
        self.raise_()
        self.field.setFocus()

    def leave(self) -> None:
        """Close without a change."""
        self.hide()
        self.left.emit()

    def _take(self) -> None:
        text = self.field.text().strip().replace(",", ".")
        length_cm = read_cm(text)
        if text and length_cm is None:
            self.question.say(WRONG)
            return
        self.leave()
        self.typed.emit(length_cm)

    def fit(self, unit_px: float) -> None:
        """Fit sizes and place to the window."""
        self.question.scale(unit_px)
        self.field.setFont(theme.font(1.2 * unit_px, bold=True))
        self.field.setFixedWidth(round(6 * unit_px))
        parent = self.parentWidget()
        if parent is not None:
            margin, height = round(1.2 * unit_px), round(max(theme.TARGET_PX, 3.2 * unit_px))
            foot = parent.height() - 2 * margin - round(2.2 * unit_px) - height
            self.setGeometry(margin, foot, min(parent.width() - 2 * margin, round(40 * unit_px)), height)


def read_cm(text: str) -> float | None:
    """Return the length that was typed, or None where it is none in range."""
    try:
        length_cm = float(text)
    except ValueError:
        return None
    return length_cm if RANGE_CM[0] <= length_cm <= RANGE_CM[1] else None
