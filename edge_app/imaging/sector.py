"""Sector: where on the screen the ultrasound image is."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.capture.base import ScreenRegion
from edge_app.imaging.backdrop import Backdrop, find_backdrop
from edge_app.imaging.evidence import Evidence, colourful, shrink, thinned
from edge_app.imaging.outline import Edge, Outline, fit_outline
from edge_app.imaging.scene import Point, Sector
from edge_app.imaging.whole import whole_picture

Mask = NDArray[np.bool_]
THRESHOLDS = (24, 12, 6, 2, 0)
"""Grey levels over the screen's black that count as lit; the faintest serves lossless pictures of a dark fan."""

SMALLEST_SHARE = 0.006  # of the picture: less lit texture is no ultrasound image
STROKES = 45.0  # local standard deviation above which small pixels belong to letters, not to tissue
LOSSLESS_BLACK = 0.4  # share of pure black above which one grey level over black is a signal
THIN = 0.03  # of the picture: a strip so thin is a grey or a colour bar
SMALLEST_PART = 0.25  # of a declared region: a shape smaller than this is a lit corner of a dark image
MOST_GAPS = 5  # dark stretches between lit rows: more than tissue has, fewer than a page of text
WHOLE_LIT = 6  # grey levels over black that count as lit where the whole picture is ultrasound
MOST_COLOUR = 0.55  # of an image, beyond its own tint: more than a colour box covers
GOOD = 0.93  # merit above which no fainter threshold is tried
ENOUGH = 0.45  # confidence below which nothing is claimed


def find_sector(pixels: NDArray[np.uint8], regions: tuple[ScreenRegion, ...] = ()) -> Sector | None:
    """Return the ultrasound image's place in one RGB uint8 (H, W, 3) still, or None where none is seen."""
    small, factor = shrink(pixels)
    evidence = Evidence(small, np.zeros_like(small), factor, 1, thinned(pixels))
    return find_sector_in(evidence, (pixels.shape[1], pixels.shape[0]), regions)


def find_sector_in(evidence: Evidence, size: tuple[int, int], regions: tuple[ScreenRegion, ...] = ()) -> Sector | None:
    """Return the ultrasound image's place seen in ``evidence`` of frames of ``size`` (width, height), or None.

    A region that the file itself declares wins: the shape is looked for inside it only, and it is the answer where no
    shape is seen.
    """
    region = declared_region(regions, size)
    window = _small_window(region, evidence)
    backdrop = find_backdrop(evidence.brightest)
    found: _Found | None = None
    for threshold in THRESHOLDS:
        candidate = _outline_at(evidence, backdrop, window, threshold)
        if candidate is not None and (found is None or candidate.merit > found.merit + 0.02):
            found = candidate
        if found is not None and found.merit > GOOD:
            break
    if region is None:
        found = _or_whole(found, evidence, backdrop)
    if found is not None and _is_colour_picture(found.outline, evidence):
        found = None
    if found is None or found.confidence < ENOUGH:
        return None if region is None else _rectangle(region, size)
    outline = found.outline if region is None else reaching(found.outline, region[3] / evidence.factor)
    sector = _sector(outline, found.confidence, evidence.factor, (size, region))
    if region is not None and sector.mask.sum() < SMALLEST_PART * _area(region):
        return _rectangle(region, size)
    return sector


@dataclass(frozen=True, slots=True)
class _Found:
    """An outline, how well the lit pixels agree with it, and that weighed with its size."""

    outline: Outline
    confidence: float
    merit: float


def _or_whole(found: _Found | None, evidence: Evidence, backdrop: Backdrop) -> _Found | None:
    """Return ``found``, or the whole picture where that is the better account of what is lit."""
    outline = whole_picture(evidence.brightest, backdrop)
    if outline is None:
        return found
    filled = float((backdrop.over > WHOLE_LIT).mean())
    confidence = outline.support * (0.5 + 0.5 * filled)
    return found if found is not None and found.confidence > confidence else _Found(outline, confidence, confidence)


def _is_colour_picture(outline: Outline, evidence: Evidence) -> bool:
    """Whether most of what was found has many colours: a camera's picture or a desktop, never an ultrasound image."""
    height, width = evidence.thin.shape[:2]
    shape = np.zeros((height, width), np.uint8)
    scale = np.array([width / evidence.brightest.shape[1], height / evidence.brightest.shape[0]])
    cv2.fillPoly(shape, [np.round(np.array(outline.polygon()) * scale).astype(np.int32)], (1,))
    inside = evidence.thin[shape > 0]
    return inside.size > 0 and float(colourful(inside).mean()) > MOST_COLOUR


def reaching(outline: Outline, bottom: float) -> Outline:
    """Return a fan drawn down to ``bottom``, small pixels, where its own depth is dark and its end was not seen."""
    if outline.apex is None or not outline.top.arc:
        return outline
    radius = (bottom - outline.apex[1]) * outline.stretch
    if radius <= 1.1 * outline.bottom.position:
        return outline
    return replace(outline, bottom=Edge(radius, outline.bottom.support, arc=True))


def declared_region(regions: tuple[ScreenRegion, ...], size: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """Return the largest declared image region that lies inside the picture, or None.

    A file whose regions reach far beyond its own pixels was resized after they were written: they are not believed.
    """
    width, height = size
    best: tuple[int, int, int, int] | None = None
    for region in regions:
        x0, y0, x1, y1 = region.bbox
        fits = x0 >= 0 and y0 >= 0 and x1 <= width + 2 and y1 <= height + 2 and x1 - x0 > 16 and y1 - y0 > 16
        box = (x0, y0, min(x1, width), min(y1, height))
        if fits and region.px_per_cm is not None and (best is None or _area(box) > _area(best)):
            best = box
    return best


def _area(box: tuple[int, int, int, int]) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def _small_window(region: tuple[int, int, int, int] | None, evidence: Evidence) -> tuple[slice, slice]:
    if region is None:
        return slice(None), slice(None)
    x0, y0, x1, y1 = (round(v / evidence.factor) for v in region)
    return slice(y0, y1), slice(x0, x1)


def _outline_at(
    evidence: Evidence, backdrop: Backdrop, window: tuple[slice, slice], threshold: int
) -> _Found | None:
    """Return what is seen at one grey threshold, or None."""
    lit = np.zeros(evidence.brightest.shape, dtype=np.bool_)
    if threshold == 0 and np.mean(backdrop.over == 0) < LOSSLESS_BLACK:
        return None
    lit[window] = backdrop.over[window] > threshold
    lit = image_pixels(evidence, lit)
    if lit.mean() < SMALLEST_SHARE:
        return None
    outline = fit_outline(lit)
    if outline is None:
        return None
    confidence, share = _confidence(outline, lit)
    return _Found(outline, confidence, confidence * (0.75 + 0.25 * min(1.0, share / 0.25)))


def image_pixels(evidence: Evidence, lit: Mask) -> Mask:
    """Keep of the lit pixels those of the ultrasound image: texture in bulk, not text, panels, bars or rulers."""
    solid = without_bars(opened(lit.astype(np.uint8)))
    joined = cv2.morphologyEx(solid, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=4)
    stats = np.asarray(stats, dtype=np.int32)
    weights = _weights(evidence, solid.astype(np.bool_), np.asarray(labels, dtype=np.int32), count)
    if count < 2 or weights[1:].max() <= 0:
        return np.zeros_like(lit)
    main = 1 + int(np.argmax(weights[1:]))
    kept = [main]
    kept += [other for other in range(1, count) if _belongs(stats[other], stats[main], weights[other] / weights[main])]
    keep = np.zeros(count, np.bool_)
    keep[kept] = True
    return np.asarray(keep[labels] & solid.astype(np.bool_), dtype=np.bool_)


def _belongs(other: NDArray[np.int32], main: NDArray[np.int32], weight: float) -> bool:
    """Whether a component over or under the main one is the same image with a dark stretch between."""
    x0, x1 = int(main[cv2.CC_STAT_LEFT]), int(main[cv2.CC_STAT_LEFT] + main[cv2.CC_STAT_WIDTH])
    a0, a1 = int(other[cv2.CC_STAT_LEFT]), int(other[cv2.CC_STAT_LEFT] + other[cv2.CC_STAT_WIDTH])
    common = min(x1, a1) - max(x0, a0)
    inside = a0 >= x0 - 2 and a1 <= x1 + 2
    if inside and common > 0.85 * (x1 - x0):  # as wide as a linear array's picture
        return weight > 0.01
    return weight > 0.08 and (inside or common > 0.6 * min(x1 - x0, a1 - a0))


def opened(lit: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Remove what is one small pixel thin, in place of the picture: text strokes, frames, tick marks."""
    kernel = np.ones((2, 2), np.uint8)
    eroded = cv2.erode(lit, kernel, anchor=(0, 0))
    return np.asarray(cv2.dilate(eroded, kernel, anchor=(1, 1)), dtype=np.uint8)


def without_bars(lit: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Remove title bars, soft keys and side panels."""
    lit = lit.copy()
    for turned in (lit, lit[::-1], lit.T, lit.T[::-1]):
        turned[: _full_run(turned.mean(axis=1))] = 0
    _, labels, stats, _ = cv2.connectedComponentsWithStats(lit, connectivity=4)
    keep = ~_bars(np.asarray(stats, dtype=np.int32), lit.shape)
    keep[0] = False
    return np.asarray(keep[labels], dtype=np.uint8)


def _full_run(share: NDArray[np.float64]) -> int:
    """Return how many rows from the border are lit along most of their length, where they end soon and sharply."""
    reach = int(0.14 * len(share))
    full = np.flatnonzero(share[:reach] > 0.7)
    if len(full) == 0:
        return 0
    end = int(full[-1]) + 1
    return end if share[end : end + 4].min() < 0.4 else 0


def _bars(stats: NDArray[np.int32], shape: tuple[int, ...]) -> Mask:
    """Return which components are thin: title bars, soft keys and side panels along the picture's border, grey bars."""
    height, width = shape
    margin = 0.02 * height
    x0, y0 = stats[:, cv2.CC_STAT_LEFT], stats[:, cv2.CC_STAT_TOP]
    w, h = stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]
    level = (h < 0.12 * height) & (w > 3 * h) & ((y0 < margin) | (y0 + h > height - margin))
    upright = (w < 0.12 * width) & (h > 3 * w) & ((x0 < margin) | (x0 + w > width - margin))
    thin = (w < THIN * width) & (h > 4 * w)  # grey bars stand anywhere
    return np.asarray(level | upright | thin, dtype=np.bool_)


def _weights(evidence: Evidence, solid: Mask, labels: NDArray[np.int32], count: int) -> NDArray[np.float64]:
    """Return for each component its count of textured pixels, times its share of moving ones where time is known."""
    grey = evidence.brightest.astype(np.float32)
    mean = cv2.blur(grey, (5, 5))
    spread = cv2.sqrt(np.maximum(cv2.blur(grey * grey, (5, 5)) - mean * mean, 0))
    textured = solid & (spread > 1.0) & (spread < STROKES) & (evidence.brightest < 250)
    weights = np.asarray(np.bincount(labels.ravel(), textured.ravel(), count), dtype=np.float64)
    if evidence.pictures > 2:
        moving = np.bincount(labels.ravel(), (solid & (evidence.movement > 5)).ravel().astype(np.float64), count)
        if moving[1:].sum() > 0.01 * labels.size:
            weights = np.asarray(0.1 * weights + moving, dtype=np.float64)
    weights[0] = 0
    return weights


def _confidence(outline: Outline, lit: Mask) -> tuple[float, float]:
    """Return (0..1, share of the picture): the lit pixels lie inside, fill the shape, and stop at its edges."""
    shape = np.zeros(lit.shape, np.uint8)
    cv2.fillPoly(shape, [np.round(outline.polygon()).astype(np.int32)], (1,))
    area = int(shape.sum())
    if area < 0.01 * lit.size:
        return 0.0, 0.0
    inside = float(lit[shape > 0].sum())
    kept = inside / max(1, int(lit.sum()))
    if _dark_gaps(lit, shape > 0) >= MOST_GAPS:
        return 0.0, 0.0
    filled = inside / area
    edges = min(1.0, 0.4 + outline.support)
    return float(kept**2 * min(1.0, 0.45 + 0.55 * filled) * edges), area / lit.size


def _dark_gaps(lit: Mask, shape: Mask) -> int:
    """Return how many times the lit rows of a shape are parted by dark ones: once or twice in tissue, often in text."""
    share = (lit & shape).sum(axis=1) / np.maximum(shape.sum(axis=1), 1)
    rows = np.flatnonzero(shape.any(axis=1))
    dark = share[rows[0] : rows[-1] + 1] < 0.02
    return int(np.count_nonzero(dark[1:] & ~dark[:-1]))


def _sector(
    outline: Outline, confidence: float, factor: float, place: tuple[tuple[int, int], tuple[int, int, int, int] | None]
) -> Sector:
    """Scale the outline to frame pixels and draw its mask, clipped to the picture and the declared region."""
    (width, height), region = place
    shift = (factor - 1) / 2  # pixel centres: small (0, 0) is the middle of the first factor x factor block
    points = tuple((x * factor + shift, y * factor + shift) for x, y in outline.polygon())
    mask = polygon_mask(points, (width, height), region)
    ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    bbox = (int(xs[0]), int(ys[0]), int(xs[-1]) + 1, int(ys[-1]) + 1)
    return Sector(outline.kind, bbox, points, mask, round(confidence, 3))


def polygon_mask(
    points: tuple[Point, ...], size: tuple[int, int], region: tuple[int, int, int, int] | None = None
) -> Mask:
    """Return the bool (H, W) mask of a closed polygon of (x, y), drawn to 1/16 pixel, clipped to ``region``."""
    mask = np.zeros((size[1], size[0]), np.uint8)
    cv2.fillPoly(mask, [np.round(np.array(points) * 16).astype(np.int32)], (1,), shift=4)
    if region is not None:
        x0, y0, x1, y1 = region
        kept = np.zeros_like(mask)
        kept[y0:y1, x0:x1] = mask[y0:y1, x0:x1]
        mask = kept
    return mask.astype(np.bool_)


def _rectangle(region: tuple[int, int, int, int], size: tuple[int, int]) -> Sector:
    x0, y0, x1, y1 = region
    points = ((x0, y0), (x1 - 1, y0), (x1 - 1, y1 - 1), (x0, y1 - 1))
    outline = tuple((float(x), float(y)) for x, y in points)
    return Sector("unknown", region, outline, polygon_mask(outline, size), 0.5)
