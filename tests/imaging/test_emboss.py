"""Grey markers with a drop shadow in tissue as bright as their ink: the shadow shows them; nothing else does so."""

from __future__ import annotations

from math import hypot

import cv2
import numpy as np
import pytest

from edge_app.imaging.calipers import find_calipers
from edge_app.imaging.emboss import look_for_shadow
from edge_app.imaging.scene import CaliperPair, Sector
from edge_app.imaging.strokes import Candidate

from .conftest import Picture, Point, Studio

SIZES = ((960, 720), (1280, 960), (1920, 1080))
BLACK = (12, 12, 12)


def plus(pixels: Picture, at: Point, strokes: tuple[int, int], colour: tuple[int, int, int]) -> None:
    """A solid '+' of (arm, thickness) pixels, in place."""
    (x, y), (arm, thick) = (round(at[0]), round(at[1])), strokes
    low, high = (thick - 1) // 2, thick // 2
    cv2.rectangle(pixels, (x - arm, y - low), (x + arm, y + high), colour, -1)
    cv2.rectangle(pixels, (x - low, y - arm), (x + high, y + arm), colour, -1)


def shadowed(pixels: Picture, at: Point, strokes: tuple[int, int], ink: int) -> None:
    """The same over its shadow, which is two pixels wider and lies a pixel to the right and below."""
    plus(pixels, (at[0] + 1, at[1] + 1), (strokes[0] + 1, strokes[1] + 2), BLACK)
    plus(pixels, at, strokes, (ink, ink, ink))


def ends(size: tuple[int, int]) -> tuple[Point, Point]:
    width, height = size
    return (round(0.38 * width), round(0.6 * height)), (round(0.62 * width), round(0.45 * height))


def screen(studio: Studio, seed: int, ink: int, size: tuple[int, int] = (960, 720)) -> tuple[Picture, Sector]:
    """Speckle that is about as bright as the ink, and its sector."""
    pixels, mask = studio.fan(seed, size, mean=ink - 10.0)
    return pixels, Sector("convex", (0, 0, size[0], size[1]), ((0.0, 0.0),), mask, 1.0)


def strokes_for(size: tuple[int, int]) -> tuple[int, int]:
    return round(8 * size[1] / 720), 1 if size[1] < 860 else 3


def error(pairs: tuple[CaliperPair, ...], truth: tuple[Point, Point]) -> float:
    assert len(pairs) == 1
    found = sorted((pairs[0].first, pairs[0].second))
    return max(hypot(a[0] - b[0], a[1] - b[1]) for a, b in zip(found, sorted(truth), strict=True))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("ink", [120, 165, 215])
@pytest.mark.parametrize("seed", [31, 32])
def test_both_ends_in_tissue_of_their_own_grey_are_found(
    studio: Studio, size: tuple[int, int], ink: int, seed: int
) -> None:
    pixels, sector = screen(studio, seed, ink, size)
    for end in ends(size):
        shadowed(pixels, end, strokes_for(size), ink)
    assert error(find_calipers(pixels, sector), ends(size)) <= 1.0


@pytest.mark.parametrize("size", SIZES)
def test_compression_leaves_their_places(studio: Studio, size: tuple[int, int]) -> None:
    pixels, sector = screen(studio, 33, 165, size)
    for end in ends(size):
        shadowed(pixels, end, strokes_for(size), 165)
    assert error(find_calipers(studio.jpeg(pixels, 80), sector), ends(size)) <= 1.5


@pytest.mark.parametrize("thick", [1, 2, 3])
@pytest.mark.parametrize("shift", [0, 2])
def test_an_outline_or_a_shadow_farther_off_serves_as_well(studio: Studio, thick: int, shift: int) -> None:
    pixels, sector = screen(studio, 34, 165)
    for end in ends((960, 720)):
        plus(pixels, (end[0] + shift, end[1] + shift), (10, thick + 2), BLACK)
        plus(pixels, end, (9, thick), (165, 165, 165))
    assert error(find_calipers(pixels, sector), ends((960, 720))) <= 1.5


def test_one_such_marker_alone_is_no_pair(studio: Studio) -> None:
    pixels, sector = screen(studio, 35, 165)
    shadowed(pixels, ends((960, 720))[0], (8, 1), 165)
    assert find_calipers(pixels, sector) == ()


@pytest.mark.parametrize("arm", [8, 60])
@pytest.mark.parametrize("part", ["shadow", "ink", "long lines"])
def test_what_lacks_ink_or_shadow_or_ends_is_no_marker(studio: Studio, part: str, arm: int) -> None:
    pixels, _ = screen(studio, 36, 165)
    at = ends((960, 720))[0]
    if part == "long lines":
        shadowed(pixels, at, (60, 1), 165)
    elif part == "shadow":
        plus(pixels, at, (arm, 2), BLACK)
    else:
        plus(pixels, at, (arm, 1), (165, 165, 165))
        pixels[5:9, 5:9] = 0
    for move in (-1, 0, 1):
        assert look_for_shadow(pixels, Candidate(at[0] + move, at[1] + move, "plus", 4.2, 60.0, False)) is None


def test_words_with_a_drop_shadow_are_no_markers(studio: Studio) -> None:
    pixels, sector = screen(studio, 37, 165)
    for row in (330, 420):
        for shift, grey in ((1, 12), (0, 165)):
            at = (360 + shift, row + shift)
            cv2.putText(pixels, "t + H 4 f + Kt", at, cv2.FONT_HERSHEY_SIMPLEX, 0.6, (grey,) * 3, 1 + shift)
    assert find_calipers(pixels, sector) == ()


@pytest.mark.parametrize("seed", range(40, 44))
def test_bright_tissue_alone_has_no_pair(studio: Studio, seed: int) -> None:
    pixels, sector = screen(studio, seed, 165)
    dark = np.random.default_rng(seed).integers(0, (960, 720), (400, 2))
    for x, y in dark:
        pixels[y : y + 2, x : x + 2] = 10
    assert find_calipers(pixels, sector) == ()
