"""The phantom's screens: makers' looks, and a truth that is exactly what was drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_app.capture.phantom.beam import Moment
from edge_app.capture.phantom.chrome import describe, draw_identity, paint_chrome
from edge_app.capture.phantom.layout import LOOKS, SIZES, Layout, LookName, ScanConverter, plan_layout
from edge_app.capture.phantom.looks import Identity
from edge_app.capture.phantom.marks import Marks, draw_marks
from edge_app.capture.phantom.patient import draw_patient
from edge_app.capture.phantom.probe import beam_grid, draw_probe
from edge_app.capture.phantom.scanner import Machine, Scanner
from engines.synthetic_mark import present

EVERY_SCREEN = [(look, size) for look in LOOKS for size in SIZES]
MARK_COLOURS: dict[LookName, tuple[int, int, int]] = {
    "ge": (255, 255, 0),
    "philips": (255, 255, 255),
    "canon": (165, 165, 165),
    "sonosite": (255, 255, 255),
    "mindray": (255, 255, 255),
    "voluson": (220, 222, 169),
}
RULER_COLOURS: dict[LookName, tuple[int, int, int]] = {
    "ge": (170, 170, 100),
    "philips": (190, 190, 190),
    "canon": (140, 140, 140),
    "sonosite": (205, 205, 205),
    "mindray": (150, 160, 170),
    "voluson": (168, 168, 176),
}


@pytest.fixture(scope="module")
def scanner() -> Scanner:
    rng = np.random.default_rng(21)
    return Scanner(draw_patient(rng, 60.0), Machine("ge", (960, 720), 8, 5.0), rng)


def screen_of(scanner: Scanner, look: LookName, size: tuple[int, int]) -> np.ndarray:
    scanner.switch(Machine(look, size), np.random.default_rng(3))
    return scanner.screen(Moment((0.3, 0.0), 1.0), (5, 6))


@pytest.mark.parametrize(("look", "size"), EVERY_SCREEN)
def test_the_sector_mask_is_the_region_that_the_beam_lights(look: LookName, size: tuple[int, int]) -> None:
    probe = draw_probe(np.random.default_rng(1), 10.0, 6.0)
    layout, grid = plan_layout(look, size, probe), beam_grid(probe)
    lit = np.zeros(layout.mask.shape, np.bool_)
    x0, y0, x1, y1 = layout.bbox
    lit[y0:y1, x0:x1] = ScanConverter(layout, probe, grid).convert(np.full(grid.shape, 255, np.uint8)) > 0
    assert np.array_equal(lit, layout.mask)
    assert 0 < x0 < x1 < size[0] and 0 < y0 < y1 < size[1]


@pytest.mark.parametrize(("look", "size"), EVERY_SCREEN)
def test_the_depth_ruler_agrees_with_the_true_scale(scanner: Scanner, look: LookName, size: tuple[int, int]) -> None:
    pixels = screen_of(scanner, look, size)
    layout = scanner.layout
    beside = pixels[:, layout.bbox[2] + 2 : layout.bbox[2] + round(60 * layout.unit)]
    ticks = (beside == RULER_COLOURS[look]).all(axis=2)
    ticks[: layout.bbox[1]] = False  # header text of the same grey
    rows = np.flatnonzero(ticks[:, : round(24 * layout.unit)].any(axis=1))
    starts = rows[np.diff(rows, prepend=-9) > 2]
    spacing = np.polyfit(np.arange(len(starts)), starts, 1)[0]
    assert len(starts) == int(layout.depth_cm) + 1
    assert spacing == pytest.approx(layout.px_per_cm, rel=0.005)
    lengths = [int(ticks[row].sum()) for row in starts]
    assert min(lengths[::5]) > max(n for i, n in enumerate(lengths) if i % 5)


@pytest.mark.parametrize(("look", "size"), EVERY_SCREEN)
def test_every_pixel_of_identity_lies_in_an_identity_box(
    scanner: Scanner, look: LookName, size: tuple[int, int]
) -> None:
    layout = plan_layout(look, size, scanner.probe)
    who = draw_identity(np.random.default_rng(8), scanner.patient)
    labels = describe(scanner.patient, scanner.probe, scanner.controls)
    named = paint_chrome(layout, who, labels)
    blank = paint_chrome(layout, Identity(" ", " ", " ", " ", " ", " "), labels)
    # "ID:" of one look stands beside the number and is no identity; it stays on the blank screen too.
    differs = (named.pixels != blank.pixels).any(axis=2)
    assert differs.sum() > 400
    for x0, y0, x1, y1 in named.identity_boxes:
        assert differs[y0:y1, x0:x1].any(), "a box that holds no identity"
        differs[y0:y1, x0:x1] = False
        assert y1 <= layout.bbox[1] or x1 <= layout.bbox[0], "identity lies outside of the fan"
    assert not differs.any()


@pytest.mark.parametrize(("look", "size"), EVERY_SCREEN)
def test_calipers_are_drawn_exactly_where_the_truth_says(
    scanner: Scanner, look: LookName, size: tuple[int, int]
) -> None:
    pixels = screen_of(scanner, look, size)
    calipers = scanner.calipers_at(Moment((0.3, 0.0), 1.0), 1.0, np.random.default_rng(4))
    before = pixels.copy()
    scanner.mark(pixels, Marks("set", *calipers))
    changed = (pixels != before).any(axis=2) | (pixels == MARK_COLOURS[look]).all(axis=2)
    for x, y in calipers:
        ix, iy = int(x), int(y)
        assert (ix, iy) == (x, y)
        arm = round(8 * scanner.layout.unit)
        colour = (pixels == MARK_COLOURS[look]).all(axis=2)
        row = np.flatnonzero(colour[iy, ix - arm - 3 : ix + arm + 4]) - arm - 3
        column = np.flatnonzero(colour[iy - arm - 4 : iy + arm + 5, ix]) - arm - 4
        assert row.min() == -row.max() and column.min() == -column.max()
        assert 5 <= row.max() <= 2 * arm and 5 <= column.max() <= 2 * arm
        assert changed[iy - 2 : iy + 3, ix - 2 : ix + 3].any()


@pytest.mark.parametrize("look", LOOKS)
def test_an_active_second_caliper_looks_different_from_a_set_one(look: LookName) -> None:
    layout = plan_layout(look, (960, 720), draw_probe(np.random.default_rng(1), 10.0, 6.0))
    pictures = []
    for stage in ("second", "set"):
        pixels = np.zeros((720, 960, 3), np.uint8)
        draw_marks(pixels, layout, Marks(stage, (300.0, 320.0), (600.0, 380.0)))
        pictures.append(pixels)
    if look == "ge":
        assert (pictures[0][380, 592:609] == (0, 255, 0)).all() and (pictures[1][380, 592:609] == (255, 255, 0)).all()
    if look == "canon":
        assert (pictures[0][380, 600] > pictures[1][380, 600]).all()
    if look == "voluson":
        assert (pictures[0][380, 605] == (0, 255, 0)).all() and (pictures[1][380, 605] == (220, 222, 169)).all()
    if look in ("philips", "sonosite", "mindray"):
        assert np.array_equal(*pictures)  # these makers show no difference


@settings(max_examples=15, deadline=None)
@given(length=st.floats(6.5, 13.0), depth=st.floats(4.4, 8.5), seed=st.integers(0, 10**6))
def test_the_fan_fits_every_screen_and_scale_is_one_number(length: float, depth: float, seed: int) -> None:
    probe = draw_probe(np.random.default_rng(seed), length, depth)
    layout: Layout = plan_layout("canon", (960, 720), probe)
    tip, below = layout.to_screen((0.0, 0.0)), layout.to_screen((0.0, 10.0))
    assert below[1] - tip[1] == pytest.approx(10.0 * layout.px_per_cm)
    assert 60 < layout.bbox[1] and layout.bbox[3] <= 0.95 * 720 and 0 < layout.bbox[0] and layout.bbox[2] < 0.9 * 960


def test_both_poles_stay_in_the_fan_while_the_patient_breathes() -> None:
    for seed in range(6):
        rng = np.random.default_rng(seed)
        scanner = Scanner(draw_patient(rng, 20.0 + 15 * seed), Machine("philips", (960, 720), 2, 1.5), rng)
        for dx in (-0.98, 0.0, 0.98):
            for x, y in scanner.poles_at(Moment((dx, 0.1), 0.0)):
                assert scanner.layout.mask[round(y), round(x)]


def test_the_picture_inside_the_fan_is_grey_and_of_a_clinical_brightness(scanner: Scanner) -> None:
    means = []
    for seed in range(12):
        scanner.switch(Machine("ge", (960, 720)), np.random.default_rng(seed))
        pixels = scanner.screen(Moment((0.3, 0.0), 1.0), (5, 6)).astype(int)
        inside = pixels[scanner.layout.mask]
        assert (inside.max(axis=1) - inside.min(axis=1) <= 2).mean() > 0.998
        assert (inside >= 250).mean() < 0.014
        means.append(inside.mean())
    assert 65 < np.median(means) < 130  # a LOGIQ E9 frame: 108


def test_every_screen_carries_the_synthetic_mark(scanner: Scanner) -> None:
    for look, size in EVERY_SCREEN:
        assert present(screen_of(scanner, look, size))


def test_another_person_changes_the_header_alone(scanner: Scanner) -> None:
    layout = plan_layout("ge", (960, 720), scanner.probe)
    labels = describe(scanner.patient, scanner.probe, scanner.controls)
    who = draw_identity(np.random.default_rng(1), scanner.patient)
    a, b = (paint_chrome(layout, replace(who, name=name), labels).pixels for name in ("AAA, B", "CCC, D"))
    assert np.array_equal(a[70:], b[70:]) and not np.array_equal(a[:70], b[:70])
