"""A screen to paint on, in design pixels: 1/720 of the height; negative x counts from the right edge."""

from __future__ import annotations

import cv2
import numpy as np

from edge_app.capture.phantom.arrays import U8, Point
from edge_app.capture.phantom.layout import Layout
from edge_app.capture.phantom.text import Box, Colour, Style, write


class Canvas:
    """Screen furniture that makers share. Points are design pixels unless a name says ``_px``."""

    def __init__(self, pixels: U8, layout: Layout) -> None:
        self.pixels = pixels
        self.layout = layout
        self.right = layout.bbox[2] / layout.unit  # right edge of the fan
        self.top = (layout.origin[0] / layout.unit, layout.origin[1] / layout.unit)  # middle of the probe's face

    def at(self, point: Point) -> tuple[int, int]:
        """Design pixels to pixels."""
        x = point[0] * self.layout.unit
        return round(x if point[0] >= 0 else self.layout.size[0] + x), round(point[1] * self.layout.unit)

    def px(self, length: float) -> int:
        """Length in whole pixels, at least one."""
        return max(1, round(length * self.layout.unit))

    def text(self, text: str, corner: Point, style: Style) -> Box:
        """Write a line; return the pixels that it fills."""
        sized = Style(style.height_px * self.layout.unit, style.colour, style.weight)
        return write(self.pixels, text, self.at(corner), sized)

    def column(self, rows: list[str], corner: Point, step: Point, style: Style) -> None:
        """Write parameter rows one under the other; ``key|value`` sets the value ``step[0]`` further right."""
        for index, row in enumerate(rows):
            for place, part in enumerate(row.split("|")):
                self.text(part, (corner[0] + place * step[0], corner[1] + index * step[1]), style)

    def bar(self, top: int, bottom: int, shades: tuple[int, int]) -> None:
        """Fill a band of the screen with a vertical ramp of grey."""
        y0, y1 = round(top * self.layout.unit), round(bottom * self.layout.unit)
        self.pixels[y0:y1] = np.linspace(*shades, y1 - y0).astype(np.uint8)[:, None, None]

    def rule(self, y: float, colour: Colour) -> None:
        """Draw a line across the screen."""
        cv2.line(self.pixels, self.at((0, y)), (self.layout.size[0], self.at((0, y))[1]), colour, 1)

    def ruler(self, x: float, colour: Colour, reach: tuple[float, float]) -> None:
        """Depth ruler: a tick at every whole centimetre, a longer one at every fifth."""
        thick = 1 if self.layout.unit < 1.2 else 2
        for cm in range(int(self.layout.depth_cm) + 1):
            left, y = self.at((x, 0))[0], self.depth_px(cm)
            tick = self.px(reach[cm % 5 == 0])
            cv2.rectangle(self.pixels, (left, y), (left + tick, y + thick - 1), colour, -1)

    def numbers(self, x: float, style: Style) -> None:
        """Write the depth beside every fifth centimetre."""
        for cm in range(5, int(self.layout.depth_cm) + 1, 5):
            self.text(str(cm), (x, self.depth_px(cm) / self.layout.unit - style.height_px / 2.0), style)

    def depth_px(self, cm: float) -> int:
        """Return the row of a depth on the middle line."""
        return round(self.layout.origin[1] + cm * self.layout.px_per_cm)

    def polygon(self, at_px: Point, corners: list[Point], colour: Colour) -> None:
        """Fill a polygon: corners in design pixels around a pixel."""
        points = [(at_px[0] + x * self.layout.unit, at_px[1] + y * self.layout.unit) for x, y in corners]
        cv2.fillPoly(self.pixels, [np.round(np.array(points)).astype(np.int32)], colour)

    def hourglass(self, x: float, focus_cm: float, colour: Colour) -> None:
        """Draw the pair of hour-glasses that marks the focal zone."""
        for depth in (focus_cm - 0.7, focus_cm + 0.7):
            for sign in (-1.0, 1.0):
                corners = [(0.0, 0.0), (-4.0, sign * 6.0), (4.0, sign * 6.0)]
                self.polygon((self.at((x, 0))[0], self.depth_px(depth)), corners, colour)

    def grey_bar(self, corner: Point, size: Point) -> None:
        """Draw the photometric bar: white on top."""
        x0, y0 = self.at(corner)
        x1, y1 = x0 + self.px(size[0]), y0 + self.px(size[1])
        self.pixels[y0:y1, x0:x1] = np.linspace(255, 0, y1 - y0).astype(np.uint8)[:, None, None]
        cv2.rectangle(self.pixels, (x0 - 1, y0 - 1), (x1, y1), (90, 90, 90), 1)

    def body_mark(self, centre: Point, colour: Colour, side: str) -> None:
        """Draw the figure that shows where the probe lies; the patient's left is on its right."""
        x, y = self.at(centre)
        cv2.ellipse(self.pixels, (x, y), (self.px(24), self.px(34)), 0, 0, 360, colour, 1, cv2.LINE_AA)
        cv2.circle(self.pixels, (x, y - self.px(42)), self.px(9), colour, 1, cv2.LINE_AA)
        probe = x + (1 if side == "left" else -1) * self.px(13)
        cv2.line(self.pixels, (probe, y - self.px(4)), (probe, y + self.px(14)), colour, max(2, self.px(3)))

    def ring(self, centre: Point, radius: float, colour: Colour) -> None:
        """Draw a ring, two pixels wide."""
        cv2.circle(self.pixels, self.at(centre), self.px(radius), colour, max(2, self.px(2)), cv2.LINE_AA)
