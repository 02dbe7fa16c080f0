"""The sector: the image and nothing of the screen around it, for every kind of probe."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_app.capture.base import ScreenRegion, frames
from edge_app.capture.open import open_source
from edge_app.imaging.images import overlap
from edge_app.imaging.outline import fit_outline
from edge_app.imaging.sector import find_sector
from edge_app.live.reports import squeezed

from .conftest import Picture, Studio


def speckled(mask: NDArray[np.bool_], seed: int = 1, mean: float = 80.0) -> Picture:
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.normal(0, 1, mask.shape).astype(np.float32), (0, 0), 1.6)
    grey = np.where(mask, np.clip(mean + 18 * noise / noise.std(), 6, 250), 0).astype(np.uint8)
    return np.ascontiguousarray(np.dstack([grey] * 3))


def dress(studio: Studio, pixels: Picture) -> None:
    """A title bar, names, settings, a grey bar and a ruler."""
    _height, width = pixels.shape[:2]
    cv2.rectangle(pixels, (0, 0), (width, 40), (40, 60, 110), -1)
    studio.text(pixels, "MOCKWELL, JUN  5100123", (10, 28), 0.7)
    for row in range(6):
        studio.text(pixels, f"Gn {50 + row}", (width - 90, 120 + 30 * row))
    for row in range(120):
        pixels[150 + row, 8:20] = 255 - 2 * row
    studio.ruler(pixels, width - 120, 90, 34.0, (16, 5))


def test_a_fan_is_convex_and_lies_where_it_was_drawn(studio: Studio) -> None:
    pixels, mask = studio.fan(1)
    dress(studio, pixels)
    sector = find_sector(pixels)
    assert sector is not None
    assert sector.kind == "convex"
    assert overlap(sector.mask, mask) > 0.97
    assert sector.confidence > 0.8
    x0, y0, x1, y1 = sector.bbox
    assert sector.mask[y0:y1, x0:x1].sum() == sector.mask.sum()


@pytest.mark.parametrize("black", [0, 16])
def test_a_rectangle_is_linear_also_on_limited_range(studio: Studio, black: int) -> None:
    mask = np.zeros((720, 960), dtype=np.bool_)
    mask[90:650, 240:700] = True
    pixels = np.maximum(speckled(mask), black).astype(np.uint8)
    dress(studio, pixels)
    sector = find_sector(pixels)
    assert sector is not None
    assert sector.kind == "linear"
    assert overlap(sector.mask, mask) > 0.97


def test_a_trapezoid_is_told_from_a_fan(studio: Studio) -> None:
    mask = np.zeros((720, 960), np.uint8)
    cv2.fillPoly(mask, [np.array([(340, 80), (620, 80), (760, 640), (200, 640)])], (1,))
    sector = find_sector(speckled(mask > 0))
    assert sector is not None
    assert sector.kind == "trapezoid"
    assert overlap(sector.mask, mask > 0) > 0.97


def test_a_phased_array_meets_in_a_point(studio: Studio) -> None:
    y, x = np.mgrid[:720, :960].astype(np.float64)
    radius, angle = np.hypot(x - 480, y - 60), np.arctan2(x - 480, y - 60)
    mask = (np.abs(angle) < 0.75) & (radius < 560) & (radius > 8)
    sector = find_sector(speckled(mask))
    assert sector is not None
    assert sector.kind == "phased"
    assert overlap(sector.mask, mask) > 0.95


def test_a_fan_cut_by_the_screens_edge_keeps_its_sides(studio: Studio) -> None:
    pixels, mask = studio.fan(2)
    cut, cut_mask = pixels[:, 240:], mask[:, 240:]
    sector = find_sector(np.ascontiguousarray(cut))
    assert sector is not None
    assert overlap(sector.mask, cut_mask) > 0.95


def test_a_dark_side_of_the_fan_belongs_to_it(studio: Studio) -> None:
    pixels, mask = studio.fan(3)
    pixels[300:560, 640:] = 0
    sector = find_sector(pixels)
    assert sector is not None
    assert overlap(sector.mask, mask) > 0.93


def test_a_screen_of_text_has_no_sector(studio: Studio) -> None:
    pixels = np.zeros((720, 960, 3), np.uint8)
    for row in range(18):
        studio.text(pixels, "Worklist   MOCKWELL, JUN   5100123   12:30", (30, 60 + 36 * row), 0.7)
    assert find_sector(pixels) is None


def test_a_declared_region_wins_where_nothing_is_seen() -> None:
    region = ScreenRegion((100, 60, 801, 521), 38.0)
    sector = find_sector(np.zeros((600, 850, 3), np.uint8), (region,))
    assert sector is not None
    assert sector.bbox == (100, 60, 801, 521)
    assert sector.kind == "unknown"


def test_a_region_of_another_picture_is_not_believed(studio: Studio) -> None:
    pixels, mask = studio.fan(1)
    sector = find_sector(pixels, (ScreenRegion((84, 31, 3000, 2000), 20.0),))
    assert sector is not None
    assert overlap(sector.mask, mask) > 0.97


@settings(max_examples=20, deadline=None)
@given(
    slope=st.floats(0.3, 1.2), half=st.floats(14, 40), depth=st.floats(120, 180), seed=st.integers(0, 99)
)  # half: half width of the top, small pixels
def test_any_fan_is_fitted_whatever_stands_beside_it(slope: float, half: float, depth: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:288, :384].astype(np.float64)
    ax, ay, top = 192.0, 20 - half / slope, 20.0
    radius, angle = np.hypot(x - ax, y - ay), np.arctan2(x - ax, y - ay)
    inner = np.hypot(half, top - ay)
    mask = (np.abs(angle) <= np.arctan(slope)) & (radius >= inner) & (radius <= inner + depth)
    lit = mask & (rng.random(mask.shape) < 0.9)
    lit[30:36, 192 - int(half) - 14 : 192 - int(half) - 8] = True  # an orientation mark beside the top
    outline = fit_outline(lit)
    assert outline is not None
    drawn = np.zeros(mask.shape, np.uint8)
    cv2.fillPoly(drawn, [np.round(np.array(outline.polygon())).astype(np.int32)], (1,))
    common = (drawn > 0) & mask
    assert common.sum() / ((drawn > 0) | mask).sum() > 0.93


@pytest.mark.parametrize("across", [0.75, 1.0, 4 / 3])
def test_a_picture_that_was_squeezed_is_known_by_its_arcs(across: float) -> None:
    with open_source("phantom:look=ge,size=960x720,cycle=live,frames=1") as source:
        (frame,) = frames(source)
    pixels = np.asarray(cv2.resize(frame.pixels, None, fx=across, fy=1.0), dtype=np.uint8)
    sector = find_sector(pixels)
    assert sector is not None and sector.kind == "convex"
    assert sector.stretch == pytest.approx(across, rel=0.03)
    assert sector.squeezed == (across != 1.0)
    said = squeezed(sector)
    assert said is None if across == 1.0 else said is not None and f"{sector.stretch:.2f} times" in said
