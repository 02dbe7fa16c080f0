"""Words on the screen are read once, the newest first, and never hold up the picture."""

from __future__ import annotations

import sys
import threading

import numpy as np
import pytest

from edge_app.imaging import _ocr
from edge_app.imaging import scribe as scribe_module
from edge_app.imaging.printed import parse_lengths
from edge_app.imaging.scene import Sector
from edge_app.imaging.scribe import Scribe
from edge_app.imaging.sector import find_sector
from edge_app.imaging.words import ScreenWords, find_lines

from .conftest import Picture, Studio


@pytest.fixture
def screen(studio: Studio) -> tuple[Picture, Sector]:
    pixels, _ = studio.fan(1)
    studio.text(pixels, "C1-6 Abdomen Renal", (20, 40), 0.6)
    studio.text(pixels, "DR 63", (880, 200), 0.5)
    sector = find_sector(pixels)
    assert sector is not None
    return pixels, sector


def texts(seen: ScreenWords) -> list[str]:
    return [line.text.replace(" ", "") for line in seen.lines]


@pytest.mark.parametrize("factor", [0.75, 1.0, 1.5, 2.0])
def test_lines_around_the_image_are_found_at_any_size(
    studio: Studio, screen: tuple[Picture, Sector], factor: float
) -> None:
    pixels = studio.scaled(screen[0], factor)
    found = find_lines(pixels, find_sector(pixels))
    assert len(found) == 2
    for box, (x, y) in zip(sorted(found), ((110, 33), (905, 195)), strict=True):
        assert box[0] < x * factor < box[2] and box[1] < y * factor < box[3]
        assert box[3] - box[1] < 36 * factor


def test_the_image_itself_holds_no_lines(studio: Studio) -> None:
    for seed in range(4):
        pixels, _ = studio.fan(seed)
        studio.pair(pixels, (340.0, 430.0), (620.0, 430.0), studio.styles["logiq"])
        assert find_lines(pixels, find_sector(pixels)) == []


def test_a_moving_picture_is_read_one_line_at_a_time(screen: tuple[Picture, Sector]) -> None:
    pixels, sector = screen
    seen = ScreenWords()
    counts = []
    for index in range(16):
        seen.follow(pixels, index * 50.0, sector, frozen=False)
        counts.append(len(seen.lines))
    assert counts[0] <= 1 and counts[-1] == 2
    assert max(np.diff(counts)) == 1


def test_a_result_that_appears_is_read_before_all_that_stood_there(
    studio: Studio, screen: tuple[Picture, Sector], monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels, sector = screen
    for row in range(12):
        studio.text(pixels, f"line {row}", (20, 100 + 30 * row), 0.5)
    seen = ScreenWords()
    for t_ms in (0.0, 40.0):
        seen.follow(pixels, t_ms, sector, frozen=False)
    measured = pixels.copy()
    studio.text(measured, "1 L 10.43 cm", (20, 690), 0.6)
    seen.stir(400.0)
    for t_ms in (400.0, 440.0):  # a look takes two pictures
        seen.follow(measured, t_ms, sector, frozen=True)
    assert "1L10.43cm" in texts(seen)
    assert len(seen.lines) <= 4 and seen.waiting >= 9


def test_what_has_been_read_is_not_read_again_until_a_digit_changes(
    studio: Studio, screen: tuple[Picture, Sector], monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels, sector = screen
    studio.text(pixels, "1 L 10.43 cm", (20, 690), 0.6)
    seen = ScreenWords()
    seen.read_still(pixels, sector)
    asked: list[object] = []
    real = scribe_module.read_text
    monkeypatch.setattr(scribe_module, "read_text", lambda *more: (asked.append(more[1]), real(*more))[1])
    noisy = studio.jpeg(pixels, 80)
    seen.follow(noisy, 5000.0, sector, frozen=True)
    assert asked == [] and "1L10.43cm" in texts(seen)
    noisy[660:700, 10:200] = 0
    studio.text(noisy, "1 L 10.48 cm", (20, 690), 0.6)
    seen.follow(noisy, 10000.0, sector, frozen=True)
    assert len(asked) == 1 and "1L10.48cm" in texts(seen) and "1L10.43cm" not in texts(seen)


def test_without_the_library_there_are_no_words_and_a_sentence_why(
    screen: tuple[Picture, Sector], monkeypatch: pytest.MonkeyPatch
) -> None:
    _ocr._only_reader.cache_clear()
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    seen = ScreenWords()
    seen.read_still(*screen)
    seen.follow(screen[0], 0.0, screen[1], frozen=True)
    assert seen.lines == () and "pip install rapidocr" in seen.unavailable


def test_a_thread_that_serves_reads_while_the_pictures_go_on(screen: tuple[Picture, Sector]) -> None:
    scribe, stop = Scribe(), threading.Event()
    server = threading.Thread(target=scribe.serve, args=(stop.is_set,))
    server.start()
    seen = ScreenWords(scribe=scribe)
    try:
        with _ocr._LOADING:  # the networks are not there yet: nothing waits for them
            for t_ms in (0.0, 40.0):
                seen.follow(screen[0], t_ms, screen[1], frozen=True)
            assert seen.lines == () and seen.waiting == 2
        for index in range(2, 200):
            seen.follow(screen[0], 40.0 * index, screen[1], frozen=True)
            if not seen.waiting:
                break
            stop.wait(0.02)
        assert texts(seen) == ["C1-6AbdomenRenal", "DR63"]
    finally:
        stop.set()
        server.join()
    for t_ms in (99_000.0, 99_040.0):
        seen.follow(np.zeros_like(screen[0]), t_ms, screen[1], frozen=True)
    assert seen.lines == ()


def test_a_thread_that_stops_leaves_nobody_without_an_answer(screen: tuple[Picture, Sector]) -> None:
    scribe = Scribe()
    asked = []

    def stopped() -> bool:
        asked.append(scribe.request(screen[0], [(14, 20, 200, 50)]))
        return len(asked) > 2

    scribe.serve(stopped)
    assert len(asked) == 3 and all(answer.done() for answer in asked)
    assert scribe.request(screen[0], [(14, 20, 200, 50), (300, 5, 420, 30)]).result()[1] is None


@pytest.mark.parametrize("scale", [0.4, 0.6])
def test_one_new_digit_is_seen_at_once_after_a_freeze(
    studio: Studio, screen: tuple[Picture, Sector], scale: float
) -> None:
    pixels, sector = screen
    seen = ScreenWords()
    seen.stir(0.0)
    for index, value in enumerate(("6.93", "6.98", "8.98", "9.98", "9.99", "3.99")):
        drawn = pixels.copy()
        studio.text(drawn, f"1 L {value} cm", (20, 690), scale)
        for step in range(3):
            seen.follow(studio.jpeg(drawn, 85), 200.0 * index + 50 * step, sector, frozen=True)
        lengths = [length.length_cm for line in seen.lines for length in parse_lengths(line.text)]
        assert lengths == [float(value)]
