"""Where the fan lies on a screen, and the scan conversion into it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.capture.phantom.arrays import U8, Point
from edge_app.capture.phantom.probe import PolarGrid, Probe

LookName = Literal["ge", "philips", "canon", "sonosite", "mindray", "voluson"]
LOOKS: tuple[LookName, ...] = ("ge", "philips", "canon", "sonosite", "mindray", "voluson")
DATA_LOOKS: tuple[LookName, ...] = LOOKS[:3]  # of data sets: more would change every data set that a seed stands for
SIZES: tuple[tuple[int, int], ...] = ((960, 720), (1280, 960), (1920, 1080))

# Left, right, top, bottom of the space for the fan: fractions of width (4:3 part) and height.
_AREAS: dict[LookName, tuple[float, float, float, float]] = {
    "ge": (0.022, 0.862, 0.140, 0.930),
    "philips": (0.130, 0.915, 0.115, 0.945),
    "canon": (0.100, 0.885, 0.105, 0.935),
    "sonosite": (0.110, 0.880, 0.130, 0.900),
    "mindray": (0.050, 0.860, 0.130, 0.935),
    "voluson": (0.040, 0.840, 0.115, 0.940),
}


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Geometry of one screen; ``origin`` is the pixel where the middle line leaves the probe."""

    look: LookName
    size: tuple[int, int]  # width, height
    px_per_cm: float
    origin: Point
    bbox: tuple[int, int, int, int]  # of the fan; x1, y1 exclusive
    mask: NDArray[np.bool_]  # (H, W)
    depth_cm: float

    @property
    def unit(self) -> float:
        """Pixels per design pixel: 1 on a 720-line screen."""
        return self.size[1] / 720.0

    def to_screen(self, point: Point) -> Point:
        """Centimetres under the probe to pixels."""
        return self.origin[0] + self.px_per_cm * point[0], self.origin[1] + self.px_per_cm * point[1]


class ScanConverter:
    """Fixed-point remap of the polar picture into the fan's box; made once per scene."""

    def __init__(self, layout: Layout, probe: Probe, grid: PolarGrid) -> None:
        x0, y0, x1, y1 = layout.bbox
        radius, theta = _polar_of_pixels(layout, probe, np.arange(x0, x1), np.arange(y0, y1))
        line = np.clip((theta + probe.half_angle) / grid.step_theta, 0, grid.shape[1] - 1)
        row = np.clip(radius / grid.step_r, 0, grid.shape[0] - 1)
        inside = layout.mask[y0:y1, x0:x1]
        line = np.where(inside, line, -64.0).astype(np.float32)
        row = np.where(inside, row, -64.0).astype(np.float32)
        self._maps = cv2.convertMaps(line, row, cv2.CV_16SC2)

    def convert(self, polar: U8) -> U8:
        """Return the fan as grey values of the box, 0 outside of the fan."""
        out = cv2.remap(polar, self._maps[0], self._maps[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        return np.asarray(out, dtype=np.uint8)


def plan_layout(look: LookName, size: tuple[int, int], probe: Probe) -> Layout:
    """Fit the fan into the space that a look leaves for it."""
    width, height = size
    inner = min(width, height * 4 // 3)  # wide screens keep the fan where a 4:3 screen has it, centred
    left = (width - inner) / 2.0
    area = _AREAS[look]
    ax0, ax1 = left + area[0] * inner, left + area[1] * inner
    ay0, ay1 = area[2] * height, area[3] * height
    sag = probe.radius_cm * (1.0 - np.cos(probe.half_angle))
    wide = 2.0 * (probe.radius_cm + probe.depth_cm) * np.sin(probe.half_angle)
    scale = float(min((ay1 - ay0) / (probe.depth_cm + sag), (ax1 - ax0) / wide))
    origin = ((ax0 + ax1) / 2.0, ay0 + sag * scale)
    return _with_mask(
        Layout(look, size, scale, origin, (0, 0, width, height), np.zeros((0, 0), np.bool_), probe.depth_cm), probe
    )


def _with_mask(layout: Layout, probe: Probe) -> Layout:
    width, height = layout.size
    radius, theta = _polar_of_pixels(layout, probe, np.arange(width), np.arange(height))
    mask = (radius >= 0) & (radius <= probe.depth_cm) & (np.abs(theta) <= probe.half_angle)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    bbox = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    mask.flags.writeable = False
    return Layout(layout.look, layout.size, layout.px_per_cm, layout.origin, bbox, mask, layout.depth_cm)


def _polar_of_pixels(
    layout: Layout, probe: Probe, columns: NDArray[np.int64], rows: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    x = ((columns - layout.origin[0]) / layout.px_per_cm).astype(np.float32)[None, :]
    y = ((rows - layout.origin[1]) / layout.px_per_cm + probe.radius_cm).astype(np.float32)[:, None]
    return np.hypot(x, y) - np.float32(probe.radius_cm), np.arctan2(x, y)
