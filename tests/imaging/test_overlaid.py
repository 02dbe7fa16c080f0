"""Results that a scanner prints over its image are found and read there; speckle holds no lines."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from edge_app.capture.base import Frame
from edge_app.imaging.observer import SceneObserver
from edge_app.imaging.overlaid import find_overlaid
from edge_app.imaging.printed import parse_lengths
from edge_app.imaging.sector import find_sector
from edge_app.imaging.words import ScreenWords

from .conftest import Picture, Studio
from .test_real import clip

COLOURS = {"white": (255, 255, 255), "yellow": (255, 255, 0), "green": (0, 255, 0), "cyan": (0, 255, 255)}


def write(pixels: Picture, words: str, at: tuple[int, int], colour: tuple[int, int, int], scale: float = 0.7) -> None:
    cv2.putText(pixels, words, at, cv2.FONT_HERSHEY_SIMPLEX, scale, (0, 0, 0), 4, cv2.LINE_AA)
    cv2.putText(pixels, words, at, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, 2, cv2.LINE_AA)


def lengths(seen: ScreenWords) -> list[float]:
    return [length.length_cm for line in seen.lines for length in parse_lengths(line.text)]


@pytest.mark.parametrize("quality", [None, 80])
@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize(
    ("words", "length_cm"), [("D1 10.2 cm", 10.2), ("+ Dist 98.4 mm", 9.84), ("1 L 10.43 cm", 10.43)]
)
def test_a_result_over_the_tissue_is_read(
    studio: Studio, words: str, length_cm: float, colour: str, quality: int | None
) -> None:
    pixels, _ = studio.fan(2, size=(1280, 960))
    sector = find_sector(pixels)
    write(pixels, words, (520, 600), COLOURS[colour])
    seen = ScreenWords()
    seen.read_still(pixels if quality is None else studio.jpeg(pixels, quality), sector)
    assert lengths(seen) == [length_cm]


def test_what_else_is_written_over_the_image_is_not_heeded(studio: Studio) -> None:
    """A name, a note of an organ, a depth: only results count there."""
    pixels, _ = studio.fan(2, size=(1280, 960))
    sector = find_sector(pixels)
    for row, words in enumerate(("MEIER HANS", "Thyroid left", "Skin 2.31 cm", "15.0 cm")):
        write(pixels, words, (520, 500 + 60 * row), COLOURS["white"])
    seen = ScreenWords()
    seen.read_still(pixels, sector)
    assert seen.lines == () and seen.boxes == ()


def test_speckle_and_markers_are_no_lines(studio: Studio, shared_data: Path) -> None:
    for seed in range(4):
        pixels, _ = studio.fan(seed)
        sector = find_sector(pixels)
        studio.pair(pixels, (340.0, 430.0), (620.0, 430.0), studio.styles["logiq"])
        assert sector is not None and find_overlaid(pixels, sector.bbox) == []
    for path in sorted((shared_data / "clips").glob("*.mp4")):
        pixels = clip(path, 1)[0].pixels
        sector = find_sector(pixels)
        assert sector is None or len(find_overlaid(pixels, sector.bbox)) <= 1, path.name


def test_a_result_over_the_frozen_image_is_the_length_of_the_markers(studio: Studio) -> None:
    """It comes with the second marker, is checked against nothing else here, and gives the scale."""
    observer, seen = SceneObserver(), None
    for index in range(40):
        pixels, _ = studio.fan(index if index < 10 else 9, size=(1280, 960))
        if index >= 16:
            studio.pair(pixels, (460.0, 560.0), (820.0, 560.0), studio.styles["logiq"])
        if index >= 18:
            write(pixels, "D1 10.43 cm", (560, 420), COLOURS["yellow"])
        seen = observer.observe(Frame(index, index * 50.0, pixels))
    assert seen is not None and seen.frozen and len(seen.calipers) == 1
    assert seen.printed is not None and seen.printed.length_cm == 10.43
    assert seen.scale is not None and seen.scale.basis == "printed"
    assert seen.scale.px_per_cm == pytest.approx(360 / 10.43, rel=0.01)


def test_a_moving_image_is_not_searched_for_words(studio: Studio) -> None:
    seen = ScreenWords()
    pixels, _ = studio.fan(2, size=(1280, 960))
    sector = find_sector(pixels)
    write(pixels, "D1 10.2 cm", (520, 600), COLOURS["white"])
    for index in range(12):
        seen.follow(pixels, index * 50.0, sector, frozen=True)
    assert lengths(seen) == [10.2]
    seen.follow(pixels, 600.0, sector, frozen=False)
    assert seen.lines == (), "whatever was measured belongs to the picture that stood still"
