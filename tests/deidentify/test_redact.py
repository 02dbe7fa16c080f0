"""Words in a picture: which may stay, which must go, and that they are gone from what is written."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_app.capture.phantom.truth import PhantomTruth
from edge_app.imaging._ocr import TextLine
from edge_app.imaging.harmless import is_harmless, suspicious
from edge_app.imaging.redact import Redactor, ResidueError, mask_identity, read_words, redactor_of
from edge_app.imaging.sector import find_sector

from .makers import BAND, BURNED, Picture, burned, phantom


@pytest.mark.parametrize(
    "text",
    [
        "Rt Kidney 10.4 cm",
        "RtKidney",
        "1 L 10.43 cm",
        "D1",
        "+ Dist 9,76cm",
        "X·+·X",
        "MI 1.2  TIs 0.5",
        "Niere re. 11 cm",
        "C5-1",
        "*",
        "",
        "K",
    ],
)
def test_what_scanners_measure_and_set_may_stay(text: str) -> None:
    assert is_harmless(text)


@pytest.mark.parametrize(
    "text",
    [
        "ZYXWOWSKI",
        "SMITH, JOHN",
        "LONG, RIGHT",
        "LONG^LEFT",
        "Kidney of Mrs Smith",
        "5100123",
        "QX 77 34 190",
        "1962",
        "12.03.62",
        "2024-03-12",
        "12/03/2024",
        "10:44",
        "J O H N",
        "李明",
        "Müller",
        "id 1234",
    ],
)
def test_names_dates_and_numbers_must_go(text: str) -> None:
    assert not is_harmless(text)


@given(st.text(alphabet="ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=4, max_size=12))
def test_a_word_that_no_scanner_writes_must_go(word: str) -> None:
    from edge_app.imaging.harmless import WORDS

    if not any(word.lower().startswith(known) for known in WORDS) and set(word) - set("X"):
        assert not is_harmless(word)


def test_a_texture_taken_for_letters_hides_nothing_and_a_word_of_any_confidence_does() -> None:
    texture = TextLine("POY", (0, 0, 530, 700), 0.57)
    doubtful = TextLine("Kowalczyk", (10, 10, 150, 35), 0.05)
    vessels = TextLine("YA", (200, 138, 363, 281), 0.67)
    large = TextLine("Yu", (10, 10, 90, 60), 0.9)
    assert suspicious([texture, doubtful, vessels, large], (647, 768, 3)) == (doubtful, large)


@pytest.mark.parametrize("look", ["ge", "philips", "canon"])
def test_nothing_of_the_header_is_left_and_the_image_is_kept(look: str) -> None:
    frame = phantom(look)[0]
    truth = frame.truth
    assert isinstance(truth, PhantomTruth)
    redactor = redactor_of(frame.pixels, find_sector(frame.pixels), read_words if look == "philips" else None)
    written = redactor.redacted(frame.pixels, "x")
    assert truth.identity_boxes
    assert all(not written[y0:y1, x0:x1].any() for x0, y0, x1, y1 in truth.identity_boxes)
    assert redactor.inspected == (look == "philips")
    assert np.mean(redactor.keep[truth.sector_mask]) > 0.9
    assert np.array_equal(written[redactor.keep], frame.pixels[redactor.keep])


def test_a_name_in_the_image_is_hidden_and_a_measure_stays() -> None:
    pixels = burned(burned(phantom()[0].pixels), "10.4 cm", (400, 450))
    sector = find_sector(pixels)
    assert sector is not None
    redactor = redactor_of(pixels, sector)
    written = redactor.redacted(pixels, "x")
    assert not suspicious(read_words(written), written.shape)
    assert "cm" in " ".join(line.text for line in read_words(written))
    name = np.zeros(sector.mask.shape, np.bool_)
    name[295:316, 332:520] = True
    assert not written[name].any()


def test_a_name_half_outside_of_the_image_is_hidden_in_its_inner_half_too() -> None:
    pixels = phantom()[0].pixels
    sector = find_sector(pixels)
    assert sector is not None
    bottom = int(np.flatnonzero(sector.mask[:, 480])[-1])
    low = burned(pixels, BURNED, (390, bottom + 9))  # the lower half of the letters lies outside
    assert mask_identity(low, sector)[bottom - 6 : bottom, 395:560].max() > 200
    written = redactor_of(low, sector).redacted(low, "x")
    assert not written[bottom - 6 : bottom, 395:560].any()


def test_what_cannot_be_hidden_is_refused() -> None:
    """A reader that finds another word whatever is hidden: the picture is not given out."""
    boxes = iter([(x, 0, x + 9, 9) for x in range(0, 900, 10)])
    pixels = np.full((100, 1000, 3), 90, np.uint8)

    def everywhere(picture: Picture) -> tuple[TextLine, ...]:
        return (TextLine("SMITH", next(boxes), 0.9),)

    with pytest.raises(ResidueError, match="--hide"):
        Redactor(np.ones((100, 1000), np.bool_), everywhere).redacted(pixels, "The picture is not written")


def test_the_operators_marks_are_hidden_without_reading() -> None:
    pixels = np.full((60, 80, 3), 90, np.uint8)
    redactor = Redactor(np.ones((60, 80), np.bool_), None, [(10, 10, 30, 20), (70, 50, 500, 500)])
    written = redactor.redacted(pixels, "x")
    assert not written[10:20, 10:30].any()
    assert not written[50:, 70:].any()
    assert written.any(axis=2).sum() == 60 * 80 - 10 * 20 - 10 * 10
    assert redactor.inspected == 0


def test_the_name_stands_where_the_tests_look_for_it() -> None:
    before, after = phantom()[0].pixels, burned(phantom()[0].pixels)
    rows = np.flatnonzero((before != after).any(axis=(1, 2)))
    assert BAND[0] < rows[0] < rows[-1] < BAND[1]
