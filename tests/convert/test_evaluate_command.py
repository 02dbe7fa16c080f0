"""``echogfr-convert evaluate``: the shipped bundle on a small phantom data set, from table to page."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from convert.commands.evaluate import register
from convert.evaluate import measure
from convert.evaluate.document import Evaluation
from edge_app.capture.phantom.generate import DatasetPlan, write_dataset

SHIPPED = Path(__file__).resolve().parents[2] / "edge_app" / "bundles" / "synthetic-standin"
ENVIRONMENT = {"COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"}
DIAGNOSIS = re.compile(r"\bCKD\b|diagnos|disease|\bstage\b|patholog|sick|healthy", re.IGNORECASE)


def invoke(*arguments: str | Path):
    app = typer.Typer()
    register(app)
    app.callback()(lambda: None)
    fast = ("--resamples", "100") if "--data" in arguments else ()
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments), *fast], env=ENVIRONMENT)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten phantom patients, four crops each, with a reader who adds an error to the reference."""
    root = tmp_path_factory.mktemp("evaluate") / "phantom"
    write_dataset(DatasetPlan(patients=10, out=root, seed=11, split="test", processes=1))
    random = np.random.default_rng(1)
    with (root / "labels.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["patient"] = f"Jane-Roe-{row['patient']}"
        row["reader"] = f"{max(1.0, float(row['egfr']) + random.normal(0, 25)):.0f}"
        row["sex"] = "f" if int(row["patient"][-1]) % 2 else "m"
    with (root / "hospital.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return root / "hospital.csv"


@pytest.fixture(scope="module")
def done(table: Path) -> Path:
    """The folder of an evaluation against a reader."""
    out = table.parent.parent / "done"
    options = ("--reader-column", "reader", "--reader-means", "egfr")
    result = invoke(SHIPPED, "--data", table, "--out", out, *options)
    assert result.exit_code == 0, result.output
    assert "SYNTHETIC: synthetic-standin" in result.stdout
    assert "40 images of 10 patients" in result.stdout
    return out


def read_document(folder: Path) -> Evaluation:
    return Evaluation.model_validate_json((folder / "evaluation.json").read_text(encoding="utf-8"))


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_page_stands_alone_and_says_synthetic_everywhere(done: Path) -> None:
    page = (done / "evaluation.html").read_text(encoding="utf-8")
    assert re.search("<title>SYNTHETIC", page)
    captions = re.findall("<(?:fig)?caption>(.*?)</", page)
    assert len(captions) > 15
    assert all("SYNTHETIC" in caption for caption in captions)
    assert page.count("<svg") == 6
    for outside in ("<script", "<link", 'src="', 'href="http'):
        assert outside not in page, outside


def test_no_output_has_a_word_of_diagnosis_a_name_or_a_path(done: Path, table: Path) -> None:
    for path in done.iterdir():
        text = path.read_text(encoding="utf-8")
        assert not DIAGNOSIS.search(text), (path.name, DIAGNOSIS.search(text))
        assert "Jane-Roe" not in text, path.name
        assert str(table.parent) not in text, path.name
        assert ".png" not in text, path.name


def test_the_numbers_of_page_tables_and_document_are_those_of_the_readings(done: Path) -> None:
    document, readings = read_document(done), read_csv(done / "readings.csv")
    truth, egfr = (np.array([float(row[name]) for row in readings]) for name in ("reference_egfr", "egfr"))
    by_key = {row.key: row.estimate for row in document.agreement}
    assert document.counts.model_dump() == {
        "images": 40,
        "patients": 10,
        "images_positive": int((truth < 60).sum()),
        "patients_positive": int((truth < 60).sum()) // 4,
        "largest_cluster": 4,
    }
    assert by_key["mae"].value == pytest.approx(np.abs(egfr - truth).mean(), abs=1e-3)
    assert by_key["r"].value == pytest.approx(np.corrcoef(egfr, truth)[0, 1], abs=1e-4)
    assert by_key["r"].method == "patient bootstrap"
    rule = next(row for row in document.decisions if row.rule == "predicted eGFR < 60")
    assert rule.true_positive == int(((egfr < 60) & (truth < 60)).sum())
    assert sum(count for row in document.category_table for count in row.counts) == 40
    assert f"{by_key['mae'].value:.1f}" in (done / "evaluation.html").read_text(encoding="utf-8")
    shown = {row["measure"]: row for row in read_csv(done / "agreement.csv")}
    assert float(shown["mae"]["value"]) == pytest.approx(by_key["mae"].value, rel=1e-5)
    assert {row["basis"].split()[0] for row in shown.values()} == {"SYNTHETIC"}


def test_reader_and_heads_are_compared_on_the_same_images_by_patient(done: Path) -> None:
    document = read_document(done)
    assert [(row.first, row.second) for row in document.comparisons] == [
        ("P(eGFR < 60)", "minus predicted eGFR"),
        ("P(eGFR < 60)", "readers (reader)"),
        ("minus predicted eGFR", "readers (reader)"),
    ]
    assert all(row.images == 40 and row.patients == 10 for row in document.comparisons)
    assert all("Obuchowski" in row.difference.method for row in document.comparisons)
    assert document.reader_name == "readers (reader)"
    assert {row.factor for row in document.strata} == {"scanner", "side", "sex", "domain check"}


def test_too_small_subgroups_are_counted_not_described(done: Path) -> None:
    rows = [row for row in read_document(done).strata if row.patients < 10]
    assert rows
    assert all(not row.measures for row in rows)


def test_a_bundle_against_itself_differs_by_nothing(table: Path, tmp_path: Path) -> None:
    result = invoke(SHIPPED, "--data", table, "--out", tmp_path / "out", "--against", SHIPPED)
    assert result.exit_code == 0, result.output
    comparisons = read_document(tmp_path / "out").comparisons
    assert [row.difference.value for row in comparisons[1:]] == [0.0, 0.0]
    assert [row.p for row in comparisons[1:]] == [1.0, 1.0]


def test_crops_of_another_size_are_resized_as_the_app_does_and_remarked(table: Path, tmp_path: Path) -> None:
    rows = read_csv(table)[:24]
    for at, row in enumerate(rows):
        picture = cv2.imread(str(table.parent / row["crop"]))
        row["crop"], row["patient"] = f"{at}.png", str(at)
        assert picture is not None
        cv2.imwrite(str(tmp_path / row["crop"]), cv2.resize(picture, (300, 320)))
    with (tmp_path / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    result = invoke(SHIPPED, "--data", tmp_path / "labels.csv")
    assert result.exit_code == 0, result.output
    document = read_document(tmp_path / "labels-evaluation")
    assert any("24 crops had another size than the model reads, 24 of them not square" in t for t in document.remarks)
    assert any("do not call themselves synthetic" in text for text in document.remarks)
    assert {row.difference.method for row in document.comparisons} == {"DeLong"}
    assert document.limit_error is not None


def test_what_lies_there_is_not_replaced_by_accident(table: Path, done: Path, tmp_path: Path) -> None:
    before = (done / "evaluation.json").read_bytes()
    again = invoke(SHIPPED, "--data", table, "--out", done)
    assert (again.exit_code, "--force" in again.stderr) == (2, True)
    assert (done / "evaluation.json").read_bytes() == before
    (tmp_path / "thesis.txt").write_text("years of work")
    other = invoke(SHIPPED, "--data", table, "--out", tmp_path, "--force")
    assert (other.exit_code, "is no evaluation" in other.stderr) == (2, True)
    assert (tmp_path / "thesis.txt").exists()


def test_ctrl_c_leaves_everything_as_it_was(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(measure, "describe", stop)
    result = invoke(SHIPPED, "--data", table, "--out", tmp_path / "out")
    assert result.exit_code == 130
    assert "nothing was written" in result.stderr
    assert list(tmp_path.iterdir()) == []


BLOCKED = """
import sys
for name in ("torch", "onnx", "xgboost", "scipy", "matplotlib", "jinja2", "onnxruntime"):
    sys.modules[name] = None
import typer
from convert.commands.evaluate import register
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
register(app)
app()
"""


def test_without_the_extra_the_cure_is_said(tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", BLOCKED, *arguments]
        root = Path(__file__).resolve().parents[2]
        return subprocess.run(command, capture_output=True, text=True, cwd=root, check=False, timeout=60)

    assert run("--help").returncode == 0
    done = run(str(SHIPPED), "--data", str(tmp_path / "labels.csv"))
    assert done.returncode == 2
    assert "pip install 'echogfr[convert]'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--precision", "int4"), "'int4' cannot be used"),
        (("--reader-column", "nobody"), "no column nobody"),
        (("--reader-column", "reader", "--against", SHIPPED), "one at a time"),
        (("--cut", "1"), "the cut is 1"),
        (("--seed", "-1"), "the seed is -1"),
    ],
)
def test_mistakes_are_one_sentence_and_exit_2(
    table: Path, tmp_path: Path, options: tuple[str | Path, ...], text: str
) -> None:
    result = invoke(SHIPPED, "--data", table, "--out", tmp_path / "out", *options)
    assert result.exit_code == 2, result.output
    assert text in result.stderr
    assert list(tmp_path.iterdir()) == []
