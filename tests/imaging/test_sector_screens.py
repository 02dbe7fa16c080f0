"""The sector on screens as makers, viewers and publications draw them: panels, shades, two images, traces, stills."""

from __future__ import annotations

from math import cos, radians, sin
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_app.imaging.images import overlap
from edge_app.imaging.scene import Sector
from edge_app.imaging.sector import find_images, find_sector

from .conftest import Picture, Studio
from .test_real import clip

Mask = NDArray[np.bool_]


def tissue(mask: Mask, seed: int = 1, mean: float = 85.0) -> NDArray[np.uint8]:
    """Speckle with bright and dark parts, 0 outside the mask."""
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.normal(0, 1, mask.shape).astype(np.float32), (0, 0), 1.6)
    slow = cv2.resize(rng.normal(0, 1, (7, 9)).astype(np.float32), mask.shape[::-1], interpolation=cv2.INTER_CUBIC)
    grey = np.clip(mean + 14 * noise / noise.std() + 20 * slow / slow.std(), 10, 240)
    return np.where(mask, grey, 0).astype(np.uint8)


def fan(size: tuple[int, int], apex: tuple[float, float], radii: tuple[float, float], half: float = 33.0) -> Mask:
    y, x = np.mgrid[: size[1], : size[0]].astype(np.float64)
    radius, angle = np.hypot(x - apex[0], y - apex[1]), np.arctan2(x - apex[0], y - apex[1])
    return np.asarray((np.abs(angle) <= radians(half)) & (radius >= radii[0]) & (radius <= radii[1]), dtype=np.bool_)


def paint(screen: Picture, mask: Mask, seed: int = 1) -> None:
    screen[mask] = tissue(mask, seed)[mask][:, None]


def panels(studio: Studio, ink: tuple[int, int, int], window: tuple[int, int, int] | None) -> Picture:
    """A screen of one colour with names, values and keys, and a window of another for the image."""
    screen = np.full((720, 1280, 3), ink, np.uint8)
    if window is not None:
        screen[80:640, 200:1080] = window
    for row in range(9):
        studio.text(screen, f"Gn {40 + row}   DR 65", (20, 120 + 50 * row), 0.5)
        studio.text(screen, "C1-6 Abdomen", (1100, 120 + 50 * row), 0.5)
    for key in range(8):
        cv2.rectangle(screen, (40 + 150 * key, 660), (160 + 150 * key, 705), (90 + 15 * key, 140, 190), -1)
    return screen


SCREEN_FAN = fan((1280, 720), (640.0, -40.0), (150.0, 640.0))


@pytest.mark.parametrize(
    ("ink", "window"),
    [
        ((226, 228, 232), (0, 0, 0)),  # a light handheld's app
        ((60, 62, 70), (0, 0, 0)),
        ((44, 46, 50), None),  # the image stands on grey
        ((255, 255, 255), (16, 16, 16)),  # a page, limited range
    ],
)
def test_the_image_is_found_on_panels_of_any_colour(
    studio: Studio, ink: tuple[int, int, int], window: tuple[int, int, int] | None
) -> None:
    screen = panels(studio, ink, window)
    paint(screen, SCREEN_FAN)
    for picture in (screen, studio.jpeg(screen, 70)):
        (sector,) = find_images(picture)
        assert sector.kind == "convex"
        assert overlap(sector.mask, SCREEN_FAN) > 0.95


def test_a_shaded_background_is_not_image(studio: Studio) -> None:
    shade = np.linspace(30, 110, 720)[:, None, None] * np.array([0.6, 0.8, 1.2])
    screen = np.broadcast_to(shade, (720, 1280, 3)).astype(np.uint8)
    screen[70:660, 220:1060] = 0
    paint(screen, SCREEN_FAN)
    sector = find_sector(screen)
    assert sector is not None
    assert overlap(sector.mask, SCREEN_FAN) > 0.95


@pytest.mark.parametrize("tint", [(1.0, 0.82, 0.55), (0.6, 0.8, 1.0), (0.7, 1.0, 0.8)])
def test_a_coloured_grey_map_is_an_image_all_the_same(tint: tuple[float, float, float]) -> None:
    screen = np.zeros((720, 1280, 3), np.uint8)
    paint(screen, SCREEN_FAN)
    sector = find_sector((screen * np.array(tint)).astype(np.uint8))
    assert sector is not None
    assert overlap(sector.mask, SCREEN_FAN) > 0.95


@pytest.mark.parametrize("stretch", [0.75, 0.89, 1.0, 1.2, 1.333])
def test_a_stretched_fan_keeps_its_bottom(stretch: float) -> None:
    screen = np.zeros((720, 1280, 3), np.uint8)
    paint(screen, SCREEN_FAN)
    size = (round(1280 * stretch), 720)
    mask = cv2.resize(SCREEN_FAN.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    sector = find_sector(np.asarray(cv2.resize(screen, size, interpolation=cv2.INTER_LINEAR), dtype=np.uint8))
    assert sector is not None
    assert overlap(sector.mask, mask) > 0.95


def test_a_strip_of_thumbnails_is_no_image() -> None:
    screen = np.zeros((720, 1280, 3), np.uint8)
    mask = fan((1280, 720), (640.0, -40.0), (150.0, 590.0))
    paint(screen, mask)
    small = np.asarray(cv2.resize(screen, (150, 84), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    for number in range(8):
        screen[625:709, 10 + 158 * number : 160 + 158 * number] = small
    (sector,) = find_images(screen)
    assert overlap(sector.mask, mask) > 0.95


@pytest.mark.parametrize("gap", [0, 40])
def test_two_fans_side_by_side_are_two_images(gap: int) -> None:
    half_width = 500 * sin(radians(33))
    left = fan((1280, 720), (640 - gap / 2 - half_width, -20.0), (140.0, 500.0))
    right = fan((1280, 720), (640 + gap / 2 + half_width, -20.0), (140.0, 500.0))
    screen = np.zeros((720, 1280, 3), np.uint8)
    paint(screen, left, 1)
    paint(screen, right, 2)
    screen[right] = screen[right] // 3  # one is much darker
    images = find_images(screen)
    assert len(images) == 2
    assert overlap(images[0].mask, left) > 0.93
    assert overlap(images[1].mask, right) > 0.93


def test_a_trace_under_the_image_is_no_part_of_it() -> None:
    screen = np.zeros((720, 1280, 3), np.uint8)
    mask = fan((1280, 720), (640.0, -40.0), (110.0, 370.0))
    paint(screen, mask)
    rng = np.random.default_rng(3)
    lines = np.repeat(rng.normal(120, 40, (270, 1)), 1140, axis=1) + rng.normal(0, 8, (270, 1140))
    screen[400:670, 70:1210] = np.clip(lines, 0, 255).astype(np.uint8)[..., None]  # an M-mode, brighter and larger
    (sector,) = find_images(screen)
    assert overlap(sector.mask, mask) > 0.93


def test_a_camera_picture_holds_no_ultrasound_image() -> None:
    rng = np.random.default_rng(5)
    coarse = rng.integers(0, 255, (9, 12, 3)).astype(np.uint8)
    room = cv2.resize(coarse, (1280, 720), interpolation=cv2.INTER_CUBIC).astype(np.float64)
    assert find_images(np.clip(room + rng.normal(0, 6, room.shape), 0, 255).astype(np.uint8)) == ()


@pytest.mark.parametrize("size", [(224, 224), (512, 384), (1024, 780)])
def test_a_still_that_is_all_tissue_is_taken_whole(studio: Studio, size: tuple[int, int]) -> None:
    grey = tissue(np.ones(size[::-1], dtype=np.bool_), 4)
    sector = find_sector(studio.jpeg(np.ascontiguousarray(np.dstack([grey] * 3)), 85))
    assert sector is not None
    assert sector.mask.mean() > 0.97
    assert sector.confidence > 0.6


def test_published_crops_of_a_real_examination_are_taken_whole(shared_data: Path) -> None:
    (frame,) = clip(shared_data / "clips" / "philips_ruq_convex_gallbladder.mp4", 1, start=70)
    for x0, y0, x1, y1 in ((270, 130, 520, 330), (230, 150, 480, 350)):
        sector = find_sector(np.ascontiguousarray(frame.pixels[y0:y1, x0:x1]))
        assert sector is not None
        assert sector.mask.mean() > 0.95


@settings(max_examples=12, deadline=None)
@given(
    half=st.floats(18, 42),
    inner=st.floats(0.08, 0.5),
    depth=st.floats(420, 640),
    cut=st.sampled_from(["none", "left", "right", "bottom"]),
    seed=st.integers(0, 99),
)
def test_any_drawn_fan_is_found_wherever_it_is_cut(
    half: float, inner: float, depth: float, cut: str, seed: int
) -> None:
    top = 40 - inner * depth * cos(radians(half))
    mask = fan((1280, 720), (640.0, top), (inner * depth, depth), half)
    screen = np.zeros((720, 1280, 3), np.uint8)
    paint(screen, mask, seed)
    x0, _, x1, y1 = _box(mask)
    part = {
        "none": (slice(None), slice(None)),
        "left": (slice(None), slice(x0 + (x1 - x0) // 8, None)),
        "right": (slice(None), slice(None, x1 - (x1 - x0) // 8)),
        "bottom": (slice(None, y1 - 50), slice(None)),
    }[cut]
    sector = find_sector(np.ascontiguousarray(screen[part]))
    assert sector is not None
    assert overlap(sector.mask, mask[part]) >= 0.9


def _box(mask: Mask) -> tuple[int, int, int, int]:
    ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(xs[0]), int(ys[0]), int(xs[-1]) + 1, int(ys[-1]) + 1


def test_images_of_one_screen_never_share_much(studio: Studio) -> None:
    """A plain screen has one image, whatever stands on it."""
    screen, mask = studio.fan(4)
    studio.text(screen, "RT KIDNEY SAG", (380, 500), 0.8)
    images: tuple[Sector, ...] = find_images(screen)
    assert len(images) == 1
    assert overlap(images[0].mask, mask) > 0.95
