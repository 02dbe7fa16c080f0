"""Sector: where on the screen the ultrasound image is, or the images are."""

from __future__ import annotations

from collections.abc import Generator

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.capture.base import ScreenRegion
from edge_app.imaging.backdrop import Backdrop, find_backdrop, without_wallpaper
from edge_app.imaging.candidate import Candidate, best_candidate
from edge_app.imaging.dual import beside, halves, hints
from edge_app.imaging.evidence import Evidence, colourful, shrink, thinned
from edge_app.imaging.outline import Outline
from edge_app.imaging.place import mask_box, polygon_mask, rectangle
from edge_app.imaging.regions import Box, area, declared_regions, reaching
from edge_app.imaging.scene import Sector
from edge_app.imaging.texture import NO_PIECES, find_pieces
from edge_app.imaging.whole import whole_picture

THRESHOLDS = (24, 12, 6, 2, 0)
"""Grey levels over the screen's flat colours that count as lit; the faintest serves lossless pictures of a dark fan."""

LOSSLESS_BLACK = 0.4  # share of pure black above which one grey level over black is a signal
MIXED = 0.03  # of the pixels differ from most of their neighbours in being black: noise, or lossy compression
SMALLEST_PART = 0.25  # of a declared region: a shape smaller than this is a lit corner of a dark image
WHOLE_LIT = 6  # grey levels over black that count as lit where the whole picture is ultrasound
MOST_COLOUR = 0.55  # of an image, beyond its own tint: more than a colour box covers
GOOD = 0.93  # merit above which no fainter threshold is tried
ENOUGH = 0.45  # confidence below which nothing is claimed


def find_sector(pixels: NDArray[np.uint8], regions: tuple[ScreenRegion, ...] = ()) -> Sector | None:
    """Return the ultrasound image's place in one RGB uint8 (H, W, 3) still, or None where none is seen."""
    images = find_images(pixels, regions)
    return images[0] if images else None


def find_images(pixels: NDArray[np.uint8], regions: tuple[ScreenRegion, ...] = ()) -> tuple[Sector, ...]:
    """Return every ultrasound image's place in one RGB uint8 (H, W, 3) still, the plainest first.

    Two images side by side are two; copies in a strip of thumbnails are none.
    """
    small, factor = shrink(pixels)
    evidence = Evidence(small, np.zeros_like(small), factor, 1, thinned(pixels))
    search = SectorSearch(evidence, (pixels.shape[1], pixels.shape[0]), regions)
    while not search.step():
        pass
    return search.images


class SectorSearch:
    """One search of a screen for its images, in steps of a few milliseconds so that a stream is not held up.

    A region that the file itself declares wins: the shape is looked for inside it only, and it is the answer where no
    shape is seen.

    Parameters
    ----------
    evidence : Evidence
        What was seen in the last pictures.
    size : tuple of int
        Width and height of the frames.
    regions : tuple of ScreenRegion
        What the file declares.
    """

    def __init__(self, evidence: Evidence, size: tuple[int, int], regions: tuple[ScreenRegion, ...] = ()) -> None:
        self._evidence, self._size = evidence, size
        self._regions = declared_regions(regions, size)
        self._steps = self._run()
        self.images: tuple[Sector, ...] = ()
        """What was found, after the last step; the plainest first."""

    def step(self) -> bool:
        """Go on for some milliseconds. True: the search has ended."""
        return next(self._steps, True)

    def _run(self) -> Generator[bool, None, None]:
        backdrop = without_wallpaper(find_backdrop(self._evidence.brightest), self._evidence.thin)
        yield False
        if self._regions:
            for region in self._regions:
                found = yield from self._look(backdrop, region)
                self.images = (*self.images, self._declared(found, region))
            return
        found = yield from self._look(backdrop, None)
        found = self._or_whole(found, backdrop)
        if found is None or found.confidence < ENOUGH or self._is_colour_picture(found.outline):
            return
        yield False
        several = yield from self._several(found, backdrop)
        self.images = tuple(self._sector(one.outline, one.confidence, None) for one in several)

    def _several(self, found: Candidate, backdrop: Backdrop) -> Generator[bool, None, tuple[Candidate, ...]]:
        """Look whether there is a second image, or whether ``found`` is the trace under one."""
        if not found.chosen:  # the whole picture
            return (found,)
        touching = halves(found, self._evidence.brightest)
        if touching is not None or not hints(found):
            return touching or (found,)
        taken = cv2.dilate(found.lit.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        rest = Backdrop(np.where(taken, 0, backdrop.over).astype(np.uint8), backdrop.panels, backdrop.black)
        other = yield from self._look(rest, None)
        return beside(found, other)

    def _look(self, backdrop: Backdrop, region: Box | None) -> Generator[bool, None, Candidate | None]:
        """Try one threshold after the other until an outline is good, and return the best one."""
        best: Candidate | None = None
        window = self._window(region)
        for threshold in THRESHOLDS:
            if threshold == 0 and not _is_lossless(backdrop.over):
                break
            lit = np.zeros(backdrop.over.shape, dtype=np.bool_)
            lit[window] = backdrop.over[window] > threshold
            pieces = find_pieces(self._evidence, lit)
            yield False
            candidate = best_candidate(pieces)
            if candidate is not None and (best is None or candidate.merit > best.merit + 0.02):
                best = candidate
            if best is not None and best.merit > GOOD:
                break
            yield False
        return best

    def _window(self, region: Box | None) -> tuple[slice, slice]:
        if region is None:
            return slice(None), slice(None)
        x0, y0, x1, y1 = (round(v / self._evidence.factor) for v in region)
        return slice(y0, y1), slice(x0, x1)

    def _or_whole(self, found: Candidate | None, backdrop: Backdrop) -> Candidate | None:
        """Return ``found``, or the whole picture where that is the better account of what is lit."""
        outline = whole_picture(self._evidence.brightest, backdrop)
        if outline is None:
            return found
        lit = backdrop.over > WHOLE_LIT
        confidence = outline.support * (0.5 + 0.5 * float(lit.mean()))
        if found is not None and found.confidence > confidence:
            return found
        return Candidate(outline, lit, confidence, confidence, NO_PIECES, ())

    def _is_colour_picture(self, outline: Outline) -> bool:
        """Whether most of what was found has many colours: a camera's picture or a desktop, no ultrasound image."""
        thin, small = self._evidence.thin, self._evidence.brightest
        shape = np.zeros(thin.shape[:2], np.uint8)
        scale = np.array([thin.shape[1] / small.shape[1], thin.shape[0] / small.shape[0]])
        cv2.fillPoly(shape, [np.round(np.array(outline.polygon()) * scale).astype(np.int32)], (1,))
        inside = thin[shape > 0]
        return inside.size > 0 and float(colourful(inside).mean()) > MOST_COLOUR

    def _declared(self, found: Candidate | None, region: Box) -> Sector:
        if found is None or found.confidence < ENOUGH or self._is_colour_picture(found.outline):
            return rectangle(region, self._size, 0.5)
        outline = reaching(found.outline, region[3] / self._evidence.factor)
        sector = self._sector(outline, found.confidence, region)
        return rectangle(region, self._size, 0.5) if sector.mask.sum() < SMALLEST_PART * area(region) else sector

    def _sector(self, outline: Outline, confidence: float, region: Box | None) -> Sector:
        """Scale the outline to frame pixels and draw its mask, clipped to the picture and the declared region."""
        factor = self._evidence.factor
        shift = (factor - 1) / 2  # pixel centres: small (0, 0) is the middle of the first factor x factor block
        points = tuple((x * factor + shift, y * factor + shift) for x, y in outline.polygon())
        mask = polygon_mask(points, self._size, region)
        return Sector(outline.kind, mask_box(mask), points, mask, round(confidence, 3), outline.stretch)


def _is_lossless(over: NDArray[np.uint8]) -> bool:
    """Whether one grey level over black means something: black is pure and common, and no noise is mixed with it."""
    if np.mean(over == 0) < LOSSLESS_BLACK:
        return False
    lit = (over > 0).astype(np.uint8)
    return float((cv2.medianBlur(lit, 3) != lit).mean()) < MIXED
