"""Evaluation of bundles whose main answer is a probability or grades: numbers by hand, then the command."""

from __future__ import annotations

import csv
from math import nan
from pathlib import Path

import cv2
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from convert.commands.evaluate import register
from convert.egfr_heads import EGFR
from convert.evaluate.classes import FULL, STRATUM, class_shares, confidence, confusion, score
from convert.evaluate.document import Evaluation, Measure
from convert.evaluate.estimate import Estimator
from convert.evaluate.resampling import Bootstrap
from convert.evaluate.sample import ClassSample
from convert.origin import Origin
from engines.manifest import GradesHead, HeadSpec

from .head_makers import EACH, ECHO, FILES, HEADS, LENGTH, LESION, PATIENTS, PIXELS, build, crops_of, material

PAIR = GradesHead(name="cortex", title="Cortex", output="cortex_members", grades=("thick", "thin"))
MAINS: dict[str, tuple[HeadSpec, ...]] = {
    "lesion": HEADS,
    "echo": (ECHO, LESION),
    "cortex": (PAIR,),
    "length": (LENGTH, LESION),
    "egfr": (EGFR,),
}


def two_sides() -> ClassSample:
    """Ten patients: four with the event, of whom three are called; six without, of whom one is."""
    chance = np.array([0.9, 0.8, 0.7, 0.2, 0.6, 0.4, 0.3, 0.3, 0.1, 0.1])
    truth = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0])
    p = np.stack([1 - chance, chance], axis=1)
    called = (chance >= 0.5).astype(np.intp)
    return ClassSample(np.arange(10), np.zeros(10, np.bool_), truth, p, called, ("no", "yes"))


def three_grades() -> ClassSample:
    p = np.array([[0.7, 0.2, 0.1], [0.5, 0.3, 0.2], [0.2, 0.5, 0.3], [0.6, 0.3, 0.1], [0.1, 0.2, 0.7], [0.8, 0.1, 0.1]])
    truth = np.array([0, 0, 1, 1, 2, 2])
    return ClassSample(np.arange(6), np.zeros(6, np.bool_), truth, p, p.argmax(axis=1), ("low", "mid", "high"))


# ------------------------------------------------------------------------------ numbers by hand


def test_decisions_at_the_cut_by_hand() -> None:
    shares = {name: share.value for name, share in class_shares(two_sides(), nan).items()}
    assert shares == pytest.approx(
        {
            "class_exact": 0.8,  # 3 + 5 of 10
            "refused": 0.0,
            "1_sensitivity": 0.75,
            "1_specificity": 5 / 6,
            "1_ppv": 0.75,
            "1_npv": 5 / 6,
            "1_accuracy": 0.8,
        }
    )
    assert confusion(two_sides()).tolist() == [[5, 1], [1, 3]]


def test_area_brier_and_intervals_by_hand() -> None:
    found = Estimator(nan, Bootstrap(100, 1)).estimate(two_sides(), FULL, lambda: None)
    # 0.9, 0.8, 0.7 beat all 6; 0.2 beats two: 20 of 24 pairs
    assert found["auc_1"].value == pytest.approx(20 / 24) and found["auc_1"].method == "DeLong"
    squares = [0.01, 0.04, 0.09, 0.64, 0.36, 0.16, 0.09, 0.09, 0.01, 0.01]
    assert found["brier"].value == pytest.approx(sum(squares) / 10)
    assert (found["1_sensitivity"].method, found["1_sensitivity"].value) == ("Wilson", 0.75)
    assert found["1_sensitivity"].low == pytest.approx(0.3006, abs=1e-4)  # Wilson of 3 of 4
    assert found["1_sensitivity"].high == pytest.approx(0.9544, abs=1e-4)
    assert set(STRATUM.scalars(two_sides(), nan)) == {"auc_1", "brier"}


def test_grades_are_counted_one_against_all_others() -> None:
    sample = three_grades()
    shares = {name: share.value for name, share in class_shares(sample, nan).items()}
    assert sample.called.tolist() == [0, 0, 1, 0, 2, 0]
    assert confusion(sample).tolist() == [[2, 0, 0], [1, 1, 0], [1, 0, 1]]
    assert shares["class_exact"] == pytest.approx(4 / 6) and shares["class_within_one"] == pytest.approx(5 / 6)
    assert (shares["0_sensitivity"], shares["0_specificity"]) == pytest.approx((1.0, 0.5))
    assert (shares["2_sensitivity"], shares["2_ppv"]) == pytest.approx((0.5, 1.0))
    squares = [0.14, 0.38, 0.38, 0.86, 0.14, 1.46]
    assert score(sample) == pytest.approx(sum(squares) / 6)
    chance, right = confidence(sample)
    assert chance.tolist() == pytest.approx([0.7, 0.5, 0.5, 0.6, 0.7, 0.8])
    assert right.tolist() == [True, True, True, False, True, False]


# ------------------------------------------------------------------------------ the command


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("bundles")
    for name, heads in MAINS.items():
        build(root / name, crops_of({}), Origin(FILES), material(heads))
    build(root / "other", crops_of({}), Origin(FILES), material(seed=20))
    return root


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One crop of each patient with references that have nothing to do with the picture, and a reader."""
    root = tmp_path_factory.mktemp("table")
    random = np.random.default_rng(8)
    rows = []
    for patient in range(PATIENTS):
        cv2.imwrite(str(root / f"{patient}.png"), PIXELS[patient * EACH][:, :, ::-1])
        lesion = int(random.integers(0, 2))
        facts = {"lesion": lesion, "echo": ("Low", "mid", "high")[patient % 3], "cortex": ("thin", "thick")[lesion]}
        reader = {"doctor": int(random.random() < (0.8 if lesion else 0.2)), "sex": "fm"[patient % 2]}
        rows.append({"crop": f"{patient}.png", "patient": patient, "egfr": 20 + patient, **facts, **reader})
    with (root / "table.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return root / "table.csv"


def invoke(*arguments: str | Path):
    app = typer.Typer()
    register(app)
    app.callback()(lambda: None)
    environment = {"COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"}
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments), "--resamples", "100"], env=environment)


def evaluated(bundle: Path, table: Path, out: Path, *options: str | Path) -> tuple[Evaluation, str, str]:
    result = invoke(bundle, "--data", table, "--out", out, *options)
    assert result.exit_code == 0, result.output
    document = Evaluation.model_validate_json((out / "evaluation.json").read_text(encoding="utf-8"))
    return document, (out / "evaluation.html").read_text(encoding="utf-8"), result.stdout


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def value(measures: tuple[Measure, ...], key: str) -> float | None:
    return next(measure.estimate.value for measure in measures if measure.key == key)


def test_a_probability_is_evaluated_at_the_cut_of_its_head(bundles: Path, table: Path, tmp_path: Path) -> None:
    document, page, said = evaluated(bundles / "lesion", table, tmp_path / "out", "--reader-column", "doctor")
    readings = rows_of(tmp_path / "out" / "readings.csv")
    chance = np.array([float(row["p lesion in view"]) for row in readings])
    truth = np.array([row["reference"] == "lesion in view" for row in readings])
    assert document.kind == "classes" and document.about.cut == 0.5
    assert document.counts.images_positive == int(truth.sum())
    own, reader = document.decisions
    assert own.rule == "P(lesion in view) ≥ 0.5" and reader.rule == "readers (doctor): says lesion in view"
    assert own.true_positive == int(((chance >= 0.5) & truth).sum())
    assert own.false_positive == int(((chance >= 0.5) & ~truth).sum())
    assert value(document.calibration, "brier") == pytest.approx(np.mean((chance - truth) ** 2), abs=1e-5)
    (comparison,) = document.comparisons
    assert comparison.difference.method == "DeLong" and comparison.p is not None and comparison.p < 0.05
    assert {row.factor for row in document.strata} == {"sex", "domain check"}
    assert [measure.key for measure in next(row.measures for row in document.strata if row.measures)][:2] == [
        "auc_1",
        "class_exact",
    ]
    assert document.bands == () and document.agreement == () and document.interval_level is None
    assert "1. Agreement with the reference" in page and "eGFR" not in page and page.count("<svg") == 3
    assert "images lesion in view" in said and "same as the reference (accuracy)" in said


def test_grades_are_evaluated_each_against_the_others(bundles: Path, table: Path, tmp_path: Path) -> None:
    document, page, _ = evaluated(bundles / "echo", table, tmp_path / "out")
    assert [curve.name for curve in document.curves] == ["P(low)", "P(mid)", "P(high)"]
    assert [row.rule for row in document.decisions] == [f"most probable: {name}" for name in ("low", "mid", "high")]
    assert document.categories == ("low", "mid", "high") and document.counts.images_positive is None
    assert sum(count for row in document.category_table for count in row.counts) == PATIENTS
    assert [sum(row.counts) for row in document.category_table] == [24, 23, 23]
    assert [measure.key for measure in document.category_agreement] == [
        "class_exact",
        "class_within_one",
        "kappa_linear",
        "kappa_quadratic",
    ]
    assert "Calibration of P of the most probable grade" in page


def test_two_grades_have_one_question(bundles: Path, table: Path, tmp_path: Path) -> None:
    document, _, _ = evaluated(bundles / "cortex", table, tmp_path / "out")
    assert [curve.name for curve in document.curves] == ["P(thin)"]
    assert [(row.positive, row.negative) for row in document.decisions] == [("thin", "thick")]


def test_two_bundles_of_one_question_are_compared(bundles: Path, table: Path, tmp_path: Path) -> None:
    document, _, _ = evaluated(bundles / "lesion", table, tmp_path / "out", "--against", bundles / "other")
    (comparison,) = document.comparisons
    assert comparison.second == "P(lesion in view), bundle any 1.0.0 (second)"
    assert comparison.difference.value != 0.0 and comparison.difference.method == "DeLong"
    assert len(document.decisions) == 2


def test_an_egfr_without_p_and_without_interval_is_evaluated_as_far_as_it_goes(
    bundles: Path, table: Path, tmp_path: Path
) -> None:
    document, page, said = evaluated(bundles / "egfr", table, tmp_path / "out")
    assert document.kind == "egfr" and document.interval_level is None and document.intervals == ()
    assert [curve.name for curve in document.curves] == ["minus predicted eGFR"]
    assert document.calibration == () and document.comparisons == ()
    assert [measure.key for measure in document.safety] == ["refused"]
    assert "has no prediction interval" in page and "Calibration of" not in page
    assert "Pearson r" in said and "inside the prediction interval" not in said
    assert set(rows_of(tmp_path / "out" / "readings.csv")[0]) == {
        "basis",
        "line",
        "reference_egfr",
        "egfr",
        "domain_distance",
        "refused",
    }


@pytest.mark.parametrize(
    ("bundle", "options", "text"),
    [
        ("length", (), "Length in mm, is neither an eGFR nor a probability nor grades"),
        ("lesion", ("--reader-column", "doctor", "--reader-means", "egfr"), "add --reader-means score"),
        ("echo", ("--reader-column", "doctor"), "Echogenicity has 3 grades"),
        ("lesion", ("--cut", "45"), "--cut is of an eGFR and the bundle gives Lesion"),
        ("lesion", ("--against", "echo"), "do not give the same answer, Lesion"),
    ],
)
def test_what_does_not_fit_the_bundle_is_one_sentence(
    bundles: Path, table: Path, tmp_path: Path, bundle: str, options: tuple[str, ...], text: str
) -> None:
    chosen = [bundles / option if "--against" in options and option in MAINS else option for option in options]
    result = invoke(bundles / bundle, "--data", table, "--out", tmp_path / "out", *chosen)
    assert (result.exit_code, text in result.stderr) == (2, True), result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_label_that_is_none_of_the_classes_is_named_by_its_line(bundles: Path, table: Path, tmp_path: Path) -> None:
    text = table.read_text(encoding="utf-8").replace(",mid,", ",medium,", 1)
    wrong = table.with_name("wrong.csv")
    wrong.write_text(text, encoding="utf-8")
    result = invoke(bundles / "echo", "--data", wrong, "--out", tmp_path / "out")
    assert "the column echo does not say low or mid or high (line 3)" in result.stderr
    nothing = table.with_name("nothing.csv")
    nothing.write_text(text.replace("lesion", "tumour", 1), encoding="utf-8")
    result = invoke(bundles / "lesion", "--data", nothing, "--out", tmp_path / "out")
    assert "it has no column lesion" in result.stderr
