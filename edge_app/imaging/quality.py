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
from edge_app.imaging.scene import Quality, QualityFault, Scene, Sector
from edge_app.imaging.shadow import shadow_share
from edge_app.imaging.strokes import stroke_map
from engines.preprocess import CropBox

Grey = NDArray[np.uint8]
Mask = NDArray[np.bool_]
FEWEST_PIXELS = 400
ANEW_MS = 200.0  # in which a marker may be drawn over a frozen image, or colour
FAR_INSIDE = 0.1  # of the kidney's length
MOTION_PX = 40  # side of the small crop in which motion is seen
LEAST_CONTRAST = 8.0  # grey levels
LARGE_PX = 320  # shorter side of a crop of which every second pixel is enough; of twice that, every third
COLOURED = 48  # highest less lowest channel
SHARP_PX = 288  # side of the crop's middle in which sharpness is measured: enough speckle, and soon done


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
    memory: Measured | None = None,
) -> Quality:
    """Measure the part of ``box`` that lies in ``sector`` of RGB uint8 (H, W, 3) ``pixels`` and judge it.

    ``annotation`` (bool, H, W) marks drawn pixels to leave out; None: they are looked for. Measures: ``mean`` and
    ``contrast`` in grey levels, ``saturated``, ``dark``, ``shadow``, ``coverage`` and ``colour`` as shares 0..1,
    ``sharpness`` 0..1, ``entropy`` in bits. ``beside`` adds what one picture alone does not tell: ``margin`` as
    ``pole_margin`` gives it, ``moving`` as ``CropMotion`` does. ``memory`` may know the measures.
    """
    found = (memory or Measured()).measure(pixels, sector, box, annotation)
    measures = {**found, **(beside or {})}
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
    if cv2.countNonZero(_bytes(part)) == padded.size:
        return 1.0
    row, column = top - (y - side), left - (x - side)
    padded[row : row + part.shape[0], column : column + part.shape[1]] = part
    return min(1.0, float(cv2.distanceTransform(padded, cv2.DIST_L2, 3)[side, side]) / reach)


class Measured:
    """The measures of the last crop of a stream: an image that stands still is not measured at every frame."""

    def __init__(self) -> None:
        self._known: tuple[Sector, CropBox, dict[str, float]] | None = None
        self._since_ms = self._now_ms = -np.inf

    def at(self, scene: Scene, stands: bool) -> Measured:
        """Return itself for the next picture; ``stands``: its image is that of the last one, but for what was drawn.

        Where nothing at all has changed its measures are kept, else for ``ANEW_MS``.
        """
        self._now_ms = scene.t_ms
        old = scene.repeated_ms <= 0.0 and scene.t_ms - self._since_ms >= ANEW_MS
        if old or not stands:
            self._known = None
        return self

    def measure(
        self, pixels: NDArray[np.uint8], sector: Sector, box: CropBox, annotation: Mask | None
    ) -> dict[str, float]:
        """Return the measures of ``assess``."""
        if self._known is None or self._known[0] is not sector or self._known[1] != box:
            self._known, self._since_ms = (sector, box, measure(pixels, sector, box, annotation)), self._now_ms
        return self._known[2]


class CropMotion:
    """Watches how much the crop changes from picture to picture; speckle averages out, the kidney's shape does not."""

    def __init__(self) -> None:
        self._before: tuple[CropBox, NDArray[np.float32]] | None = None

    def measure(self, pixels: NDArray[np.uint8], box: CropBox) -> float | None:
        """Return the mean change since the last picture of this box over its contrast; None without one."""
        height, width = pixels.shape[:2]
        x0, y0 = max(0, round(box.x0)), max(0, round(box.y0))
        part = pixels[y0 : max(y0, min(height, round(box.y1))), x0 : max(x0, min(width, round(box.x1)))]
        if part.size == 0:
            self._before = None
            return None
        small = _shrunk(np.asarray(cv2.extractChannel(_thinned(part, _step(part)), 1), dtype=np.uint8))
        now, before = small.astype(np.float32), self._before
        self._before = (box, now)
        if before is None or not _same_box(before[0], box):
            return None
        return float(np.abs(now - before[1]).mean()) / max(LEAST_CONTRAST, float(now.std()))


def _shrunk(grey: Grey) -> Grey:
    """Return the crop at the size in which motion is seen; halving is many times faster than any other step."""
    while min(grey.shape) >= 4 * MOTION_PX:
        half = grey.shape[1] // 2, grey.shape[0] // 2
        even = grey[: 2 * half[1], : 2 * half[0]]
        grey = np.asarray(cv2.resize(even, half, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return np.asarray(cv2.resize(grey, (MOTION_PX, MOTION_PX), interpolation=cv2.INTER_AREA), dtype=np.uint8)


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
    part, inside = pixels[window], _bytes(sector.mask[window])
    lines = None if annotation is None else _bytes(annotation[window])
    covered = cv2.countNonZero(inside) / max(1.0, box.width * box.height)
    step = _step(inside)
    grey, colour = _grey_and_colour(_thinned(part, step))
    seen = _seen(grey, colour, _thinned(inside, step), None if lines is None else _thinned(lines, step), step)
    if step * step * cv2.countNonZero(seen) < FEWEST_PIXELS:
        return {"coverage": covered}
    return {
        **_grey_measures(grey, seen),
        "sharpness": _sharpness(part, inside, lines),
        "shadow": shadow_share(pixels, sector, (x0, y0, x1, y1)),
        "coverage": covered,
        "colour": _share_over(colour, COLOURED, seen),
    }


def _step(picture: NDArray[np.uint8]) -> int:
    """Return every how many pixels are enough for shares and means of a crop, each way: 1 to 3."""
    return int(min(3, 1 + min(picture.shape[:2]) // LARGE_PX))


def _thinned(picture: NDArray[np.uint8], step: int) -> NDArray[np.uint8]:
    """Return every ``step``th pixel each way."""
    if step == 1:
        return picture
    size = picture.shape[1] // step, picture.shape[0] // step
    even = picture[: size[1] * step, : size[0] * step]
    return np.asarray(cv2.resize(even, size, interpolation=cv2.INTER_NEAREST), dtype=np.uint8)


def _seen(grey: Grey, colour: Grey, inside: Grey, lines: Grey | None, step: int = 1) -> Grey:
    """Return 255 where the image is seen; ``lines`` None: those that are drawn over it are looked for."""
    drawn = drawn_pixels(grey, colour, step) if lines is None else lines
    return np.asarray(cv2.compare(inside, drawn, cv2.CMP_GT), dtype=np.uint8)


def _grey_and_colour(part: NDArray[np.uint8]) -> tuple[Grey, Grey]:
    """Return the highest channel, and by how much it is over the lowest one."""
    red, green, blue = (cv2.extractChannel(part, channel) for channel in range(3))
    low = cv2.min(cv2.min(red, green), blue)
    cv2.max(red, cv2.max(green, blue, dst=green), dst=red)
    return np.asarray(red, dtype=np.uint8), np.asarray(cv2.subtract(red, low, dst=low), dtype=np.uint8)


def _bytes(mask: Mask) -> Grey:
    """Return 0 and 1 for a bool mask, in place of a copy where it lies in one piece."""
    return np.asarray(mask, dtype=np.bool_).view(np.uint8)


def _share_over(values: Grey, level: int, seen: Grey) -> float:
    high = cv2.bitwise_and(over(values, level), seen)
    return cv2.countNonZero(high) / max(1, cv2.countNonZero(seen))


def drawn_pixels(grey: Grey, colour: Grey, step: int = 1) -> Grey:
    """Return 255 where thin strokes were drawn, 2 frame pixels wider, else 0: bright or coloured over what is around.

    ``step`` is how many frame pixels lie between two pixels.
    """
    thickest, wider = ((7, 5), (5, 3), (3, 3))[step - 1]
    drawn = over(stroke_map(grey, thickest), 90)
    if cv2.countNonZero(over(colour, 40)) > 0:
        drawn = np.asarray(cv2.max(drawn, over(stroke_map(colour, thickest), 40)), dtype=np.uint8)
    return np.asarray(cv2.dilate(drawn, np.ones((wider, wider), np.uint8)), dtype=np.uint8)


def _grey_measures(grey: Grey, seen: Grey) -> dict[str, float]:
    counts = cv2.calcHist([grey], [0], seen, [256], [0, 256]).ravel().astype(np.float64)
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


def _sharpness(part: NDArray[np.uint8], inside: Grey, lines: Grey | None) -> float:
    """Return 1 - VarLap(blurred again) / VarLap of the crop's middle: high for sharp, low for blurred pictures.

    A first light blur takes the rounding to whole grey levels away, which else is all that a blurred picture has.
    """
    rows, columns = (slice(max(0, side // 2 - SHARP_PX // 2), side // 2 + SHARP_PX // 2) for side in inside.shape)
    grey, seen = _grey_and_seen(
        part[rows, columns], inside[rows, columns], lines if lines is None else lines[rows, columns]
    )
    core = np.asarray(cv2.erode(seen, np.ones((5, 5), np.uint8)), dtype=np.uint8)
    if cv2.countNonZero(core) < FEWEST_PIXELS:
        grey, core = _grey_and_seen(part, inside, lines)
    source = cv2.GaussianBlur(grey.astype(np.float32), (7, 7), 1.2)
    again = cv2.GaussianBlur(source, (11, 11), 2.0)
    before, after = (_variance(cv2.Laplacian(g, cv2.CV_32F), core) for g in (source, again))
    return float(np.clip(1.0 - after / before, 0.0, 1.0)) if before > 1e-6 else 0.0


def _grey_and_seen(part: NDArray[np.uint8], inside: Grey, lines: Grey | None) -> tuple[Grey, Grey]:
    grey, colour = _grey_and_colour(part)
    return grey, _seen(grey, colour, inside, lines)


def _variance(values: cv2.typing.MatLike, core: Grey) -> float:
    """Return the variance of float values (h, w) where ``core`` is not 0; their mean is nearly 0."""
    kept, count = cv2.copyTo(values, core), cv2.countNonZero(core)
    return cv2.norm(kept, cv2.NORM_L2SQR) / count - float((cv2.sumElems(kept)[0] / count) ** 2)
