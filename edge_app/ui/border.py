"""The border of the image, while the operator moves it: where it is, which side is held, by how much it was moved."""

from __future__ import annotations

from dataclasses import dataclass, replace

from edge_app.imaging.nudge import Nudge
from edge_app.ui.mapping import Point

Box = tuple[float, float, float, float]
LEAST_PX = 16.0  # between two sides
SIDES = ("left", "top", "right", "bottom")


@dataclass(frozen=True, slots=True)
class Border:
    """A box (x0, y0, x1, y1) in frame pixels, where it was at first, and the side that arrow keys move, or all."""

    box: Box
    first: Box
    side: int | None = None  # 0 left, 1 top, 2 right, 3 bottom; None: the whole box

    @property
    def moved(self) -> bool:
        """Whether it is elsewhere than at first."""
        return self.box != self.first

    def nudge(self, size: tuple[int, int]) -> Nudge:
        """Return by how much each side was moved, for frames of ``size`` (width, height)."""
        width, height = size
        left, top, right, bottom = (after - before for before, after in zip(self.first, self.box, strict=True))
        return Nudge(left=left / width, top=top / height, right=right / width, bottom=bottom / height)

    def next_side(self) -> Border:
        """Choose the next side: all, left, top, right, bottom."""
        return replace(self, side=0 if self.side is None else None if self.side == 3 else self.side + 1)

    def shifted(self, by: Point, size: tuple[int, int]) -> Border:
        """Move the chosen side, or all of it, by so many pixels within frames of ``size``."""
        x0, y0, x1, y1 = self.box
        dx, dy = by
        if self.side is None:
            dx, dy = min(max(dx, -x0), size[0] - x1), min(max(dy, -y0), size[1] - y1)
            return replace(self, box=(x0 + dx, y0 + dy, x1 + dx, y1 + dy))
        at = self.box[self.side] + (dx if self.side in (0, 2) else dy)
        return self.with_side(self.side, at, size)

    def with_side(self, side: int, at: float, size: tuple[int, int]) -> Border:
        """Put one side at a place, within the frame and apart from the other side."""
        x0, y0, x1, y1 = self.box
        low = (0.0, 0.0, x0 + LEAST_PX, y0 + LEAST_PX)[side]
        high = (x1 - LEAST_PX, y1 - LEAST_PX, float(size[0]), float(size[1]))[side]
        box = list(self.box)
        box[side] = min(max(at, low), high)
        return replace(self, box=(box[0], box[1], box[2], box[3]), side=side)

    def grabbed(self, point: Point, reach_px: float) -> int | None:
        """Return the side that a press at ``point`` takes hold of, or None."""
        x0, y0, x1, y1 = self.box
        inside = x0 - reach_px <= point[0] <= x1 + reach_px and y0 - reach_px <= point[1] <= y1 + reach_px
        far = (abs(point[0] - x0), abs(point[1] - y0), abs(point[0] - x1), abs(point[1] - y1))
        side = min(range(4), key=lambda number: far[number])
        return side if inside and far[side] <= reach_px else None
