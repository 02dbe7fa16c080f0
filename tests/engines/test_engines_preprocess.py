from __future__ import annotations

from math import hypot

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.errors import TensorMismatchError, UsageError
from engines.manifest import CropMode
from engines.preprocess import CropBox, crop_box, extract

coordinate = st.floats(-500, 3000, allow_nan=False)
point = st.tuples(coordinate, coordinate)
picture = np.random.default_rng(0).integers(1, 256, (90, 120, 3), dtype=np.uint8)


@given(point, point, st.sampled_from(["square", "legacy_tight"]), st.floats(0.6, 1.9))
def test_the_order_of_the_markers_does_not_matter_and_the_centre_is_their_midpoint(first, second, mode, factor) -> None:
    try:
        box = crop_box(first, second, mode, factor)
    except UsageError:
        with pytest.raises(UsageError):
            crop_box(second, first, mode, factor)
        return
    assert crop_box(second, first, mode, factor) == box
    assert (box.x0 + box.x1) / 2 == pytest.approx((first[0] + second[0]) / 2 + 0.5, abs=1e-6)
    assert (box.y0 + box.y1) / 2 == pytest.approx((first[1] + second[1]) / 2 + 0.5, abs=1e-6)


@given(point, point, st.floats(0.6, 1.9))
def test_the_square_has_the_side_of_the_marker_distance_times_the_factor(first, second, factor) -> None:
    distance = hypot(second[0] - first[0], second[1] - first[1])
    if distance < 8:
        return
    box = crop_box(first, second, "square", factor)
    assert box.width == pytest.approx(factor * distance, rel=1e-6)
    assert box.height == pytest.approx(factor * distance, rel=1e-6)


def test_the_square_of_a_hand_made_pair() -> None:
    assert crop_box((10, 20), (110, 20), "square") == CropBox(10.5, -29.5, 110.5, 70.5, "square")


@given(st.floats(-400, 400), st.floats(-400, 400), st.integers(-200, 200), st.integers(-200, 200))
def test_moving_both_markers_moves_the_box(x: float, y: float, right: int, down: int) -> None:
    still = crop_box((x, y), (x + 300, y + 60), "legacy_tight")
    moved = crop_box((x + right, y + down), (x + right + 300, y + down + 60), "legacy_tight")
    assert (moved.x0, moved.y1) == pytest.approx((still.x0 + right, still.y1 + down), abs=1e-6)


@pytest.mark.parametrize(
    ("dx", "dy", "width", "height"), [(281, 72, 293, 320), (281, 80, 294, 308), (314, 105, 327, 368)]
)
def test_legacy_boxes_have_the_proportions_of_the_released_samples(dx: int, dy: int, width: int, height: int) -> None:
    # The markers of the samples are not published: dx is the sample's width without a marker's 12-13 px of arms,
    # dy what its height implies within the 6 px by which the samples scatter.
    box = crop_box((100, 100), (100 + dx, 100 + dy), "legacy_tight")
    assert box.width == pytest.approx(width, rel=0.02)
    assert box.height == pytest.approx(height, rel=0.06)
    assert 0.85 < box.width / box.height < 0.97


@pytest.mark.parametrize("mode", ["square", "legacy_tight"])
@pytest.mark.parametrize("second", [(10.0, 10.0), (17.9, 10.0), (float("nan"), 3.0), (float("inf"), 3.0)])
def test_a_degenerate_pair_is_refused_in_one_sentence(mode: CropMode, second: tuple[float, float]) -> None:
    with pytest.raises(UsageError, match=r"The crop cannot be placed, because .*: .*marker"):
        crop_box((10.0, 10.0), second, mode)


def test_legacy_refuses_a_kidney_that_stands_upright() -> None:
    with pytest.raises(UsageError, match="almost above each other"):
        crop_box((100, 100), (110, 400), "legacy_tight")


def test_what_lies_outside_of_the_picture_is_black() -> None:
    cut = extract(picture, CropBox(-10, -20, 130, 120, "square"), 140, 140)
    assert not cut[:20].any() and not cut[110:].any() and not cut[:, :10].any() and not cut[:, 130:].any()
    np.testing.assert_array_equal(cut[20:110, 10:130], picture)


@given(st.integers(-300, 300), st.integers(-300, 300), st.integers(1, 300), st.integers(1, 300))
def test_every_pixel_of_a_cut_is_the_picture_or_black(x: int, y: int, width: int, height: int) -> None:
    cut = extract(picture, CropBox(x, y, x + width, y + height, "square"), height, width)
    padded = np.zeros((1300, 1300, 3), np.uint8)
    padded[500 : 500 + 90, 500 : 500 + 120] = picture
    np.testing.assert_array_equal(cut, padded[500 + y : 500 + y + height, 500 + x : 500 + x + width])


def test_one_to_one_is_the_identity_and_a_copy() -> None:
    cut = extract(picture, CropBox(0, 0, 120, 90, "square"), 90, 120)
    np.testing.assert_array_equal(cut, picture)
    assert not np.shares_memory(cut, picture)


def test_the_resize_is_the_published_one() -> None:
    cut = extract(picture, CropBox(20, 10, 100, 80, "legacy_tight"), 224, 224)
    np.testing.assert_array_equal(cut, cv2.resize(picture[10:80, 20:100], (224, 224), interpolation=cv2.INTER_LINEAR))


@given(st.floats(-50, 50), st.floats(-50, 50), st.floats(9, 200))
def test_a_square_is_cut_square_wherever_it_lies(x: float, y: float, side: float) -> None:
    box = CropBox(x, y, x + side, y + side, "square")
    whole = int(np.floor(side + 0.5))
    left, top = int(np.floor(x + 0.5)), int(np.floor(y + 0.5))
    canvas = np.zeros((600, 600, 3), np.uint8)
    canvas[200 : 200 + 90, 200 : 200 + 120] = picture
    wanted = canvas[200 + top : 200 + top + whole, 200 + left : 200 + left + whole]
    got = extract(picture, box, 32, 32)
    np.testing.assert_array_equal(got, cv2.resize(wanted, (32, 32), interpolation=cv2.INTER_LINEAR))


def test_the_picture_is_not_changed_and_may_be_read_only() -> None:
    frozen = picture.copy()
    frozen.flags.writeable = False
    extract(frozen, CropBox(-5, -5, 60, 60, "square"), 224, 224)
    np.testing.assert_array_equal(frozen, picture)


@pytest.mark.parametrize(
    "pixels",
    [picture.astype(np.float32), picture[:, :, 0], np.zeros((4, 4, 4), np.uint8)],
    ids=["float", "grey", "rgba"],
)
def test_a_picture_of_another_kind_is_refused(pixels) -> None:
    with pytest.raises(TensorMismatchError, match=r"instead of uint8 \(H, W, 3\) RGB"):
        extract(pixels, CropBox(0, 0, 10, 10, "square"), 224, 224)


@pytest.mark.parametrize("box", [(0, 0, 0.2, 5), (0, 0, 5, -5), (0, 0, 20000, 10), (0, 0, float("nan"), 5)])
def test_a_box_without_area_or_beyond_reason_is_refused(box: tuple[float, float, float, float]) -> None:
    with pytest.raises(TensorMismatchError, match="The crop cannot be cut"):
        extract(picture, CropBox(*box, "square"), 224, 224)


def test_half_a_pixel_is_rounded_up_on_even_and_odd_edges_alike() -> None:
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:] = (np.arange(8, dtype=np.uint8) * 10)[None, :, None]
    for left in (0, 1, 2):  # rounding half to even would move every other box by a pixel, and a live crop would jitter
        crop = extract(pixels, CropBox(left + 0.5, 0.0, left + 3.0, 3.0, "square"), 3, 3)
        assert crop[0, :, 0].tolist() == [10 * (left + 1), 10 * (left + 2), 10 * (left + 3)]
