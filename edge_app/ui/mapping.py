"""Mapping between a frame's pixels and the widget that shows it: letterboxed, never distorted."""

from __future__ import annotations

from dataclasses import dataclass

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Letterbox:
    """One uniform scale and an offset.

    Frame coordinates are (x, y) with pixel centres at integers, so the picture covers -0.5 .. W-0.5;
    widget coordinates are Qt's: the top-left corner of the widget is (0, 0).
    """

    scale: float  # widget pixels a frame pixel, > 0
    left: float  # widget coordinate of the picture's left edge
    top: float
    width: int  # of the frame, pixels
    height: int

    @classmethod
    def fit(cls, frame: tuple[int, int], area: tuple[float, float, float, float]) -> Letterbox:
        """Return the largest centred fit of a frame (width, height) in an area (x, y, width, height)."""
        x, y, width, height = area
        scale = max(min(width / frame[0], height / frame[1]), 1e-3)  # a window may be folded to nothing
        left, top = round(x + (width - frame[0] * scale) / 2), round(y + (height - frame[1] * scale) / 2)
        return cls(scale, left, top, frame[0], frame[1])  # on whole pixels: the picture is drawn without filtering

    def shown_size(self, pixel_ratio: float) -> tuple[int, int]:
        """Width and height of the picture on screen in whole device pixels, ``pixel_ratio`` of them a widget pixel."""
        factor = self.scale * pixel_ratio
        return max(1, round(self.width * factor)), max(1, round(self.height * factor))

    def to_widget(self, point: Point) -> Point:
        """Widget position of a frame position."""
        return self.left + (point[0] + 0.5) * self.scale, self.top + (point[1] + 0.5) * self.scale

    def to_frame(self, point: Point) -> Point:
        """Frame position of a widget position; outside of the picture it goes on beyond its edges."""
        return (point[0] - self.left) / self.scale - 0.5, (point[1] - self.top) / self.scale - 0.5

    def clamp(self, point: Point) -> Point:
        """Return the nearest frame position within the pixel centres, 0 .. W-1 and 0 .. H-1."""
        return min(max(point[0], 0.0), self.width - 1.0), min(max(point[1], 0.0), self.height - 1.0)
