"""Ultrasound images to lay into screens: of the phantom, of a quick speckle model, of real machines where present."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import cos, sin
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from edge_app.capture.phantom.beam import Moment
from edge_app.capture.phantom.layout import LOOKS as PHANTOM_LOOKS
from edge_app.capture.phantom.patient import draw_patient, sample_egfr
from edge_app.capture.phantom.scanner import Machine, Scanner

from .draw import Mask, Picture, Plane, Point, Rng, between, toss

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
PATIENTS = 14
Shape = Literal["convex", "linear", "phased", "trapezoid"]


@dataclass(frozen=True, eq=False)
class Donor:
    """An image without anything drawn on it: grey (H, W), where it is image, and a kidney's ends if known."""

    grey: Picture
    mask: Mask
    poles: tuple[Point, Point] | None = None
    screen: Picture | None = None  # the machine's whole screen, of the same size

    def scaled(self, factor: float) -> Donor:
        """Return the donor resampled; poles move with the pixels' centres."""
        height, width = self.grey.shape
        size = max(8, round(width * factor)), max(8, round(height * factor))
        how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
        fx, fy = size[0] / width, size[1] / height
        poles = None
        if self.poles is not None:
            a, b = (((x + 0.5) * fx - 0.5, (y + 0.5) * fy - 0.5) for x, y in self.poles)
            poles = (a, b)
        mask = cv2.resize(self.mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
        grey = np.asarray(cv2.resize(self.grey, size, interpolation=how), dtype=np.uint8)
        return Donor(np.where(mask, grey, 0).astype(np.uint8), mask, poles)


def phantom(rng: Rng) -> Donor:
    """Return one moment of one of the phantom's patients."""
    scanner = _scanner(int(rng.integers(PATIENTS)))
    moment = Moment((between(rng, -0.9, 0.9), between(rng, -0.15, 0.15)), between(rng, 1.0, 10.0))
    screen = scanner.screen(moment, (int(rng.integers(96)), int(rng.integers(48))))
    x0, y0, x1, y1 = scanner.layout.bbox
    mask = scanner.layout.mask[y0:y1, x0:x1].copy()
    grey = np.where(mask, screen[y0:y1, x0:x1, 1], 0).astype(np.uint8)
    (ax, ay), (bx, by) = scanner.poles_at(moment)
    return Donor(grey, mask, ((ax - x0, ay - y0), (bx - x0, by - y0)))


@cache
def _scanner(patient: int) -> Scanner:
    rng = np.random.default_rng([4711, patient])
    size = ((960, 720), (1280, 960))[patient % 2]
    return Scanner(draw_patient(rng, sample_egfr(rng, "uniform")), Machine(PHANTOM_LOOKS[patient % 3], size, 10), rng)


def speckle(rng: Rng, shape: Shape) -> Donor:
    """Return tissue of layers, a kidney-like oval, cysts and shadows, seen by a probe of a shape."""
    return _bend(_tissue(rng), rng, shape)


def _tissue(rng: Rng) -> Picture:
    rows, columns = 448, 256
    grain = (between(rng, 0.8, 1.6), between(rng, 1.2, 3.0))
    real, imaginary = (
        cv2.GaussianBlur(
            rng.standard_normal((rows, columns), dtype=np.float32), (0, 0), sigmaX=grain[1], sigmaY=grain[0]
        )
        for _ in range(2)
    )
    envelope = np.hypot(real, imaginary)
    level = 20.0 * np.log10(envelope / envelope.mean() + 1e-3)
    level = level + _organs(rng, rows, columns)
    grey = between(rng, 95, 135) + level * between(rng, 3.2, 4.6)
    return np.asarray(np.clip(grey, 0, 255), dtype=np.uint8)


def _organs(rng: Rng, rows: int, columns: int) -> Plane:
    slow = cv2.resize(rng.standard_normal((7, 5), dtype=np.float32), (columns, rows), interpolation=cv2.INTER_CUBIC)
    gain = 3.0 * slow
    for _ in range(int(rng.integers(3, 9))):  # fascia
        y, slope = between(rng, 0, 0.25) * rows, between(rng, -0.06, 0.06)
        ends = (0, round(y)), (columns, round(y + slope * columns))
        cv2.line(gain, *ends, between(rng, 6, 14), int(rng.integers(1, 4)))
    for _ in range(int(rng.integers(1, 5))):  # organs, cysts, stones
        centre = round(between(rng, 0.1, 0.9) * columns), round(between(rng, 0.25, 0.9) * rows)
        axes = int(rng.integers(8, 70)), int(rng.integers(8, 55))
        cv2.ellipse(gain, centre, axes, between(rng, -40, 40), 0, 360, between(rng, -26, 8), -1)
    middle, tilt = (
        (columns // 2 + int(rng.integers(-30, 31)), rows // 2 + int(rng.integers(-50, 60))),
        between(rng, -35, 35),
    )
    cv2.ellipse(gain, middle, (85, 52), tilt, 0, 360, -7.0, -1)
    cv2.ellipse(gain, middle, (50, 20), tilt, 0, 360, 6.0, -1)
    gain = np.asarray(cv2.GaussianBlur(gain, (0, 0), 1.6), dtype=np.float32)
    for _ in range(int(rng.integers(0, 3))):  # shadows
        x = int(rng.integers(columns))
        gain[:, x : x + int(rng.integers(4, 26))] -= between(rng, 5, 18)
    return np.asarray(gain, dtype=np.float32)


def _bend(beams: Picture, rng: Rng, shape: Shape) -> Donor:
    """Scan-convert beams (rows = depth) into the probe's shape, 480 rows."""
    rows, columns = beams.shape
    depth = 480.0
    if shape == "linear":
        width = round(between(rng, 250, 560))
        grey = cv2.resize(beams, (width, 480), interpolation=cv2.INTER_LINEAR)
        return Donor(np.asarray(grey, dtype=np.uint8), np.ones(grey.shape, np.bool_))
    half, radius = {
        "convex": (between(rng, 0.48, 0.66), between(rng, 0.25, 0.55) * depth),
        "phased": (between(rng, 0.55, 0.8), between(rng, 0.0, 0.03) * depth),
        "trapezoid": (between(rng, 0.15, 0.4), between(rng, 0.9, 1.6) * depth),
    }[shape]
    top = 0.0 if shape == "trapezoid" else radius * (1 - cos(half))
    reach = (radius + depth) * sin(half) if shape != "trapezoid" else (radius + depth) * half
    width, height = int(2 * reach) + 3, int(depth + top) + 3
    x = np.arange(width, dtype=np.float32)[None, :] - (width - 1) / 2
    y = np.arange(height, dtype=np.float32)[:, None] - 1
    if shape == "trapezoid":
        r, angle = np.broadcast_to(y, (height, width)), x / (y + radius)
    else:
        r, angle = np.hypot(x, y - top + radius) - radius, np.arctan2(x, y - top + radius)
    mask = (r >= 0) & (r <= depth) & (np.abs(angle) <= half)
    line = ((angle + half) / (2 * half) * (columns - 1)).astype(np.float32)
    grey = cv2.remap(beams, line, (r / depth * (rows - 1)).astype(np.float32), cv2.INTER_LINEAR)
    return Donor(np.where(mask, grey, 0).astype(np.uint8), mask)


# Real pictures without calipers: file, window of the image (x0, y0, x1, y1), rectangle or fan.
REAL: tuple[tuple[str, tuple[int, int, int, int], Shape], ...] = (
    ("clips/philips_ruq_convex_gallbladder.mp4", (132, 42, 700, 449), "convex"),
    ("clips/philips_linear_softtissue.mp4", (244, 62, 674, 521), "linear"),
    ("clips/sonosite_heavy_ui.mp4", (108, 52, 595, 432), "phased"),
    ("clips/clarius_eye.mp4", (265, 86, 1015, 878), "linear"),
    ("images/itkpocus_clarius_axial-lateral-resolution-2020.png", (344, 160, 937, 800), "linear"),
    ("images/itkpocus_butterfly_axial-lateral-resolution-2020.png", (594, 27, 1326, 1068), "trapezoid"),
    ("images/itkpocus_interson-image.jpg", (386, 57, 914, 855), "linear"),
    ("images/itkpocus_interson-phantom.png", (441, 53, 1004, 910), "linear"),
)


def real_available() -> bool:
    """Return whether the real pictures are there."""
    return all((DATA / name).is_file() for name, _, _ in REAL)


def real(rng: Rng) -> Donor:
    """Return a real picture with its machine's screen around it; mirrored now and then (then without the screen)."""
    name, window, shape = REAL[rng.integers(len(REAL))]
    frames, mask = _real(name, window, shape)
    screen = frames[int(rng.integers(len(frames)))]
    grey = np.where(mask, screen.max(axis=2), 0).astype(np.uint8)
    return Donor(grey, mask, None, screen)


def cut_out(donor: Donor, rng: Rng) -> Donor:
    """Return the image of a real screen without the screen, mirrored now and then."""
    rows, columns = np.flatnonzero(donor.mask.any(axis=1)), np.flatnonzero(donor.mask.any(axis=0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    grey, mask = donor.grey[box], donor.mask[box]
    if toss(rng, 0.5):
        grey, mask = grey[:, ::-1], mask[:, ::-1]
    return Donor(np.ascontiguousarray(grey), np.ascontiguousarray(mask))


@cache
def _real(name: str, window: tuple[int, int, int, int], shape: Shape) -> tuple[tuple[Picture, ...], Mask]:
    frames = _frames(DATA / name)
    height, width = frames[0].shape[:2]
    x0, y0, x1, y1 = window
    mask = np.zeros((height, width), np.uint8)
    if shape == "linear":
        mask[y0:y1, x0:x1] = 1
    else:
        lit = np.max([frame.max(axis=2) for frame in frames], axis=0)[y0:y1, x0:x1] > 14
        lit = cv2.morphologyEx(lit.astype(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
        count, labels, stats, _ = cv2.connectedComponentsWithStats(lit)
        biggest = 1 + int(np.argmax(stats[1:count, cv2.CC_STAT_AREA]))
        points = np.argwhere(labels == biggest)[:, ::-1].astype(np.int32) + np.array([x0, y0], np.int32)
        cv2.fillConvexPoly(mask, cv2.convexHull(points), 1)
    return frames, mask > 0


def _frames(path: Path) -> tuple[Picture, ...]:
    if path.suffix != ".mp4":
        picture = cv2.imread(str(path))
        if picture is None:
            raise FileNotFoundError(path)
        return (np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), dtype=np.uint8),)
    capture, out = cv2.VideoCapture(str(path)), []
    for index in range(150):
        if not capture.grab():
            break
        if index % 15 == 0:
            out.append(np.asarray(cv2.cvtColor(capture.retrieve()[1], cv2.COLOR_BGR2RGB), dtype=np.uint8))
    capture.release()
    return tuple(out)
