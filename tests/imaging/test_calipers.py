"""Length markers: both ends to a pixel and a half in every maker's style; nothing where there is no pair."""

from __future__ import annotations

from functools import lru_cache
from math import hypot

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_app.imaging.calipers import find_calipers
from edge_app.imaging.scene import CaliperPair, Sector
from edge_app.imaging.sector import find_sector

from .conftest import Picture, Point, Studio

STYLE_NAMES = (
    "logiq", "voluson", "mindray", "epiq", "cx50", "sonosite x", "toshiba", "toshiba x", "green", "no line",
)  # fmt: skip
FIRST, SECOND = (330.0, 420.0), (640.0, 330.0)


def error(pair: CaliperPair, ends: tuple[Point, Point]) -> float:
    found = sorted((pair.first, pair.second))
    return max(hypot(a[0] - b[0], a[1] - b[1]) for a, b in zip(found, sorted(ends), strict=True))


def look(pixels: Picture) -> tuple[CaliperPair, ...]:
    return find_calipers(pixels, sector_of(pixels.shape[1], pixels.shape[0]))


@lru_cache
def sector_of(width: int, height: int) -> Sector | None:
    """The sector of the drawn fan of this size, found once: what is tested here are the markers."""
    pixels, _ = Studio().fan(1)
    return find_sector(Studio().scaled(pixels, height / 720)) if height != 720 else find_sector(pixels)


@pytest.mark.parametrize("name", STYLE_NAMES)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_makers_pair_is_found_to_a_pixel_and_a_half(studio: Studio, name: str, seed: int) -> None:
    pixels, _ = studio.fan(seed)
    studio.pair(pixels, FIRST, SECOND, studio.styles[name])
    pairs = look(pixels)
    assert len(pairs) == 1
    assert error(pairs[0], (FIRST, SECOND)) <= 1.5
    assert pairs[0].shape == studio.styles[name].shape


@pytest.mark.parametrize("name", STYLE_NAMES)
@pytest.mark.parametrize("factor", [0.67, 1.5, 2.0])
def test_a_rescaled_screen_keeps_its_pair(studio: Studio, name: str, factor: float) -> None:
    pixels, _ = studio.fan(4)
    studio.pair(pixels, FIRST, SECOND, studio.styles[name])
    pairs = look(studio.scaled(pixels, factor))
    ends = tuple(((x + 0.5) * factor - 0.5, (y + 0.5) * factor - 0.5) for x, y in (FIRST, SECOND))
    faint = factor < 1 and name in ("mindray", "toshiba")  # one-pixel strokes blend with their own outline
    assert len(pairs) == 1 or (faint and not pairs)
    for pair in pairs:
        assert error(pair, (ends[0], ends[1])) <= 1.5 * max(1.0, factor)


@pytest.mark.parametrize("name", STYLE_NAMES)
def test_compression_with_halved_chroma_keeps_the_pair(studio: Studio, name: str) -> None:
    pixels, _ = studio.fan(5)
    studio.pair(pixels, FIRST, SECOND, studio.styles[name])
    pairs = look(studio.jpeg(pixels, 80))
    assert len(pairs) == 1
    assert error(pairs[0], (FIRST, SECOND)) <= 1.5


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_anywhere_in_the_image_a_pair_is_found_or_nothing_is_said(studio: Studio, data: st.DataObject) -> None:
    style = studio.styles[data.draw(st.sampled_from(STYLE_NAMES))]
    first = (float(data.draw(st.integers(290, 400))), float(data.draw(st.integers(300, 480))))
    second = (float(data.draw(st.integers(520, 680))), float(data.draw(st.integers(280, 480))))
    pixels, _ = studio.fan(data.draw(st.integers(10, 14)))
    studio.pair(pixels, first, second, style)
    pairs = look(pixels)
    assert len(pairs) <= 1
    for pair in pairs:
        assert error(pair, (first, second)) <= 1.5


@pytest.mark.parametrize("seed", range(20, 26))
def test_an_image_without_markers_has_no_pair(studio: Studio, seed: int) -> None:
    pixels, _ = studio.fan(seed)
    assert look(pixels) == ()


def test_one_marker_alone_is_no_pair(studio: Studio) -> None:
    pixels, _ = studio.fan(6)
    studio.marker(pixels, FIRST, studio.styles["epiq"])
    assert look(pixels) == ()


def test_a_second_end_that_still_moves_in_green_is_not_final(studio: Studio) -> None:
    pixels, _ = studio.fan(6)
    studio.marker(pixels, FIRST, studio.styles["logiq"])
    studio.marker(pixels, SECOND, studio.styles["green"])
    assert look(pixels) == ()


def test_a_green_cursor_beside_a_set_pair_changes_nothing(studio: Studio) -> None:
    pixels, _ = studio.fan(7)
    studio.pair(pixels, FIRST, SECOND, studio.styles["logiq"])
    studio.marker(pixels, (500.0, 500.0), studio.styles["green"])
    pairs = look(pixels)
    assert len(pairs) == 1
    assert error(pairs[0], (FIRST, SECOND)) <= 1.5


def test_a_plus_and_an_x_are_no_pair(studio: Studio) -> None:
    pixels, _ = studio.fan(8)
    studio.marker(pixels, FIRST, studio.styles["epiq"])
    studio.marker(pixels, SECOND, studio.styles["no line"])
    assert look(pixels) == ()


def test_length_and_width_are_told_apart_and_the_longest_comes_first(studio: Studio) -> None:
    pixels, _ = studio.fan(9)
    studio.pair(pixels, FIRST, SECOND, studio.styles["epiq"])
    studio.pair(pixels, (470.0, 310.0), (505.0, 440.0), studio.styles["epiq"])
    pairs = look(pixels)
    assert [error(pairs[0], (FIRST, SECOND)) <= 1.5, error(pairs[1], ((470.0, 310.0), (505.0, 440.0))) <= 1.5] == [
        True
    ] * 2


def test_legend_glyphs_and_words_are_no_markers(studio: Studio) -> None:
    pixels, _ = studio.fan(3)
    for row in (90, 120):
        studio.marker(pixels, (20.0, float(row)), studio.styles["epiq"])
        studio.text(pixels, "Rt Kidney 10.42 cm", (34, row + 5))
    studio.text(pixels, "x text at the kidney x", (360, 420), 0.6)
    assert look(pixels) == ()


def test_marks_labelled_with_a_letter_are_still_markers(studio: Studio) -> None:
    pixels, _ = studio.fan(2)
    studio.pair(pixels, FIRST, SECOND, studio.styles["toshiba"])
    studio.text(pixels, "A", (int(FIRST[0]) - 26, int(FIRST[1]) - 6), 0.4)
    studio.text(pixels, "B", (int(SECOND[0]) + 14, int(SECOND[1]) - 6), 0.4)
    pairs = look(pixels)
    assert len(pairs) == 1
    assert error(pairs[0], (FIRST, SECOND)) <= 1.5


def test_an_end_hidden_in_bright_tissue_is_found_by_its_shadow(studio: Studio) -> None:
    pixels, mask = studio.fan(4, mean=60.0)
    style = studio.styles["cx50"]
    grey = type(style)(arm=8, thick=1, colour=(165, 165, 165), shadow=True, dots=11)
    pixels[380:460, 290:370] = np.where(mask[380:460, 290:370, None], 158, pixels[380:460, 290:370])
    pixels[380:460, 290:370] += np.random.default_rng(1).integers(0, 9, (80, 80, 1), dtype=np.uint8)
    studio.pair(pixels, FIRST, SECOND, grey)
    pairs = look(pixels)
    assert len(pairs) == 1
    assert error(pairs[0], (FIRST, SECOND)) <= 1.5


def test_markers_far_from_the_image_are_not_looked_at(studio: Studio) -> None:
    pixels, mask = studio.fan(5)
    sector = Sector("convex", (0, 0, 960, 720), ((0.0, 0.0),), mask, 1.0)
    studio.marker(pixels, (40.0, 600.0), studio.styles["epiq"])
    studio.marker(pixels, (160.0, 600.0), studio.styles["epiq"])
    assert find_calipers(pixels, sector) == ()
