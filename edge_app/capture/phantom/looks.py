"""Makers' screens: header with identity, parameters, depth ruler, grey bar, focus, body mark.

Colours and places follow stills of such screens (facts: scanner screens). A painter returns the
boxes that hold identity.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2

from edge_app.capture.phantom.canvas import Canvas
from edge_app.capture.phantom.layout import LookName
from edge_app.capture.phantom.text import Box, Colour, Style

YELLOW: Colour = (255, 255, 0)
WHITE: Colour = (235, 235, 235)
LIGHT: Colour = (190, 190, 190)
RULER_GE: Colour = (170, 170, 100)


@dataclass(frozen=True, slots=True)
class Identity:
    """Invented identity, for de-identification tests."""

    name: str
    number: str
    born: str
    site: str
    taken: str
    sex: str


@dataclass(frozen=True, slots=True)
class Labels:
    """Settings as a screen shows them."""

    side: str
    frequency: str
    gain: str
    dynamic_range: str
    depth: str
    focus_cm: float


def _ge(canvas: Canvas, who: Identity, labels: Labels) -> list[Box]:
    cv2.rectangle(canvas.pixels, (0, 0), (canvas.layout.size[0], canvas.at((0, 66))[1]), (24, 26, 34), -1)
    canvas.rule(67, (70, 74, 90))
    canvas.ring((32, 33), 20, (90, 120, 190))
    canvas.text("GE", (19, 26), Style(13, (150, 175, 230)))
    big, small = Style(13, WHITE), Style(10, LIGHT)
    boxes = [canvas.text(who.name, (66, 12), big), canvas.text(who.number, (66, 40), small)]
    boxes += [canvas.text(who.site, (300, 12), small), canvas.text(f"{who.born}  {who.sex}", (300, 40), small)]
    boxes.append(canvas.text(who.taken, (-158, 12), Style(8, LIGHT)))
    canvas.text("MI 1.2  TIs 0.5", (-330, 12), small)
    canvas.text("C1-6 / Abdomen Renal", (-330, 40), small)
    rows = ["FR|22", "SoS|1540", "CHI", f"Frq|{labels.frequency}", f"Gn|{labels.gain}", "S/A|1/1", "Map|F/0"]
    rows += [f"D|{labels.depth}", f"DR|{labels.dynamic_range}", "AO%|100"]
    canvas.column(rows, (-84, 112), (46, 21), Style(9, (200, 200, 200)))
    canvas.ruler(canvas.right + 14, RULER_GE, (4, 10))
    canvas.hourglass(canvas.right + 6, labels.focus_cm, YELLOW)
    canvas.grey_bar((2, 112), (8, 60))
    canvas.body_mark((-52, 610), YELLOW, labels.side)
    canvas.text("V", (canvas.top[0] + 12, canvas.top[1] - 34), Style(13, (110, 170, 255), 2))
    return boxes


def _philips(canvas: Canvas, who: Identity, labels: Labels) -> list[Box]:
    middle = canvas.layout.size[0] / canvas.layout.unit / 2
    canvas.bar(0, 58, (58, 22))
    small, side = Style(9, (200, 200, 205)), Style(8.5, (165, 175, 190))
    boxes = [canvas.text(who.name, (14, 9), Style(12, WHITE)), canvas.text(who.number, (14, 34), small)]
    boxes += [canvas.text(who.born, (120, 34), small), canvas.text(who.site, (middle - 80, 9), small)]
    boxes.append(canvas.text(who.taken, (-190, 9), small))
    canvas.text("PHILIPS", (middle - 40, 32), Style(12, (215, 220, 235), 2))
    canvas.text("TIS0.4   MI 1.1", (-190, 34), small)
    rows = ["C5-1", "28Hz", "RS", "", "2D", f"{labels.gain}%", f"Dyn R {labels.dynamic_range}", "P Low", "HGen"]
    canvas.column([*rows, f"{labels.depth}cm"], (14, 110), (40, 17), side)
    canvas.ruler(canvas.right + 10, LIGHT, (3, 7))
    tip = canvas.at((canvas.right + 22, 0))[0], canvas.depth_px(labels.focus_cm)
    canvas.polygon(tip, [(0.0, 0.0), (9.0, -6.0), (9.0, 6.0)], WHITE)
    canvas.grey_bar((-24, 90), (12, 120))
    canvas.text("M3", (-25, 70), side)
    canvas.text("P", (canvas.top[0] - 60, canvas.top[1] - 26), Style(12, WHITE, 2))
    return boxes


def _canon(canvas: Canvas, who: Identity, labels: Labels) -> list[Box]:
    text, dim, scale = Style(10, (210, 210, 210)), Style(8.5, (160, 160, 160)), (140, 140, 140)
    boxes = [canvas.text(f"ID:{who.number}", (16, 10), text), canvas.text(who.name, (200, 10), text)]
    boxes += [canvas.text(who.born, (200, 32), dim), canvas.text(who.site, (430, 10), text)]
    boxes.append(canvas.text(who.taken, (-200, 10), text))
    canvas.text("Canon", (16, 32), Style(11, (200, 60, 60), 2))
    canvas.text("MI:1.3  TIS:0.6", (-200, 32), dim)
    canvas.rule(54, (60, 60, 60))
    rows = ["6C1", f"diffT|{labels.frequency}", "23fps", "Qscan", f"G:{labels.gain}", f"DR:{labels.dynamic_range}"]
    canvas.column([*rows, "A.Pure:5", "Precision+"], (12, 120), (44, 19), dim)
    canvas.ruler(canvas.right + 8, scale, (3, 8))
    canvas.numbers(canvas.right + 24, Style(8, scale))
    focus = canvas.at((canvas.right + 18, 0))[0], canvas.depth_px(labels.focus_cm)
    cv2.drawMarker(canvas.pixels, focus, (200, 200, 200), cv2.MARKER_DIAMOND, canvas.px(11), 1)
    canvas.grey_bar((-26, 120), (10, 130))
    canvas.body_mark((-60, 624), LIGHT, labels.side)
    canvas.ring((canvas.top[0] - 58, canvas.top[1] - 24), 7, (60, 200, 220))
    return boxes


def _sonosite(canvas: Canvas, who: Identity, labels: Labels) -> list[Box]:
    canvas.bar(0, 40, (84, 60))
    canvas.bar(688, 720, (40, 64))
    words, small = Style(11, WHITE), Style(8.5, (185, 185, 185))
    boxes = [canvas.text(who.name, (16, 13), words), canvas.text(who.number, (250, 13), words)]
    boxes += [canvas.text(who.taken, (-210, 13), small), canvas.text(who.site, (16, 54), small)]
    canvas.text("rC60xi / Abdomen", (-210, 54), small)
    canvas.column(["Gen", "THI", "MB", f"G:{labels.gain}", "MI:0.7", "TIS:0.1"], (-62, 120), (40, 20), small)
    for index, key in enumerate(("Gen", "0", "Dual", "S", "Clips", "Page 1/2")):
        canvas.text(key, (150 + 110 * index, 698), Style(9, (215, 215, 215)))
    canvas.ruler(canvas.right + 14, (205, 205, 205), (2, 6))
    canvas.text(labels.depth.split(".")[0], (-60, 640), Style(12, WHITE))
    canvas.ring((canvas.top[0] - 52, canvas.top[1] - 22), 5, (60, 190, 140))
    return boxes


def _mindray(canvas: Canvas, who: Identity, labels: Labels) -> list[Box]:
    words, small = Style(10, (205, 210, 215)), Style(8.5, (150, 165, 180))
    boxes = [canvas.text(who.site, (16, 8), words), canvas.text(who.taken, (-200, 8), words)]
    boxes += [canvas.text(who.name, (16, 30), words), canvas.text(who.number, (230, 30), words)]
    boxes.append(canvas.text(f"{who.born} {who.sex}", (360, 30), words))
    canvas.text("SC5-1U  Adult ABD", (-330, 30), small)
    canvas.text("MI 1.1 TIS 0.5", (-130, 30), small)
    canvas.rule(54, (50, 70, 100))
    rows = [
        "B",
        f"F|{labels.frequency}",
        f"D|{labels.depth}",
        f"G|{labels.gain}",
        "FR|24",
        f"DR|{labels.dynamic_range}",
    ]
    canvas.column([*rows, "iClear|3", "iTouch"], (-86, 110), (46, 20), small)
    canvas.ruler(canvas.right + 12, (150, 160, 170), (4, 9))
    tip = canvas.at((canvas.right + 8, 0))[0], canvas.depth_px(labels.focus_cm)
    canvas.polygon(tip, [(0.0, 0.0), (-8.0, -5.0), (-8.0, 5.0)], (90, 200, 120))
    canvas.grey_bar((4, 110), (9, 90))
    canvas.text("M", (canvas.top[0] - 64, canvas.top[1] - 28), Style(12, (90, 200, 120), 2))
    return boxes


def _voluson(canvas: Canvas, who: Identity, labels: Labels) -> list[Box]:
    cv2.rectangle(canvas.pixels, (0, 0), (canvas.layout.size[0], canvas.at((0, 60))[1]), (38, 40, 48), -1)
    words, small, dim = Style(11, WHITE), Style(9, LIGHT), Style(8.5, (180, 175, 140))
    boxes = [canvas.text(who.name, (70, 10), words), canvas.text(who.number, (70, 36), small)]
    boxes += [canvas.text(who.born, (200, 36), small), canvas.text(who.site, (360, 10), small)]
    boxes.append(canvas.text(who.taken, (-170, 10), small))
    canvas.ring((34, 30), 17, (120, 130, 170))
    canvas.text("C1-5-D / Abdomen", (360, 36), small)
    canvas.text("MI 1.1  TIs 0.2", (-170, 36), small)
    rows = ["Har-mid", f"Gn|{labels.gain}", "C|6", "P|4", "E|2", f"{labels.depth}cm", f"DR|{labels.dynamic_range}"]
    canvas.column(rows, (-90, 110), (40, 19), dim)
    canvas.ruler(canvas.right + 12, (168, 168, 176), (3, 8))
    canvas.hourglass(canvas.right + 30, labels.focus_cm, (230, 220, 120))
    canvas.grey_bar((4, 100), (8, 110))
    canvas.text("V", (canvas.top[0] - 60, canvas.top[1] - 26), Style(12, (230, 220, 120), 2))
    return boxes


PAINTERS: dict[LookName, Callable[[Canvas, Identity, Labels], list[Box]]] = {
    "ge": _ge,
    "philips": _philips,
    "canon": _canon,
    "sonosite": _sonosite,
    "mindray": _mindray,
    "voluson": _voluson,
}
