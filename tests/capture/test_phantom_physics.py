"""The phantom's physics: speckle statistics, exact geometry, and a kidney that follows eGFR."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_app.capture.phantom.beam import Moment, Receiver
from edge_app.capture.phantom.kidney import Pose, paint_kidney, poles
from edge_app.capture.phantom.layout import ScanConverter, plan_layout
from edge_app.capture.phantom.patient import Patient, draw_patient, sample_egfr
from edge_app.capture.phantom.probe import Probe, beam_grid, tissue_grid
from edge_app.capture.phantom.speckle import LookBank, build_bank, single_look

PROBE = Probe(radius_cm=5.94, half_angle=0.5585, depth_cm=15.0, frequency_mhz=3.5, focus_cm=7.0)


@pytest.fixture(scope="module")
def even_look() -> np.ndarray:
    grid = tissue_grid(PROBE)
    return single_look(np.ones(grid.shape, np.float32), grid, PROBE, np.random.default_rng(1))[60:-60, 12:-12]


def test_speckle_of_one_look_is_fully_developed(even_look: np.ndarray) -> None:
    assert 1.85 < even_look.mean() / even_look.std() < 1.97  # Rayleigh: 1.91
    assert (20 * np.log10(even_look)).std() == pytest.approx(5.57, abs=0.15)  # dB
    assert np.square(even_look).mean() == pytest.approx(1.0, abs=0.03)  # even tissue of liver's strength


def test_speckle_gets_wider_away_from_the_focus(even_look: np.ndarray) -> None:
    def correlation(row: int) -> float:
        band = even_look[row - 40 : row + 40] - even_look[row - 40 : row + 40].mean()
        return float((band[:, 1:] * band[:, :-1]).mean() / np.square(band).mean())

    at_focus = int(7.0 / 15.0 * PROBE.samples) - 60
    assert correlation(760) > correlation(at_focus) + 0.1


def test_compounding_smooths_as_many_independent_looks_would() -> None:
    grid = tissue_grid(PROBE)
    bank = build_bank(np.ones(grid.shape, np.float32), grid, PROBE, (10, 6.0), np.random.default_rng(2))
    assert bank.effective_looks() == pytest.approx(4.0, abs=0.01)
    average = bank.at(2.5)[60:-60, 12:-12]
    assert average.mean() / average.std() == pytest.approx(1.91 * 2.0, rel=0.03)


@given(position=st.floats(-50.0, 50.0))
def test_the_window_of_looks_keeps_brightness_and_number_of_looks_constant(position: float) -> None:
    bank = LookBank(np.zeros((12, 1), np.float32), (1, 1), 7.0)
    weights = bank.weights(position)
    assert weights.sum() == pytest.approx(1.0, abs=1e-5)
    assert 1.0 / np.square(weights).sum() == pytest.approx(4.67, abs=0.1)


@settings(max_examples=12, deadline=None)
@given(dx=st.floats(-1.0, 1.0), dy=st.floats(-0.3, 0.3), x=st.floats(-4.0, 4.0), y=st.floats(4.0, 11.0))
def test_a_point_of_tissue_appears_where_breathing_carries_it(dx: float, dy: float, x: float, y: float) -> None:
    beam, tissue = beam_grid(PROBE), tissue_grid(PROBE)
    gx, gy = tissue.cartesian()
    field = np.exp(-0.5 * (np.square(gx - x) + np.square(gy - y)) / 0.15**2).astype(np.float32)
    organs = LookBank(field.reshape(1, -1), tissue.shape, 1.0)
    wall = LookBank(np.zeros((1, beam.shape[1]), np.float32), (1, beam.shape[1]), 1.0)
    none = np.zeros((1, beam.shape[1]), np.float32)
    receiver = Receiver((beam, tissue), organs, (wall, none), np.zeros(beam.shape, np.float32))
    seen = receiver.envelope(Moment((dx, dy), 0.0))
    layout = plan_layout("ge", (960, 720), PROBE)
    picture = ScanConverter(layout, PROBE, beam).convert((seen * 255).astype(np.uint8)).astype(float)
    rows, columns = np.mgrid[layout.bbox[1] : layout.bbox[3], layout.bbox[0] : layout.bbox[2]]
    centre = (columns * picture).sum() / picture.sum(), (rows * picture).sum() / picture.sum()
    assert centre == pytest.approx(layout.to_screen((x + dx, y + dy)), abs=0.6)


def test_the_drawn_kidneys_follow_egfr_as_studies_report() -> None:
    rng = np.random.default_rng(4)
    drawn = [draw_patient(rng, sample_egfr(rng, "uniform")) for _ in range(4000)]

    def r(name: str) -> float:
        return float(np.corrcoef([p.egfr for p in drawn], [getattr(p, name) for p in drawn])[0, 1])

    assert 0.38 < r("length_cm") < 0.55
    assert 0.78 < r("cortex_cm") < 0.90
    assert -0.72 < r("echo_db") < -0.50
    assert r("cmd_db") > 0.6
    for patient in drawn:
        assert 6.5 <= patient.length_cm <= 13.0
        assert patient.cortex_cm + patient.medulla_cm <= 0.7 * patient.width_cm / 2 + 1e-9


def test_clinic_sampling_copies_the_published_cohort() -> None:
    rng = np.random.default_rng(5)
    values = np.array([sample_egfr(rng, "clinic") for _ in range(6000)])
    assert values.mean() == pytest.approx(39.0, abs=2.0)
    assert values.std() == pytest.approx(32.0, abs=2.5)
    assert values.min() >= 2.0 and values.max() <= 170.0


def test_the_painted_layers_have_the_patients_measures() -> None:
    patient = Patient(80.0, "right", 10.0, 4.8, 0.80, 0.70, -3.0, 5.0, True, 50)
    pose = Pose((0.0, 6.0), 0.0, 0.0)
    raster = paint_kidney(patient, pose, np.random.default_rng(6))
    middle = raster.echo_db.shape[1] // 2
    upper = raster.inside[: raster.inside.shape[0] // 2, middle - 60 : middle + 60]
    capsule = int(np.argmax(upper.mean(axis=1) > 0.5))
    rows = np.arange(raster.echo_db.shape[0])
    depth = (rows - capsule) / 48.0
    profile = np.median(raster.echo_db[:, middle - 60 : middle + 60], axis=1)
    cortex = profile[(depth > 0.2) & (depth < 0.6)].mean()
    medulla = profile[(depth > 0.95) & (depth < 1.3)].mean()
    sinus = profile[(depth > 1.8) & (depth < 2.6)].mean()
    assert cortex == pytest.approx(-3.0, abs=1.2)
    assert medulla < cortex - 0.8
    assert sinus > cortex + 6.0
    assert raster.inside.sum() / 48.0**2 == pytest.approx(np.pi / 4 * 10.0 * 4.8, rel=0.04)


def test_the_poles_are_the_ends_of_the_long_axis() -> None:
    patient = draw_patient(np.random.default_rng(7), 60.0)
    first, second = poles(patient, Pose((0.3, 6.5), 0.3, 0.12))
    assert np.hypot(second[0] - first[0], second[1] - first[1]) == pytest.approx(patient.length_cm)
    assert first[0] < second[0]
