"""The receive chain: from tissue looks to grey values on the polar grid.

Per frame: mix looks, move the tissue under the probe, lay the still wall over it, add electronic
noise, compensate, compress logarithmically, map to grey. Only decibels differ between machines.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from edge_app.capture.phantom.arrays import F32, U8, Point, Rng, blend
from edge_app.capture.phantom.probe import PolarGrid, Probe
from edge_app.capture.phantom.speckle import LookBank


@dataclass(frozen=True, slots=True)
class Controls:
    """The knobs of the machine."""

    dynamic_range_db: float
    liver_grey: float  # where liver lands, 0..255, before the grey map
    gamma: float
    tilt_db_per_cm: float  # TGC error
    noise_db: float  # electronic noise re liver, before TGC


@dataclass(frozen=True, slots=True)
class Moment:
    """One instant: where the tissue is (shift in cm) and which plane is seen (position in the bank)."""

    shift: Point
    plane: float


def draw_controls(rng: Rng) -> Controls:
    """Choose a sensible operator's settings."""
    return Controls(
        float(rng.uniform(52.0, 72.0)),
        float(np.clip(rng.normal(124.0, 14.0), 80.0, 168.0)),
        float(rng.uniform(0.88, 1.15)),
        float(rng.normal(0.0, 0.03) * 2.0 * 3.5),
        float(rng.uniform(-55.0, -45.0)),
    )


class Receiver:
    """Turns moments into polar pictures; buffers are reused, so one instance serves one thread."""

    def __init__(
        self, grids: tuple[PolarGrid, PolarGrid], organs: LookBank, wall: tuple[LookBank, F32], loss_db: F32
    ) -> None:
        self._beam, self._tissue = grids
        self._organs = organs
        self._wall, self._cover = wall
        self._gain = np.asarray(np.power(10.0, -loss_db / 20.0), dtype=np.float32)
        self._mixed = np.empty(organs.shape, np.float32)
        radius = self._beam.radius_cm + self._beam.r
        self._radius = np.asarray(np.broadcast_to(radius, self._beam.shape), dtype=np.float32).copy()
        self._line0 = float(-self._tissue.theta[0, 0] / self._tissue.step_theta)
        self._line = ((self._beam.theta / self._tissue.step_theta) + self._line0).astype(np.float32)

    def envelope(self, moment: Moment) -> F32:
        """Compounded linear envelope on the beam grid (liver RMS about 1), before noise and TGC."""
        mixed = self._organs.at(moment.plane, self._mixed)
        map_line, map_row = self._maps(moment.shift)
        warped = cv2.remap(mixed, map_line, map_row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        moved = np.asarray(warped, dtype=np.float32)
        rows = self._cover.shape[0]
        wall = self._wall.at(moment.plane)
        moved[:rows] = blend(moved[:rows], wall, self._cover)
        return np.asarray(cv2.multiply(moved, self._gain), dtype=np.float32)

    def _maps(self, shift: Point) -> tuple[F32, F32]:
        """Where each beam sample lies in the tissue at rest: exact rotation of the shift, series for atan.

        In the frame of a beam, the shift is (aside, along); angle = atan(aside / along), |angle| < 0.2.
        """
        sin, cos = np.sin(self._beam.theta), np.cos(self._beam.theta)
        dx, dy = -shift[0], -shift[1]
        aside = (dx * cos - dy * sin).astype(np.float32)
        along = self._radius + (dx * sin + dy * cos).astype(np.float32)
        ratio = aside / along
        square = ratio * ratio
        angle = ratio * (1.0 - square * (np.float32(1 / 3) - square * np.float32(0.2)))
        radius = along * np.sqrt(1.0 + square)
        row = (radius - np.float32(self._beam.radius_cm)) * np.float32(1.0 / self._tissue.step_r)
        line = angle * np.float32(1.0 / self._tissue.step_theta) + self._line
        return np.asarray(line, dtype=np.float32), np.asarray(row, dtype=np.float32)


class Display:
    """Noise, TGC, log compression and grey map: from envelope to 8-bit polar picture."""

    def __init__(self, probe: Probe, grid: PolarGrid, controls: Controls, rng: Rng) -> None:
        rise = np.clip(grid.r - 10.0, 0.0, None) * probe.frequency_mhz * 0.35  # TGC lifts the noise with depth
        floor = np.power(10.0, (controls.noise_db + rise) / 10.0).astype(np.float32)
        pad = (grid.shape[0] + 96, grid.shape[1] + 48)
        chi = np.square(rng.standard_normal((2, *pad), dtype=np.float32)).sum(axis=0) * 0.5
        self._noise = cv2.GaussianBlur(chi, (0, 0), 0.7)
        self._floor = np.ascontiguousarray(np.broadcast_to(floor, grid.shape))
        scale = 255.0 / controls.dynamic_range_db
        self._slope = np.float32(scale * 10.0 / np.log(10.0))
        tilt = (controls.tilt_db_per_cm * (grid.r - probe.focus_cm)).astype(np.float32)
        self._offset = np.ascontiguousarray(np.broadcast_to(controls.liver_grey + scale * tilt, grid.shape))
        ramp = np.power(np.arange(256) / 255.0, controls.gamma) * 255.0
        self._map = np.round(ramp).astype(np.uint8)

    def show(self, envelope: F32, jitter: tuple[int, int]) -> U8:
        """Return the polar picture, uint8; ``jitter`` picks the patch of noise."""
        rows, columns = envelope.shape
        top, left = jitter[0] % 96, jitter[1] % 48
        noise = self._noise[top : top + rows, left : left + columns]
        power = cv2.add(cv2.multiply(envelope, envelope), cv2.multiply(noise, self._floor))
        grey = cv2.log(power)
        grey *= self._slope
        grey += self._offset
        np.clip(grey, 0.0, 255.0, out=grey)
        return np.asarray(cv2.LUT(grey.astype(np.uint8), self._map), dtype=np.uint8)
