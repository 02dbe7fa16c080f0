"""The scanner's freeze: seen within 350 ms, gone at once, not disturbed by what is drawn on the frozen picture."""

from __future__ import annotations

import numpy as np
import pytest

from edge_app.imaging.freeze import FreezeWatch
from edge_app.imaging.scene import Sector

from .conftest import Picture, Studio

STEP_MS = 33.3


def live(studio: Studio, count: int) -> list[Picture]:
    return [studio.fan(100 + i % 7)[0] for i in range(count)]


def sector_of(studio: Studio) -> Sector:
    mask = studio.fan(1)[1]
    ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return Sector("convex", (int(xs[0]), int(ys[0]), int(xs[-1]) + 1, int(ys[-1]) + 1), (), mask, 1.0)


def run(frames: list[Picture], sector: Sector, step_ms: float = STEP_MS) -> list[bool]:
    watch = FreezeWatch()
    return [watch.observe(pixels, index * step_ms, sector).frozen for index, pixels in enumerate(frames)]


def test_a_live_picture_is_never_frozen_and_a_frozen_one_is_seen_in_time(studio: Studio) -> None:
    moving = live(studio, 20)
    seen = run(moving + [moving[-1]] * 20, sector_of(studio))
    assert not any(seen[:20])
    first = seen.index(True)
    assert (first - 19) * STEP_MS <= 350
    assert all(seen[first:])


def test_it_moves_again_at_once(studio: Studio) -> None:
    moving = live(studio, 12)
    seen = run(moving + [moving[-1]] * 15 + moving, sector_of(studio))
    assert seen[26]
    assert not any(seen[27:])


def test_markers_drawn_on_a_frozen_picture_do_not_thaw_it(studio: Studio) -> None:
    moving = live(studio, 12)
    frames = moving + [moving[-1]] * 12
    for step in range(20):
        pixels = moving[-1].copy()
        studio.pair(pixels, (330.0, 420.0), (400.0 + 12 * step, 400.0 - 3 * step), studio.styles["logiq"])
        frames.append(pixels)
    seen = run(frames, sector_of(studio))
    assert all(seen[24:])


def test_a_slow_scanner_in_a_fast_stream_is_live(studio: Studio) -> None:
    slow = [pixels for pixels in live(studio, 15) for _ in range(5)]  # 6 pictures a second at 30 frames a second
    assert not any(run(slow, sector_of(studio)))


def test_compression_noise_does_not_hide_a_freeze(studio: Studio) -> None:
    moving = live(studio, 12)
    rng = np.random.default_rng(1)
    noisy = [np.clip(moving[-1] + rng.integers(-1, 2, moving[-1].shape), 0, 255).astype(np.uint8) for _ in range(15)]
    assert run(moving + noisy, sector_of(studio))[-1]


@pytest.mark.parametrize("before, after", [((0, 255, 0), (255, 255, 0)), ((40, 40, 40), (255, 255, 255))])
def test_a_marker_that_changes_colour_is_noticed(
    studio: Studio, before: tuple[int, int, int], after: tuple[int, int, int]
) -> None:
    watch, sector = FreezeWatch(), sector_of(studio)
    pixels, _ = studio.fan(1)
    drawn = []
    for index in range(24):
        shown = pixels.copy()
        shown[400, 400:412] = before if index < 20 else after
        drawn.append(watch.observe(shown, index * STEP_MS, sector).drawn)
    assert not any(drawn[1:20])
    assert drawn[20]
    assert not any(drawn[21:])
