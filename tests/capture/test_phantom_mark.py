"""The mark that tells a synthetic picture from a patient's."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.synthetic_mark import draw, present


def marked(height: int, width: int, seed: int = 0) -> np.ndarray:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    draw(pixels)
    return pixels


@pytest.mark.parametrize("height", [480, 576, 720, 768, 960, 1080])
def test_the_mark_is_found_where_it_was_drawn(height: int) -> None:
    assert present(marked(height, height * 4 // 3))


@settings(max_examples=25, deadline=None)
@given(scale=st.floats(0.5, 2.0), quality=st.integers(70, 95), lines=st.sampled_from([720, 960, 1080]))
def test_the_mark_survives_scaling_and_jpeg_with_reduced_colour(scale: float, quality: int, lines: int) -> None:
    pixels = marked(lines, lines * 4 // 3)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    scaled = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=how)
    options = [
        cv2.IMWRITE_JPEG_QUALITY,
        quality,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    ]
    _, data = cv2.imencode(".jpg", scaled, options)
    assert present(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), dtype=np.uint8))


def test_the_mark_survives_limited_range() -> None:
    assert present((16.0 + marked(960, 1280) * (219.0 / 255.0)).astype(np.uint8))


@pytest.mark.parametrize("value", [0, 16, 128, 255])
def test_an_even_picture_has_no_mark(value: int) -> None:
    assert not present(np.full((720, 960, 3), value, np.uint8))


@given(seed=st.integers(0, 10**6))
def test_noise_has_no_mark(seed: int) -> None:
    assert not present(np.random.default_rng(seed).integers(0, 256, (240, 320, 3), dtype=np.uint8))


def test_a_picture_too_small_for_the_mark_has_none() -> None:
    assert not present(np.zeros((60, 80, 3), np.uint8))
    assert not present(np.zeros((720, 40, 3), np.uint8))


def test_no_real_still_has_the_mark(shared_data: Path) -> None:
    stills = sorted((shared_data / "images").iterdir())
    assert stills
    for path in stills:
        assert not present(np.asarray(cv2.imread(str(path)), dtype=np.uint8)), path.name


def test_no_real_clip_has_the_mark(shared_data: Path) -> None:
    clips = sorted((shared_data / "clips").glob("*.mp4"))
    assert clips
    for path in clips:
        reader = cv2.VideoCapture(str(path))
        for _ in range(10):
            ok, pixels = reader.read()
            assert ok and not present(np.asarray(pixels, dtype=np.uint8)), path.name
        reader.release()
