"""No signal, no identity outside the image, and a crop judged by rules that a person can act on."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_app.imaging.quality import CropMotion, Measured, assess, judge, length_fault, pole_margin
from edge_app.imaging.redact import mask_identity
from edge_app.imaging.scene import Quality, Scene, Sector
from edge_app.imaging.sector import find_sector
from edge_app.imaging.signal import has_signal
from engines.preprocess import CropBox

from .conftest import Picture, Studio

BOX = CropBox(330, 280, 630, 580, "square")


def plain(colour: tuple[int, int, int]) -> Picture:
    return np.full((720, 1280, 3), colour, np.uint8)


def bars() -> Picture:
    pixels = plain((0, 0, 0))
    colours = ((190, 190, 190), (190, 190, 0), (0, 190, 190), (0, 190, 0), (190, 0, 190), (190, 0, 0), (0, 0, 190))
    for index, colour in enumerate(colours):
        pixels[:480, index * 183 : (index + 1) * 183] = colour
    return pixels


@pytest.mark.parametrize(
    "pixels", [plain((0, 0, 0)), plain((12, 12, 12)), plain((0, 0, 255)), plain((90, 90, 90)), bars()]
)
def test_what_a_grabber_shows_with_nothing_connected_is_no_signal(pixels: Picture) -> None:
    assert not has_signal(pixels)


def test_blue_with_words_on_it_is_no_signal(studio: Studio) -> None:
    pixels = plain((0, 0, 200))
    studio.text(pixels, "NO SIGNAL", (500, 360), 2.0)
    assert not has_signal(pixels)


def test_a_scan_and_a_dark_screen_with_words_are_a_signal(studio: Studio) -> None:
    assert has_signal(studio.fan(1)[0])
    dark = plain((0, 0, 0))
    studio.text(dark, "C5-2 Abdomen", (10, 30))
    assert has_signal(dark)


def test_no_letter_outside_the_image_survives(studio: Studio) -> None:
    pixels, _mask = studio.fan(1)
    studio.text(pixels, "MOCKWELL, JUN 5100123", (10, 30), 0.8)
    sector = find_sector(pixels)
    masked = mask_identity(pixels, sector)
    assert sector is not None
    assert not masked[~sector.mask].any()
    assert (masked[sector.mask] == pixels[sector.mask]).all()
    assert pixels[20:30, 10:300].any()  # the source is left alone


def test_without_a_sector_everything_goes(studio: Studio) -> None:
    pixels, _mask = studio.fan(1)
    assert not mask_identity(pixels, None).any()
    other = Sector("convex", (0, 0, 4, 4), (), np.ones((4, 4), dtype=np.bool_), 1.0)
    assert not mask_identity(pixels, other).any()


def quality(studio: Studio, pixels: Picture, box: CropBox = BOX) -> Quality:
    sector = find_sector(studio.fan(1)[0])
    assert sector is not None
    return assess(pixels, sector, box)


def codes(found: Quality, hard: bool = False) -> set[str]:
    return {fault.code for fault in found.faults if fault.hard or not hard}


def test_a_good_picture_has_no_fault(studio: Studio) -> None:
    found = quality(studio, studio.fan(1)[0])
    assert found.faults == ()
    assert found.grade == "diagnostic"
    assert found.measures["coverage"] > 0.95


def test_gain_too_low_and_too_high_are_named(studio: Studio) -> None:
    pixels, _ = studio.fan(1)
    low = quality(studio, (pixels * 0.3).astype(np.uint8))
    assert "dark_mean" in codes(low)
    assert low.grade == "limited"
    black = quality(studio, (pixels * 0.08).astype(np.uint8))
    assert "dark_mean" in codes(black, hard=True)
    assert "raise gain" in next(f.reason for f in black.faults if f.code == "dark_mean")
    high = quality(studio, np.clip(pixels * 2.6, 0, 255).astype(np.uint8))
    assert {"bright_mean", "saturated"} <= codes(high)


def test_a_frozen_image_is_measured_anew_when_something_is_drawn_and_a_moving_one_always(studio: Studio) -> None:
    pixels, _ = studio.fan(1)
    sector, memory = find_sector(pixels), Measured()
    assert sector is not None
    dark = (pixels * 0.3).astype(np.uint8)

    def mean(
        shown: Picture, t_ms: float, *, stands: bool = True, repeated_ms: float = 0.0, box: CropBox = BOX
    ) -> float:
        scene = Scene(0, t_ms, (960, 720), True, stands, False, sector, (), None, repeated_ms=repeated_ms)
        return assess(shown, sector, box, memory=memory.at(scene, stands)).measures["mean"]

    bright = mean(pixels, 0.0, stands=False)
    assert mean(dark, 40.0, stands=False) < 0.5 * bright
    assert mean(pixels, 80.0, stands=False) == bright
    assert mean(dark, 120.0) == bright  # the same image, as far as anybody can tell
    assert mean(dark, 600.0, repeated_ms=400.0) == bright
    assert mean(dark, 640.0) < 0.5 * bright
    assert mean(pixels, 680.0, box=CropBox(340, 280, 640, 580, "square")) > 0.8 * bright


def test_sharpness_falls_with_every_blur(studio: Studio) -> None:
    pixels, _ = studio.fan(1)
    values = [quality(studio, pixels).measures["sharpness"]]
    for sigma in (1.0, 2.0, 4.0):
        blurred = np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma), dtype=np.uint8)
        values.append(quality(studio, blurred).measures["sharpness"])
    assert values == sorted(values, reverse=True)
    assert values[-1] < values[0] - 0.1


def test_a_rib_shadow_is_named(studio: Studio) -> None:
    pixels, mask = studio.fan(1)
    y, x = np.mgrid[:720, :960].astype(np.float64)
    angle = np.arctan2(x - 480, y + 57.6)
    shadow = mask & (np.abs(angle) < 0.11) & (y > 200)
    pixels[shadow] = (pixels[shadow] * 0.2).astype(np.uint8)
    found = quality(studio, pixels)
    assert found.measures["shadow"] > 0.25
    assert "shadow" in codes(found)


def test_colour_doppler_is_refused_but_markers_are_not_colour(studio: Studio) -> None:
    pixels, _ = studio.fan(1)
    studio.pair(pixels, (340.0, 430.0), (620.0, 430.0), studio.styles["logiq"])
    assert "colour" not in codes(quality(studio, pixels))
    pixels[380:470, 420:540] = (200, 40, 20)
    assert "colour" in codes(quality(studio, pixels), hard=True)


def test_a_box_mostly_outside_the_image_is_refused(studio: Studio) -> None:
    found = quality(studio, studio.fan(1)[0], CropBox(-200, 100, 300, 600, "square"))
    assert "coverage" in codes(found, hard=True)
    nowhere = quality(studio, studio.fan(1)[0], CropBox(2000, 2000, 2100, 2100, "square"))
    assert nowhere.measures == {"coverage": 0.0}
    assert nowhere.grade == "non-diagnostic"


@given(st.floats(0, 40))
def test_only_kidney_lengths_pass(length_cm: float) -> None:
    fault = length_fault(length_cm)
    assert (fault is None) == (5 <= length_cm <= 16)
    assert fault is None or (fault.hard and "pole to pole" in fault.reason)


def test_an_unknown_length_is_not_judged() -> None:
    assert length_fault(None) is None


@given(st.floats(0, 255), st.floats(0, 255))
def test_a_darker_picture_never_gets_a_milder_verdict(one: float, other: float) -> None:
    def weight(mean: float) -> int:
        faults = [f for f in judge({"mean": mean}) if f.code == "dark_mean"]
        return sum(2 if f.hard else 1 for f in faults)

    low, high = sorted((one, other))
    assert weight(low) >= weight(high)


def disc(radius: int = 200) -> Sector:
    mask = np.zeros((600, 800), np.uint8)
    cv2.circle(mask, (400, 300), radius, 1, -1)
    return Sector("unknown", (200, 100, 601, 501), (), mask > 0, 1.0)


@given(st.integers(0, 260), st.integers(0, 260))
def test_a_kidney_nearer_to_the_edge_never_has_more_margin(one: int, other: int) -> None:
    near, far = (pole_margin(disc(), (320.0 + away, 300.0, 480.0 + away, 300.0)) for away in sorted((one, other)))
    assert 0 <= far <= near <= 0.1


def test_poles_inside_at_the_edge_and_outside_have_their_margin() -> None:
    sector = disc()
    assert pole_margin(sector, (300, 300, 500, 300)) == pytest.approx(0.1)
    assert pole_margin(sector, (206, 300, 500, 300)) == pytest.approx(6 / 294, abs=0.005)
    assert pole_margin(sector, (190, 300, 500, 300)) == 0
    assert pole_margin(sector, (-900, 300, 500, 300)) == 0
    faults = judge({"margin": pole_margin(sector, (206, 300, 500, 300))})
    assert [(f.code, f.hard) for f in faults] == [("margin", False)]
    assert "all of the kidney" in faults[0].reason


def test_a_moved_kidney_moves_and_new_speckle_alone_does_not(studio: Studio) -> None:
    first, second = studio.fan(1)[0], studio.fan(1)[0]
    speckle = np.random.default_rng(5).normal(0, 9, second.shape[:2])[:, :, None]
    second = np.clip(second + speckle, 0, 255).astype(np.uint8)
    moved = np.roll(first, 40, axis=0)
    motion = CropMotion()
    assert motion.measure(first, BOX) is None
    still, shifted = motion.measure(second, BOX), motion.measure(moved, BOX)
    assert still is not None and shifted is not None
    assert still < 0.15 < 0.6 < shifted
    assert judge({"moving": still}) == () and [f.code for f in judge({"moving": shifted})] == ["moving"]
    assert motion.measure(moved, CropBox(300, 280, 600, 580, "square")) is None
    assert motion.measure(moved, CropBox(2000, 2000, 2100, 2100, "square")) is None
