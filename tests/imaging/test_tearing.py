"""A frame that is made of two is told while the picture moves; what scanners do by themselves is not taken for one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_app.capture.base import Frame, frames
from edge_app.capture.open import open_source
from edge_app.imaging.observer import SceneObserver
from edge_app.imaging.scene import Sector
from edge_app.imaging.tearing import TearWatch

from .conftest import Picture, Studio
from .test_real import clip

SIZE = (1280, 720)
FRAME_MS = 40.0
Screens = list[Picture]


def sector_of(mask: NDArray[np.bool_]) -> Sector:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    return Sector("convex", box, ((0.0, 0.0),), mask, 0.9)


@pytest.fixture(scope="module")
def fan(studio: Studio) -> Sector:
    return sector_of(studio.fan_mask(SIZE))


@pytest.fixture(scope="module")
def moving(studio: Studio, fan: Sector) -> Callable[[int], Picture]:
    """A scanner whose tissue glides by, with words that stand still beside it."""
    tissue = np.kron(np.random.default_rng(3).integers(20, 200, (240, 320)), np.ones((4, 4))).astype(np.uint8)
    tissue = np.asarray(cv2.GaussianBlur(tissue, (0, 0), 3), dtype=np.uint8)

    def screen(index: int) -> Picture:
        part = np.roll(tissue, (2 * index, index), axis=(0, 1))[: SIZE[1], : SIZE[0]]
        pixels = np.dstack([np.where(fan.mask, part, 0)] * 3).astype(np.uint8)
        studio.text(pixels, "MI 0.9  TIs 0.4  Abdomen", (20, 40), 0.7)
        return pixels

    return screen


def torn(watch: TearWatch, screens: Screens, sector: Sector) -> list[int]:
    """Return which screens are taken for torn ones."""
    return [at for at, screen in enumerate(screens) if watch.look(screen, at * FRAME_MS, sector)]


def raw(screen: Picture) -> Picture:
    return screen


def jpeg(screen: Picture) -> Picture:
    good, data = cv2.imencode(".jpg", screen[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 70])
    assert good
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.ascontiguousarray(decoded[..., ::-1])


def below(new: Picture, old: Picture, row: int) -> Picture:
    return np.concatenate([new[:row], old[row:]])


@pytest.mark.parametrize("grabber", [raw, jpeg])
@pytest.mark.parametrize("age", [1, 2, 4])
@pytest.mark.parametrize("row", [200, 300, 420, 560])
def test_the_rest_of_an_older_frame_is_told(
    moving: Callable[[int], Picture], fan: Sector, grabber: Callable[[Picture], Picture], age: int, row: int
) -> None:
    screens = [moving(index) for index in range(16)]
    upper, lower = list(screens), list(screens)
    upper[12] = below(screens[12], screens[12 - age], row)
    lower[12] = below(screens[12 - age], screens[12], row)
    assert torn(TearWatch(), [grabber(screen) for screen in upper], fan) == [12]
    assert torn(TearWatch(), [grabber(screen) for screen in lower], fan) == [12]


@pytest.mark.parametrize("grabber", [raw, jpeg])
@pytest.mark.parametrize("shift", [-90, -40, 40, 120])
def test_a_band_beside_its_place_is_told(
    moving: Callable[[int], Picture], fan: Sector, grabber: Callable[[Picture], Picture], shift: int
) -> None:
    screens = [moving(index) for index in range(16)]
    screens[12] = screens[12].copy()
    screens[12][300:380] = np.roll(screens[12][300:380], shift, axis=1)
    watch = TearWatch()
    assert torn(watch, [grabber(screen) for screen in screens], fan) == [12]
    assert watch.tears.count == 1


def test_tearing_that_goes_on_is_said_and_forgotten_once_it_is_over(
    moving: Callable[[int], Picture], fan: Sector
) -> None:
    screens = [moving(index) for index in range(200)]
    for at in range(12, 60, 5):
        screens[at] = below(screens[at], screens[at - 1], 250 + 4 * at)
    watch = TearWatch()
    often = [(watch.look(screen, at * FRAME_MS, fan), watch.tears.often)[1] for at, screen in enumerate(screens)]
    assert not any(often[:32]) and all(often[32:60]) and not often[-1]
    assert watch.tears.count == 10


def frozen(moving: Callable[[int], Picture]) -> Screens:
    return [moving(min(index, 15)) for index in range(30)] + [moving(index) for index in range(16, 30)]


def wipe(moving: Callable[[int], Picture]) -> Screens:
    """Another page comes down over the picture, which moves on below it."""
    page = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
    page[::7] = 200
    return [below(page, moving(index), max(0, 60 * (index - 12))) for index in range(26)]


def page_over_a_still(moving: Callable[[int], Picture]) -> Screens:
    """The scanner freezes, and another image comes down over it."""
    still, other = moving(12), moving(300)
    return [moving(index) for index in range(12)] + [below(other, still, 60 * index) for index in range(13)]


def slow_box(moving: Callable[[int], Picture]) -> Screens:
    """A colour box in the lower half of the image is drawn at every third picture."""
    screens = [moving(index) for index in range(40)]
    for at, screen in enumerate(screens):
        screen[380:, 380:900] = screens[at - at % 3][380:, 380:900]
    return screens


def menu(moving: Callable[[int], Picture]) -> Screens:
    screens = [moving(index) for index in range(40)]
    for screen in screens[15:30]:
        screen[450:, 300:1000] = 60
    return screens


def cine(moving: Callable[[int], Picture]) -> Screens:
    return [moving(index % 17) for index in range(60)]


def slow_scanner(moving: Callable[[int], Picture]) -> Screens:
    return [moving(3 * (index // 3)) for index in range(60)]


def sweep(moving: Callable[[int], Picture]) -> Screens:
    """The probe is moved fast, now and then."""
    return [moving(index + (40 * (index - 20) if 20 < index < 26 else 0)) for index in range(50)]


def panned(moving: Callable[[int], Picture]) -> Screens:
    return [np.roll(moving(index), 6 * max(0, index - 20), axis=1) for index in range(40)]


@pytest.mark.parametrize("grabber", [raw, jpeg])
@pytest.mark.parametrize(
    "scanner", [frozen, wipe, page_over_a_still, slow_box, menu, cine, slow_scanner, sweep, panned]
)
def test_what_a_scanner_does_by_itself_is_no_tear(
    moving: Callable[[int], Picture],
    fan: Sector,
    scanner: Callable[[Callable[[int], Picture]], Screens],
    grabber: Callable[[Picture], Picture],
) -> None:
    assert torn(TearWatch(), [grabber(screen) for screen in scanner(moving)], fan) == []


def test_a_trace_below_an_image_that_stands_still_is_no_tear(moving: Callable[[int], Picture], fan: Sector) -> None:
    """Whatever of the screen moves: what is looked at is the image alone."""
    screens = [moving(index if index < 20 else 20 + 10 * (index // 10 - 2)) for index in range(60)]
    for at, screen in enumerate(screens):
        screen[640:] = np.roll(moving(0)[200:280], 3 * at, axis=1)
    strip = fan.mask.copy()
    strip[640:] = False
    assert torn(TearWatch(), screens, sector_of(strip)) == []


def real(shared_data: Path) -> Iterator[tuple[str, list[Frame]]]:
    for path in sorted((shared_data / "clips").glob("*.mp4")):
        capture = cv2.VideoCapture(str(path))
        count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        capture.release()
        yield path.stem, clip(path, min(count, 75))
    with open_source(f"dicom:{shared_data / 'dicom' / 'sonosite_turbo_cine30.dcm'}") as source:
        yield "sonosite_turbo_cine30", list(frames(source))


def test_no_frame_of_a_real_clip_is_taken_for_torn(shared_data: Path) -> None:
    for name, clips in real(shared_data):
        observer = SceneObserver()
        seen = [observer.observe(frame) for frame in (*clips, *clips[:10])]
        assert seen[-1].tears.count == 0, name
        sector = next(scene.sector for scene in reversed(seen) if scene.sector is not None)
        assert torn(TearWatch(), [jpeg(frame.pixels) for frame in clips], sector) == [], name


def test_torn_frames_of_real_clips_are_told_and_nothing_is_learned_from_them(shared_data: Path) -> None:
    """Every tenth frame ends with the frame before the last. A codec that left half of a frame alone hides some."""
    made, told = 0, 0
    for _, clips in real(shared_data):
        observer, found = SceneObserver(), 0
        for at, frame in enumerate(clips):
            pixels, row = frame.pixels, frame.pixels.shape[0] * (35 + at % 25) // 100
            if at >= 20 and at % 10 == 0:
                pixels = below(pixels, clips[at - 2].pixels, row)
                made += float(np.abs(frame.pixels[row:].astype(np.int16) - pixels[row:]).mean()) > 0.5
            seen = observer.observe(Frame(frame.index, frame.t_ms, pixels))
            assert not seen.tears.torn or at % 10 == 0, "a whole frame"
            found += seen.tears.torn is not None
        told += found
    assert made >= 12
    assert told >= 0.5 * made, (told, made)


@pytest.mark.parametrize("look", ["ge", "philips", "sonosite"])
def test_the_phantoms_scan_freeze_and_measurement_hold_no_tear(look: str) -> None:
    observer = SceneObserver()
    with open_source(f"phantom:look={look},size=640x480,fps=20") as source:
        for _, frame in zip(range(160), frames(source), strict=False):
            assert observer.observe(Frame(frame.index, frame.t_ms, frame.pixels)).tears.count == 0


def test_it_costs_less_than_a_millisecond_on_a_full_hd_screen(studio: Studio) -> None:
    size = (1920, 1080)
    sector = sector_of(studio.fan_mask(size))
    noise = np.random.default_rng(1).integers(0, 255, (size[1] + 40, size[0], 3)).astype(np.uint8)
    screens = [np.ascontiguousarray(noise[at : at + size[1]]) for at in range(30)]
    watch, costs = TearWatch(), []
    for at, screen in enumerate(screens):
        start = time.perf_counter()
        watch.look(screen, at * FRAME_MS, sector)
        costs.append(time.perf_counter() - start)
    assert float(np.median(costs[10:])) < 0.001
