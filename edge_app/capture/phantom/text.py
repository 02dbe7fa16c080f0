"""Text as scanners burn it in: OpenCV's stroke fonts, sized by the height of a capital in pixels."""

from __future__ import annotations

from dataclasses import dataclass

import cv2

from edge_app.capture.phantom.arrays import U8

Colour = tuple[int, int, int]
Box = tuple[int, int, int, int]
CAPITAL_PX = 21.0  # height of a capital of Hershey Simplex at scale 1


@dataclass(frozen=True, slots=True)
class Style:
    """Capital height in pixels, colour, and weight (1 thin, 2 bold)."""

    height_px: float
    colour: Colour
    weight: int = 1


def write(pixels: U8, text: str, corner: tuple[float, float], style: Style) -> Box:
    """Write a line with its top left corner at ``corner``; return the box that it fills (x1, y1 exclusive)."""
    scale = style.height_px / CAPITAL_PX
    thick = max(1, round(style.weight * style.height_px / 14.0))
    (width, height), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thick)
    x, y = round(corner[0]), round(corner[1])
    cv2.putText(pixels, text, (x, y + height), cv2.FONT_HERSHEY_SIMPLEX, scale, style.colour, thick, cv2.LINE_AA)
    return x - thick - 1, y - thick - 2, x + width + thick + 1, y + height + below + thick
