"""Band: the fan of a curved probe in air, where only the arc under the probe is lit, and perhaps noise at its end.

Sides that are hardly longer than the band is thick cannot be seen as lines. But the band is part of a circle and ends
alike on both sides, and where there is noise at the image's end, a side is the line that touches both.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import atan, tan

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.imaging.outline import Edge, Outline, Side, supported_edge

Mask = NDArray[np.bool_]
Values = NDArray[np.float64]
Whole = NDArray[np.int64]

NARROWEST = 30  # columns of a band
THICKEST = 0.4  # of its width
SLANTED = 0.15  # of its columns at each end begin at a side, not at its top
SAG = 2.5  # pixels that the middle of the others lies lower than their ends
ON_CIRCLE = 1.0  # pixels
ROUND = 0.75  # of the columns begin on the circle
HALF_ANGLES = (0.2, 1.1)  # of a curved probe, radians
LEAN = 0.12  # radians by which the two sides may differ: a steered image is another shape
RAGGED = 0.05  # radians about which the rings of a band end at one side
WIDER = 0.25  # dx/dy by which a side may lean otherwise than the band's rings say: wide views are steered outwards
ALIKE = 0.08  # dx/dy of the two sides
FAR = 1.6  # times the band's outer radius: the nearest end of the image
ENDS = 0.3  # of the rays end on one circle, where the end of the image is seen


@dataclass(frozen=True, slots=True)
class _Circle:
    x: float
    y: float
    radius: float
    support: float


def fan_of_band(band: Mask, lit: Mask) -> tuple[Outline, Mask] | None:
    """Return the fan of one lit piece bool (h, w) that is a band under a curved probe, and what of it and ``lit`` is.

    ``lit`` is all that may be image: noise at the image's end gives its depth, else the fan ends where the band does.
    None where the piece is no such band.
    """
    lengths = np.count_nonzero(band, axis=0)
    lengths = lengths[lengths > 0]
    if len(lengths) < NARROWEST or np.median(lengths) > THICKEST * len(lengths):
        return None
    first, thick = _longest_runs(band)
    columns = np.flatnonzero(thick)
    if len(columns) < NARROWEST or np.median(thick[columns]) > THICKEST * len(columns):
        return None
    inner = columns[round(SLANTED * len(columns)) : round((1 - SLANTED) * len(columns))]
    circle = _circle(inner, first[inner])
    if circle is None:
        return None
    rows = np.arange(band.shape[0])[:, None]
    arc = np.asarray(band & (rows >= first) & (rows < first + thick), dtype=np.bool_)
    slope = _slope(arc, circle)
    if slope is None:
        return None
    outer = float(np.percentile(_polar(arc, circle.x, circle.y)[1], 98))
    beyond = _farther(lit, circle, FAR * outer)
    return _fan(arc, beyond, circle, _better(slope, _touching(arc, beyond, circle.x))), arc | beyond


def _better(slope: float, touching: tuple[float, ...]) -> float:
    """Return the slope of both sides: what touches band and noise alike on both sides, or leans out more on one.

    Something on the screen may hide one end of the noise, and short sides are not measured well.
    """
    found = [one for one in touching if abs(one - slope) < WIDER]
    if len(found) == 2 and abs(found[0] - found[1]) < ALIKE:
        return sum(found) / 2
    return max([slope, *found])


def _fan(arc: Mask, beyond: Mask, circle: _Circle, slope: float) -> Outline:
    """Return the fan whose sides lean by ``slope``, dx/dy, and touch the arc."""
    rows, columns = np.nonzero(arc)
    y = float(np.median(np.sort(rows - np.abs(columns - circle.x) / slope)[:5]))  # of the apex
    near, ends = np.percentile(_polar(arc, circle.x, y)[1], (2, 98))
    radius, seen = _depth(beyond, (circle.x, y), atan(slope), float(ends))
    left, right = (Side(circle.x - lean * y, lean, circle.support) for lean in (-slope, slope))
    return Outline(
        left, right, Edge(float(near), circle.support, arc=True), Edge(radius + 0.5, seen, arc=True), (circle.x, y)
    )


def _longest_runs(band: Mask) -> tuple[Whole, Whole]:
    """Return the first row and the length of the longest lit run of each column, 0 where that is not of the band.

    Words above a band are none of it: they are shorter, and do not join it.
    """
    run = np.zeros(band.shape[1], np.int64)
    longest, end = run.copy(), run.copy()
    for row in np.flatnonzero(band.any(axis=1)).tolist():
        run = np.where(band[row], run + 1, 0)
        end = np.where(run > longest, row, end)
        longest = np.maximum(longest, run)
    first = end - longest + 1
    rows = np.arange(band.shape[0])[:, None]
    solid = (band & (rows >= first) & (rows <= end)).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(solid, connectivity=8)
    if count < 2:
        return first, np.zeros_like(longest)
    main = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    return first, np.where((np.asarray(labels) == main).any(axis=0), longest, 0)


def _circle(columns: Whole, top: Whole) -> _Circle | None:
    """Return the circle through most of the points, or None where they lie on none that hangs down."""
    x, y = columns.astype(np.float64), top.astype(np.float64)
    if float(np.median(y) - (y[0] + y[-1]) / 2) < SAG:
        return None
    near = np.ones(len(x), np.bool_)
    for _ in range(4):
        left = np.column_stack([2 * x[near], 2 * y[near], np.ones(int(near.sum()))])
        (cx, cy, rest), *_ = np.linalg.lstsq(left, x[near] ** 2 + y[near] ** 2, rcond=None)
        square = float(rest + cx * cx + cy * cy)
        if square <= 0 or cy >= y.min():
            return None
        away = np.abs(np.hypot(x - cx, y - cy) - square**0.5)
        near = away <= max(ON_CIRCLE, 2 * float(np.median(away)))
        if int(near.sum()) < NARROWEST // 2:
            return None
    support = float((away <= ON_CIRCLE).mean())
    return _Circle(float(cx), float(cy), square**0.5, support) if support >= ROUND else None


def _polar(mask: Mask, x: float, y: float) -> tuple[Values, Values]:
    """Return angles from straight down, radians, and radii of the pixels of a mask."""
    rows, columns = np.nonzero(mask)
    return np.arctan2(columns - x, rows - y), np.hypot(columns - x, rows - y)


def _slope(arc: Mask, circle: _Circle) -> float | None:
    """Return by how much the sides lean out, dx/dy, as most rings of the arc end; None where they end raggedly."""
    angle, away = _polar(arc, circle.x, circle.y)
    ring = np.round(away).astype(np.int64)
    ring -= ring.min()
    counts = np.bincount(ring)
    first, last = np.full(len(counts), np.inf), np.full(len(counts), -np.inf)
    np.minimum.at(first, ring, angle)
    np.maximum.at(last, ring, angle)
    full = counts >= 0.5 * np.percentile(counts, 90)
    left, right = float(np.median(first[full])), float(np.median(last[full]))
    ragged = max(float(np.median(np.abs(a[full] - end))) for a, end in ((first, left), (last, right)))
    if ragged > RAGGED or abs(left + right) > LEAN or not HALF_ANGLES[0] < (right - left) / 2 < HALF_ANGLES[1]:
        return None
    return tan((right - left) / 2)


def _farther(lit: Mask, circle: _Circle, radius: float) -> Mask:
    """Return what is lit at more than ``radius`` from the circle's middle."""
    rows, columns = np.ogrid[: lit.shape[0], : lit.shape[1]]
    return np.asarray(lit & (np.hypot(columns - circle.x, rows - circle.y) > radius), dtype=np.bool_)


def _touching(arc: Mask, beyond: Mask, middle: float) -> tuple[float, ...]:
    """Return by how much the lines lean out, dx/dy, that touch the arc and what is beyond, left and right."""
    if not beyond.any():
        return ()
    low = int(np.flatnonzero(arc.any(axis=1))[-1])
    points = np.argwhere(arc | beyond)[:, ::-1].astype(np.int32)
    hull = np.asarray(cv2.convexHull(points)).reshape(-1, 2)
    found = []
    for (ax, ay), (bx, by) in zip(hull.tolist(), np.roll(hull, 1, axis=0).tolist(), strict=True):
        if min(ay, by) <= low < max(ay, by):
            out = (bx - ax) / (by - ay)
            found.append(out if ax + bx > 2 * middle else -out)
    return tuple(found)


def _depth(beyond: Mask, apex: tuple[float, float], half: float, outer: float) -> tuple[float, float]:
    """Return the radius at which the image ends, and the share of rays that say so."""
    angle, away = _polar(beyond, *apex)
    between = np.abs(angle) < half
    if not between.any():
        return outer, 1.0
    rays = max(24, int(2 * half * outer))
    ray = ((angle[between] / half + 1) / 2 * rays).astype(np.int64)
    far = np.full(rays, -np.inf)
    np.maximum.at(far, np.clip(ray, 0, rays - 1), away[between])
    met = far[np.isfinite(far)]
    radius = -supported_edge(-met, 1.5, beyond=0.7)[0]
    seen = float((np.abs(met - radius) <= 2.5).sum()) / rays
    return (radius, seen) if seen >= ENDS else (outer, 1.0)
