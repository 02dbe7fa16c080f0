"""The observer on a stream: what the phantom knows, it sees; what is gone, it forgets."""

from __future__ import annotations

import itertools
from math import hypot

import numpy as np
import pytest

from edge_app.capture.base import Frame
from edge_app.capture.phantom.layout import LookName
from edge_app.capture.phantom.plan import Cycle, PhantomPlan
from edge_app.capture.phantom.source import PhantomSource
from edge_app.capture.phantom.truth import PhantomTruth
from edge_app.imaging.images import overlap
from edge_app.imaging.observer import SceneObserver
from edge_app.imaging.scene import Scene

from .conftest import Studio


def watched(look: LookName, seed: int) -> list[tuple[Frame, PhantomTruth, Scene]]:
    plan = PhantomPlan(look, (960, 720), seed, frames=100, fps=20, realtime=False, cycle=Cycle(1.5, 1.0, 1.5))
    observer = SceneObserver()
    seen = []
    with PhantomSource(plan) as source:
        while (frame := source.read()) is not None:
            assert isinstance(frame.truth, PhantomTruth)
            seen.append((frame, frame.truth, observer.observe(frame)))
    return seen


@pytest.mark.parametrize("look", ["ge", "philips", "canon"])
def test_a_phantom_examination_is_seen_as_it_is(look: LookName) -> None:
    seen = watched(look, 11)
    measured = [(frame.t_ms, truth, scene) for frame, truth, scene in seen if truth.calipers is not None]
    assert len(measured) > 20
    for t_ms, truth, scene in measured:
        assert scene.frozen and truth.calipers is not None
        if t_ms - measured[0][0] < 300:  # a search takes some frames
            continue
        assert len(scene.calipers) == 1
        found = sorted((scene.calipers[0].first, scene.calipers[0].second))
        for end, at in zip(found, sorted(truth.calipers), strict=True):
            assert hypot(end[0] - at[0], end[1] - at[1]) <= 1.5
    for frame, truth, scene in seen:
        assert scene.signal and scene.synthetic
        assert scene.sector is not None and overlap(scene.sector.mask, truth.sector_mask) > 0.95
        if frame.t_ms >= 500:  # the ruler is looked for in slices
            assert scene.scale is not None and scene.scale.px_per_cm == pytest.approx(truth.px_per_cm, rel=0.005)
        if truth.phase == "live":
            assert scene.calipers == ()


def test_freeze_is_seen_within_350_ms_and_thaw_at_once() -> None:
    seen = watched("ge", 3)
    since = None
    for (_, before, _), (frame, truth, scene) in itertools.pairwise(seen):
        if before.phase == "live" and truth.phase != "live":
            since = frame.t_ms
        if truth.phase == "live":
            since = None
            assert not scene.frozen
        elif since is not None and frame.t_ms - since > 350:
            assert scene.frozen


def frames_of(pictures: list[np.ndarray], step_ms: float = 33.0) -> list[Frame]:
    return [Frame(index, index * step_ms, pixels) for index, pixels in enumerate(pictures)]


def test_every_still_stands_for_itself(studio: Studio) -> None:
    marked, _ = studio.fan(1)
    studio.pair(marked, (330.0, 420.0), (640.0, 330.0), studio.styles["epiq"])
    observer = SceneObserver(still=True)
    first, second = (observer.observe(frame) for frame in frames_of([marked, studio.fan(2)[0]]))
    assert first.frozen and second.frozen
    assert len(first.calipers) == 1
    assert second.calipers == ()


def test_a_lost_signal_leaves_nothing_behind(studio: Studio) -> None:
    observer = SceneObserver()
    scenes = [observer.observe(f) for f in frames_of([studio.fan(1)[0]] * 12 + [np.zeros((720, 960, 3), np.uint8)])]
    assert scenes[-2].sector is not None and scenes[-2].frozen
    assert not scenes[-1].signal and scenes[-1].sector is None and not scenes[-1].frozen


def test_another_resolution_starts_anew(studio: Studio) -> None:
    observer = SceneObserver()
    small = [studio.fan(seed)[0] for seed in range(4)]
    large = [studio.scaled(pixels, 1.5) for pixels in small]
    scenes = [observer.observe(frame) for frame in frames_of(small + large)]
    assert scenes[-1].sector is not None
    assert scenes[-1].sector.mask.shape == (1080, 1440)


def test_a_changed_depth_moves_the_sector_within_a_second(studio: Studio) -> None:
    fans = [studio.fan(seed)[0] for seed in range(5)]
    moved = []
    for pixels in fans:
        other = np.zeros_like(pixels)
        other[60:636, 96:864] = studio.scaled(pixels, 0.8)
        moved.append(other)
    observer = SceneObserver()
    scenes = [
        observer.observe(f) for f in frames_of([fans[i % 5] for i in range(30)] + [moved[i % 5] for i in range(60)])
    ]
    before, after = scenes[29].sector, scenes[-1].sector
    assert before is not None and after is not None
    mask = np.zeros((720, 960), dtype=np.bool_)
    mask[60:636, 96:864] = studio.scaled(studio.fan(1)[1].astype(np.uint8)[..., None].repeat(3, 2), 0.8)[..., 0] > 0
    assert overlap(after.mask, mask) > 0.95


def test_a_pair_drawn_on_a_frozen_picture_is_seen_within_300_ms(studio: Studio) -> None:
    moving = [studio.fan(seed)[0] for seed in range(8)]
    marked = moving[-1].copy()
    studio.pair(marked, (330.0, 420.0), (640.0, 330.0), studio.styles["toshiba"])
    observer = SceneObserver()
    scenes = [observer.observe(frame) for frame in frames_of(moving + [moving[-1]] * 15 + [marked] * 10)]
    assert scenes[22].frozen and scenes[22].calipers == ()
    assert len(scenes[23 + 9].calipers) == 1
    assert scenes[32].t_ms - scenes[23].t_ms <= 300
