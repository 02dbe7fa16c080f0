"""Quality: whether the crop is fit to be read, as measures with explicit rules and reasons (clinic-and-paper 7.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import hypot
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.imaging.evidence import over
from edge_app.imaging.scene import Quality, QualityFault, Sector
from edge_app.imaging.shadow import shadow_share
from edge_app.imaging.strokes import stroke_map
from engines.preprocess import CropBox

Grey = NDArray[np.uint8]
Mask = NDArray[np.bool_]
FEWEST_PIXELS = 400
FAR_INSIDE = 0.1  # of the kidney's length
MOTION_PX = 40  # side of the small crop in which motion is seen
LEAST_CONTRAST = 8.0  # grey levels
LARGE_PX = 320  # shorter side of a large crop
SHARP_PX = 360  # side of the crop's middle in which sharpness is measured: enough speckle, and soon done


@dataclass(frozen=True, slots=True)
class QualityRules:
    """Limits of the measures: beyond ``soft`` a number has low confidence, beyond ``hard`` there is none."""

    dark_mean: tuple[float, float] = (40.0, 14.0)  # (soft, hard), grey levels
    bright_mean: tuple[float, float] = (180.0, 225.0)
    contrast: tuple[float, float] = (12.0, 5.0)  # standard deviation, grey levels
    saturated: tuple[float, float] = (0.05, 0.25)
    dark: tuple[float, float] = (0.35, 0.70)
    sharpness: tuple[float, float] = (0.66, 0.45)  # 1 - VarLap(blurred again) / VarLap
    entropy: tuple[float, float] = (5.0, 3.0)  # bits
    shadow: tuple[float, float] = (0.25, 0.50)
    coverage: tuple[float, float] = (0.75, 0.50)
    margin: tuple[float, float] = (0.03, -1.0)
    moving: tuple[float, float] = (0.60, 9.0)
    colour: tuple[float, float] = (0.02, 0.06)
    length_cm: tuple[float, float] = (5.0, 16.0)


RULES = QualityRules()

LIMITS: tuple[tuple[str, str, Literal["low", "high"], str], ...] = (
    ("dark_mean", "mean", "low", "too dark: raise gain"),
    ("bright_mean", "mean", "high", "too bright: lower gain"),
    ("contrast", "contrast", "low", "washed out or empty: check contact and gain"),
    ("saturated", "saturated", "high", "overexposed: lower gain"),
    ("dark", "dark", "high", "large black areas: raise gain or improve contact"),
    ("sharpness", "sharpness", "low", "blurred: hold still or set the focus to the kidney"),
    ("entropy", "entropy", "low", "too few grey levels: raise dynamic range or gain"),
    ("shadow", "shadow", "high", "shadow over the kidney: move the probe off the rib"),
    ("coverage", "coverage", "low", "the kidney reaches out of the image: move the handles or the probe"),
    ("margin", "margin", "low", "a pole lies at the edge of the image: bring all of the kidney into view"),
    ("moving", "moving", "high", "the picture moves: hold still, or freeze"),
    ("colour", "colour", "high", "colour Doppler over the kidney: switch to B-mode"),
)
"""(field of ``QualityRules`` and code, measure, the side on which it fails, what the operator can do)."""


def assess(
    pixels: NDArray[np.uint8],
    sector: Sector,
    box: CropBox,
    annotation: Mask | None = None,
    rules: QualityRules = RULES,
    beside: Mapping[str, float] | None = None,
) -> Quality:
    """Measure the part of ``box`` that lies in ``sector`` of RGB uint8 (H, W, 3) ``pixels`` and judge it.

    ``annotation`` (bool, H, W) marks drawn pixels to leave out; None: they are looked for. Measures: ``mean`` and
    ``contrast`` in grey levels, ``saturated``, ``dark``, ``shadow``, ``coverage`` and ``colour`` as shares 0..1,
    ``sharpness`` 0..1, ``entropy`` in bits. ``beside`` adds what one picture alone does not tell: ``margin`` as
    ``pole_margin`` gives it, ``moving`` as ``CropMotion`` does.
    """
    measures = {**measure(pixels, sector, box, annotation), **(beside or {})}
    faults = list(judge(measures, rules))
    hard = any(fault.hard for fault in faults)
    grade: Literal["diagnostic", "limited", "non-diagnostic"] = (
        "non-diagnostic" if hard else "limited" if faults else "diagnostic"
    )
    return Quality(measures, tuple(sorted(faults, key=lambda fault: not fault.hard)), grade)


def judge(measures: dict[str, float], rules: QualityRules = RULES) -> tuple[QualityFault, ...]:
    """Return a fault for every measure beyond its limit; a missing measure is not judged."""
    faults: list[QualityFault] = []
    for field, name, side, reason in LIMITS:
        if name not in measures:
            continue
        soft, hard = getattr(rules, field)
        sign = 1.0 if side == "high" else -1.0
        value = sign * measures[name]
        if value > sign * soft:
            faults.append(QualityFault(field, reason, value > sign * hard))
    return tuple(faults)


def length_fault(length_cm: float | None, rules: QualityRules = RULES) -> QualityFault | None:
    """Return a hard fault where a marked length (cm; None: no scale known) is no kidney's, 5..16 cm."""
    low, high = rules.length_cm
    if length_cm is None or low <= length_cm <= high:
        return None
    reason = f"length {length_cm:.1f} cm is not a kidney length: measure pole to pole"
    return QualityFault("length", reason, hard=True)


def pole_margin(sector: Sector, ends: tuple[float, float, float, float]) -> float:
    """Return how far the nearer pole (x1, y1, x2, y2) is inside ``sector``, as a share of the kidney's length.

    0 on the edge or outside of it; 0.1 at most, beyond which it does not matter.
    """
    x1, y1, x2, y2 = ends
    reach = FAR_INSIDE * hypot(x2 - x1, y2 - y1)
    margins = [_depth_inside(sector.mask, round(x), round(y), reach) for x, y in ((x1, y1), (x2, y2))]
    return min(margins) * FAR_INSIDE if reach >= 1 else 0.0


def _depth_inside(mask: Mask, x: int, y: int, reach: float) -> float:
    """Return the distance of a place from the nearest pixel outside ``mask``, as a share of ``reach``, 1 at most."""
    side = int(reach) + 1
    padded = np.zeros((2 * side + 1, 2 * side + 1), np.uint8)
    top, left = max(0, y - side), max(0, x - side)
    part = mask[top : max(0, y + side + 1), left : max(0, x + side + 1)]
    if part.size == 0:
        return 0.0
    row, column = top - (y - side), left - (x - side)
    padded[row : row + part.shape[0], column : column + part.shape[1]] = part
    return min(1.0, float(cv2.distanceTransform(padded, cv2.DIST_L2, 3)[side, side]) / reach)


class CropMotion:
    """Watches how much the crop changes from picture to picture; speckle averages out, the kidney's shape does not."""

    def __init__(self) -> None:
        self._before: tuple[CropBox, NDArray[np.float32]] | None = None

    def measure(self, pixels: NDArray[np.uint8], box: CropBox) -> float | None:
        """Return the mean change since the last picture of this box over its contrast; None without one."""
        height, width = pixels.shape[:2]
        x0, y0 = max(0, round(box.x0)), max(0, round(box.y0))
        part = pixels[y0 : max(y0, min(height, round(box.y1))), x0 : max(x0, min(width, round(box.x1))), 1]
        if part.size == 0:
            self._before = None
            return None
        small = cv2.resize(np.ascontiguousarray(part), (MOTION_PX, MOTION_PX), interpolation=cv2.INTER_AREA)
        now, before = small.astype(np.float32), self._before
        self._before = (box, now)
        if before is None or not _same_box(before[0], box):
            return None
        return float(np.abs(now - before[1]).mean()) / max(LEAST_CONTRAST, float(now.std()))


def _same_box(one: CropBox, other: CropBox) -> bool:
    return max(abs(one.x0 - other.x0), abs(one.y0 - other.y0), abs(one.x1 - other.x1), abs(one.y1 - other.y1)) < 1.0


def measure(pixels: NDArray[np.uint8], sector: Sector, box: CropBox, annotation: Mask | None) -> dict[str, float]:
    """Return the measures of ``assess``; with too few pixels in the sector only ``coverage``."""
    height, width = pixels.shape[:2]
    x0, y0 = max(0, round(box.x0)), max(0, round(box.y0))
    x1, y1 = min(width, round(box.x1)), min(height, round(box.y1))
    if x1 <= x0 or y1 <= y0:
        return {"coverage": 0.0}
    window = (slice(y0, y1), slice(x0, x1))
    part, inside = np.ascontiguousarray(pixels[window]), sector.mask[window]
    covered = float(inside.sum()) / max(1.0, box.width * box.height)
    red, green, blue = cv2.split(part)
    grey = np.asarray(cv2.max(cv2.max(red, green), blue), dtype=np.uint8)
    colour = np.asarray(cv2.subtract(grey, cv2.min(cv2.min(red, green), blue)), dtype=np.uint8)
    drawn = drawn_pixels(grey, colour) if annotation is None else annotation[window]
    seen = inside & ~drawn
    if int(seen.sum()) < FEWEST_PIXELS:
        return {"coverage": covered}
    step = 2 if min(grey.shape) >= LARGE_PX else 1  # shares and means of a large crop need no more than a quarter of it
    thin = (slice(None, None, step), slice(None, None, step))
    return {
        **_grey_measures(grey[thin], seen[thin]),
        "sharpness": _sharpness(grey, seen),
        "shadow": shadow_share(pixels, sector, (x0, y0, x1, y1)),
        "coverage": covered,
        "colour": float((colour[thin][seen[thin]] > 48).mean()),
    }


def drawn_pixels(grey: Grey, colour: Grey) -> Mask:
    """Return where thin strokes were drawn, 2 px wider: bright or coloured far over their surroundings."""
    drawn = cv2.max(over(stroke_map(grey, 7), 90), over(stroke_map(colour, 7), 40))
    return np.asarray(cv2.dilate(drawn, np.ones((5, 5), np.uint8)) > 0, dtype=np.bool_)


def _grey_measures(grey: Grey, seen: Mask) -> dict[str, float]:
    counts = np.bincount(grey[seen], minlength=256).astype(np.float64)
    shares = counts / counts.sum()
    levels = np.arange(256)
    mean = float((shares * levels).sum())
    held = shares[shares > 0]
    return {
        "mean": mean,
        "contrast": float(np.sqrt((shares * (levels - mean) ** 2).sum())),
        "saturated": float(shares[250:].sum()),
        "dark": float(shares[:6].sum()),
        "entropy": float(-(held * np.log2(held)).sum()),
    }


def _sharpness(grey: Grey, seen: Mask) -> float:
    """Return 1 - VarLap(blurred again) / VarLap of the crop's middle: high for sharp, low for blurred pictures.

    A first light blur takes the rounding to whole grey levels away, which else is all that a blurred picture has.
    """
    rows, columns = (slice(max(0, side // 2 - SHARP_PX // 2), side // 2 + SHARP_PX // 2) for side in grey.shape)
    core = cv2.erode(seen[rows, columns].astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    if int(core.sum()) < FEWEST_PIXELS:
        rows, columns, core = slice(None), slice(None), seen
    source = cv2.GaussianBlur(grey[rows, columns].astype(np.float32), (7, 7), 1.2)
    again = cv2.GaussianBlur(source, (11, 11), 2.0)
    before, after = (float(np.var(cv2.Laplacian(g, cv2.CV_32F)[core])) for g in (source, again))
    return float(np.clip(1.0 - after / before, 0.0, 1.0)) if before > 1e-6 else 0.0
