"""Two handles on the poles of the kidney: where they are, which one is held, when they count."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import hypot

from edge_app.live.report import TrackingReport
from edge_app.ui.mapping import Point

GRAB_RADIUS_PX = 44.0  # at least: a gloved fingertip, 88 px is about 18 mm on a 125 dpi panel
GRAB_RADIUS = 1.8  # text units


@dataclass(frozen=True, slots=True)
class Handles:
    """Two positions in frame pixels; they count once the operator has placed both.

    ``placed`` says which of the two the operator has put somewhere, by hand or by accepting both.
    Handles that are not all placed are a suggestion: nothing is ever measured between them.
    """

    first: Point
    second: Point
    placed: frozenset[int] = field(default_factory=frozenset)

    @property
    def complete(self) -> bool:
        """Whether both were placed by the operator."""
        return self.placed == {0, 1}

    @property
    def length_px(self) -> float:
        """Distance between the two, frame pixels."""
        return hypot(self.second[0] - self.first[0], self.second[1] - self.first[1])

    def at(self, index: int) -> Point:
        """Position of handle 0 or 1."""
        return self.second if index else self.first

    def moved(self, index: int, to: Point) -> Handles:
        """Return the handles with one of them at another place, placed by the operator."""
        placed = self.placed | {index}
        return replace(self, second=to, placed=placed) if index else replace(self, first=to, placed=placed)

    def accepted(self) -> Handles:
        """Return the handles taken as they stand."""
        return replace(self, placed=frozenset({0, 1}))

    def followed(self, tracking: TrackingReport) -> Handles:
        """Return the handles where the kidney has carried them."""
        x1, y1, x2, y2 = tracking.poles
        return replace(self, first=(x1, y1), second=(x2, y2))

    def nearest(self, point: Point, among: frozenset[int] = frozenset({0, 1})) -> tuple[int, float]:
        """Return which handle is nearest to a frame position, and how far, in frame pixels."""
        far = {i: hypot(self.at(i)[0] - point[0], self.at(i)[1] - point[1]) for i in among}
        index = min(far, key=lambda i: far[i])
        return index, far[index]

    def grabbed(self, point: Point, radius_px: float) -> int | None:
        """Return the handle that a press takes hold of.

        While one is still to be placed, a press anywhere takes the nearest of those: two taps place both.
        Afterwards it must be within ``radius_px`` (frame pixels).
        """
        waiting = frozenset({0, 1}) - self.placed
        index, distance = self.nearest(point)
        if distance <= radius_px:
            return index
        return self.nearest(point, waiting)[0] if waiting else None


def suggest(calipers: tuple[tuple[float, float, float, float], ...], box: tuple[int, int, int, int]) -> Handles:
    """Return handles where the calipers are, or across the middle of ``box`` (x0, y0, x1, y1) if there are none."""
    if calipers:
        x1, y1, x2, y2 = calipers[0]
        return Handles((x1, y1), (x2, y2))
    x0, y0, x1, y1 = box
    middle = (y0 + y1) / 2
    return Handles((x0 + 0.3 * (x1 - x0), middle), (x0 + 0.7 * (x1 - x0), middle))
