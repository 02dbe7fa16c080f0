"""Poles that are followed: they stay on the kidney while it moves, and are lost where it is gone."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_app.capture.phantom import PhantomSource, PhantomTruth
from edge_app.capture.phantom.plan import parse_plan
from edge_app.imaging.scene import Point, Sector
from edge_app.imaging.tracking import PoleTracker, Tracked

SIZE = (480, 360)  # width, height
FIRST, SECOND = (160.0, 170.0), (320.0, 190.0)
CENTRE = (240.0, 180.0)


def sector(size: tuple[int, int] = SIZE) -> Sector:
    mask = np.zeros(size[::-1], np.bool_)
    mask[8:-8, 8:-8] = True
    return Sector("linear", (8, 8, size[0] - 8, size[1] - 8), (), mask, 0.9)


def tissue(seed: int) -> NDArray[np.uint8]:
    """Anatomy at several scales, larger than the picture; grey, float."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((700, 800)).astype(np.float32)
    grey = sum(cv2.GaussianBlur(noise, (0, 0), scale) * scale for scale in (3.0, 8.0, 20.0))
    return np.asarray(np.clip(128 + 40 * grey / np.std(grey), 0, 255), dtype=np.uint8)


def seen(grey: NDArray[np.uint8], motion: NDArray[np.float64], noise: float = 0.0, seed: int = 0) -> NDArray[np.uint8]:
    """The picture after a motion (2, 3) of picture positions, with speckle of ``noise`` grey levels, anew each time."""
    shifted = motion.copy()
    shifted[:, 2] = motion[:, 2] - motion[:, :2] @ np.array(
        (160.0, 170.0)
    )  # the tissue reaches so far beyond the picture
    moved = cv2.warpAffine(grey, shifted, SIZE, flags=cv2.INTER_LINEAR).astype(np.float32)
    speckled = moved + np.random.default_rng(seed).normal(0.0, noise, moved.shape)
    return np.repeat(np.clip(speckled, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def motion(dx: float, dy: float, degrees: float, scale: float) -> NDArray[np.float64]:
    matrix = cv2.getRotationMatrix2D(CENTRE, degrees, scale)
    matrix[:, 2] += np.array((dx, dy))
    return np.asarray(matrix, dtype=np.float64)


def moved(matrix: NDArray[np.float64], point: Point) -> NDArray[np.float64]:
    return np.asarray(matrix[:, :2] @ point + matrix[:, 2])


def errors(tracked: Tracked, matrix: NDArray[np.float64]) -> list[float]:
    pairs = ((tracked.first, FIRST), (tracked.second, SECOND))
    return [float(np.linalg.norm(moved(matrix, placed) - at)) for at, placed in pairs]


STILL = motion(0, 0, 0, 1)


@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 1000),
    dx=st.floats(-24, 24),
    dy=st.floats(-10, 10),
    degrees=st.floats(-6, 6),
    scale=st.floats(0.95, 1.05),
)
def test_poles_follow_translation_rotation_and_scale_to_a_pixel(
    seed: int, dx: float, dy: float, degrees: float, scale: float
) -> None:
    grey, tracker, worst = tissue(seed), PoleTracker(FIRST, SECOND), 0.0
    for step in range(21):
        share = float(np.sin(step / 20 * np.pi / 2))
        now = motion(share * dx, share * dy, share * degrees, 1 + share * (scale - 1))
        tracked = tracker.follow(seen(grey, now, 6.0, step), sector(), False)
        assert tracked.state == "following"
        worst = max(worst, *errors(tracked, now))
    assert worst < 1.0


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 1000))
def test_a_cut_to_another_scene_is_lost_at_once_and_stays_lost(seed: int) -> None:
    grey, other, tracker = tissue(seed), tissue(seed + 5000), PoleTracker(FIRST, SECOND)
    for step in range(25):
        tracker.follow(seen(grey, STILL, 6.0, step), sector(), False)
    states = {tracker.follow(seen(other, STILL, 6.0, step), sector(), False).state for step in range(20)}
    assert states == {"lost"}


def test_a_kidney_that_comes_back_is_found_where_it_was() -> None:
    grey, other, tracker = tissue(1), tissue(2), PoleTracker(FIRST, SECOND)
    for step in range(10):
        tracker.follow(seen(grey, STILL, 6.0, step), sector(), False)
    for step in range(5):
        assert tracker.follow(seen(other, STILL, 6.0, step), sector(), False).state == "lost"
    back = motion(12, -5, 0, 1)
    found = [tracker.follow(seen(grey, back, 6.0, step), sector(), False) for step in range(5)]
    assert [tracked.state for tracked in found] == ["lost", "lost", "following", "following", "following"]
    assert max(errors(found[-1], back)) < 1.0


def test_nothing_moves_in_a_frozen_picture_and_it_is_followed_again_afterwards() -> None:
    grey, tracker = tissue(3), PoleTracker(FIRST, SECOND)
    tracker.follow(seen(grey, STILL), sector(), True)
    held = tracker.follow(seen(grey, motion(9, 0, 0, 1)), sector(), True)  # whatever is drawn there
    assert (held.state, held.first, held.second) == ("held", FIRST, SECOND)
    away = motion(14, 4, 0, 1)
    again = tracker.follow(seen(grey, away), sector(), False)
    assert again.state == "following"
    assert max(errors(again, away)) < 1.0


def test_poles_that_leave_the_image_are_lost() -> None:
    grey, tracker = tissue(4), PoleTracker(FIRST, SECOND)
    states = []
    for step in range(60):
        states.append(tracker.follow(seen(grey, motion(-4 * step, 0, 0, 1), 4.0, step), sector(), False))
    assert states[10].state == "following"
    assert states[-1].state == "lost"


def test_poles_that_move_apart_are_lost() -> None:
    grey, tracker, last = tissue(5), PoleTracker(FIRST, SECOND), None
    for step in range(40):
        last = tracker.follow(seen(grey, motion(0, 0, 0, 1 + 0.01 * step), 4.0, step), sector(), False)
    assert last is not None
    assert last.state == "lost"


def test_a_picture_of_another_size_is_lost() -> None:
    tracker = PoleTracker(FIRST, SECOND)
    tracker.follow(seen(tissue(6), STILL), sector(), False)
    larger = cv2.resize(seen(tissue(6), STILL), (960, 720))
    lost = tracker.follow(np.asarray(larger, np.uint8), sector((960, 720)), False)
    assert (lost.state, lost.why) == ("lost", "the picture changed its size")


@pytest.mark.parametrize("look", ["ge", "philips", "canon"])
def test_the_phantoms_kidney_is_followed_through_breathing(look: str) -> None:
    tracker, worst = None, 0.0
    with PhantomSource(
        parse_plan(f"phantom:look={look},seed=7,size=960x720,fps=10,cycle=live", realtime=False)
    ) as source:
        for _ in range(50):
            frame = source.read()
            assert frame is not None and isinstance(frame.truth, PhantomTruth)
            truth = frame.truth
            rows, columns = (np.flatnonzero(truth.sector_mask.any(axis)) for axis in (1, 0))
            bbox = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
            fan = replace(sector(), bbox=bbox, mask=truth.sector_mask)
            tracker = tracker or PoleTracker(*truth.poles)
            tracked = tracker.follow(frame.pixels, fan, False)
            assert tracked.state != "lost"
            length = truth.kidney_length_cm * truth.px_per_cm
            pairs = zip((tracked.first, tracked.second), truth.poles, strict=True)
            worst = max(worst, *(float(np.hypot(*np.subtract(*pair))) / length for pair in pairs))
    assert worst < 0.035
