"""Help and about, in one sheet over the window: keys, what made the numbers, the model's limits, the licence."""

from __future__ import annotations

from typing import Final

from edge_app.live.messages import ModelSummary
from edge_app.live.phrases import declared
from edge_app.ui import theme, wording
from edge_app.ui._qt import QFrame, QHBoxLayout, QLabel, QScrollArea, Qt, QVBoxLayout, QWidget
from edge_app.ui.text import Line
from engines.version import program_version

KEYS: Final = (
    ("P", "place two handles on the poles of the kidney"),
    ("1, 2", "choose a handle"),
    ("Arrows", "move it by one pixel, with Shift by ten"),
    ("Enter", "use the handles, or the poles that are proposed, as they are"),
    ("C, Esc", "clear the handles, use the scanner's calipers"),
    ("L", "type the kidney length that the scanner shows"),
    ("B", "move the image's border: Tab chooses a side, arrows or a finger move it"),
    ("Enter, Esc", "keep the border for this scanner's layout, or leave it"),
    ("Delete", "while the border is moved: as it is found"),
    ("Tap", "on the other of two images: read that one"),
    ("M", "show where the network looked"),
    ("D", "show marks that were not taken for calipers, and why"),
    ("F11", "full screen"),
    ("F1", "this help"),
    ("Q, Ctrl+Q", "quit"),
)


def about(model: ModelSummary | None, failed: str = "", localizer: str = "") -> str:
    """Return what the sheet says beside the keys.

    ``failed``: why there is no model; ``localizer``: what proposes poles, or why nothing does.
    """
    lines = [
        f"EchoGFR {program_version()}  ·  GPL-3.0-or-later  ·  no warranty",
        "Research prototype, not for diagnosis or treatment.",
        wording.purpose(model.heads if model is not None else ()),
    ]
    if localizer:
        lines.append(f"Proposes poles: {localizer}")
    if model is None:
        return "\n\n".join([*lines, f"No model is loaded. {failed}".strip()])
    mark = "SYNTHETIC. " if model.synthetic else ""
    members = wording.count(model.members, "network")
    heads = "\n".join(f"–  {told}" for told in map(declared, model.heads))
    lines += [
        f"What it says:\n{heads}",
        f"Model: {mark}{model.title} ({model.bundle_id} {model.version}, {members}, SHA-256 {model.sha256[:12]}…, "
        f"{model.signature})",
        f"Runs on {model.runtime} ({model.provider}) at {model.precision}, because:\n" + "\n".join(model.selection),
        "Limits of this model:\n" + "\n".join(f"–  {limit}" for limit in model.limits),
    ]
    return "\n\n".join(lines)


class HelpOverlay(QFrame):
    """A child of the window that covers its middle; shown and hidden by F1."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("surface")
        self.setStyleSheet(f"#surface {{ border: 2px solid {theme.LINE}; background: {theme.SURFACE}; }}")
        self._lines: list[Line] = []
        self._about = self._line("", 0.72, theme.TEXT)
        self._about.setTextInteractionFlags(Qt.TextInteractionFlag.NoTextInteraction)
        row = QHBoxLayout(self)
        row.setContentsMargins(24, 18, 24, 18)
        row.setSpacing(28)
        row.addLayout(self._keys(), 2)
        self.text = self._scroll(self._about)
        row.addWidget(self.text, 3)
        self.hide()

    def _line(self, text: str, size: float, ink: str, *, bold: bool = False) -> Line:
        line = Line(size, ink, bold=bold, wrap=True)
        line.setText(text)
        line.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self._lines.append(line)
        return line

    def _keys(self) -> QVBoxLayout:
        column = QVBoxLayout()
        column.addWidget(self._line("Keys", 1.2, theme.STRONG, bold=True))
        for key, text in KEYS:
            row = QHBoxLayout()
            row.addWidget(self._line(key, 0.8, theme.STRONG, bold=True), 2)
            row.addWidget(self._line(text, 0.8, theme.TEXT), 5)
            column.addLayout(row)
        column.addStretch(1)
        return column

    def _scroll(self, label: QLabel) -> QScrollArea:
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setStyleSheet(f"QScrollArea, QScrollArea > QWidget > QWidget {{ background: {theme.SURFACE}; }}")
        area.setWidget(label)
        return area

    def show_about(self, model: ModelSummary | None, failed: str = "", localizer: str = "") -> None:
        """Describe this model, or say why there is none, and what proposes poles."""
        self._about.setText(about(model, failed, localizer))

    def fit(self, unit_px: float) -> None:
        """Fit sizes and place to the window."""
        for line in self._lines:
            line.scale(unit_px)
        parent = self.parentWidget()
        if parent is not None:
            margin = round(1.6 * unit_px)
            self.setGeometry(parent.rect().adjusted(margin, margin, -margin, -margin))
