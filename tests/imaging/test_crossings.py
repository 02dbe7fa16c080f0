"""The search: any drawn marker is among the places that are looked at, whatever its colour, shape and size."""

from __future__ import annotations

from dataclasses import replace
from math import hypot

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_app.imaging.caliper_watch import CaliperWatch
from edge_app.imaging.calipers import survey
from edge_app.imaging.crossings import find_crossings
from edge_app.imaging.patches import Views
from edge_app.imaging.scene import Sector

from .conftest import STYLES, Studio


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    x=st.integers(300, 660),
    y=st.integers(280, 500),
    name=st.sampled_from(sorted(STYLES)),
    factor=st.sampled_from([0.7, 1.0, 1.5]),
    seed=st.integers(10, 13),
)
def test_every_marker_is_among_the_crossings(
    studio: Studio, x: int, y: int, name: str, factor: float, seed: int
) -> None:
    pixels, mask = studio.fan(seed, mean=70.0)
    style = STYLES[name].scaled(max(1.0, factor))
    studio.marker(pixels, (float(x), float(y)), style)
    maps = ("bright", "colour", "dark")
    found = [c for kind in maps for c in find_crossings(pixels, mask, kind)]  # type: ignore[arg-type]
    near = max(2.0, 0.4 * style.arm)
    assert any(hypot(c.x - x, c.y - y) <= near for c in found)


def test_nothing_is_found_outside_what_is_allowed(studio: Studio) -> None:
    pixels, mask = studio.fan(1)
    studio.marker(pixels, (60.0, 600.0), STYLES["epiq"])
    assert all(mask[round(c.y), round(c.x)] for c in find_crossings(pixels, mask, "bright"))


@given(x=st.floats(-20, 980), y=st.floats(-20, 740), arm=st.floats(2.0, 40.0))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_patch_is_the_same_whether_few_or_many_are_asked_for(studio: Studio, x: float, y: float, arm: float) -> None:
    pixels, _ = studio.fan(1)
    many, few = (Views(pixels, few=few).patches([(x, y, arm)]) for few in (False, True))
    inside = 3 * arm * 2.6 < min(x, y, 959 - x, 719 - y)
    for one, other in zip(many, few, strict=True):
        assert one.shape == other.shape and np.isfinite(other).all()
        assert not inside or np.array_equal(one, other)


def test_a_search_in_slices_says_what_a_search_at_once_says(studio: Studio) -> None:
    pixels, mask = studio.fan(3)
    studio.pair(pixels, (330.0, 420.0), (640.0, 330.0), STYLES["epiq"])
    sector = Sector("convex", (0, 0, 960, 720), ((0.0, 0.0),), mask, 1.0)
    watch, frames = CaliperWatch(), 1
    watch.begin(pixels, sector)
    while not watch.go_on():
        frames += 1
    assert watch.survey == survey(pixels, sector)
    assert len(watch.survey.pairs) == 1 and frames <= 10
    assert watch.holds(pixels)
    assert not watch.holds(studio.fan(3)[0])


def test_a_marker_that_moves_is_not_held(studio: Studio) -> None:
    pixels, mask = studio.fan(3)
    moved = pixels.copy()
    studio.pair(pixels, (330.0, 420.0), (640.0, 330.0), replace(STYLES["epiq"], dots=0))
    studio.pair(moved, (330.0, 420.0), (643.0, 328.0), replace(STYLES["epiq"], dots=0))
    watch = CaliperWatch()
    watch.begin(pixels, Sector("convex", (0, 0, 960, 720), ((0.0, 0.0),), mask, 1.0))
    while not watch.go_on():
        pass
    assert watch.holds(pixels) and not watch.holds(moved)
