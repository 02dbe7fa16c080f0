"""The convex probe: fan geometry, polar grid and point spread function.

x = (R0 + r) sin(theta), y = (R0 + r) cos(theta) - R0: centimetres, origin where the middle line
leaves the probe, y down. Measured on a LOGIQ E9 with C1-6: R0 5.94 cm, half-angle 32 degrees.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_app.capture.phantom.arrays import F32, Point, Rng

SOUND_CM_MHZ = 0.154  # wavelength in cm at 1 MHz


@dataclass(frozen=True, slots=True)
class Probe:
    """A convex probe and how it is driven."""

    radius_cm: float
    half_angle: float  # radians
    depth_cm: float
    frequency_mhz: float
    focus_cm: float
    cycles: float = 2.5
    f_number: float = 2.5
    lines: int = 224
    samples: int = 896

    @property
    def axial_fwhm_cm(self) -> float:
        """Axial resolution: half of the pulse length."""
        return self.cycles * SOUND_CM_MHZ / self.frequency_mhz / 2.0

    def lateral_fwhm_cm(self, depth_cm: float) -> float:
        """Lateral resolution at a depth: diffraction limit at the focus, wider away from it."""
        spread = (depth_cm - self.focus_cm) / 4.0
        return float(SOUND_CM_MHZ / self.frequency_mhz * self.f_number * np.sqrt(1.0 + spread * spread))

    def contains(self, point: Point, margin_cm: float) -> bool:
        """Tell whether a point lies in the fan, at least ``margin_cm`` from its edge."""
        x, y = point[0], point[1] + self.radius_cm
        radius, angle = float(np.hypot(x, y)), float(np.arctan2(x, y))
        aside = (self.half_angle - abs(angle)) * radius
        return aside > margin_cm and margin_cm < radius - self.radius_cm < self.depth_cm - margin_cm


@dataclass(frozen=True, slots=True, eq=False)
class PolarGrid:
    """Polar grid, rows = depth, columns = lines; ``r`` (rows, 1) cm and ``theta`` (1, columns) radians."""

    r: F32
    theta: F32
    radius_cm: float

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.r.shape[0], self.theta.shape[1]

    @property
    def step_r(self) -> float:
        """Depth step, cm."""
        return float(self.r[1, 0] - self.r[0, 0])

    @property
    def step_theta(self) -> float:
        """Line step, radians."""
        return float(self.theta[0, 1] - self.theta[0, 0])

    def cartesian(self) -> tuple[F32, F32]:
        """X and y of every grid point, cm."""
        radius = self.radius_cm + self.r
        return radius * np.sin(self.theta), radius * np.cos(self.theta) - self.radius_cm


def beam_grid(probe: Probe) -> PolarGrid:
    """Return the grid of what the probe sees."""
    return _grid(probe, 0, 0)


def tissue_grid(probe: Probe) -> PolarGrid:
    """Return the same grid with a margin aside and below, so that tissue can move into the picture."""
    step = 2.0 * probe.half_angle / (probe.lines - 1)
    deep = int(np.ceil(0.8 / (probe.depth_cm / (probe.samples - 1))))
    return _grid(probe, int(np.ceil(0.16 / step)), deep)


def _grid(probe: Probe, aside: int, deep: int) -> PolarGrid:
    step_theta = 2.0 * probe.half_angle / (probe.lines - 1)
    step_r = probe.depth_cm / (probe.samples - 1)
    theta = -probe.half_angle + step_theta * np.arange(-aside, probe.lines + aside)
    r = step_r * np.arange(probe.samples + deep)
    return PolarGrid(r.astype(np.float32)[:, None], theta.astype(np.float32)[None, :], probe.radius_cm)


def draw_probe(rng: Rng, length_cm: float, centre_depth_cm: float) -> Probe:
    """Choose a probe and a depth at which a kidney of this length fits into the fan."""
    radius = float(rng.uniform(4.6, 6.4))
    half = np.deg2rad(rng.uniform(29.0, 36.0))
    depth = centre_depth_cm + float(rng.uniform(5.8, 8.6)) + 0.15 * (length_cm - 9.0)
    frequency = float(rng.uniform(2.8, 4.6))
    lines = int(rng.integers(24, 33)) * 8
    cycles, aperture = float(rng.uniform(2.0, 3.0)), float(rng.uniform(2.4, 3.5))
    return Probe(radius, float(half), depth, frequency, centre_depth_cm, cycles, aperture, lines)
