"""Outline: the straight sides, the top and the bottom that bound lit pixels, found by support and not by extremes.

Scan geometry: a curved or phased array draws between two sides that meet in an apex, a top arc and a bottom arc around
it; a linear array draws a rectangle, a parallelogram or a trapezoid. Text that touches the image is an outlier here:
every edge is the one on which most boundary pixels agree while few lie beyond it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import atan, cos, hypot, sin

import numpy as np
from numpy.typing import NDArray

from edge_app.imaging.scene import Point, SectorKind

Values = NDArray[np.float64]
STEEPEST = 1.9  # dx/dy of a side: a half angle of 62 degrees
PARALLEL = 0.035  # sides whose slopes differ by less never meet on any screen
TOLERANCE = 0.9  # small pixels between a boundary pixel and the edge it supports
POINTED = 0.22  # of the depth from the apex: a top so near to it is no linear array's
ARC_STEPS = 48


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
    """The four edges of a sector in small-picture pixels; ``apex`` is None where the sides do not meet."""

    left: Side
    right: Side
    top: Edge
    bottom: Edge
    apex: Point | None

    @property
    def kind(self) -> SectorKind:
        """The shape's name; a fan whose top arc has nearly no radius is a phased array's."""
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
        first, last = atan(self.left.slope), atan(self.right.slope)
        angles = [first + (last - first) * i / ARC_STEPS for i in range(ARC_STEPS + 1)]
        return [(self.apex[0] + edge.position * sin(a), self.apex[1] + edge.position * cos(a)) for a in angles]


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
    best = (-np.inf, 0.0, 0.0)
    for slope in slopes.tolist():
        offset, score = supported_edge(edge - slope * rows, TOLERANCE * hypot(1.0, slope))
        best = max(best, (score, offset, slope))
    return best


def supported_edge(values: Values, reach: float, beyond: float = 1.0) -> tuple[float, float]:
    """Return (position, score) of the lower edge of ``values``: most values within ``reach``, few below it."""
    ordered = np.sort(values)
    low = np.arange(len(ordered))
    high = np.searchsorted(ordered, ordered + 2 * reach, side="right")
    scores = (high - low) - beyond * low
    index = int(np.argmax(scores))
    return float(ordered[index : high[index]].mean()), float(scores[index])


def _apex(left: Side, right: Side) -> Point | None:
    """Return where the sides meet above the picture's middle, or None for parallel ones."""
    opening = right.slope - left.slope
    if opening < PARALLEL:
        return None
    y = (left.offset - right.offset) / opening
    return left.at(y), y


def _with_ends(lit: NDArray[np.bool_], left: Side, right: Side, apex: Point | None) -> Outline | None:
    """Add top and bottom: an arc where an apex is and the arc is the better supported, else a level line."""
    inside = lit & wedge(lit.shape, left, right)
    columns = np.flatnonzero(inside.any(axis=0))
    if len(columns) < 8:
        return None
    if apex is None:
        top_y = np.argmax(inside[:, columns], axis=0).astype(np.float64)
        bottom_y = lit.shape[0] - 1.0 - np.argmax(inside[::-1, columns], axis=0)
        top, bottom = _edge(top_y, False), _turned(_edge(-bottom_y, False))
    else:
        cosine, near, far = _radii(inside, apex, left, right)
        half = (atan(right.slope) - atan(left.slope)) / 2
        arc, level = _edge(near, True), _edge(apex[1] + near * cosine, False)
        pointed = level.position - apex[1] < POINTED * float(far.max())
        top = _grown(arc, 0.0) if pointed else _arc_or_level(arc, level, half)
        ends = _turned(_edge(-far, True)), _turned(_edge(-apex[1] - far * cosine, False))
        bottom = _arc_or_level(*ends, half)
    return Outline(left, right, _grown(top, -0.5), _grown(bottom, 0.5), apex)


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


def _radii(inside: NDArray[np.bool_], apex: Point, left: Side, right: Side) -> tuple[Values, Values, Values]:
    """Return (cosine, first, last lit radius) of rays from the apex, of those that meet a lit pixel."""
    y, x = np.nonzero(inside)
    dx, dy = x - apex[0], y - apex[1]
    forward = dy > 0.5
    angle, radius = np.arctan2(dx[forward], dy[forward]), np.hypot(dx[forward], dy[forward])
    low, high = atan(left.slope), atan(right.slope)
    rays = max(24, int((high - low) * float(radius.max(initial=1.0)) / 2))
    ray = np.clip(((angle - low) / (high - low) * rays).astype(np.int64), 0, rays - 1)
    near, far = np.full(rays, np.inf), np.full(rays, -np.inf)
    np.minimum.at(near, ray, radius)
    np.maximum.at(far, ray, radius)
    met = np.isfinite(near)
    middle = low + (np.arange(rays) + 0.5) * (high - low) / rays
    return np.cos(middle)[met], near[met], far[met]
