"""Images of a stream: which of two is meant, what is seen again after a change, and what the operator set right."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_app.capture.base import Frame
from edge_app.imaging.images import ImageFinder, overlap
from edge_app.imaging.layout import alike
from edge_app.imaging.nudge import Nudge, nudged
from edge_app.imaging.observer import SceneObserver
from edge_app.imaging.presets import MOST, Presets
from edge_app.imaging.scene import Sector
from edge_app.imaging.sector import find_sector
from engines.errors import UsageError

from .conftest import Picture, Studio
from .test_sector_screens import fan, paint

LEFT = fan((1280, 720), (350.0, -20.0), (140.0, 500.0))
RIGHT = fan((1280, 720), (930.0, -20.0), (140.0, 500.0))


def screen_of(left: int, right: int) -> Picture:
    """Two fans, each of its own tissue."""
    screen = np.zeros((720, 1280, 3), np.uint8)
    paint(screen, LEFT, left)
    paint(screen, RIGHT, right)
    return screen


@pytest.fixture(scope="module")
def duals() -> dict[str, list[Picture]]:
    return {
        "left moves": [screen_of(seed, 50) for seed in range(4)],
        "right moves": [screen_of(50, seed) for seed in range(4)],
        "still": [screen_of(50, 51)],
    }


def watch(observer: SceneObserver, pictures: list[Picture], count: int, start: int = 0) -> list[Frame]:
    frames = [Frame(start + n, (start + n) * 33.0, pictures[n % len(pictures)]) for n in range(count)]
    return frames


def test_of_two_images_the_one_that_moves_is_meant(duals: dict[str, list[Picture]]) -> None:
    observer = SceneObserver()
    scenes = [observer.observe(f) for f in watch(observer, duals["right moves"], 30)]
    assert len(scenes[-1].images) == 2
    assert scenes[-1].sector is not None and overlap(scenes[-1].sector.mask, RIGHT) > 0.93
    assert scenes[-1].modes == frozenset()
    scenes = [observer.observe(f) for f in watch(observer, duals["left moves"], 12, start=30)]
    assert scenes[-1].sector is not None and overlap(scenes[-1].sector.mask, LEFT) > 0.93


def test_two_still_images_are_a_question_until_one_is_chosen(duals: dict[str, list[Picture]]) -> None:
    observer = SceneObserver()
    scenes = [observer.observe(f) for f in watch(observer, duals["still"], 20)]
    assert scenes[-1].modes == {"dual"}
    observer.choose((930.0, 300.0))
    (scene,) = [observer.observe(f) for f in watch(observer, duals["still"], 1, start=20)]
    assert scene.modes == frozenset()
    assert scene.sector is not None and overlap(scene.sector.mask, RIGHT) > 0.93
    assert scene.sector is scene.images[0] and len(scene.images) == 2


def measured(screen: Picture, ends: tuple[tuple[int, int], tuple[int, int]]) -> Picture:
    """The screen with two yellow markers and the dots between them."""
    screen, yellow = screen.copy(), (255, 255, 0)
    for x, y in ends:
        cv2.line(screen, (x - 9, y), (x + 9, y), yellow, 2)
        cv2.line(screen, (x, y - 9), (x, y + 9), yellow, 2)
    for share in np.linspace(0.08, 0.92, 40):
        x, y = (round(a + share * (b - a)) for a, b in zip(*ends, strict=True))
        screen[y, x] = yellow
    return screen


@pytest.mark.parametrize("still", [True, False])
def test_of_two_still_images_the_one_that_was_measured_is_meant(duals: dict[str, list[Picture]], still: bool) -> None:
    observer = SceneObserver(still=still)
    ends = (830, 300), (1030, 330)
    count = 1 if still else 40
    scenes = [observer.observe(f) for f in watch(observer, [measured(duals["still"][0], ends)], count)]
    assert len(scenes[-1].calipers) == 1
    assert scenes[-1].modes == frozenset()
    assert scenes[-1].sector is not None and overlap(scenes[-1].sector.mask, RIGHT) > 0.93


def test_another_resolution_is_seen_at_once_and_another_layout_within_half_a_second(studio: Studio) -> None:
    observer = SceneObserver()
    fans = [studio.fan(seed)[0] for seed in range(4)]
    for frame in watch(observer, fans, 15):
        observer.observe(frame)
    larger = [studio.scaled(pixels, 1.5) for pixels in fans]
    (scene,) = [observer.observe(f) for f in watch(observer, larger, 1, start=15)]
    assert scene.sector is not None and scene.sector.mask.shape == (1080, 1440)
    for frame in watch(observer, larger, 14, start=16):
        observer.observe(frame)
    other = fan((1440, 1080), (720.0, 60.0), (190.0, 760.0), half=40)
    moved = []
    for seed in range(4):
        screen = np.zeros((1080, 1440, 3), np.uint8)
        paint(screen, other, seed)
        moved.append(screen)
    scenes = [observer.observe(f) for f in watch(observer, moved, 15, start=30)]  # 495 ms
    last = scenes[-1].sector
    assert last is not None and overlap(last.mask, other) > 0.93


def dressed(studio: Studio, name: str, seed: int = 1, dressing: bool = True) -> Picture:
    """A screen as one scanner draws it, for one patient."""
    screen, _ = studio.fan(seed)
    if dressing:
        studio.text(screen, name, (20, 30), 0.7)
        studio.text(screen, "12/03/2026  10:4" + str(len(name) % 10), (640, 30), 0.7)
        for row in range(7):
            studio.text(screen, f"Gn {len(name) + row}", (860, 110 + 40 * row), 0.6)
        studio.text(screen, "Kidney Rt", (20, 690), 0.7)
    else:
        for row in range(12):
            studio.text(screen, "F 4.2  P 80", (10, 300 + 30 * row), 0.6)
    return screen


def finder_of(presets: Presets, picture: Picture) -> ImageFinder:
    finder = ImageFinder(presets=presets)
    finder.look(Frame(0, 0.0, picture), frozen=False)
    return finder


def test_what_was_nudged_comes_back_for_the_next_patient_and_not_on_another_scanner(
    studio: Studio, tmp_path: Path
) -> None:
    path = tmp_path / "settings" / "layouts.json"
    finder = finder_of(Presets(path), dressed(studio, "MOCKWELL, JUN"))
    found = finder.sector
    assert found is not None
    finder.move(Nudge(left=-0.02, bottom=-0.05))
    moved = finder.sector
    assert moved is not None and moved.bbox[0] < found.bbox[0] - 10 and moved.bbox[3] < found.bbox[3] - 25
    assert "MOCKWELL" not in path.read_text()

    again = finder_of(Presets(path), dressed(studio, "SPECIMEN-LONGER, ANNA", seed=2)).sector
    assert again is not None and overlap(again.mask, moved.mask) > 0.97
    other = finder_of(Presets(path), dressed(studio, "", dressing=False)).sector
    assert other is not None and overlap(other.mask, found.mask) > 0.97

    finder.move(None)
    third = finder_of(Presets(path), dressed(studio, "MOCKWELL, JUN")).sector
    assert third is not None and overlap(third.mask, found.mask) > 0.99


def test_a_broken_file_of_presets_is_said_and_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "layouts.json"
    path.write_text("{]")
    with pytest.raises(UsageError, match="is no file of presets"):
        Presets(path)
    assert path.read_text() == "{]"


def test_what_cannot_be_kept_is_said_and_holds_all_the_same(studio: Studio, tmp_path: Path) -> None:
    finder = finder_of(Presets(tmp_path / "settings" / "layouts.json"), dressed(studio, "MOCKWELL, JUN"))
    (tmp_path / "settings").write_text("")  # a file where a folder is to be
    before = finder.sector
    finder.move(Nudge(left=-0.05))
    after = finder.sector
    assert before is not None and after is not None and after.bbox[0] < before.bbox[0] - 30
    assert finder.notice is not None and "cannot be" in finder.notice
    finder.move(Nudge(left=0.05))
    assert finder.sector is not None and overlap(finder.sector.mask, before.mask) > 0.99


def test_no_more_layouts_are_kept_than_a_small_file_holds() -> None:
    presets = Presets()
    layouts = [f"1.333-{'f' * 48}-{(0xFF << (2 * n)):048x}" for n in range(90)]
    for layout in layouts:
        presets.keep(layout, Nudge(left=0.01))
    assert presets.find(layouts[-1]) is not None
    assert presets.find(layouts[0]) is None
    assert sum(presets.find(layout) is not None for layout in layouts) <= MOST + 8  # neighbours are alike


@settings(max_examples=50)
@given(text=st.text(max_size=40))
def test_what_is_no_fingerprint_is_like_nothing(text: str) -> None:
    assert not alike(text, f"1.333-{'f' * 48}-{0xFFFF:048x}")


@settings(max_examples=40, deadline=None)
@given(left=st.floats(-1, 1), top=st.floats(-1, 1), right=st.floats(-1, 1), bottom=st.floats(-1, 1))
def test_no_nudge_makes_an_image_vanish_or_leave_the_picture(
    left: float, top: float, right: float, bottom: float
) -> None:
    sector = small_fan()
    moved = nudged(sector, Nudge(left=left, top=top, right=right, bottom=bottom))
    x0, y0, x1, y1 = moved.bbox
    assert 0 <= x0 < x1 <= 480 and 0 <= y0 < y1 <= 360
    assert moved.mask.any() and moved.kind == sector.kind


@lru_cache(maxsize=1)
def small_fan() -> Sector:
    sector = find_sector(Studio().fan(1, (480, 360))[0])
    assert sector is not None
    return sector


def test_where_nothing_is_found_the_operator_places_the_image_and_it_comes_back(studio: Studio, tmp_path: Path) -> None:
    screen = dressed(studio, "MOCKWELL, JUN")
    screen[60:670, 120:840] = 0  # the probe is in its holder
    path = tmp_path / "layouts.json"
    finder = finder_of(Presets(path), screen)
    assert finder.sector is None
    finder.move(Nudge(left=-0.1, bottom=0.1))
    (placed,) = finder.images
    assert placed.kind == "unknown" and placed.mask.shape == screen.shape[:2]
    again = finder_of(Presets(path), screen).sector
    assert again is not None and overlap(again.mask, placed.mask) > 0.99
    seen = finder_of(Presets(), dressed(studio, "MOCKWELL, JUN")).sector
    assert seen is not None and seen.kind == "convex"
