"""Tissue maps on the polar grid: what lies where, as echogenicity and attenuation.

``paint_organs`` gives what moves with breathing (kidney, liver or spleen, muscle, bowel);
``paint_wall`` what stays under the probe (skin, fat, muscle sheets).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from edge_app.capture.phantom.arrays import F32, Point, Rng, blend, bump, smooth_noise, soft
from edge_app.capture.phantom.kidney import RASTER_PX_PER_CM, KidneyRaster, Pose
from edge_app.capture.phantom.patient import Patient
from edge_app.capture.phantom.probe import PolarGrid, Probe

ALPHA = {"liver": 0.5, "kidney": 0.62, "fat": 0.63, "muscle": 0.75}  # dB/cm/MHz, one way


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Everything around the kidney that differs from patient to patient."""

    wall_cm: float
    gas: bool
    vessels: int
    diaphragm: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Plane:
    """The tissue plane being painted: x and y of every grid point and the dB map so far."""

    x: F32
    y: F32
    echo: F32
    alpha: F32


def draw_surroundings(rng: Rng, patient: Patient) -> Surroundings:
    """Choose what lies around the kidney."""
    gas = bool(rng.random() < (0.45 if patient.side == "left" else 0.25))
    return Surroundings(float(rng.uniform(1.2, 2.3)), gas, int(rng.integers(3, 8)), bool(rng.random() < 0.7))


def paint_organs(
    grid: PolarGrid, raster: KidneyRaster, pose: Pose, parts: tuple[Patient, Surroundings], rng: Rng
) -> F32:
    """Return the amplitude factor (linear, liver = 1) of moving tissue on the grid."""
    patient, around = parts
    x, y = grid.cartesian()
    plane = _background(_Plane(x, y, np.zeros_like(x), np.full_like(x, ALPHA["liver"])), pose, rng)
    plane = _muscle(plane, patient, pose, rng)
    plane = _organ(plane, patient, pose, around, rng)
    if around.diaphragm:
        plane = _diaphragm(plane, pose, rng)
    plane = _kidney(plane, raster, pose)
    loss = _loss(grid, plane.alpha, rng)
    loss = loss + _edge_shadows(grid, patient, pose, rng)
    if around.gas:
        plane, cast = _gas(plane, grid, patient, pose, rng)
        loss = loss + cast
    return np.asarray(np.power(10.0, (plane.echo - loss) / 20.0), dtype=np.float32)


def paint_wall(grid: PolarGrid, around: Surroundings, rng: Rng) -> tuple[F32, F32]:
    """Return the amplitude factor of the abdominal wall and its cover (1 in the wall, 0 below)."""
    rows = int(np.searchsorted(grid.r[:, 0], around.wall_cm + 0.5))
    shape = (rows, grid.shape[1])
    depth = grid.r[:rows] + 0.07 * smooth_noise(rng, shape, (2, 7))
    fat_end = around.wall_cm * float(rng.uniform(0.35, 0.6))
    echo = np.where(depth < fat_end, -3.0, -5.5).astype(np.float32)
    echo = echo + smooth_noise(rng, shape, (rows // 12 + 2, 8)) * 2.2  # septa: flat, long
    sheets = [0.12, fat_end, *rng.uniform(fat_end + 0.2, around.wall_cm, 2), around.wall_cm]
    for level in sheets:
        sheet = float(rng.uniform(5.0, 10.0)) * bump((depth - float(level)).astype(np.float32), 0.045)
        echo = echo + sheet * np.clip(0.8 + 0.5 * smooth_noise(rng, shape, (2, 9)), 0.2, 1.4)
    echo = echo + 9.0 * bump(grid.r[:rows] + 0 * depth, 0.09)
    cover = soft((around.wall_cm - depth).astype(np.float32), 0.08)
    return np.asarray(np.power(10.0, echo / 20.0), dtype=np.float32), cover


def _background(plane: _Plane, pose: Pose, rng: Rng) -> _Plane:
    """Bowel and mesenteric fat: bright and uneven."""
    shape = plane.x.shape
    echo = 0.5 + 2.2 * smooth_noise(rng, shape, (16, 14)) + 1.4 * smooth_noise(rng, shape, (40, 30))
    loops = soft(smooth_noise(rng, shape, (9, 9)) - 1.0, 0.4)
    return _Plane(plane.x, plane.y, np.asarray(echo - 7.0 * loops, np.float32), plane.alpha * 0 + ALPHA["fat"])


def _muscle(plane: _Plane, patient: Patient, pose: Pose, rng: Rng) -> _Plane:
    """Psoas and quadratus lumborum behind the kidney: dark, with bright fibres along it."""
    tilt = pose.tilt * 0.7 + float(rng.normal(0.05, 0.05))
    along = (plane.x - pose.centre[0]) * np.cos(tilt) + (plane.y - pose.centre[1]) * np.sin(tilt)
    across = (plane.y - pose.centre[1]) * np.cos(tilt) - (plane.x - pose.centre[0]) * np.sin(tilt)
    across = across - patient.width_cm / 2.0 - float(rng.uniform(0.3, 0.7)) - 0.012 * np.square(along)
    wave = across * 2 * np.pi * float(rng.uniform(1.3, 2.0)) + 1.2 * smooth_noise(rng, along.shape, (10, 10))
    fibres = np.clip(np.sin(wave), 0.4, 1.0) - 0.4
    echo = -3.5 + 9.0 * fibres * np.clip(smooth_noise(rng, along.shape, (14, 10)), 0.0, 1.5)
    echo = echo + 1.6 * smooth_noise(rng, along.shape, (12, 12))
    weight = soft(across.astype(np.float32), 0.25)
    fascia = (
        7.0
        * bump(across.astype(np.float32), 0.06)
        * np.clip(0.7 + 0.6 * smooth_noise(rng, along.shape, (6, 9)), 0, 1.5)
    )
    out = blend(plane.echo, np.asarray(echo, np.float32), weight) + fascia
    return _Plane(plane.x, plane.y, out.astype(np.float32), blend(plane.alpha, ALPHA["muscle"], weight))


def _organ(plane: _Plane, patient: Patient, pose: Pose, around: Surroundings, rng: Rng) -> _Plane:
    """Liver over a right kidney, spleen over the upper pole of a left one (upper pole = left of the screen)."""
    right = patient.side == "right"
    reach = float(rng.uniform(0.15, 0.48) if right else rng.uniform(-0.28, 0.0)) * patient.length_cm
    along = (plane.x - pose.centre[0]) * np.cos(pose.tilt) + (plane.y - pose.centre[1]) * np.sin(pose.tilt)
    across = (plane.y - pose.centre[1]) * np.cos(pose.tilt) - (plane.x - pose.centre[0]) * np.sin(pose.tilt)
    wobble = 0.12 * smooth_noise(rng, plane.x.shape, (5, 5))
    lower = 0.30 * patient.width_cm + 0.055 * np.square(along + 0.3 * patient.length_cm)
    tip = reach - along - 0.9 * np.square(np.clip(across + 0.9, 0.0, 3.0)) * 0.5 + wobble
    weight = soft(tip.astype(np.float32), 0.2) * soft((lower - across + wobble).astype(np.float32), 0.2)
    level = 0.0 if right else float(rng.uniform(1.0, 2.0))
    echo = level + 0.55 * smooth_noise(rng, plane.x.shape, (7, 7))
    echo = _vessels(np.asarray(echo, np.float32), plane, pose, around.vessels if right else 1, rng)
    rim = 4.0 * bump(tip.astype(np.float32), 0.06) * soft((lower - across).astype(np.float32), 0.2)
    return _Plane(plane.x, plane.y, blend(plane.echo, echo, weight) + rim, blend(plane.alpha, ALPHA["liver"], weight))


def _vessels(echo: F32, plane: _Plane, pose: Pose, count: int, rng: Rng) -> F32:
    """Branches of hepatic and portal veins: curved, tapering, dark; portal walls are bright."""
    bend_x, bend_y = (0.16 * smooth_noise(rng, plane.x.shape, (9, 8)) for _ in range(2))
    for _ in range(count):
        x0, y0 = pose.centre[0] + float(rng.uniform(-6, 2)), pose.centre[1] + float(rng.uniform(-4.5, -2.2))
        turn, half = float(rng.uniform(-1.0, 1.0)), float(rng.uniform(0.15, 1.4))
        du, dv = plane.x - x0 + bend_x, plane.y - y0 + bend_y
        along = np.clip(du * np.cos(turn) + dv * np.sin(turn), -half, half)
        calibre = float(rng.uniform(0.07, 0.20)) * (1.0 - 0.45 * along / half)
        gap = np.asarray(np.hypot(du - along * np.cos(turn), dv - along * np.sin(turn)) - calibre, dtype=np.float32)
        echo = blend(echo, float(rng.uniform(-17.0, -9.0)), soft(-gap, 0.14))
        if rng.random() < 0.5:
            echo = echo + 5.0 * bump(gap - 0.06, 0.06) * np.clip(0.7 + bend_x * 3.0, 0.0, 1.4)
    return np.asarray(echo, dtype=np.float32)


def _diaphragm(plane: _Plane, pose: Pose, rng: Rng) -> _Plane:
    """Paint the bright arc deep and cranial, and what looks like liver mirrored in the lung behind it."""
    centre = (pose.centre[0] + float(rng.uniform(0.5, 2.0)), pose.centre[1] - float(rng.uniform(2.0, 4.0)))
    radius = float(rng.uniform(8.5, 10.5))
    beyond = np.hypot(plane.x - centre[0], plane.y - centre[1]) - radius
    cranial = soft((pose.centre[0] - 2.0 - plane.x).astype(np.float32), 1.5)
    beyond = beyond.astype(np.float32)
    echo = blend(plane.echo, plane.echo * 0.4 - 7.0, soft(beyond, 0.2) * cranial)
    return _Plane(plane.x, plane.y, echo + 13.0 * bump(beyond, 0.10) * cranial, plane.alpha)


def _kidney(plane: _Plane, raster: KidneyRaster, pose: Pose) -> _Plane:
    c, s = float(np.cos(pose.tilt)), float(np.sin(pose.tilt))
    dx, dy = plane.x - pose.centre[0], plane.y - pose.centre[1]
    u = np.asarray((c * dx + s * dy + raster.half_cm[0]) * RASTER_PX_PER_CM, dtype=np.float32)
    v = np.asarray((c * dy - s * dx + raster.half_cm[1]) * RASTER_PX_PER_CM, dtype=np.float32)
    echo, cover, inside = (
        cv2.remap(layer, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
        for layer in (raster.echo_db, raster.cover, raster.inside)
    )
    out = blend(plane.echo, np.asarray(echo, np.float32), np.asarray(cover, np.float32))
    return _Plane(plane.x, plane.y, out, blend(plane.alpha, ALPHA["kidney"], np.asarray(inside, np.float32)))


def _loss(grid: PolarGrid, alpha: F32, rng: Rng) -> F32:
    """Two-way attenuation that the liver-tuned TGC does not undo, dB (at 3.5 MHz)."""
    excess = 2.0 * 3.5 * (alpha - ALPHA["liver"]) * grid.step_r
    return np.asarray(np.cumsum(excess, axis=0), dtype=np.float32)


def _edge_shadows(grid: PolarGrid, patient: Patient, pose: Pose, rng: Rng) -> F32:
    """Refraction at the poles: a narrow, faint shadow from each end of the kidney downwards."""
    loss = np.zeros(grid.shape, np.float32)
    for sign in (-1.0, 1.0):
        x, y = pose.to_tissue(sign * patient.length_cm / 2.0 * 0.985, pose.bend * patient.width_cm / 2.0)
        angle, depth = _polar(grid, (x, y))
        wedge = bump(grid.theta - angle, float(rng.uniform(0.008, 0.018)))
        loss = loss + float(rng.uniform(1.5, 5.5)) * wedge * soft(grid.r - depth, 0.4)
    return np.asarray(loss, dtype=np.float32)


def _gas(plane: _Plane, grid: PolarGrid, patient: Patient, pose: Pose, rng: Rng) -> tuple[_Plane, F32]:
    """Bowel gas past the lower pole: a bright cap and a dirty shadow behind it."""
    u = patient.length_cm * float(rng.uniform(0.52, 0.75))
    x, y = pose.to_tissue(u, -patient.width_cm * float(rng.uniform(0.2, 0.7)))
    angle, depth = _polar(grid, (x, y))
    aside = np.asarray((grid.theta - angle) / float(rng.uniform(0.05, 0.11)), dtype=np.float32)
    front = np.asarray(grid.r - depth - 0.35 * np.square(aside), dtype=np.float32)
    wedge = soft(np.float32(1.0) - np.abs(aside), 0.25)
    echo = plane.echo + 13.0 * bump(front, 0.13) * wedge
    dirty = 15.0 - 2.5 * smooth_noise(rng, grid.shape, (40, 12))
    return _Plane(plane.x, plane.y, echo, plane.alpha), np.asarray(dirty * wedge * soft(front - 0.2, 0.4), np.float32)


def _polar(grid: PolarGrid, point: Point) -> tuple[float, float]:
    x, y = point[0], point[1] + grid.radius_cm
    return float(np.arctan2(x, y)), float(np.hypot(x, y)) - grid.radius_cm


def shadow_map(probe: Probe, grid: PolarGrid, kidney_angles: tuple[float, float], rng: Rng) -> tuple[F32, float]:
    """Uneven contact and rib shadows, fixed under the probe.

    Returns the loss in dB, and the fraction of the kidney that ribs darken.
    """
    loss = 0.9 * smooth_noise(rng, grid.shape, (3, 14)) + 0.5 * smooth_noise(rng, grid.shape, (3, 50))
    covered = 0.0
    if rng.random() < 0.25:
        low, high = kidney_angles
        at_edge = rng.random() < 0.85
        angle = float(rng.choice([low, high]) + rng.normal(0, 0.06)) if at_edge else float(rng.uniform(low, high))
        width = np.deg2rad(rng.uniform(1.5, 4.0))
        drop = float(rng.uniform(6.0, 18.0))
        wedge = soft((width - np.abs(grid.theta - angle)).astype(np.float32), np.deg2rad(3.5))
        loss = loss + drop * wedge * soft(grid.r - float(rng.uniform(1.5, 2.6)), 1.2)
        overlap = min(high, angle + width) - max(low, angle - width)
        covered = max(0.0, overlap) / max(high - low, 1e-6)
    return np.asarray(loss, dtype=np.float32), float(covered)
