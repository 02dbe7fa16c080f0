"""Ruler: pixels per centimetre from the depth ruler beside the image, or None where it can be read in two ways."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.capture.base import ScreenRegion
from edge_app.imaging.evidence import brightest_channel, over
from edge_app.imaging.regions import declared_region
from edge_app.imaging.scene import Scale, Sector
from edge_app.imaging.shadow import fan_apex
from edge_app.imaging.slices import Sliced, finish
from edge_app.imaging.strokes import pieces_of, stroke_map

Values = NDArray[np.float64]
BRIGHT = 50  # grey levels over the surroundings
FEWEST_TICKS, MANY_TICKS = 6, 9
LOOSE = 0.12  # of the spacing: how far a mark may be from a tick while the spacing is not known exactly
MOST_COLUMNS = 6  # looked at by each anchor, those of most marks first
MOST_BESET = 0.75  # share of ticks that stand close to other strokes
COLOURED = 60  # highest less lowest channel of a tick that has a colour
SAME_SPACING = 0.01
LONGER = 1.3  # a long tick's length or area over a common one's
FAN_DEPTH_CM = (6.5, 32.0)
FLAT_DEPTH_CM = (1.2, 14.0)
AS_DEEP = (0.85, 1.3)  # height of the image over its stated depth
CURVATURE_CM = (3.2, 8.0)  # radius of a curved abdominal probe

STEPS_CM: dict[int, tuple[float, ...]] = {
    0: (1.0, 0.5, 0.2, 0.1),
    2: (0.5,),
    5: (1.0, 0.2, 0.1),
    10: (1.0, 0.5, 0.1),
}
"""By the period of long ticks (0: all alike): what one step may be. 5 means 1 cm with 5, or 2 mm with 1 cm, or 1 mm."""


@dataclass(frozen=True, slots=True, eq=False)
class Ticks:
    """A column of regular ticks: spacing in pixels, number of each tick, their sizes, and how regular they are."""

    spacing_px: float
    numbers: NDArray[np.int64]
    sizes: Values  # (n, 2): length along x and area, pixels
    coloured: NDArray[np.bool_]
    regularity: float  # 0..1
    span_px: float


def find_scale(
    pixels: NDArray[np.uint8],
    sector: Sector | None,
    regions: tuple[ScreenRegion, ...] = (),
    depths_cm: Collection[float] = (),
) -> Scale | None:
    """Return the scale of RGB uint8 (H, W, 3) ``pixels``; what the file declares wins over the ruler.

    ``depths_cm`` is what the screen says of the image's depth. None without a sector, without a regular ruler, or
    where long ticks, depth and probe leave more than one reading.
    """
    return finish(searching_scale(pixels, sector, regions, depths_cm))


def searching_scale(
    pixels: NDArray[np.uint8],
    sector: Sector | None,
    regions: tuple[ScreenRegion, ...] = (),
    depths_cm: Collection[float] = (),
) -> Sliced[Scale | None]:
    """Do what ``find_scale`` does in slices of a few milliseconds; ``pixels`` must not change until it is done."""
    declared = _declared(regions, (pixels.shape[1], pixels.shape[0]))
    if declared is not None:
        return Scale(declared, "dicom", 1.0)
    if sector is None:
        return None
    columns = yield from _searching_ticks(pixels, sector)
    for ticks in _apart(columns)[:3]:
        step = step_of(ticks, sector, depths_cm)
        if step is not None:
            return Scale(ticks.spacing_px / step, "ruler", round(ticks.regularity, 3))
    return None


def _apart(columns: list[Ticks]) -> list[Ticks]:
    """Return the rulers, the best first: of one spacing only the best column, which has its long ticks in it."""
    kept: list[Ticks] = []
    for ticks in sorted(columns, key=lambda t: -t.regularity * len(t.numbers)):
        if all(abs(ticks.spacing_px / other.spacing_px - 1) > SAME_SPACING for other in kept):
            kept.append(ticks)
    return kept


def step_of(ticks: Ticks, sector: Sector, depths_cm: Collection[float] = ()) -> float | None:
    """Return what one step of the ruler is, centimetres, or None where that can be read in several ways.

    What the long ticks and a possible depth leave open, the depth that the screen states decides, else the radius of
    a curved probe. A step that is not as deep as stated, where another one is, is not trusted.
    """
    possible = [step for step in STEPS_CM[long_period(ticks)] if _possible_depth(step, ticks, sector)]
    stated = [step for step in STEPS_CM[0] if _as_deep(step, ticks, sector, depths_cm)]
    if stated:
        possible = [step for step in possible if step in stated]
    elif len(possible) > 1 or long_period(ticks) == 0:
        possible = [step for step in possible if _possible_radius(step, ticks, sector)]
    return possible[0] if len(possible) == 1 else None


def _declared(regions: tuple[ScreenRegion, ...], size: tuple[int, int]) -> float | None:
    box = declared_region(regions, size)
    for region in regions:
        if box is not None and region.px_per_cm and region.bbox[:2] == box[:2]:
            return region.px_per_cm
    return None


def _possible_depth(step_cm: float, ticks: Ticks, sector: Sector) -> bool:
    """Whether a step gives a depth that exists."""
    depth_cm = (sector.bbox[3] - sector.bbox[1]) * step_cm / ticks.spacing_px
    low, high = FAN_DEPTH_CM if sector.kind in ("convex", "phased") else FLAT_DEPTH_CM
    if sector.kind == "unknown":
        low, high = FLAT_DEPTH_CM[0], FAN_DEPTH_CM[1]
    return low <= depth_cm <= high


def _possible_radius(step_cm: float, ticks: Ticks, sector: Sector) -> bool:
    """Whether a step gives a radius that a curved probe has; True where the image is not curved."""
    apex = fan_apex(sector) if sector.kind == "convex" else None
    if apex is None:
        return True
    x, y = sector.outline[0]
    radius_cm = float(np.hypot(x - apex[0], y - apex[1])) * step_cm / ticks.spacing_px
    return CURVATURE_CM[0] <= radius_cm <= CURVATURE_CM[1]


def _as_deep(step_cm: float, ticks: Ticks, sector: Sector, depths_cm: Collection[float]) -> bool:
    """Whether a step makes the image as deep as the screen says; a curved image is a little higher than deep."""
    height_cm = (sector.bbox[3] - sector.bbox[1]) * step_cm / ticks.spacing_px
    return any(AS_DEEP[0] <= height_cm / depth_cm <= AS_DEEP[1] for depth_cm in depths_cm)


def long_period(ticks: Ticks) -> int:
    """Return 2, 5 or 10 where every second, fifth or tenth tick differs from the others, else 0.

    Ticks of three lengths (1, 5, 10) are a millimetre ruler: 10.
    """
    if ticks.coloured.any() and not ticks.coloured.all():
        odd = ticks.coloured if ticks.coloured.mean() < 0.5 else ~ticks.coloured
        period = _period(ticks.numbers, odd)
        if period:
            return period
    for sizes in ticks.sizes.T:
        common = float(np.median(sizes)) if np.mean(sizes > LONGER * np.median(sizes)) > 0.05 else float(sizes.min())
        longer = sizes > LONGER * common
        period = _period(ticks.numbers, longer)
        if period == 5:
            long = float(np.median(sizes[longer]))
            return 10 if _period(ticks.numbers, sizes > max(1.2 * long, long + 2)) == 10 else 5
        if period:
            return period
    return 0


def _period(numbers: NDArray[np.int64], longer: NDArray[np.bool_]) -> int:
    """Return the period of the long ticks: all of one residue are long and no other is.

    One other may be, of nine ticks or more, where a focus mark or a number touches it.
    """
    if int(longer.sum()) < 2:
        return 0
    touched = 1 if len(numbers) >= MANY_TICKS else 0
    for period in (2, 5, 10):
        for phase in range(period):
            expected = (numbers - phase) % period == 0
            if int(expected.sum()) < 2 or int((expected & ~longer).sum()) > len(numbers) // 16:
                continue
            if int((longer & ~expected).sum()) <= max(touched, len(numbers) // 16):
                return period
    return 0


def find_ticks(pixels: NDArray[np.uint8], sector: Sector) -> list[Ticks]:
    """Return the columns of regularly spaced small marks beside ``sector``."""
    return finish(_searching_ticks(pixels, sector))


def _searching_ticks(pixels: NDArray[np.uint8], sector: Sector) -> Sliced[list[Ticks]]:
    height = pixels.shape[0]
    grey = brightest_channel(pixels)
    yield
    ink = over(stroke_map(grey, round(13 * max(1.0, height / 720))), BRIGHT)
    ink[_core(sector, height)] = 0
    yield
    middle = (sector.bbox[0] + sector.bbox[2]) // 2  # where no ruler is
    left = _small_marks(pixels[:, :middle], ink[:, :middle])
    yield
    right = _small_marks(pixels[:, middle:], ink[:, middle:])
    yield
    marks = np.concatenate([left, right + np.array([middle, 0, 0, 0, 0, 0])])
    if len(marks) < FEWEST_TICKS:
        return []
    found: list[Ticks] = []
    looked = 0
    reach = max(1.5, height / 480)
    least = 0.5 * (sector.bbox[3] - sector.bbox[1])
    for anchor in (marks[:, 0], marks[:, 0] + marks[:, 2] - 1, marks[:, 0] + (marks[:, 2] - 1) / 2):
        for chosen in _columns(anchor, reach):
            if np.ptp(marks[chosen, 1]) <= least:
                continue
            looked += 1
            if looked % 2 == 0:
                yield
            ticks = fit_ticks(marks[chosen], height)
            if ticks is not None and ticks.span_px > least and _beset(marks[chosen], ink) <= MOST_BESET:
                found.append(ticks)
    return found


def _core(sector: Sector, height: int) -> NDArray[np.bool_]:
    """Return the sector's inner part, where marks are markers and not the ruler."""
    side = 2 * round(0.06 * height / 4) + 1
    mask = np.ascontiguousarray(sector.mask).view(np.uint8)
    small = cv2.resize(mask, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_NEAREST)
    eroded = cv2.erode(small, np.ones((side, side), np.uint8), borderValue=(0,))
    whole = cv2.resize(eroded, mask.shape[::-1], interpolation=cv2.INTER_NEAREST)
    return np.asarray(whole, dtype=np.uint8).view(np.bool_)


def _beset(marks: Values, bright: NDArray[np.uint8]) -> float:
    """Return the share of marks with other strokes close beside them: letters of words, not ticks with few numbers."""
    near = round(0.02 * bright.shape[0])
    beset = 0
    for x, y, width, height in marks[:, :4]:
        rows = slice(max(0, int(y - height / 2)), int(y + height / 2) + 1)
        left = bright[rows, max(0, int(x) - near) : max(0, int(x) - 1)]
        right = bright[rows, int(x + width) + 1 : int(x + width) + 1 + near]
        beset += bool(left.any() or right.any())
    return beset / len(marks)


def _small_marks(pixels: NDArray[np.uint8], bright: NDArray[np.uint8]) -> Values:
    """Return (n, 6) of small bright marks: x, y centre, width, height, area, coloured (0 or 1)."""
    height = pixels.shape[0]
    count, _, stats, centres = pieces_of(bright)
    w, h = stats[1:, cv2.CC_STAT_WIDTH], stats[1:, cv2.CC_STAT_HEIGHT]
    small = np.flatnonzero((w <= 0.035 * height) & (h <= 0.012 * height + 2)) + 1
    if count < 2 or len(small) == 0:
        return np.zeros((0, 6))
    x, y = centres[small].round().astype(int).T
    coloured = np.ptp(pixels[y, x].astype(np.int16), axis=1) > COLOURED
    left, area = stats[small, cv2.CC_STAT_LEFT], stats[small, cv2.CC_STAT_AREA]
    rows = (left, centres[small, 1], stats[small, cv2.CC_STAT_WIDTH], stats[small, cv2.CC_STAT_HEIGHT], area, coloured)
    return np.stack([np.asarray(row, dtype=np.float64) for row in rows], axis=1)


def _columns(anchor: Values, reach: float) -> list[NDArray[np.int64]]:
    """Return the largest groups of marks whose anchors lie within ``reach`` pixels of each other."""
    order = np.argsort(anchor, kind="stable")
    ends = np.searchsorted(anchor[order], anchor[order] + reach, side="right")
    counts = ends - np.arange(len(ends))
    groups: list[tuple[float, NDArray[np.int64]]] = []
    for start in np.argsort(-counts, kind="stable"):
        if counts[start] < FEWEST_TICKS or len(groups) == MOST_COLUMNS:
            break
        at = float(anchor[order[start]])
        if all(abs(at - other) > reach for other, _ in groups):
            groups.append((at, order[start : ends[start]]))
    return [group for _, group in groups]


def fit_ticks(marks: Values, height: int) -> Ticks | None:
    """Return the regular ticks among marks of one column, or None: most marks fit, few ticks are missing."""
    marks = marks[np.argsort(marks[:, 1])]
    y = marks[:, 1]
    best: tuple[float, NDArray[np.int64], NDArray[np.bool_]] | None = None
    for start in range(min(4, len(y) - 1)):
        steps = np.unique(np.round(np.diff(y[start:])[:6], 1))
        for spacing in steps[steps >= max(4.0, 0.006 * height)]:
            turns = (y - y[start]) / spacing
            if int((np.abs(turns - np.round(turns)) < 0.2).sum()) < FEWEST_TICKS:
                continue
            numbers, fit = _numbered(y, float(y[start]), float(spacing), height)
            score = int(fit.sum()) - 0.7 * _missing(numbers[fit]) - 0.5 * int((~fit).sum())
            if best is None or score > best[0]:
                best = (score, numbers, fit)
    if best is None:
        return None
    _, numbers, fit = best
    numbers, chosen = numbers[fit], marks[fit]
    lost = _missing(numbers)
    most_lost = (0.3 if len(numbers) >= MANY_TICKS else 0.2) * len(numbers)
    if len(numbers) < FEWEST_TICKS or lost > most_lost or int((~fit).sum()) > 0.25 * len(y):
        return None
    spacing = _line(numbers, chosen[:, 1])[0]
    regularity = len(numbers) / (len(numbers) + lost + int((~fit).sum()))
    span = float(np.ptp(chosen[:, 1]))
    return Ticks(spacing, numbers, chosen[:, [2, 4]], chosen[:, 5] > 0, regularity, span)


def _numbered(y: Values, origin: float, spacing: float, height: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return each mark's tick number and whether it lies on a tick.

    The spacing is refined along the way, over ever more ticks: a first guess in whole pixels counts wrong after few.
    """
    reach, last = 3.0, float(np.ptp(y)) / spacing
    while True:
        numbers = np.round((y - origin) / spacing).astype(np.int64)
        away = np.abs(y - origin - numbers * spacing)
        near = (away <= LOOSE * spacing) & (np.abs(y - origin) <= (reach + 0.5) * spacing)
        if int(near.sum()) < 3 or np.ptp(numbers[near]) < 2 or reach > 4 * last:
            return numbers, away <= max(1.0, height / 720, 0.04 * spacing)
        spacing, origin = _line(numbers[near], y[near])
        reach *= 2


def _line(numbers: NDArray[np.int64], y: Values) -> tuple[float, float]:
    """Return (slope, offset) of the least-squares line y over numbers."""
    middle, level = numbers.mean(), y.mean()
    away = numbers - middle
    slope = float(away @ (y - level) / (away @ away))
    return slope, float(level - slope * middle)


def _missing(numbers: NDArray[np.int64]) -> int:
    """Return how many ticks between the first and the last were not seen, plus those seen twice."""
    if len(numbers) == 0:
        return 0
    unique = len(np.unique(numbers))
    return int(np.ptp(numbers)) + 1 - unique + (len(numbers) - unique)
