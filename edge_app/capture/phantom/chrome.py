"""The still part of a screen: invented identity, settings and furniture around the fan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_app.capture.phantom.arrays import U8, Rng
from edge_app.capture.phantom.beam import Controls
from edge_app.capture.phantom.canvas import Canvas
from edge_app.capture.phantom.layout import Layout
from edge_app.capture.phantom.looks import PAINTERS, Identity, Labels
from edge_app.capture.phantom.patient import Patient
from edge_app.capture.phantom.probe import Probe
from edge_app.capture.phantom.text import Box
from engines.synthetic_mark import draw as draw_mark

_NAMES = ("PHANTOM, ADA", "TESTMANN, LI", "SAMPLE, NOOR", "FANTOM, EMIL", "DUMMY, ROSA", "MOCKWELL, JUN", "PROBA, IVO")
_SITES = ("SYNTHETIC HOSPITAL", "PHANTOM CLINIC", "NOWHERE GENERAL", "TEST UNIT 7")
_WHEN = ((1, 29), (1, 13), (7, 19), (0, 60), (0, 60))  # day, month, hour, minute, second


@dataclass(frozen=True, slots=True, eq=False)
class Chrome:
    """``pixels`` RGB (H, W, 3), and where identity stands in it (x0, y0, x1, y1)."""

    pixels: U8
    identity_boxes: tuple[Box, ...]


def draw_identity(rng: Rng, patient: Patient) -> Identity:
    """Invent a person."""
    year = 2024 - patient.age
    name, number = str(rng.choice(_NAMES)), int(rng.integers(10**6, 10**7))
    born = f"{int(rng.integers(1, 29)):02d}.{int(rng.integers(1, 13)):02d}.{year}"
    site = str(rng.choice(_SITES))
    day, month, hour, minute, second = (int(rng.integers(low, high)) for low, high in _WHEN)
    taken = f"{day:02d}/{month:02d}/2024 {hour:02d}:{minute:02d}:{second:02d}"
    return Identity(name, f"{number:07d}", born, site, taken, "M" if patient.male else "F")


def describe(patient: Patient, probe: Probe, controls: Controls) -> Labels:
    """Return the settings as a screen shows them."""
    return Labels(
        side=patient.side,
        frequency=f"{probe.frequency_mhz:.1f}",
        gain=f"{controls.liver_grey / 2:.0f}",
        dynamic_range=f"{controls.dynamic_range_db:.0f}",
        depth=f"{probe.depth_cm:.1f}",
        focus_cm=probe.focus_cm,
    )


def paint_chrome(layout: Layout, identity: Identity, labels: Labels) -> Chrome:
    """Paint everything of a screen that is not ultrasound."""
    width, height = layout.size
    pixels = np.zeros((height, width, 3), np.uint8)
    boxes = PAINTERS[layout.look](Canvas(pixels, layout), identity, labels)
    draw_mark(pixels)
    return Chrome(pixels, tuple((max(0, b[0]), max(0, b[1]), min(width, b[2]), min(height, b[3])) for b in boxes))
