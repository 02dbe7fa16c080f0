"""The labelled data set: complete or absent, and the same bytes for the same seed."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_app.capture.phantom import DatasetPlan, Summary, write_dataset
from engines.errors import UsageError
from engines.preprocess import CropBox, extract
from engines.synthetic_mark import present

PROMISED = ["patient", "split", "frame", "crop", "egfr", "side", "look", "width", "height", "px_per_cm", "x1", "y1"]
PROMISED += ["x2", "y2", "length_cm", "has_calipers", "quality"]


def fingerprint(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "labels.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Summary]:
    out = tmp_path_factory.mktemp("phantom") / "set"
    return out, write_dataset(DatasetPlan(5, out, seed=3, frames=1, processes=1))


def test_the_labels_have_the_promised_columns_first(made: tuple[Path, Summary]) -> None:
    header = (made[0] / "labels.csv").read_text(encoding="utf-8").splitlines()[0].split(",")
    assert header[: len(PROMISED)] == PROMISED


def test_every_crop_is_there_and_of_the_models_size(made: tuple[Path, Summary]) -> None:
    rows = rows_of(made[0])
    assert len(rows) == made[1].crops == 20
    assert len(list((made[0] / "crops").iterdir())) == 20
    for row in rows:
        assert cv2.imread(str(made[0] / row["crop"])).shape == (224, 224, 3)


def test_a_crop_is_what_preprocessing_cuts_from_its_frame(made: tuple[Path, Summary]) -> None:
    kept = [row for row in rows_of(made[0]) if row["frame"] and row["variant"] == "measured"]
    assert len(kept) == 5
    for row in kept:
        frame = cv2.cvtColor(cv2.imread(str(made[0] / row["frame"])), cv2.COLOR_BGR2RGB)
        assert present(np.asarray(frame, dtype=np.uint8))
        assert frame.shape[:2] == (int(row["height"]), int(row["width"]))
        box = CropBox(*(float(row[f"box_{name}"]) for name in ("x0", "y0", "x1", "y1")), "square")
        crop = cv2.cvtColor(cv2.imread(str(made[0] / row["crop"])), cv2.COLOR_BGR2RGB)
        assert np.array_equal(extract(np.asarray(frame, dtype=np.uint8), box, 224, 224), crop)
        span = np.hypot(float(row["x2"]) - float(row["x1"]), float(row["y2"]) - float(row["y1"]))
        assert span / float(row["px_per_cm"]) == pytest.approx(float(row["length_cm"]), abs=0.6)


def test_a_patient_is_in_one_split_and_has_one_egfr(made: tuple[Path, Summary]) -> None:
    by_patient: dict[str, set[tuple[str, str]]] = {}
    for row in rows_of(made[0]):
        by_patient.setdefault(row["patient"], set()).add((row["split"], row["egfr"]))
    assert len(by_patient) == 5 and all(len(facts) == 1 for facts in by_patient.values())
    assert made[1].counts == {"train": 4, "validation": 0, "test": 1}
    facts = json.loads((made[0] / "dataset.json").read_text(encoding="utf-8"))
    assert facts["synthetic"] is True and facts["seed"] == 3 and facts["patients_by_split"] == made[1].counts


def test_crops_come_with_and_without_calipers(made: tuple[Path, Summary]) -> None:
    rows = rows_of(made[0])
    assert {row["has_calipers"] for row in rows if row["variant"] == "measured"} == {"1"}
    assert {row["has_calipers"] for row in rows if row["variant"] == "clean"} == {"0"}
    for row in rows:
        if row["has_calipers"] == "0" and row["variant"] == "clean":
            crop = cv2.imread(str(made[0] / row["crop"])).astype(int)
            inside = crop[20:-20, 20:-20]
            assert (inside.max(axis=2) - inside.min(axis=2)).max() == 0


def test_the_same_seed_gives_the_same_bytes_on_any_number_of_processes(
    made: tuple[Path, Summary], tmp_path: Path
) -> None:
    write_dataset(DatasetPlan(5, tmp_path / "again", seed=3, frames=1, processes=2))
    assert fingerprint(tmp_path / "again") == fingerprint(made[0])


def test_a_test_set_has_patients_that_no_mixed_set_has(made: tuple[Path, Summary], tmp_path: Path) -> None:
    write_dataset(DatasetPlan(2, tmp_path / "test", seed=3, split="test", processes=1))
    rows = rows_of(tmp_path / "test")
    assert {row["split"] for row in rows} == {"test"}
    assert not {row["egfr"] for row in rows} & {row["egfr"] for row in rows_of(made[0])}


def test_progress_counts_up_to_all_patients(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    write_dataset(DatasetPlan(2, tmp_path / "set", processes=1), lambda done, of: seen.append((done, of)))
    assert seen == [(1, 2), (2, 2)]


@pytest.mark.parametrize("processes", [1, 2])
def test_a_cancel_leaves_nothing_behind(tmp_path: Path, processes: int) -> None:
    def cancel(done: int, of: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_dataset(DatasetPlan(6, tmp_path / "set", processes=processes), cancel)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="exists already"):
        write_dataset(DatasetPlan(1, tmp_path / "set"))
    assert [path.name for path in tmp_path.rglob("*")] == ["set", "mine.txt"]


@pytest.mark.parametrize(("patients", "frames"), [(0, 0), (-1, 0), (200_000, 0), (1, 3)])
def test_numbers_out_of_range_are_refused(tmp_path: Path, patients: int, frames: int) -> None:
    with pytest.raises(UsageError, match="choose another number"):
        write_dataset(DatasetPlan(patients, tmp_path / "set", frames=frames))
