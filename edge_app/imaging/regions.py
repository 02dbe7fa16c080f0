"""Regions: what a file itself declares of where its ultrasound image lies."""

from __future__ import annotations

from dataclasses import replace

from edge_app.capture.base import ScreenRegion
from edge_app.imaging.outline import Edge, Outline

Box = tuple[int, int, int, int]

ALIKE = 0.4  # of the largest region: another is a second image, not a bar or a trace
UNSEEN = 1.4  # times deeper than what is lit: a fan's end was not seen


def declared_regions(regions: tuple[ScreenRegion, ...], size: tuple[int, int]) -> tuple[Box, ...]:
    """Return the declared image regions that lie inside the picture, largest first.

    A file whose regions reach far beyond its own pixels was resized after they were written: they are not believed.
    A region that overlaps a larger one, or is much smaller, is no image of its own.
    """
    boxes = [box for region in regions if (box := _usable(region, size)) is not None]
    boxes.sort(key=lambda box: (-area(box), box))
    kept: list[Box] = []
    for box in boxes:
        if all(not _overlap(box, other) for other in kept) and (not kept or area(box) >= ALIKE * area(kept[0])):
            kept.append(box)
    return tuple(kept)


def _usable(region: ScreenRegion, size: tuple[int, int]) -> Box | None:
    (x0, y0, x1, y1), (width, height) = region.bbox, size
    fits = x0 >= 0 and y0 >= 0 and x1 <= width + 2 and y1 <= height + 2 and x1 - x0 > 16 and y1 - y0 > 16
    return (x0, y0, min(x1, width), min(y1, height)) if fits and region.px_per_cm is not None else None


def area(box: Box) -> int:
    """Return the pixels of a box (x0, y0, x1, y1)."""
    return (box[2] - box[0]) * (box[3] - box[1])


def _overlap(one: Box, other: Box) -> bool:
    return min(one[2], other[2]) - max(one[0], other[0]) > 4 and min(one[3], other[3]) - max(one[1], other[1]) > 4


def reaching(outline: Outline, bottom: float) -> Outline:
    """Return a fan drawn down to ``bottom``, small pixels, where its own depth is dark and its end was not seen."""
    if outline.apex is None or not outline.top.arc:
        return outline
    radius = (bottom - outline.apex[1]) * outline.stretch
    if radius <= UNSEEN * outline.bottom.position:
        return outline
    return replace(outline, bottom=Edge(radius, outline.bottom.support, arc=True))


def declared_region(regions: tuple[ScreenRegion, ...], size: tuple[int, int]) -> Box | None:
    """Return the largest declared image region that lies inside the picture, or None."""
    return next(iter(declared_regions(regions, size)), None)
