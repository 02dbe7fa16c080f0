"""Border editor: the image's border while the operator moves it, by hand or by keys."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from edge_app.imaging.place import middle_box
from edge_app.live.report import FrameReport
from edge_app.ui._qt import Qt
from edge_app.ui.border import Border
from edge_app.ui.mapping import Point

STEP_PX, FAR_PX = 1.0, 10.0  # frame pixels an arrow key; with Shift
ARROWS = {
    Qt.Key.Key_Left: (-1.0, 0.0),
    Qt.Key.Key_Right: (1.0, 0.0),
    Qt.Key.Key_Up: (0.0, -1.0),
    Qt.Key.Key_Down: (0.0, 1.0),
}
Meant = Literal["moved", "keep", "reset"]


class BorderEditor:
    """Holds the border, which side is held, and the size (width, height) of the picture it lies in."""

    def __init__(self) -> None:
        self.border: Border | None = None
        """None: nothing is moved now."""
        self._size = (1, 1)
        self._held = False

    def begin(self, size: tuple[int, int], report: FrameReport | None) -> None:
        """Begin at the image that was seen, or in the middle of the picture."""
        x0, y0, x1, y1 = middle_box(size) if report is None or report.sector is None else report.sector.bbox
        box = (float(x0), float(y0), float(x1), float(y1))
        self.border, self._size = Border(box, box), size

    def end(self) -> Border | None:
        """End, and return the border as it was left."""
        border, self.border, self._held = self.border, None, False
        return border

    def press(self, at: Point, reach: float) -> None:
        """Take hold of the side near a place, if one is."""
        side = None if self.border is None else self.border.grabbed(at, reach)
        self._held = side is not None
        if self.border is not None and side is not None:
            self.border = replace(self.border, side=side)
            self.drag(at)

    def drag(self, at: Point) -> None:
        """Move the held side there."""
        border = self.border
        if self._held and border is not None and border.side is not None:
            self.border = border.with_side(border.side, at[border.side % 2], self._size)

    def release(self) -> None:
        """Let go of the side."""
        self._held = False

    def key(self, key: Qt.Key, far: bool) -> Meant | None:
        """Do what a key means, and say what it was; None: nothing here."""
        if self.border is None:
            return None
        if key in ARROWS:
            step = FAR_PX if far else STEP_PX
            self.border = self.border.shifted((ARROWS[key][0] * step, ARROWS[key][1] * step), self._size)
            return "moved"
        if key == Qt.Key.Key_Tab:
            self.border = self.border.next_side()
            return "moved"
        if key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            return "keep"
        return "reset" if key in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace) else None
