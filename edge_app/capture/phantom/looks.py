"""Three makers' screens: header with identity, parameters, depth ruler, grey bar, focus, body mark.

Colours and places follow stills of such screens (facts: scanner screens); every name is invented.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from edge_app.capture.phantom.arrays import U8, Rng
from edge_app.capture.phantom.beam import Controls
from edge_app.capture.phantom.layout import Layout
from edge_app.capture.phantom.patient import Patient
from edge_app.capture.phantom.probe import Probe
from edge_app.capture.phantom.text import Box, Colour, Style, write
from edge_app.synthetic_mark import draw as draw_mark

YELLOW: Colour = (255, 255, 0)
GREEN: Colour = (0, 255, 0)
WHITE: Colour = (235, 235, 235)
GREY: Colour = (150, 150, 150)
RULER_GE: Colour = (170, 170, 100)

_NAMES = ("PHANTOM, ADA", "TESTMANN, LI", "SAMPLE, NOOR", "FANTOM, EMIL", "DUMMY, ROSA", "MOCKWELL, JUN", "PROBA, IVO")
_SITES = ("SYNTHETIC HOSPITAL", "PHANTOM CLINIC", "NOWHERE GENERAL", "TEST UNIT 7")


@dataclass(frozen=True, slots=True)
class Identity:
    """Invented identity, for de-identification tests."""

    name: str
    number: str
    born: str
    site: str
    taken: str


@dataclass(frozen=True, slots=True, eq=False)
class Chrome:
    """The still part of a screen: ``pixels`` RGB (H, W, 3), and where identity stands in it."""

    pixels: U8
    identity_boxes: tuple[Box, ...]


@dataclass(frozen=True, slots=True)
class Setup:
    """What the screen text tells of."""

    patient: Patient
    probe: Probe
    controls: Controls
    identity: Identity


def draw_identity(rng: Rng, patient: Patient) -> Identity:
    """Invent a person."""
    year = 2024 - patient.age
    return Identity(
        str(rng.choice(_NAMES)),
        f"{int(rng.integers(10**6, 10**7)):07d}",
        f"{int(rng.integers(1, 29)):02d}.{int(rng.integers(1, 13)):02d}.{year}",
        str(rng.choice(_SITES)),
        f"{int(rng.integers(1, 29)):02d}/{int(rng.integers(1, 13)):02d}/2024 {int(rng.integers(7, 19)):02d}:{int(rng.integers(0, 60)):02d}:{int(rng.integers(0, 60)):02d}",
    )


def paint_chrome(layout: Layout, setup: Setup) -> Chrome:
    """Paint everything of a screen that is not ultrasound."""
    pixels = np.zeros((layout.size[1], layout.size[0], 3), np.uint8)
    painter = {"ge": _ge, "philips": _philips, "canon": _canon}[layout.look]
    boxes = painter(pixels, layout, setup)
    draw_mark(pixels)
    clipped = tuple((max(0, b[0]), max(0, b[1]), min(layout.size[0], b[2]), min(layout.size[1], b[3])) for b in boxes)
    return Chrome(pixels, clipped)


def _ge(pixels: U8, layout: Layout, setup: Setup) -> list[Box]:
    s, width = layout.unit, layout.size[0]
    who, probe, controls = setup.identity, setup.probe, setup.controls
    cv2.rectangle(pixels, (0, 0), (width, round(66 * s)), (24, 26, 34), -1)
    cv2.line(pixels, (0, round(67 * s)), (width, round(67 * s)), (70, 74, 90), 1)
    cv2.circle(pixels, (round(32 * s), round(33 * s)), round(20 * s), (90, 120, 190), max(1, round(2 * s)), cv2.LINE_AA)
    write(pixels, "GE", (19 * s, 26 * s), Style(13 * s, (150, 175, 230)))
    big, small = Style(13 * s, WHITE), Style(10 * s, (190, 190, 190))
    boxes = [write(pixels, who.name, (66 * s, 12 * s), big), write(pixels, who.number, (66 * s, 40 * s), small)]
    boxes.append(write(pixels, who.site, (300 * s, 12 * s), small))
    boxes.append(write(pixels, f"{who.born}  {'M' if setup.patient.male else 'F'}", (300 * s, 40 * s), small))
    write(pixels, "MI 1.2  TIs 0.5", (width - 330 * s, 12 * s), small)
    write(pixels, "C1-6 / Abdomen Renal", (width - 330 * s, 40 * s), small)
    boxes.append(write(pixels, who.taken, (width - 158 * s, 12 * s), Style(8 * s, (190, 190, 190))))
    rows = (
        ("FR", "22"),
        ("SoS", "1540"),
        ("CHI", ""),
        ("Frq", f"{probe.frequency_mhz:.1f}"),
        ("Gn", f"{controls.liver_grey / 2:.0f}"),
    )
    rows += (
        ("S/A", "1/1"),
        ("Map", "F/0"),
        ("D", f"{probe.depth_cm:.1f}"),
        ("DR", f"{controls.dynamic_range_db:.0f}"),
        ("AO%", "100"),
    )
    _column(pixels, rows, (width - 84 * s, 112 * s), (46 * s, 21 * s), Style(9 * s, (200, 200, 200)))
    _ruler(pixels, layout, layout.bbox[2] + 14 * s, RULER_GE, (4, 10))
    _hourglass(pixels, layout, layout.bbox[2] + 6 * s, setup.probe.focus_cm)
    _grey_bar(pixels, (2 * s, 112 * s, 10 * s, 172 * s))
    _body_mark(pixels, (width - 52 * s, 610 * s), s, YELLOW, setup.patient.side)
    write(pixels, "V", (layout.origin[0] + 12 * s, layout.origin[1] - 34 * s), Style(13 * s, (110, 170, 255), 2))
    return boxes


def _philips(pixels: U8, layout: Layout, setup: Setup) -> list[Box]:
    s, width = layout.unit, layout.size[0]
    who, probe, controls = setup.identity, setup.probe, setup.controls
    pixels[: round(58 * s)] = np.linspace(58, 22, round(58 * s)).astype(np.uint8)[:, None, None]
    bold, small = Style(12 * s, WHITE), Style(9 * s, (200, 200, 205))
    boxes = [write(pixels, who.name, (14 * s, 9 * s), bold), write(pixels, who.number, (14 * s, 34 * s), small)]
    boxes.append(write(pixels, who.born, (120 * s, 34 * s), small))
    boxes.append(write(pixels, who.site, (width / 2 - 80 * s, 9 * s), small))
    boxes.append(write(pixels, who.taken, (width - 190 * s, 9 * s), small))
    write(pixels, "PHILIPS", (width / 2 - 40 * s, 32 * s), Style(12 * s, (215, 220, 235), 2))
    write(pixels, "TIS0.4   MI 1.1", (width - 190 * s, 34 * s), small)
    rows = ("C5-1", ""), ("28Hz", ""), ("RS", ""), ("", ""), ("2D", ""), (f"{controls.liver_grey / 2:.0f}%", "")
    rows += (f"Dyn R {controls.dynamic_range_db:.0f}", ""), ("P Low", ""), ("HGen", ""), (f"{probe.depth_cm:.1f}cm", "")
    _column(pixels, rows, (14 * s, 110 * s), (40 * s, 17 * s), Style(8.5 * s, (165, 175, 190)))
    _ruler(pixels, layout, layout.bbox[2] + 10 * s, (190, 190, 190), (3, 7))
    focus_y = round(layout.origin[1] + probe.focus_cm * layout.px_per_cm)
    x = round(layout.bbox[2] + 22 * s)
    triangle = np.array(
        [[x, focus_y], [x + round(9 * s), focus_y - round(6 * s)], [x + round(9 * s), focus_y + round(6 * s)]]
    )
    cv2.fillPoly(pixels, [triangle.astype(np.int32)], (230, 230, 230))
    _grey_bar(pixels, (width - 24 * s, 90 * s, width - 12 * s, 210 * s))
    write(pixels, "M3", (width - 25 * s, 70 * s), Style(8 * s, (165, 175, 190)))
    write(pixels, "P", (layout.origin[0] - 60 * s, layout.origin[1] - 26 * s), Style(12 * s, (235, 235, 235), 2))
    return boxes


def _canon(pixels: U8, layout: Layout, setup: Setup) -> list[Box]:
    s, (width, height) = layout.unit, layout.size
    who, probe, controls = setup.identity, setup.probe, setup.controls
    text, dim = Style(10 * s, (210, 210, 210)), Style(8.5 * s, (160, 160, 160))
    boxes = [
        write(pixels, f"ID:{who.number}", (16 * s, 10 * s), text),
        write(pixels, who.name, (200 * s, 10 * s), text),
    ]
    boxes.append(write(pixels, who.born, (200 * s, 32 * s), dim))
    boxes.append(write(pixels, who.site, (430 * s, 10 * s), text))
    boxes.append(write(pixels, who.taken, (width - 200 * s, 10 * s), text))
    write(pixels, "Canon", (16 * s, 32 * s), Style(11 * s, (200, 60, 60), 2))
    write(pixels, "MI:1.3  TIS:0.6", (width - 200 * s, 32 * s), dim)
    cv2.line(pixels, (0, round(54 * s)), (width, round(54 * s)), (60, 60, 60), 1)
    rows = (
        ("6C1", ""),
        ("diffT", f"{probe.frequency_mhz:.1f}"),
        ("23fps", ""),
        ("Qscan", ""),
        (f"G:{controls.liver_grey / 2:.0f}", ""),
    )
    rows += (f"DR:{controls.dynamic_range_db:.0f}", ""), ("A.Pure:5", ""), ("Precision+", "")
    _column(pixels, rows, (12 * s, 120 * s), (44 * s, 19 * s), dim)
    _ruler(pixels, layout, layout.bbox[2] + 8 * s, (140, 140, 140), (3, 8))
    _numbers(pixels, layout, layout.bbox[2] + 24 * s, Style(8 * s, (140, 140, 140)))
    y = round(layout.origin[1] + probe.focus_cm * layout.px_per_cm)
    cv2.drawMarker(pixels, (round(layout.bbox[2] + 18 * s), y), (200, 200, 200), cv2.MARKER_DIAMOND, round(11 * s), 1)
    _grey_bar(pixels, (width - 26 * s, 120 * s, width - 16 * s, 250 * s))
    _body_mark(pixels, (width - 60 * s, height - 96 * s), s, (190, 190, 190), setup.patient.side)
    cv2.circle(
        pixels,
        (round(layout.origin[0] - 58 * s), round(layout.origin[1] - 24 * s)),
        round(7 * s),
        (60, 200, 220),
        2,
        cv2.LINE_AA,
    )
    return boxes


def _column(
    pixels: U8, rows: tuple[tuple[str, str], ...], corner: tuple[float, float], step: tuple[float, float], style: Style
) -> None:
    for index, (key, value) in enumerate(rows):
        y = corner[1] + index * step[1]
        write(pixels, key, (corner[0], y), style)
        write(pixels, value, (corner[0] + step[0], y), style)


def _ruler(pixels: U8, layout: Layout, x: float, colour: Colour, ticks: tuple[int, int]) -> None:
    """Ticks at every whole centimetre of depth, longer ones at every fifth."""
    thick = 1 if layout.unit < 1.2 else 2
    for cm in range(int(layout.depth_cm) + 1):
        y = round(layout.origin[1] + cm * layout.px_per_cm)
        reach = round((ticks[1] if cm % 5 == 0 else ticks[0]) * layout.unit)
        cv2.rectangle(pixels, (round(x), y), (round(x) + reach, y + thick - 1), colour, -1)


def _numbers(pixels: U8, layout: Layout, x: float, style: Style) -> None:
    for cm in range(5, int(layout.depth_cm) + 1, 5):
        y = layout.origin[1] + cm * layout.px_per_cm - style.height_px / 2.0
        write(pixels, str(cm), (x, y), style)


def _hourglass(pixels: U8, layout: Layout, x: float, focus_cm: float) -> None:
    s = layout.unit
    for depth in (focus_cm - 0.7, focus_cm + 0.7):
        y = layout.origin[1] + depth * layout.px_per_cm
        for sign in (-1, 1):
            tip = np.array([[x, y], [x - 4 * s, y + sign * 6 * s], [x + 4 * s, y + sign * 6 * s]])
            cv2.fillPoly(pixels, [np.round(tip).astype(np.int32)], YELLOW)


def _grey_bar(pixels: U8, box: tuple[float, float, float, float]) -> None:
    x0, y0, x1, y1 = (round(v) for v in box)
    pixels[y0:y1, x0:x1] = np.linspace(255, 0, y1 - y0).astype(np.uint8)[:, None, None]
    cv2.rectangle(pixels, (x0 - 1, y0 - 1), (x1, y1), (90, 90, 90), 1)


def _body_mark(pixels: U8, centre: tuple[float, float], s: float, colour: Colour, side: str) -> None:
    x, y = centre
    cv2.ellipse(pixels, (round(x), round(y)), (round(24 * s), round(34 * s)), 0, 0, 360, colour, 1, cv2.LINE_AA)
    cv2.circle(pixels, (round(x), round(y - 42 * s)), round(9 * s), colour, 1, cv2.LINE_AA)
    at = x + (13 if side == "left" else -13) * s  # the patient's left is on the right of the figure
    cv2.line(pixels, (round(at), round(y - 4 * s)), (round(at), round(y + 14 * s)), colour, max(2, round(3 * s)))
