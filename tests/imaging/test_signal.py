"""What a grabber shows with nothing connected is told by its kind; no scanner's screen is taken for it."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_app.capture.base import Frame, frames
from edge_app.capture.open import open_source
from edge_app.imaging.freeze import FreezeWatch
from edge_app.imaging.observer import SceneObserver
from edge_app.imaging.signal import WORDS, SignalFault, signal_fault

from .conftest import Picture

SIZES = ((640, 480), (1280, 720), (1920, 1080))
WHITE, YELLOW, CYAN, GREEN, MAGENTA, RED, BLUE = (
    (1, 1, 1), (1, 1, 0), (0, 1, 1), (0, 1, 0), (1, 0, 1), (1, 0, 0), (0, 0, 1),
)  # fmt: skip
COLOURS = (WHITE, YELLOW, CYAN, GREEN, MAGENTA, RED, BLUE)


def plain(colour: tuple[int, int, int], size: tuple[int, int] = (1280, 720)) -> Picture:
    return np.full((size[1], size[0], 3), colour, np.uint8)


def stripes(size: tuple[int, int], level: int, colours: tuple[tuple[int, int, int], ...] = COLOURS) -> Picture:
    row = np.array([colours[x * len(colours) // size[0]] for x in range(size[0])], np.uint8) * level
    return np.repeat(row[None], size[1], axis=0)


def smpte(size: tuple[int, int]) -> Picture:
    """Bars in the upper two thirds, a strip of other colours, grey fields at the bottom."""
    pixels, (width, height) = stripes(size, 191), size
    pixels[height * 2 // 3 : height * 3 // 4] = stripes(size, 191, COLOURS[::-1])[0]
    pixels[height * 3 // 4 :] = np.linspace(0, 255, width)[None, :, None].astype(np.uint8)
    return pixels


def words(pixels: Picture, text: str, at: tuple[float, float], scale: float, ink: int = 255) -> Picture:
    height, width = pixels.shape[:2]
    cv2.putText(pixels, text, (int(at[0] * width), int(at[1] * height)), 0, scale, (ink,) * 3, 3, cv2.LINE_AA)
    return pixels


def boxed(pixels: Picture) -> Picture:
    height, width = pixels.shape[:2]
    pixels[height * 2 // 5 : height * 3 // 5, width * 3 // 10 : width * 7 // 10] = 0
    return words(pixels, "NO SIGNAL", (0.35, 0.52), width / 800)


def damaged(pixels: Picture, quality: int) -> Picture:
    good, data = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert good
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert picture is not None
    return np.ascontiguousarray(picture[..., ::-1]).astype(np.uint8)


def limited(pixels: Picture) -> Picture:
    return (16 + pixels.astype(np.float32) * 219 / 255).astype(np.uint8)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("harm", ["none", "jpeg", "limited", "blurred"])
def test_each_kind_of_colour_bars_is_known(size: tuple[int, int], harm: str) -> None:
    lying = np.ascontiguousarray(stripes((size[1], size[0]), 191).transpose(1, 0, 2))
    eight = stripes(size, 191, (*COLOURS, (0, 0, 0)))
    for pixels in (smpte(size), stripes(size, 191), stripes(size, 255), eight, lying, boxed(stripes(size, 191))):
        if harm == "jpeg":
            pixels = damaged(pixels, 60)
        elif harm == "limited":
            pixels = limited(pixels)
        elif harm == "blurred":
            pixels = np.asarray(cv2.GaussianBlur(pixels, (0, 0), 2.0), np.uint8)
        assert signal_fault(pixels) == "bars"


@pytest.mark.parametrize(
    ("pixels", "fault"),
    [
        (plain((0, 0, 0)), "black"),
        (plain((7, 7, 7)), "black"),
        (plain((0, 0, 255)), "plain"),
        (plain((0, 0, 160)), "plain"),
        (plain((255, 0, 255)), "plain"),  # a link that failed to agree on encryption
        (plain((0, 255, 0)), "plain"),  # YUV of zeros
        (plain((90, 90, 90)), "plain"),
        (words(plain((0, 0, 200)), "NO SIGNAL", (0.3, 0.5), 2.0), "plain"),
    ],
)
def test_black_and_one_colour_are_told_apart(pixels: Picture, fault: SignalFault) -> None:
    assert signal_fault(pixels) == fault
    assert signal_fault(limited(pixels)) == fault


@pytest.mark.parametrize("size", SIZES)
def test_noise_alone_is_told(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(3)
    grey = rng.integers(0, 255, (size[1], size[0], 1)).astype(np.uint8)
    assert signal_fault(np.repeat(grey, 3, axis=2)) == "snow"
    assert signal_fault(rng.integers(0, 255, (size[1], size[0], 3)).astype(np.uint8)) == "snow"


@settings(deadline=None, max_examples=40)  # a busy computer is no fault
@given(
    st.sampled_from(SIZES),
    st.sampled_from([(0, 255), (16, 235), (60, 200), (235, 20)]),
    st.floats(0.05, 0.45),
    st.floats(0.2, 0.9),
    st.sampled_from([None, 60, 90]),
)
def test_a_makers_sign_is_known_wherever_it_bounces(
    size: tuple[int, int], greys: tuple[int, int], x: float, y: float, quality: int | None
) -> None:
    ground, ink = greys
    pixels = words(plain((ground,) * 3, size), "NO SIGNAL", (x, y), size[0] / 500, ink)
    if quality is not None:
        pixels = damaged(pixels, quality)
    assert signal_fault(pixels) == "sign"


def test_words_of_a_scanner_on_a_dark_screen_are_a_signal() -> None:
    dark = words(plain((0, 0, 0)), "C5-2 Abdomen", (0.01, 0.04), 0.5)
    assert signal_fault(dark) is None
    assert signal_fault(words(dark, "MI 1.1  TIS 0.2", (0.8, 0.95), 0.5)) is None


def variants(pixels: Picture) -> list[Picture]:
    height, width = pixels.shape[:2]
    crop = np.ascontiguousarray(pixels[height // 6 : height * 5 // 6, width // 4 : width * 3 // 4])
    alone = np.zeros_like(pixels)
    small = np.asarray(cv2.resize(crop, (width // 2, height // 2)), np.uint8)
    alone[height // 4 : height // 4 + height // 2, width // 4 : width // 4 + width // 2] = small
    inset = np.zeros_like(pixels)  # the whole screen, small in a corner, as scalers leave it
    inset[: height * 3 // 5, : width * 3 // 5] = cv2.resize(pixels, (width * 3 // 5, height * 3 // 5))
    dim = (pixels // 4).astype(np.uint8)
    return [pixels, dim, damaged(pixels, 60), limited(pixels), inset, alone, (alone // 3).astype(np.uint8)]


def test_no_real_screen_is_taken_for_a_grabbers_own(shared_data: Path) -> None:
    """All makers, dark, damaged, in limited range, and as a small image alone on a black screen."""
    names = [path for room in ("images", "clips", "dicom") for path in sorted((shared_data / room).iterdir())]
    assert len(names) >= 16
    for path in names:
        with open_source(str(path)) as source:
            seen = list(islice(frames(source), 0, 21, 20))
        for frame in seen:
            found = [signal_fault(pixels) for pixels in variants(frame.pixels)]
            # the Siemens and the Philips probe are held in air: without their screens nothing is left of them
            assert set(found[:5]) == {None}, path.name
            assert set(found[5:]) <= {None, "black"}, path.name


@pytest.mark.parametrize("look", ["ge", "philips", "canon"])
def test_no_picture_of_the_phantom_is_taken_for_a_grabbers_own(look: str) -> None:
    with open_source(f"phantom:look={look},size=640x480,seed=5,frames=12") as source:
        for frame in islice(frames(source), 3):
            assert {signal_fault(pixels) for pixels in variants(frame.pixels)} == {None}


def test_the_scene_says_why_there_is_no_signal() -> None:
    scene = SceneObserver().observe(Frame(0, 0.0, stripes((640, 480), 191)))
    assert (scene.signal, scene.frozen, scene.signal_fault) == (False, False, "bars")
    assert "colour bars" in WORDS["bars"]


def test_a_picture_that_repeats_is_timed_and_a_clock_ends_it() -> None:
    """An image of no sector: what counts is the whole screen."""
    pixels = np.random.default_rng(1).integers(0, 200, (480, 640, 3)).astype(np.uint8)
    ticked = pixels.copy()
    ticked[4:12, 600:606] = 255
    watch = FreezeWatch()
    told = [watch.observe(pixels.copy(), 1000.0 * second, None).repeated_ms for second in range(70)]
    assert told == [1000.0 * second for second in range(70)]
    assert watch.observe(ticked, 70_000.0, None).repeated_ms == 0.0
    assert watch.observe(ticked.copy(), 71_000.0, None).repeated_ms == 1000.0
