"""Outline: the straight sides, the top and the bottom that bound lit pixels, found by support and not by extremes.

Scan geometry: a curved or phased array draws between two sides that meet in an apex, a top arc and a bottom arc around
it; a linear array draws a rectangle, a parallelogram or a trapezoid. Text that touches the image is an outlier here:
every edge is the one on which most boundary pixels agree while few lie beyond it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import atan, cos, hypot, sin

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.imaging.scene import Point, SectorKind

Values = NDArray[np.float64]
STEEPEST = 1.9  # dx/dy of a side: a half angle of 62 degrees
PARALLEL = 0.035  # sides whose slopes differ by less never meet on any screen
TOLERANCE = 0.9  # small pixels between a boundary pixel and the edge it supports
POINTED = 0.22  # of the depth from the apex: a top so near to it is no linear array's
TOP_PART = 0.3  # of the lit rows
ARC_STEPS = 48
STRETCHES = (0.7, 0.75, 0.8, 0.84, 0.89, 0.94, 1.0, 1.06, 1.12, 1.19, 1.26, 1.34, 1.42)
CIRCLE = 0.35  # support of a bottom arc below which no stretch is concluded from it
CLEARLY = 0.12  # more support than square pixels have


@dataclass(frozen=True, slots=True)
class Side:
    """The line x = offset + slope * y, and the share of boundary pixels that lie on it."""

    offset: float
    slope: float
    support: float

    def at(self, y: float) -> float:
        """Return x on the line at ``y``."""
        return self.offset + self.slope * y


@dataclass(frozen=True, slots=True)
class Edge:
    """A top or bottom: an arc of radius ``position`` around the apex, or a level line y = ``position``."""

    position: float
    support: float
    arc: bool


@dataclass(frozen=True, slots=True)
class Outline:
    """The four edges of a sector in small-picture pixels; ``apex`` is None where the sides do not meet.

    ``stretch`` is how many widths of a pixel are as long as its height: not 1 where a grabber did not keep the
    picture's aspect. Radii are in widths.
    """

    left: Side
    right: Side
    top: Edge
    bottom: Edge
    apex: Point | None
    stretch: float = 1.0
    kind_unknown: bool = False

    @property
    def kind(self) -> SectorKind:
        """The shape's name; a fan whose top arc has nearly no radius is a phased array's."""
        if self.kind_unknown:
            return "unknown"
        if self.apex is None:
            return "linear"
        if not self.top.arc:
            return "trapezoid"
        return "phased" if self.top.position < 0.1 * self.bottom.position else "convex"

    @property
    def support(self) -> float:
        """How well the edges are seen, 0..1: the mean of the four."""
        return (self.left.support + self.right.support + self.top.support + self.bottom.support) / 4

    def polygon(self) -> tuple[Point, ...]:
        """Return the closed outline, clockwise from the top left."""
        top = self._run(self.top)
        bottom = self._run(self.bottom)
        return (*top, *reversed(bottom))

    def _run(self, edge: Edge) -> list[Point]:
        """Points along ``edge`` from the left side to the right one."""
        if self.apex is None or not edge.arc:
            x0, x1 = self.left.at(edge.position), self.right.at(edge.position)
            steps = 1 if self.apex is None else ARC_STEPS  # as many points at the top as at the bottom
            return [(x0 + (x1 - x0) * i / steps, edge.position) for i in range(steps + 1)]
        first, last = atan(self.left.slope / self.stretch), atan(self.right.slope / self.stretch)
        angles = [first + (last - first) * i / ARC_STEPS for i in range(ARC_STEPS + 1)]
        (x, y), radius = self.apex, edge.position
        return [(x + radius * sin(a), y + radius * cos(a) / self.stretch) for a in angles]


def fit_outline(lit: NDArray[np.bool_]) -> Outline | None:
    """Return the outline of the lit pixels of a bool (h, w) picture, or None where no two sides can be seen."""
    rows = np.flatnonzero(lit.any(axis=1))
    if len(rows) < 12:
        return None
    width = lit.shape[1]
    first = np.argmax(lit[rows], axis=1).astype(np.float64)
    last = width - 1.0 - np.argmax(lit[rows][:, ::-1], axis=1)
    left, right = _sides(rows.astype(np.float64), first, last, width)
    if left is None or right is None or right.at(rows.mean()) - left.at(rows.mean()) < 12:
        return None
    apex = _apex(left, right)
    if apex is not None and apex[1] > rows[0] + 0.25 * len(rows):
        return None
    return _with_ends(lit, left, right, apex)


def _sides(rows: Values, first: Values, last: Values, width: int) -> tuple[Side | None, Side | None]:
    """Fit both sides; a side that is badly seen is looked for again at the mirrored slope of the other."""
    inner = first > 1
    left = fit_side(rows[inner], first[inner])
    inner = last < width - 2
    mirrored = fit_side(rows[inner], width - 1 - last[inner])
    left, mirrored = _lean(left, mirrored, rows, first), _lean(mirrored, left, rows, width - 1 - last)
    right = None if mirrored is None else Side(width - 1 - mirrored.offset, -mirrored.slope, mirrored.support)
    return left, right


def _lean(side: Side | None, other: Side | None, rows: Values, edge: Values) -> Side | None:
    """Return ``side``, or where it is weak and the other is not, the line of the other's slope that fits best."""
    if other is None or (side is not None and (side.support > 0.25 or side.support > 0.6 * other.support)):
        return side
    alike = fit_side(rows, edge, slopes=np.linspace(other.slope - 0.03, other.slope + 0.03, 7))
    return alike or side


def fit_side(rows: Values, edge: Values, slopes: Values | None = None) -> Side | None:
    """Return the left side of boundary pixels (``edge`` x at ``rows`` y), or None where there are too few.

    The line is the one with the most pixels on it less those outside (to the left); least squares refines it.
    """
    if len(rows) < 8:
        return None
    if slopes is None:
        _, _, rough = _best_line(rows, edge, np.arange(-STEEPEST, 0.3, 0.04))
        slopes = np.linspace(rough - 0.04, rough + 0.04, 9)
    score, offset, slope = _best_line(rows, edge, slopes)
    upright = _best_line(rows, edge, np.zeros(1))
    near = np.abs(edge - slope * rows - offset) <= 1.6 * hypot(1.0, slope)
    support = float(near.mean())
    if upright[0] >= 0.9 * score:  # a side that can be upright is upright
        return Side(upright[1] - 0.5, 0.0, support)
    if np.ptp(rows[near]) > 6:
        slope, offset = (float(v) for v in np.polyfit(rows[near], edge[near], 1))
    return Side(offset - 0.5, slope, support)


def _best_line(rows: Values, edge: Values, slopes: Values) -> tuple[float, float, float]:
    """Return (score, offset, slope) of the slope on whose line most pixels lie, few outside."""
    reach = TOLERANCE * np.hypot(1.0, slopes)
    offsets, scores = supported_edges(edge[None, :] - slopes[:, None] * rows[None, :], reach)
    best = int(np.argmax(scores))
    return float(scores[best]), float(offsets[best]), float(slopes[best])


def supported_edge(values: Values, reach: float, beyond: float = 1.0) -> tuple[float, float]:
    """Return (position, score) of the lower edge of ``values``: most values within ``reach``, few below it."""
    positions, scores = supported_edges(values[None, :], np.array([reach]), beyond)
    return float(positions[0]), float(scores[0])


def supported_edges(values: Values, reach: Values, beyond: float = 1.0) -> tuple[Values, Values]:
    """Return the same for each row of ``values`` (n, m), with a ``reach`` (n,) of its own."""
    ordered = np.sort(values, axis=1)
    count, length = ordered.shape
    apart = (np.arange(count) * (4.0 * np.abs(ordered).max(initial=1.0) + 4.0 * reach.max(initial=0.0)))[:, None]
    shifted = ordered + apart  # rows one after another on one axis: a single search serves them all
    ends = np.searchsorted(shifted.ravel(), (shifted + 2 * reach[:, None]).ravel(), side="right").reshape(count, length)
    low = np.arange(length)
    high = ends - (np.arange(count) * length)[:, None]
    scores = (high - low) - beyond * low
    index = np.argmax(scores, axis=1)
    rows = np.arange(count)
    total = np.concatenate([np.zeros((count, 1)), np.cumsum(ordered, axis=1)], axis=1)
    last = high[rows, index]
    positions = (total[rows, last] - total[rows, index]) / (last - index)
    return np.asarray(positions, dtype=np.float64), np.asarray(scores[rows, index], dtype=np.float64)


def _apex(left: Side, right: Side) -> Point | None:
    """Return where the sides meet above the picture's middle, or None for parallel ones."""
    opening = right.slope - left.slope
    if opening < PARALLEL:
        return None
    y = (left.offset - right.offset) / opening
    return left.at(y), y


def _with_ends(lit: NDArray[np.bool_], left: Side, right: Side, apex: Point | None) -> Outline | None:
    """Add top and bottom: an arc where an apex is and the arc is the better supported, else a level line."""
    if apex is not None:
        rays = _rays(lit, apex, left, right)
        return None if rays is None else _fan(rays, left, right, apex)
    inside = lit & wedge(lit.shape, left, right)
    columns = np.flatnonzero(inside.any(axis=0))
    if len(columns) < 8:
        return None
    top_y = np.argmax(inside[:, columns], axis=0).astype(np.float64)
    bottom_y = lit.shape[0] - 1.0 - np.argmax(inside[::-1, columns], axis=0)
    top, bottom = _edge(top_y, False), _turned(_edge(-bottom_y, False))
    return Outline(left, right, _grown(top, -0.5), _grown(bottom, 0.5), None)


def _fan(rays: _Rays, left: Side, right: Side, apex: Point) -> Outline:
    stretch = _stretch(rays)
    near, far = rays.radii(stretch)
    half = (atan(right.slope / stretch) - atan(left.slope / stretch)) / 2
    arc, level = _edge(near, True), _edge(apex[1] + rays.near, False)
    pointed = level.position - apex[1] < POINTED * float(rays.far.max())
    top = _grown(arc, 0.0) if pointed else _arc_or_level(arc, level, half)
    ends = _turned(_edge(-far, True)), _turned(_edge(-apex[1] - rays.far, False))
    bottom = _arc_or_level(*ends, half)
    return Outline(left, right, _grown(top, -0.5), _grown(bottom, 0.5), apex, stretch)


def _stretch(rays: _Rays) -> float:
    """Return the stretch under which the fan's bottom is most nearly a circle; 1 unless another is clearly better."""
    best, square = (0.0, 1.0), 0.0
    for stretch in STRETCHES:
        _, far = rays.radii(stretch)
        position = -supported_edge(-far, 1.2, beyond=0.7)[0]
        support = float((np.abs(far - position) <= 1.5).mean())
        square = support if stretch == 1.0 else square
        best = max(best, (support, stretch))
    return best[1] if best[0] > max(CIRCLE, square + CLEARLY) else 1.0


def _turned(edge: Edge) -> Edge:
    return Edge(-edge.position, edge.support, edge.arc)


def _arc_or_level(arc: Edge, level: Edge, half_angle: float) -> Edge:
    """Return the better supported; where the arc cannot be told from its chord it is a level line, a point an arc."""
    if arc.position < 8:
        return Edge(max(0.0, arc.position), arc.support, True)
    return arc if _bent(arc.position, half_angle) and arc.support >= 0.9 * level.support else level


def _bent(radius: float, half_angle: float) -> bool:
    """Whether an arc leaves its chord by more than can be measured here."""
    return radius * (1 - cos(half_angle)) > 1.5


def _grown(edge: Edge, by: float) -> Edge:
    return Edge(max(0.0, edge.position + by), edge.support, edge.arc)


def _edge(values: Values, arc: bool) -> Edge:
    """Return the lower edge of ``values`` and the share of them on it."""
    position, _ = supported_edge(values, 1.2, beyond=0.7)
    return Edge(position, float((np.abs(values - position) <= 2.0).mean()), arc)


def wedge(shape: tuple[int, ...], left: Side, right: Side) -> NDArray[np.bool_]:
    """Return the bool picture between the two sides, half a pixel wider."""
    y, x = np.ogrid[: shape[0], : shape[1]]
    between = (x >= left.offset + left.slope * y - 0.5) & (x <= right.offset + right.slope * y + 0.5)
    return np.asarray(between, dtype=np.bool_)


@dataclass(frozen=True, slots=True, eq=False)
class _Rays:
    """Rays from the apex that meet a lit pixel: dx/dy of each, and dy of its first and of its last lit pixel."""

    slope: Values
    near: Values
    far: Values

    def radii(self, stretch: float) -> tuple[Values, Values]:
        """Return the first and last lit radius of each ray, pixel widths."""
        along = np.hypot(self.slope, stretch)
        return self.near * along, self.far * along


def _rays(lit: NDArray[np.bool_], apex: Point, left: Side, right: Side) -> _Rays | None:
    """Return the rays between the sides, or None where hardly one meets a lit pixel."""
    dx, dy = _rim(lit, apex, left, right)
    if len(dx) < 8:
        return None
    angle, radius = np.arctan2(dx, dy), np.hypot(dx, dy)
    low, high = atan(left.slope), atan(right.slope)
    count = max(24, int((high - low) * float(radius.max()) / 2))
    ray = np.clip(((angle - low) / (high - low) * count).astype(np.int64), 0, count - 1)
    near, far = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(near, ray, radius)
    np.maximum.at(far, ray, radius)
    met = np.isfinite(near)
    middle = low + (np.arange(count) + 0.5) * (high - low) / count
    cosine = np.cos(middle)[met]
    return _Rays(np.tan(middle)[met], near[met] * cosine, far[met] * cosine)


def _rim(lit: NDArray[np.bool_], apex: Point, left: Side, right: Side) -> tuple[Values, Values]:
    """Return (dx, dy) from the apex of the lit pixels that have a dark neighbour and lie between the sides.

    Near the top all lit pixels are taken: there a pixel is wider than a ray.
    """
    solid = lit.astype(np.uint8)
    inner = cv2.erode(solid, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0.0)
    rows = np.flatnonzero(lit.any(axis=1))
    inner[: int(rows[0] + TOP_PART * (rows[-1] - rows[0]))] = 0
    y, x = np.nonzero(solid > inner)
    between = (x >= left.offset + left.slope * y - 0.5) & (x <= right.offset + right.slope * y + 0.5)
    between &= y > apex[1] + 0.5
    return (x[between] - apex[0]).astype(np.float64), (y[between] - apex[1]).astype(np.float64)
