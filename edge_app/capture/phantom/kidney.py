"""The kidney as layers: capsule, fat rim, cortex, pyramids, columns, lobulated sinus.

Everything is painted on a small raster in the kidney's own frame (u along its long axis), as
echogenicity in dB against liver. Thickness is measured by a true distance transform: scaled
ellipses would make the poles too thick.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from edge_app.capture.phantom.arrays import F32, Mask, Point, Rng, blend, bump, smooth_noise, soft
from edge_app.capture.phantom.patient import Patient

RASTER_PX_PER_CM = 48.0
MARGIN_CM = 1.3


@dataclass(frozen=True, slots=True)
class Pose:
    """Where the kidney lies at rest: centre (x, y) cm, tilt in radians (positive: right end deeper)."""

    centre: Point
    tilt: float
    bend: float  # sagitta of the long axis, in units of the half width

    def to_tissue(self, u: float, v: float) -> Point:
        """Kidney frame to tissue frame, cm."""
        c, s = float(np.cos(self.tilt)), float(np.sin(self.tilt))
        return self.centre[0] + c * u - s * v, self.centre[1] + s * u + c * v


@dataclass(frozen=True, slots=True, eq=False)
class KidneyRaster:
    """Painted kidney: ``echo_db`` (dB re liver), ``cover`` 0..1 (kidney and fat rim), ``inside`` 0..1."""

    echo_db: F32
    cover: F32
    inside: F32
    half_cm: Point  # half extents of the raster: u, v


@dataclass(frozen=True, slots=True, eq=False)
class _Frame:
    """Coordinates of every raster pixel, in terms that the layers are written in."""

    u: F32
    depth: F32  # cm below the capsule, negative outside
    around: F32  # arc position 0..1 around the kidney
    perimeter: float
    normal_v: F32  # component of the surface normal along v


def poles(patient: Patient, pose: Pose) -> tuple[Point, Point]:
    """Return the two ends of the long axis in the tissue frame, left one first."""
    a, v = patient.length_cm / 2.0, pose.bend * patient.width_cm / 2.0
    return pose.to_tissue(-a, v), pose.to_tissue(a, v)


def inside_kidney(raster: KidneyRaster, pose: Pose, at: tuple[F32, F32]) -> Mask:
    """Tell for each point of the tissue frame, x (1, W) and y (H, 1) cm, whether it lies in the kidney."""
    c, s = float(np.cos(pose.tilt)), float(np.sin(pose.tilt))
    dx, dy = at[0] - pose.centre[0], at[1] - pose.centre[1]
    u = ((c * dx + s * dy + raster.half_cm[0]) * RASTER_PX_PER_CM).astype(np.float32)
    v = ((c * dy - s * dx + raster.half_cm[1]) * RASTER_PX_PER_CM).astype(np.float32)
    return np.asarray(cv2.remap(raster.inside, u, v, cv2.INTER_LINEAR, borderValue=0.0) > 0.5, dtype=np.bool_)


def paint_kidney(patient: Patient, pose: Pose, rng: Rng) -> KidneyRaster:
    """Paint all layers of one kidney."""
    half = (patient.length_cm / 2.0 + MARGIN_CM, patient.width_cm / 2.0 + MARGIN_CM + 0.4)
    frame = _frame(patient, pose, half, rng)
    echo = _parenchyma(patient, frame, rng)
    echo = _sinus(patient, frame, echo, rng)
    echo = echo + smooth_noise(rng, echo.shape, (5, 9)) * 0.6 + smooth_noise(rng, echo.shape, (26, 54)) * 0.8
    rim = _fat_rim(frame, rng)
    facing = np.abs(frame.normal_v)  # interfaces that face the probe shine, those along the beam fade
    fat = float(rng.uniform(6.0, 9.0)) * (0.35 + 0.65 * facing) + smooth_noise(rng, echo.shape, (9, 22)) * 1.8
    inside = soft(frame.depth, 0.05)
    echo = blend(fat.astype(np.float32), echo, inside)
    echo = echo + 6.0 * bump(frame.depth, 0.04) * facing * np.clip(
        0.8 + 0.5 * smooth_noise(rng, echo.shape, (6, 14)), 0, 1.5
    )
    return KidneyRaster(echo.astype(np.float32), soft(frame.depth + rim, 0.12), inside, half)


def _frame(patient: Patient, pose: Pose, half: Point, rng: Rng) -> _Frame:
    a, b = patient.length_cm / 2.0, patient.width_cm / 2.0
    size = tuple(int(2 * h * RASTER_PX_PER_CM) | 1 for h in half)
    u = np.linspace(-half[0], half[0], size[0], dtype=np.float32)[None, :]
    v = np.linspace(-half[1], half[1], size[1], dtype=np.float32)[:, None]
    egg = 1.0 + float(rng.normal(0.0, 0.05)) * u / a  # one pole blunter than the other
    un, vn = u / a + 0 * v, (v - pose.bend * b * np.square(u / a)) / (b * egg)
    angle = np.arctan2(vn, un)
    lobes = (
        float(rng.uniform(0.004, 0.018)) * np.sin(angle) ** 2 * np.sin(rng.integers(4, 8) * angle + rng.uniform(0, 6))
    )
    body = (np.hypot(un, vn) < 1.0 + lobes).astype(np.uint8)
    inner = cv2.distanceTransform(body, cv2.DIST_L2, cv2.DIST_MASK_5)
    outer = cv2.distanceTransform(1 - body, cv2.DIST_L2, cv2.DIST_MASK_5)
    depth = np.asarray((inner - outer) / RASTER_PX_PER_CM, dtype=np.float32)
    around, perimeter = _arc(angle, a, b)
    normal = -cv2.Sobel(cv2.GaussianBlur(depth, (0, 0), 3.0), cv2.CV_32F, 0, 1) * RASTER_PX_PER_CM / 8.0
    return _Frame(np.broadcast_to(u, depth.shape), depth, around, perimeter, np.asarray(normal, dtype=np.float32))


def _arc(angle: F32, a: float, b: float) -> tuple[F32, float]:
    t = np.linspace(-np.pi, np.pi, 721)
    speed = np.hypot(a * np.sin(t), b * np.cos(t))
    length = np.concatenate([[0.0], np.cumsum((speed[1:] + speed[:-1]) / 2.0 * np.diff(t))])
    table = (length / length[-1]).astype(np.float32)
    index = np.clip((angle + np.pi) * (720.0 / (2.0 * np.pi)), 0, 720).astype(np.int32)
    return table[index], float(length[-1])


def _parenchyma(patient: Patient, frame: _Frame, rng: Rng) -> F32:
    count = int(rng.integers(7, 12))
    start = float(rng.uniform(0, 1))
    phase = (frame.around * count + start) % 1.0 - 0.5  # -0.5..0.5 within one pyramid
    which = np.floor(frame.around * count + start).astype(np.int32) % count
    width = rng.uniform(0.30, 0.43, count).astype(np.float32)
    width[rng.random(count) < 0.12] = 0.0  # a pyramid that the plane does not meet
    reach = patient.medulla_cm * rng.uniform(0.85, 1.15, count).astype(np.float32)
    below = (frame.depth - patient.cortex_cm) / np.maximum(reach[which], 0.05)
    half = width[which] * np.sqrt(np.clip(1.0 - below * 0.82, 0.0, 1.0))
    spacing = frame.perimeter / count * 0.75
    shape = soft((half - np.abs(phase)) * spacing, 0.08) * soft(frame.depth - patient.cortex_cm, 0.06)
    shape = shape * soft(1.1 - below, 0.1) * (width[which] > 0)
    echo = np.full(frame.depth.shape, patient.echo_db, np.float32) - patient.cmd_db * shape
    arcuate = bump(frame.depth - patient.cortex_cm, 0.035) * soft(np.abs(phase) - 0.36, 0.1)
    return np.asarray(echo + 3.0 * arcuate * (smooth_noise(rng, echo.shape, (12, 24)) > 0.3), dtype=np.float32)


def _sinus(patient: Patient, frame: _Frame, echo: F32, rng: Rng) -> F32:
    wall = patient.cortex_cm + patient.medulla_cm
    lobes = int(rng.integers(6, 11))
    ripple = 0.09 * np.sin(2 * np.pi * (lobes * frame.around + rng.random()))
    ripple = ripple + 0.035 * np.sin(2 * np.pi * (2 * lobes * frame.around + rng.random()))
    edge = wall * (1.0 + ripple) + 0.06 * smooth_noise(rng, echo.shape, (10, 20))
    weight = soft((frame.depth - edge).astype(np.float32), 0.18)
    inside = float(10.0 + 0.45 * patient.echo_db + 0.8 * rng.standard_normal())
    clumps = smooth_noise(rng, echo.shape, (16, 34))
    vessels = soft(smooth_noise(rng, echo.shape, (11, 16)) - 1.1, 0.5)
    fill = inside + 2.2 * clumps - 9.0 * vessels + 1.5 * smooth_noise(rng, echo.shape, (30, 60))
    out = blend(echo, fill.astype(np.float32), weight)
    return _hilum(frame, out, inside, rng) if rng.random() < 0.45 else out


def _hilum(frame: _Frame, echo: F32, inside: float, rng: Rng) -> F32:
    """Let the sinus open through the deep side: the plane passes the hilum."""
    centre, width, lean = float(rng.uniform(-0.8, 0.8)), float(rng.uniform(0.2, 0.5)), float(rng.normal(0.0, 0.5))
    away = frame.u - centre + lean * frame.depth + 0.15 * smooth_noise(rng, echo.shape, (9, 9))
    deep = soft(frame.around - 0.5, 0.02)  # lower half: angle 0..pi
    tract = soft((width + 0.2 * frame.depth - np.abs(away)).astype(np.float32), 0.3) * deep
    return blend(echo, inside - 3.0, np.asarray(tract * 0.75 * soft(frame.depth + 0.2, 0.2), dtype=np.float32))


def _fat_rim(frame: _Frame, rng: Rng) -> F32:
    base = float(rng.uniform(0.25, 0.6))
    wave = 0.35 * np.sin(2 * np.pi * (frame.around + rng.random())) + 0.2 * np.sin(6 * np.pi * frame.around)
    return np.asarray(base * (1.0 + wave), dtype=np.float32)
