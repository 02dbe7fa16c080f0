"""A scanner on a patient: makes screens for given moments, and knows the truth about them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from edge_app.capture.phantom.arrays import U8, Mask, Point, Rng
from edge_app.capture.phantom.beam import Display, Moment, Receiver, draw_controls
from edge_app.capture.phantom.chrome import describe, draw_identity, paint_chrome
from edge_app.capture.phantom.kidney import Pose, inside_kidney, paint_kidney, poles
from edge_app.capture.phantom.layout import LookName, ScanConverter, plan_layout
from edge_app.capture.phantom.marks import Marks, draw_marks, whole
from edge_app.capture.phantom.patient import Patient
from edge_app.capture.phantom.probe import Probe, beam_grid, draw_probe, tissue_grid
from edge_app.capture.phantom.speckle import build_bank
from edge_app.capture.phantom.tissue import draw_surroundings, paint_organs, paint_wall, shadow_map
from edge_app.capture.phantom.truth import PhantomTruth, Phase

REACH_CM = 1.0  # farthest that breathing moves tissue from rest
POLE_MARGIN_CM = 0.6


@dataclass(frozen=True, slots=True)
class Machine:
    """Which machine looks: maker's look, screen size (width, height), looks in the bank, window of the average."""

    look: LookName
    size: tuple[int, int]
    looks: int = 12
    window: float = 7.0


class Scanner:
    """One patient under one machine. Not for sharing between threads: buffers are reused."""

    def __init__(self, patient: Patient, machine: Machine, rng: Rng) -> None:
        self.patient = patient
        around = draw_surroundings(rng, patient)
        self.pose, self.probe = _place(patient, around.wall_cm, rng)
        beam, tissue = beam_grid(self.probe), tissue_grid(self.probe)
        raster = paint_kidney(patient, self.pose, rng)
        self._raster = raster
        amplitude = paint_organs(tissue, raster, self.pose, (patient, around), rng)
        bank = build_bank(amplitude, tissue, self.probe, (machine.looks, machine.window), rng)
        wall, cover = paint_wall(beam, around, rng)
        wall_bank = build_bank(wall, beam, self.probe, (machine.looks, machine.window), rng)
        loss, self.shadowed = shadow_map(self.probe, beam, self._pole_angles(), rng)
        self._receiver = Receiver((beam, tissue), bank, (wall_bank, cover), loss)
        self._beam = beam
        self._identity = draw_identity(rng, patient)
        self.switch(machine, rng)

    def switch(self, machine: Machine, rng: Rng) -> None:
        """Scan on with another look, screen size and settings: same patient, same plane of tissue."""
        self.controls = draw_controls(rng)
        self._display = Display(self.probe, self._beam, self.controls, rng)
        self.layout = plan_layout(machine.look, machine.size, self.probe)
        self._converter = ScanConverter(self.layout, self.probe, self._beam)
        self._chrome = paint_chrome(self.layout, self._identity, describe(self.patient, self.probe, self.controls))

    def screen(self, moment: Moment, jitter: tuple[int, int]) -> U8:
        """Return a fresh screen, RGB uint8 (H, W, 3), without calipers."""
        grey = self._converter.convert(self._display.show(self._receiver.envelope(moment), jitter))
        pixels: U8 = self._chrome.pixels.copy()
        x0, y0, x1, y1 = self.layout.bbox
        box = pixels[y0:y1, x0:x1]
        cv2.max(box, cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), dst=box)
        return pixels

    def mark(self, pixels: U8, marks: Marks) -> None:
        """Draw calipers into a screen, in place."""
        draw_marks(pixels, self.layout, marks)

    def poles_at(self, moment: Moment) -> tuple[Point, Point]:
        """Return the ends of the kidney on the screen, pixels."""
        first, second = (self._on_screen(p, moment) for p in poles(self.patient, self.pose))
        return first, second

    def kidney_at(self, moment: Moment) -> Mask:
        """Return where on the screen the kidney is, bool (H, W); its fat rim is no part of it."""
        layout = self.layout
        width, height = layout.size
        x = (np.arange(width, dtype=np.float32) - layout.origin[0]) / layout.px_per_cm - moment.shift[0]
        y = (np.arange(height, dtype=np.float32) - layout.origin[1]) / layout.px_per_cm - moment.shift[1]
        return inside_kidney(self._raster, self.pose, (x[None, :], y[:, None])) & layout.mask

    def calipers_at(self, moment: Moment, jitter_mm: float, rng: Rng) -> tuple[Point, Point]:
        """Where an operator puts the calipers: at the poles, give or take; whole pixels."""
        sigma = jitter_mm / 10.0 * self.layout.px_per_cm
        first, second = self.poles_at(moment)
        shake = np.clip(rng.normal(0.0, sigma, 4), -2.0 * sigma, 2.0 * sigma)
        return whole((first[0] + shake[0], first[1] + shake[1])), whole((second[0] + shake[2], second[1] + shake[3]))

    def truth(self, moment: Moment, phase: Phase, calipers: tuple[Point, Point] | None) -> PhantomTruth:
        """Everything that is known of a frame."""
        return PhantomTruth(
            egfr=self.patient.egfr,
            side=self.patient.side,
            poles=self.poles_at(moment),
            calipers=calipers,
            px_per_cm=self.layout.px_per_cm,
            sector_mask=self.layout.mask,
            identity_boxes=self._chrome.identity_boxes,
            phase=phase,
            kidney_length_cm=self.patient.length_cm,
        )

    def _on_screen(self, point: Point, moment: Moment) -> Point:
        return self.layout.to_screen((point[0] + moment.shift[0], point[1] + moment.shift[1]))

    def _pole_angles(self) -> tuple[float, float]:
        ends = poles(self.patient, self.pose)
        angles = [float(np.arctan2(x, y + self.probe.radius_cm)) for x, y in ends]
        return min(angles), max(angles)


def _place(patient: Patient, wall_cm: float, rng: Rng) -> tuple[Pose, Probe]:
    """Lay the kidney under the probe so that both poles stay in the fan while it breathes."""
    tilt = float(np.deg2rad(rng.uniform(4.0, 22.0))) * (-1.0 if rng.random() < 0.65 else 1.0)
    bend = float(rng.uniform(-0.05, 0.16))
    a, b = patient.length_cm / 2.0, patient.width_cm / 2.0
    sink = float(np.hypot(a * np.sin(tilt), b * np.cos(tilt)))
    depth = max(4.4, wall_cm + sink + float(rng.uniform(0.5, 2.0)))
    probe = draw_probe(rng, patient.length_cm, depth)
    for _ in range(40):
        pose = Pose((float(rng.normal(0.0, 0.35)), depth), tilt, bend)
        probe = draw_probe(rng, patient.length_cm, depth)
        if all(_stays(probe, p) for p in poles(patient, pose)):
            return pose, probe
        depth, tilt = depth + 0.15, tilt * 0.95
    return Pose((0.0, depth), tilt, bend), probe


def _stays(probe: Probe, point: Point) -> bool:
    return all(probe.contains((point[0] + dx, point[1]), POLE_MARGIN_CM) for dx in (-REACH_CM, 0.0, REACH_CM))
