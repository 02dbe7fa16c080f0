"""The heads beside the main one: one line each, large where they are few, and in a crowded window as many as fit."""

from __future__ import annotations

from edge_app.ui import theme
from edge_app.ui._qt import QResizeEvent, QSize, QSizePolicy, QWidget
from edge_app.ui.text import Line, Named

FEW = 2  # other heads that are set large
LARGE, SMALL = 1.1, 0.72  # text units
LEAST = 2  # lines for which there is always room: a head, and that there are more


class OtherHeads(QWidget):
    """Places its lines itself: one that is left out is counted in the last line, and told whole in the tool tip."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[Named] = []
        self.more = Line(SMALL, theme.QUIET)
        self.more.setParent(self)
        self.more.hide()
        self._count = 0
        self._unit_px = 16.0
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Maximum)

    def scale(self, unit_px: float) -> None:
        """Fit the sizes to the window."""
        self._unit_px = unit_px
        for line in (*self.lines, self.more):
            line.scale(unit_px)
        self._place()

    def show_heads(self, heads: tuple[tuple[str, str], ...], greyed: bool) -> None:
        """Show (name, value) of each head; greyed for a stale number."""
        while len(self.lines) < len(heads):
            line = Named(LARGE)
            line.setParent(self)
            line.scale(self._unit_px)
            self.lines.append(line)
        for line, (name, value) in zip(self.lines, heads, strict=False):
            line.resize_to(LARGE if len(heads) <= FEW else SMALL)
            line.tell(name, value)
            line.ink(theme.GREYED if greyed else theme.TEXT)
        self.setToolTip("\n".join(f"{name}  {value}" for name, value in heads))
        self.setVisible(bool(heads))
        self._count = len(heads)
        self._place()

    def sizeHint(self) -> QSize:
        """Ask for all lines."""
        return QSize(0, self._count * self._row_px())

    def minimumSizeHint(self) -> QSize:
        """Be content with one line, and one that says how many more there are."""
        return QSize(0, min(self._count, LEAST) * self._row_px())

    def resizeEvent(self, a0: QResizeEvent | None) -> None:
        """Place the lines anew."""
        super().resizeEvent(a0)
        self._place()

    def _row_px(self) -> int:
        """Height of a line in the size that it is asked to have, not in that of one which had to get smaller."""
        probe = self.lines[0] if self.lines else self.more
        return probe.full_height()

    def _place(self) -> None:
        row = self._row_px()
        fits = max(1, self.height() // row)
        shown = self._count if self._count <= fits else fits - 1
        for at, line in enumerate(self.lines):
            line.setGeometry(0, at * row, self.width(), row)
            line.setVisible(at < shown)
        self.more.say(f"and {self._count - shown} more: in a larger window" if shown < self._count else "")
        self.more.setGeometry(0, shown * row, self.width(), row)
        self.updateGeometry()
