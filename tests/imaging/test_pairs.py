"""Which glyphs are a pair: one way or none; never a width in place of the length."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from edge_app.imaging.glyph import Glyph
from edge_app.imaging.line import Lines
from edge_app.imaging.pairs import Matching, pair_of
from edge_app.imaging.slices import finish

from .conftest import Picture, Point, Studio

YELLOW, GREEN, WHITE, GREY = (250.0, 250.0, 20.0), (20.0, 250.0, 20.0), (250.0, 250.0, 250.0), (140.0, 140.0, 140.0)


def glyph(x: float, y: float, colour: tuple[float, float, float] = WHITE) -> Glyph:
    return Glyph(x, y, "plus", 8.0, colour, 0.99, 0.0)


def dotted(pixels: Picture, a: Point, b: Point, colour: tuple[float, float, float], step: float = 6.0) -> None:
    length = float(np.hypot(b[0] - a[0], b[1] - a[1]))
    for at in np.arange(step, length, step):
        x, y = (round(p + (q - p) * at / length) for p, q in zip(a, b, strict=True))
        pixels[y, x] = colour


def matched(
    glyphs: list[Glyph], pixels: Picture | None = None, outside: tuple[Glyph, ...] = ()
) -> tuple[list[tuple[Point, Point]], dict[Glyph, str]]:
    picture = np.full((720, 960, 3), 40, np.uint8) if pixels is None else pixels
    found = Matching(glyphs, [g not in outside for g in glyphs])
    finish(found.searching(picture))
    return [(pair_of(one).first, pair_of(one).second) for one in found.links], found.refused


A, B, C, D = (200.0, 300.0), (700.0, 420.0), (430.0, 250.0), (470.0, 500.0)


def test_two_alike_are_a_pair() -> None:
    pairs, refused = matched([glyph(*B), glyph(*A)])
    assert pairs == [(A, B)] and refused == {}


def test_the_active_end_may_be_brighter_than_the_fixed_one() -> None:
    assert matched([glyph(*A, GREY), glyph(*B, WHITE)])[0] == [(A, B)]


@pytest.mark.parametrize(
    "other",
    [
        replace(glyph(*B), shape="cross"),
        replace(glyph(*B), reach=12.0),
        replace(glyph(*B), colour=GREEN),
        replace(glyph(*B), confidence=0.6),
        glyph(A[0] + 20, A[1]),
    ],
    ids=["another shape", "another size", "another colour", "not sure", "on top of the first"],
)
def test_what_cannot_be_the_other_end_is_none(other: Glyph) -> None:
    pairs, refused = matched([glyph(*A), other])
    assert pairs == [] and set(refused) == {glyph(*A), other}


def test_an_end_that_is_still_green_pairs_only_where_a_line_joins_it() -> None:
    ends = [glyph(*A, YELLOW), glyph(*B, GREEN)]
    assert matched(ends)[0] == []
    pixels = np.full((720, 960, 3), 40, np.uint8)
    dotted(pixels, A, B, GREEN)
    assert matched(ends, pixels)[0] == [(A, B)]


def test_three_alike_without_a_line_are_refused_and_with_one_are_not(studio: Studio) -> None:
    ends = [glyph(*A), glyph(*B), glyph(*D)]
    pairs, refused = matched(ends)
    assert pairs == [] and set(refused.values()) == {"which belong together is unclear"}
    pixels, _ = studio.fan(1)
    dotted(pixels, A, B, WHITE)
    assert matched(ends, pixels)[0] == [(A, B)]


def test_length_and_width_that_cross_are_told_apart_and_the_length_comes_first() -> None:
    assert matched([glyph(*p) for p in (C, A, D, B)])[0] == [(A, B), (C, D)]


def test_four_that_may_be_paired_in_several_ways_are_not() -> None:
    side_by_side = [glyph(200, 300), glyph(260, 310), glyph(700, 300), glyph(760, 330)]
    assert matched(side_by_side)[0] == []


def test_a_width_with_its_line_does_not_pass_for_a_length_that_is_unclear() -> None:
    pixels = np.full((720, 960, 3), 40, np.uint8)
    dotted(pixels, C, D, WHITE)
    width = [glyph(*C), glyph(*D)]
    assert matched(width, pixels)[0] == [(C, D)]
    assert matched([*width, glyph(150, 150), glyph(160, 600), glyph(100, 400)], pixels)[0] == []


def test_ticks_in_equal_steps_are_a_ruler() -> None:
    ticks = [glyph(850, 200 + 60.0 * number) for number in (0, 1, 2, 4)]
    pairs, refused = matched([*ticks, glyph(*A), glyph(*B)])
    assert pairs == [(A, B)] and {refused[tick] for tick in ticks} == {"ticks of a ruler"}


def test_marks_beside_the_image_pair_only_with_one_inside() -> None:
    beside = glyph(*B)
    assert matched([glyph(*A), beside], outside=(beside,))[0] == [(A, B)]
    pairs, refused = matched([glyph(*A), beside], outside=(beside, glyph(*A)))
    assert pairs == [] and set(refused.values()) == {"outside the image"}


@pytest.mark.parametrize("step", [4, 6, 11, 16])
@pytest.mark.parametrize("seed", [1, 2])
def test_dots_of_any_spacing_are_a_line_in_speckle(studio: Studio, seed: int, step: int) -> None:
    pixels, _ = studio.fan(seed)
    ends = glyph(330, 420), glyph(640, 330)
    assert Lines(pixels).between(*ends) < 0.5
    dotted(pixels, (330, 420), (640, 330), WHITE, step)
    assert Lines(pixels).between(*ends) > 0.5


def test_a_line_that_goes_on_beyond_both_ends_joins_nothing() -> None:
    pixels = np.full((720, 960, 3), 40, np.uint8)
    cv2.line(pixels, (100, 450), (860, 450), (250, 250, 250), 1)
    assert Lines(pixels).between(glyph(300, 450), glyph(600, 450)) == 0.0
