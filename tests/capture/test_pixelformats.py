"""From a grabber's bytes to RGB and back: each format, matrix and range within known bounds."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_app.capture.fields import Deinterlacer
from edge_app.capture.modes import UNCOMPRESSED
from edge_app.capture.pixelformats import PixelFormat, least_stride, to_rgb

U8 = NDArray[np.uint8]
Matrix = Literal["601", "709"]
# What an 8-bit level of colour that is stored in 219 and 224 steps can be off after the way back.
ROUNDING = 3


def to_yuv(rgb: U8, matrix: Matrix, full: bool) -> U8:
    """Write uint8 (H, W, 3) RGB as Y, Cb, Cr by the formulas of BT.601 and BT.709, not by ours."""
    red, blue = {"601": (0.299, 0.114), "709": (0.2126, 0.0722)}[matrix]
    r, g, b = (rgb[:, :, k].astype(float) / 255 for k in range(3))
    y = red * r + (1 - red - blue) * g + blue * b
    cb, cr = (b - y) / (2 * (1 - blue)), (r - y) / (2 * (1 - red))
    planes = (255 * y, 255 * cb + 128, 255 * cr + 128) if full else (219 * y + 16, 224 * cb + 128, 224 * cr + 128)
    return np.stack([np.clip(np.rint(plane), 0, 255) for plane in planes], axis=2).astype(np.uint8)


def packed(fourcc: str, rgb: U8, layout: PixelFormat) -> bytes:
    """Lay a picture whose colour does not change within 2 x 2 pixels into a grabber's buffer."""
    height, width = rgb.shape[:2]
    if fourcc in ("RGB3", "BGR3", "BGR4", "XR24"):
        order = [0, 1, 2] if fourcc == "RGB3" else [2, 1, 0]
        pixels = rgb[:, :, order]
        if fourcc in ("BGR4", "XR24"):
            pixels = np.concatenate([pixels, np.full((height, width, 1), 7, np.uint8)], axis=2)
        return padded(pixels.reshape(height, -1), layout.stride)
    yuv = to_yuv(rgb, layout.matrix, layout.full)
    y, u, v = yuv[:, :, 0], yuv[::2, ::2, 1], yuv[::2, ::2, 2]
    if fourcc == "GREY":
        return padded(y, layout.stride)
    if fourcc in ("YUYV", "UYVY", "YVYU"):
        parts = {"Y": y[:, ::2], "y": y[:, 1::2], "U": yuv[:, ::2, 1], "V": yuv[:, ::2, 2]}
        order_of = {"YUYV": "YUyV", "UYVY": "UYVy", "YVYU": "YVyU"}[fourcc]
        return padded(np.stack([parts[name] for name in order_of], axis=2).reshape(height, -1), layout.stride)
    first, second = (u, v) if fourcc in ("NV12", "YU12") else (v, u)
    if fourcc in ("NV12", "NV21"):
        return padded(y, layout.stride) + padded(
            np.stack([first, second], axis=2).reshape(height // 2, -1), layout.stride
        )
    half = layout.stride // 2
    return padded(y, layout.stride) + padded(first, half) + padded(second, half)


def padded(rows: U8, stride: int) -> bytes:
    return np.pad(rows, ((0, 0), (0, stride - rows.shape[1])), constant_values=99).tobytes()


@settings(max_examples=120, deadline=None)
@given(
    st.sampled_from(UNCOMPRESSED),
    st.sampled_from(["601", "709"]),
    st.booleans(),
    st.sampled_from([(2, 2), (8, 4), (34, 18)]),
    st.sampled_from([0, 2, 62]),
    st.integers(0, 2**32 - 1),
)
def test_every_format_comes_back_in_its_colours(
    fourcc: str, matrix: Matrix, full: bool, size: tuple[int, int], padding: int, seed: int
) -> None:
    width, height = size
    blocks = np.random.default_rng(seed).integers(0, 256, (height // 2, width // 2, 3)).astype(np.uint8)
    rgb = np.repeat(np.repeat(blocks, 2, axis=0), 2, axis=1)
    if fourcc == "GREY":
        rgb = np.repeat(rgb[:, :, :1], 3, axis=2)
    layout = PixelFormat(fourcc, width, height, least_stride(fourcc, width) + padding, matrix, full)
    back = to_rgb(packed(fourcc, rgb, layout), layout)
    assert back is not None
    assert back.shape == rgb.shape
    assert np.abs(back.astype(int) - rgb.astype(int)).max() <= ROUNDING


def test_limited_range_is_stretched_and_full_range_is_not() -> None:
    grey = bytes([16, 128, 235, 128] * 8)
    limited = to_rgb(grey, PixelFormat("YUYV", 4, 4, 8))
    full = to_rgb(grey, PixelFormat("YUYV", 4, 4, 8, full=True))
    assert limited is not None
    assert full is not None
    assert limited[0, :2, 0].tolist() == [0, 255]
    assert full[0, :2, 0].tolist() == [16, 235]


def test_the_usual_grabber_agrees_with_opencv() -> None:
    raw = np.random.default_rng(5).integers(16, 236, (36, 64, 2)).astype(np.uint8)
    ours = to_rgb(raw.tobytes(), PixelFormat("YUYV", 64, 36, 128))
    assert ours is not None
    theirs = cv2.cvtColor(raw, cv2.COLOR_YUV2RGB_YUYV)
    assert np.abs(ours.astype(int) - theirs.astype(int)).max() <= 2


def test_a_jpeg_comes_in_rgb_and_a_cut_one_does_not_come() -> None:
    red = np.full((32, 48, 3), (0, 0, 255), np.uint8)  # BGR
    data = cv2.imencode(".jpg", red)[1].tobytes()
    layout = PixelFormat("MJPG", 48, 32, 0)
    pixels = to_rgb(data + bytes(40), layout)
    assert pixels is not None
    assert pixels[5, 5, 0] > 240 > 20 > pixels[5, 5, 2]
    assert to_rgb(data[: len(data) // 2], layout) is None
    assert to_rgb(b"", layout) is None


@pytest.mark.parametrize("fourcc", UNCOMPRESSED)
def test_a_picture_that_is_too_short_does_not_come(fourcc: str) -> None:
    layout = PixelFormat(fourcc, 8, 8, least_stride(fourcc, 8))
    assert to_rgb(bytes(least_stride(fourcc, 8) * 8 - 1), layout) is None


def field_pictures(rows: int = 32) -> tuple[U8, U8]:
    """Two moments of a bright bar that moves by 6 pixels."""
    first, second = np.zeros((rows, 40, 3), np.uint8), np.zeros((rows, 40, 3), np.uint8)
    first[:, 10:16], second[:, 16:22] = 255, 255
    return first, second


def test_what_moves_shows_no_comb() -> None:
    first, second = field_pictures()
    woven = first.copy()
    woven[1::2] = second[1::2]
    out = Deinterlacer()(woven, "interlaced")
    assert np.array_equal(out, first), "the lines of one field, and between them the same"


def test_what_stands_still_keeps_every_line() -> None:
    still = np.random.default_rng(7).integers(0, 255, (32, 40, 3)).astype(np.uint8)
    deinterlace = Deinterlacer()
    deinterlace(still, "interlaced")
    assert np.array_equal(deinterlace(still, "interlaced"), still)
    halves = np.concatenate([still[0::2], still[1::2]])
    assert np.array_equal(deinterlace(halves, "top over bottom"), still)
    swapped = np.concatenate([still[1::2], still[0::2]])
    assert np.array_equal(deinterlace(swapped, "bottom over top"), still)


def test_fields_that_come_one_by_one_are_as_high_as_the_picture() -> None:
    still = np.random.default_rng(8).integers(0, 255, (32, 40, 3)).astype(np.uint8)
    deinterlace = Deinterlacer()
    alone = deinterlace(still[0::2], "top")
    assert alone.shape == still.shape
    assert np.array_equal(alone[0::2], still[0::2])
    lower = Deinterlacer()(still[1::2], "bottom")
    assert np.array_equal(lower[1::2], still[1::2])
    deinterlace(still[1::2], "bottom")
    assert np.array_equal(deinterlace(still[0::2], "top"), still), "it stands still: both fields"
    assert np.array_equal(deinterlace(still[1::2], "bottom"), still)
