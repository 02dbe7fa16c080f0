"""The table of a hospital is checked whole before anything is read: one sentence names all that is wrong."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from convert.egfr_heads import EGFR
from convert.evaluate.cohort import read_cohort
from convert.evaluate.plan import Contender, EvaluationPlan
from convert.progress import silent
from engines.errors import UsageError

Rows = list[dict[str, str]]


def good_rows(folder: Path, count: int) -> Rows:
    random = np.random.default_rng(1)
    rows = []
    for number in range(count):
        cv2.imwrite(str(folder / f"{number}.png"), random.integers(0, 255, (8, 8, 3), dtype=np.uint8))
        rows.append({"crop": f"{number}.png", "egfr": str(10 + number), "patient": f"name-{number // 2}"})
    return rows


def write(folder: Path, rows: Rows, delimiter: str = ",", encoding: str = "utf-8") -> Path:
    path = folder / "labels.csv"
    with path.open("w", newline="", encoding=encoding) as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def plan(path: Path, **changes: object) -> EvaluationPlan:
    return EvaluationPlan(bundle=Path("b"), data=path, out=path.parent / "out", **changes)  # type: ignore[arg-type]


def refused(path: Path, **changes: object) -> str:
    with pytest.raises(UsageError) as caught:
        read_cohort(plan(path, **changes), EGFR, silent)
    return caught.value.sentence


def test_a_good_table_is_read_and_small_numbers_are_remarked(tmp_path: Path) -> None:
    cohort = read_cohort(plan(write(tmp_path, good_rows(tmp_path, 24))), EGFR, silent)
    assert len(cohort) == 24
    assert len(set(cohort.patients.tolist())) == 12
    assert cohort.lines[0] == 2
    assert cohort.factors == {}
    assert not cohort.synthetic
    assert [text.split(":")[0] for text in cohort.remarks] == [
        "Only 24 images (fewer than 50)",
        "Only 12 patients (fewer than 50)",
    ]


def test_every_defect_is_in_one_sentence(tmp_path: Path) -> None:
    rows = good_rows(tmp_path, 24)
    rows[1]["egfr"] = "260"
    rows[2]["egfr"] = "about 40"
    rows[3]["egfr"] = "nan"
    rows[4]["crop"] = "absent.png"
    (tmp_path / "5.png").write_bytes(b"no picture")
    rows[7]["crop"] = rows[6]["crop"]
    rows[8]["patient"] = ""
    (tmp_path / "10.png").write_bytes((tmp_path / "9.png").read_bytes())
    for row in rows:
        row["age"] = "50"
    rows[11]["age"] = "500"
    sentence = refused(write(tmp_path, rows))
    for text in (
        "the egfr is not a number from 0 to 250 (line 3, line 4, line 5)",
        "crops cannot be read (line 6, line 7)",
        "rows are there twice (lines 8 and 9)",
        "no patient is given (line 10)",
        "the same picture is there twice (lines 11 and 12)",
        "the age is not a number from 0 to 120 (line 13)",
    ):
        assert text in sentence, text
    assert "\n" not in sentence
    assert "name-" not in sentence


def test_many_defects_of_a_kind_are_counted(tmp_path: Path) -> None:
    rows = good_rows(tmp_path, 24)
    for row in rows:
        row["egfr"] = "-1"
    assert "line 2, line 3, line 4, line 5, line 6 and 19 more" in refused(write(tmp_path, rows))


def drop(*names: str) -> Callable[[Rows], Rows]:
    return lambda rows: [{key: value for key, value in row.items() if key not in names} for row in rows]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (drop("egfr", "patient"), "it has no column egfr, patient"),
        (lambda rows: rows[:19], "it has 19 rows and at least 20 are needed"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(tmp_path: Path, change: Callable[[Rows], Rows], text: str) -> None:
    assert text in refused(write(tmp_path, change(good_rows(tmp_path, 24))))


def test_no_table_empty_table_and_another_encoding_are_said(tmp_path: Path) -> None:
    assert "no such file" in refused(tmp_path / "labels.csv")
    (tmp_path / "labels.csv").write_text("crop,egfr,patient\n")
    assert "it has no rows" in refused(tmp_path / "labels.csv")
    (tmp_path / "labels.csv").write_bytes(b"\xff\xfe\x00c")
    assert "not UTF-8" in refused(tmp_path / "labels.csv")


def test_a_table_as_a_european_spreadsheet_writes_it(tmp_path: Path) -> None:
    rows = [{**row, "egfr": "84,5", "Sex": "F", "Age": "39,5"} for row in good_rows(tmp_path, 24)]
    cohort = read_cohort(plan(write(tmp_path, rows, ";", "utf-8-sig")), EGFR, silent)
    assert cohort.truth.tolist() == [84.5] * 24
    assert set(cohort.factors["sex"]) == {"female"}
    assert set(cohort.factors["age"]) == {"below 40"}


def test_factors_come_from_the_columns_that_are_there(tmp_path: Path) -> None:
    rows = [{**row, "look": "ge", "side": "L", "sex": "", "age": ""} for row in good_rows(tmp_path, 24)]
    rows[0]["age"] = "75"
    cohort = read_cohort(plan(write(tmp_path, rows)), EGFR, silent)
    assert set(cohort.factors) == {"scanner", "side", "age"}
    assert cohort.factors["age"][:2] == ("75 and above", "not given")
    many = [{**row, "scanner": str(at)} for at, row in enumerate(rows)]
    cohort = read_cohort(plan(write(tmp_path, many)), EGFR, silent)
    assert "scanner" not in cohort.factors
    assert any("24 levels" in text for text in cohort.remarks)


def test_reader_columns_are_checked(tmp_path: Path) -> None:
    rows = [{**row, "doctor": "yes" if at % 2 else "no"} for at, row in enumerate(good_rows(tmp_path, 24))]
    rows[0]["doctor"] = ""
    path = write(tmp_path, rows)
    cohort = read_cohort(plan(path, contender=Contender("doctor")), EGFR, silent)
    assert cohort.reader is not None
    assert np.isnan(cohort.reader[0])
    assert cohort.reader[1:3].tolist() == [1.0, 0.0]
    assert "it has no column nurse" in refused(path, contender=Contender("nurse"))
    rows[3]["doctor"] = "maybe"
    path = write(tmp_path, rows)
    assert "the column doctor holds no usable number (line 5)" in refused(path, contender=Contender("doctor"))


def test_a_split_can_be_chosen_and_is_remarked_when_it_is_not(tmp_path: Path) -> None:
    rows = [{**row, "split": "test" if at < 21 else "train"} for at, row in enumerate(good_rows(tmp_path, 24))]
    path = write(tmp_path, rows)
    assert len(read_cohort(plan(path, split="test"), EGFR, silent)) == 21
    assert any("trained on" in text for text in read_cohort(plan(path), EGFR, silent).remarks)
    assert "it has 0 rows of the split validation" in refused(path, split="validation")


def test_a_data_set_that_calls_itself_synthetic_is_believed(tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_text('{"synthetic": true}')
    assert read_cohort(plan(write(tmp_path, good_rows(tmp_path, 24))), EGFR, silent).synthetic


@pytest.mark.parametrize(("changes", "text"), [({"cut": 3.0}, "the cut is 3"), ({"resamples": 5}, "5 resamples")])
def test_plans_out_of_range_are_refused(tmp_path: Path, changes: dict[str, float], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        plan(tmp_path / "labels.csv", **changes)
    with pytest.raises(UsageError, match="one at a time"):
        Contender("doctor", "score", tmp_path)
