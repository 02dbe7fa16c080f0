"""A curved probe in air: the fan is found from the band under the probe and the noise at its end."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_app.capture.base import Frame
from edge_app.capture.open import open_source
from edge_app.imaging.images import overlap
from edge_app.imaging.sector import find_sector

from .conftest import Picture, Studio

Mask = NDArray[np.bool_]


def in_air(slope: float, radius: float, depth: float, end: float, seed: int = 1) -> tuple[Picture, Mask]:
    """Draw a fan whose first 25 rows are lit, and faintly its last ``end`` rows; everything else is black."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:720, :960].astype(np.float64)
    away, angle = np.hypot(x - 480, y - 70 + radius), np.arctan2(x - 480, y - 70 + radius)
    mask = (np.abs(angle) < np.arctan(slope)) & (away > radius) & (away < radius + depth)
    grey = np.where(mask & (away < radius + 25), 90 + 30 * rng.standard_normal(mask.shape), 0.0)
    grey += np.where(mask & (away > radius + depth - end), 5 + 2 * rng.standard_normal(mask.shape), 0.0)
    return np.dstack([np.clip(grey, 0, 255).astype(np.uint8)] * 3), mask


@pytest.mark.parametrize("slope", [0.45, 0.6, 0.75])
@pytest.mark.parametrize("radius", [170.0, 230.0])
@pytest.mark.parametrize("quality", [None, 85])
def test_noise_at_the_end_of_the_image_gives_its_depth(
    studio: Studio, slope: float, radius: float, quality: int | None
) -> None:
    pixels, mask = in_air(slope, radius, 480.0, 60.0)
    studio.text(pixels, "MOCKWELL, JUN  5100123", (10, 28), 0.7)
    for row in range(6):
        studio.text(pixels, f"Gn {50 + row}", (870, 120 + 30 * row))
    sector = find_sector(pixels if quality is None else studio.jpeg(pixels, quality))
    assert sector is not None and sector.kind == "convex"
    assert overlap(sector.mask, mask) > 0.93


def test_without_it_nothing_is_said_of_the_depth() -> None:
    pixels, mask = in_air(0.6, 200.0, 480.0, 0.0)
    sector = find_sector(pixels)
    assert sector is None or (sector.confidence < 0.7 and not sector.mask[~mask].sum() > 0.2 * sector.mask.sum())


def test_a_bent_row_of_letters_is_no_probe(studio: Studio) -> None:
    pixels = np.zeros((720, 960, 3), np.uint8)
    for step in range(-8, 9):
        at = (470 + 30 * step, round(60 + 230 * (1 - (step / 16) ** 2) - 200))
        studio.text(pixels, "WM", at, 0.8)
    assert find_sector(pixels) is None


@pytest.fixture
def siemens(shared_data: Path) -> Frame:
    pytest.importorskip("pydicom")
    with open_source(f"dicom:{shared_data / 'dicom' / 'siemens_s2000_6c1_renal.dcm'}") as source:
        frame = source.read()
    assert isinstance(frame, Frame)
    return frame


def measured() -> Mask:
    """The real fan, as its four corners and the lowest points of its two arcs were measured by hand."""
    top = arc((383.6, 63.0), (503.0, 92.0), (625.0, 63.0))
    bottom = arc((991.0, 614.0), (503.0, 766.0), (16.5, 616.6))
    mask = np.zeros((768, 1024), np.uint8)
    cv2.fillPoly(mask, [np.round(np.array(top + bottom)).astype(np.int32)], (1,))
    return mask > 0


def arc(*through: tuple[float, float]) -> list[tuple[float, float]]:
    points = np.array(through)
    at = np.column_stack([2 * points, np.ones(3)])
    x, y, rest = np.linalg.solve(at, (points**2).sum(axis=1))
    radius = np.sqrt(rest + x * x + y * y)
    across = np.linspace(points[0, 0], points[2, 0], 60)
    return list(zip(across.tolist(), (y + np.sqrt(radius**2 - (across - x) ** 2)).tolist(), strict=True))


@pytest.mark.parametrize("quality", [None, 90, 75])
@pytest.mark.parametrize("told", [True, False])
def test_a_real_probe_in_air(siemens: Frame, studio: Studio, quality: int | None, told: bool) -> None:
    pixels = siemens.pixels if quality is None else studio.jpeg(np.array(siemens.pixels), quality)
    sector = find_sector(pixels, siemens.regions if told else ())
    assert sector is not None and sector.kind == "convex"
    assert overlap(sector.mask, measured()) > 0.95
    if told:  # nothing outside of what the file declares
        x0, y0, x1, y1 = siemens.regions[0].bbox
        assert sector.mask[y0:y1, x0:x1].sum() == sector.mask.sum()
