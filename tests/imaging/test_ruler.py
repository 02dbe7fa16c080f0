"""The depth ruler: centimetres where they can be read in one way only."""

from __future__ import annotations

import pytest

from edge_app.capture.base import ScreenRegion
from edge_app.imaging.ruler import find_scale, find_ticks
from edge_app.imaging.sector import find_sector

from .conftest import Studio


@pytest.mark.parametrize("spacing", [28.37, 35.47, 47.2])
@pytest.mark.parametrize("factor", [1.0, 1.5])
def test_long_ticks_every_fifth_give_centimetres_to_half_a_percent(
    studio: Studio, spacing: float, factor: float
) -> None:
    pixels, _ = studio.fan(1)
    studio.ruler(pixels, 840, 100, spacing, (int(540 / spacing), 5))
    pixels = studio.scaled(pixels, factor)
    scale = find_scale(pixels, find_sector(pixels))
    assert scale is not None
    assert scale.basis == "ruler"
    assert scale.px_per_cm == pytest.approx(spacing * factor, rel=0.005)


def test_long_ticks_every_second_are_half_centimetres(studio: Studio) -> None:
    pixels, _ = studio.fan(1)
    studio.ruler(pixels, 840, 90, 20.0, (29, 2))
    scale = find_scale(pixels, find_sector(pixels))
    assert scale is not None
    assert scale.px_per_cm == pytest.approx(40.0, rel=0.005)


def test_equal_ticks_that_can_be_read_in_two_ways_are_not_read(studio: Studio) -> None:
    pixels, _ = studio.fan(1)
    studio.ruler(pixels, 840, 90, 26.0, (21, 1))
    assert find_scale(pixels, find_sector(pixels)) is None


def test_words_beside_the_image_are_no_ruler(studio: Studio) -> None:
    pixels, _ = studio.fan(1)
    for row in range(12):
        studio.text(pixels, "Gn 56 DR 63", (820, 110 + 40 * row))
    assert find_scale(pixels, find_sector(pixels)) is None


def test_without_a_sector_there_is_no_scale(studio: Studio) -> None:
    pixels, _ = studio.fan(1)
    studio.ruler(pixels, 840, 100, 35.0, (15, 5))
    assert find_scale(pixels, None) is None


def test_what_the_file_declares_wins(studio: Studio) -> None:
    pixels, _ = studio.fan(1)
    studio.ruler(pixels, 840, 100, 35.0, (15, 5))
    scale = find_scale(pixels, find_sector(pixels), (ScreenRegion((100, 60, 860, 700), 41.5),))
    assert scale is not None
    assert (scale.px_per_cm, scale.basis) == (41.5, "dicom")


@pytest.mark.parametrize("ticks, long_every", [((21, 1), 1), ((21, 5), 5)])
@pytest.mark.parametrize("depth_cm, step_cm", [(10.4, 0.5), (20.8, 1.0)])
def test_the_depth_on_the_screen_decides_what_a_step_is(
    studio: Studio, ticks: tuple[int, int], long_every: int, depth_cm: float, step_cm: float
) -> None:
    """Steps of 26 px over 590 px of image: 23 cm at 1 cm a step, 11 cm at 0.5."""
    pixels, _ = studio.fan(1)
    studio.ruler(pixels, 900, 90, 26.0, ticks)
    sector = find_sector(pixels)
    if step_cm == 0.5 and long_every == 5:
        assert find_scale(pixels, sector, (), {depth_cm}) is None  # long ticks say 1 cm, the screen says 0.5: neither
        return
    scale = find_scale(pixels, sector, (), {depth_cm})
    assert scale is not None
    assert scale.px_per_cm == pytest.approx(26.0 / step_cm, rel=0.005)


@pytest.mark.parametrize("spacing", [11.7, 13.3, 23.4, 31.2])
def test_many_ticks_at_no_whole_number_of_pixels_are_counted_right(studio: Studio, spacing: float) -> None:
    pixels, _ = studio.fan(1)
    studio.ruler(pixels, 850, 92, spacing, (int(570 / spacing), 5))
    (ticks, *_) = find_ticks(pixels, find_sector(pixels))  # type: ignore[arg-type]
    assert ticks.spacing_px == pytest.approx(spacing, rel=0.002)
    assert len(ticks.numbers) == int(570 / spacing)


@pytest.mark.parametrize("factor", [0.67, 1.0, 1.5, 2.0])
@pytest.mark.parametrize("quality", [60, 95])
def test_a_grabbers_scaling_and_jpeg_leave_the_scale_right(studio: Studio, factor: float, quality: int) -> None:
    pixels, _ = studio.fan(1)
    studio.ruler(pixels, 845, 100, 35.47, (15, 5))
    pixels = studio.jpeg(studio.scaled(pixels, factor), quality)
    scale = find_scale(pixels, find_sector(pixels))
    assert scale is not None
    assert scale.px_per_cm == pytest.approx(35.47 * factor, rel=0.005)
