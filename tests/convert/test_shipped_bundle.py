"""The bundle that ships with the app is what it says it is."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from engines import selftest
from engines._onnxruntime_session import OnnxSession
from engines.bundle import Bundle, load_golden, open_bundle
from engines.reading import Reader

SHIPPED = Path(__file__).resolve().parents[2] / "edge_app" / "bundles" / "synthetic-standin"
SIZE_LIMIT = 12 * 1024 * 1024


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return open_bundle(SHIPPED)


def test_it_is_synthetic_and_says_so_first(bundle: Bundle) -> None:
    assert bundle.manifest.synthetic
    assert bundle.manifest.bundle_id.startswith("synthetic-")
    assert bundle.manifest.title.startswith("SYNTHETIC")
    assert "SYNTHETIC" in (SHIPPED / "card.md").read_text(encoding="utf-8").splitlines()[0]
    assert "SYNTHETIC" in bundle.manifest.limits[0]


def test_it_is_small_enough_to_ship(bundle: Bundle) -> None:
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) <= SIZE_LIMIT


def test_every_artifact_has_a_parity_row_that_passed(bundle: Bundle) -> None:
    rows = {(row.precision, row.family): row for row in bundle.manifest.parity}
    assert set(rows) == {(item.precision, item.family) for item in bundle.manifest.artifacts}
    assert all(row.passed and row.crops >= 400 for row in rows.values())


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_it_answers_for_itself_on_this_machine(bundle: Bundle, precision: str) -> None:
    with OnnxSession(bundle, bundle.artifact(precision, "cpu"), threads=1) as session:
        test = selftest.run(bundle, session)
    assert test.passed
    assert test.crops == 8


def test_fp32_gives_its_golden_vectors_again(bundle: Bundle) -> None:
    golden = load_golden(bundle)
    with OnnxSession(bundle, bundle.artifact("fp32", "cpu"), threads=1) as session:
        found = session.infer(golden.crops)
    assert np.abs(found["egfr_members"] - golden.outputs["egfr_members"]).max() < 0.01
    assert np.abs(found["egfr_map"] - golden.outputs["egfr_map"]).max() < 0.05


def test_golden_crops_span_low_and_high_values_and_p_falls_as_the_egfr_rises(bundle: Bundle) -> None:
    golden = load_golden(bundle)
    with OnnxSession(bundle, bundle.artifact("fp32", "cpu"), threads=1) as session:
        readings = Reader(bundle, session).read_many(golden.crops)
    values = [reading.egfr for reading in readings if reading.egfr is not None]
    egfr = np.array([value.value for value in values])
    chance = np.array([reading.egfr_below_60.p for reading in readings if reading.egfr_below_60 is not None])
    assert egfr.min() < 30
    assert egfr.max() > 80
    assert np.corrcoef(egfr, chance)[0, 1] < -0.7
    assert len(egfr) == len(chance) == 8 and all(reading.synthetic for reading in readings)
    assert all(value.low is not None and value.high is not None for value in values)
    assert all(value.low <= value.value <= value.high for value in values)


def test_its_report_meets_what_the_stand_in_is_made_for(bundle: Bundle) -> None:
    """The numbers are of patients never trained on, as the report records them."""
    import json

    report = json.loads((SHIPPED / "report.json").read_text(encoding="utf-8"))
    evaluation = report["evaluation"]
    assert evaluation["patients"] >= 400
    assert evaluation["r"][0] >= 0.70
    assert evaluation["auc"]["value"] >= 0.85
    assert evaluation["p_trend"] < 0
    # 0.9 within 3 standard deviations: 1.7 % of 300 patients to calibrate on, 1.2 % of 600 to test on
    assert 0.84 <= evaluation["interval_coverage"] <= 0.965


def test_its_report_needs_nothing_from_elsewhere() -> None:
    page = (SHIPPED / "report.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 5
    assert not re.search(r"<(script|link|iframe)|src=|url\((?!#)", page)
    for link in re.findall(r'href="([^"]*)"', page):
        assert link.startswith(("#", "data:")), link
