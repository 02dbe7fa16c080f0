"""What the scanner prints is read: its results, and nothing that only looks like one."""

from __future__ import annotations

import socket
import sys
from importlib import import_module
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_app.imaging import _ocr
from edge_app.imaging._ocr import read_text
from edge_app.imaging.printed import parse_lengths
from engines.errors import RuntimeUnavailableError

from .conftest import Studio


def lengths(text: str) -> list[float]:
    return [length.length_cm for length in parse_lengths(text)]


@pytest.mark.parametrize(
    "text, length_cm",
    [
        ("1 L 10.43 cm", 10.43),
        ("D1 11.2cm", 11.2),
        ("+ Rt Kidney 10.8 cm", 10.8),
        ("Dist 104 mm", 10.4),
        ("A 9.9cm", 9.9),
        ("L 9,76 cm", 9.76),
        ("÷ 0.30cm", 0.3),
        ("+ Cist Mag 1.06 cm", 1.06),
        ("0.65cm", 0.65),
        ("1 D 11.05cm", 11.05),
        ("1L10.43cm", 10.43),  # words that were read without their spaces
        ("1 L10.43 cm", 10.43),
        ("x7.03 cm", 7.03),
        ("A9.9cm", 9.9),
        ("LT Kid L 112.6 mm", 11.26),
    ],
)
def test_results_as_the_makers_write_them(text: str, length_cm: float) -> None:
    assert lengths(text) == [length_cm]


@pytest.mark.parametrize(
    "text",
    [
        "16cm",  # the image's depth
        "14.0 cm",
        "D 15.0 cm",
        "Depth 15.00 cm",
        "Profund. 14.0 cm",
        "1 Area 10.43 cm²",
        "Vel 10.43 cm/s",
        "Circ 24.5 cm",
        "D111.2cm",  # D1 11.2 cm, or D 111.2 cm
        "D11.2cm",  # D1 1.2 cm, or D 11.2 cm
        "1 L 10.43",
        "L 104.3 cm",
        "12.0 MHz",
        "",
    ],
)
def test_what_is_no_length_between_two_markers_is_not_taken_for_one(text: str) -> None:
    assert lengths(text) == []


@given(st.integers(10, 3999), st.sampled_from(("1 L {} cm", "+ Rt Kidney {}cm", "x {} cm")), st.sampled_from(".,"))
def test_any_length_comes_back_to_the_hundredth(hundredths: int, form: str, mark: str) -> None:
    value = f"{hundredths / 100:.2f}"
    assert lengths(form.format(value.replace(".", mark))) == [float(value)]


@given(st.text(max_size=40))
def test_no_text_breaks_the_parser_or_gives_a_length_out_of_range(text: str) -> None:
    assert all(0.1 <= value <= 40 for value in lengths(text))


def test_words_are_read_where_they_stand_without_any_network(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    read_text(np.zeros((30, 60, 3), np.uint8), [(0, 0, 60, 30)])

    def refuse(*_args: object, **_more: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    pixels, _ = studio.fan(1)
    studio.text(pixels, "1 L 10.43 cm", (20, 690), 0.6)
    (line,) = read_text(pixels, [(14, 668, 190, 700)])
    assert line.text.replace(" ", "") == "1L10.43cm" and line.confidence > 0.8 and line.box == (14, 668, 190, 700)
    assert read_text(pixels, [(300, 5, 420, 30), (5, 5, 6, 6), (2000, 2000, 2100, 2020)]) == ()


def test_words_anywhere_on_a_screen_are_found(studio: Studio) -> None:
    pixels, _ = studio.fan(1)
    studio.text(pixels, "MOCKWELL, JUN 5100123", (30, 40), 0.8)
    line = next(line for line in read_text(pixels) if "MOCKWELL" in line.text)
    assert line.box[0] <= 34 and line.box[1] <= 25 and line.box[2] >= 310 and line.box[3] >= 40


def test_result_text_of_a_real_screen(shared_data: Path) -> None:
    picture = cv2.imread(str(shared_data / "images" / "itkpocus_sonosite_eye_calipers.jpg"))
    assert picture is not None
    lines = read_text(np.asarray(picture[:, :, ::-1], dtype=np.uint8))
    found = {length.length_cm for line in lines for length in parse_lengths(line.text, line.confidence)}
    assert found == {0.65, 0.3}  # and not the depth, 4.5 cm


def test_without_the_library_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    _ocr._only_reader.cache_clear()
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    with pytest.raises(RuntimeUnavailableError, match="pip install rapidocr"):
        read_text(np.zeros((40, 40, 3), np.uint8))


def test_a_wheel_without_its_networks_is_said_and_nothing_is_fetched(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _ocr._only_reader.cache_clear()
    monkeypatch.setattr(import_module("rapidocr"), "__file__", str(tmp_path / "__init__.py"))
    with pytest.raises(RuntimeUnavailableError, match="without its network"):
        read_text(np.zeros((40, 40, 3), np.uint8))
