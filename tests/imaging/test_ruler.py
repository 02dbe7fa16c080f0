"""The depth ruler: centimetres where they can be read in one way only."""

from __future__ import annotations

import pytest

from edge_app.capture.base import ScreenRegion
from edge_app.imaging.ruler import find_scale
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
