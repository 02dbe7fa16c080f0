"""Crops come from pictures, tables of crops or frames, and the phantom; all that is wrong is said in one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edge_app.capture.phantom.generate import DatasetPlan, write_dataset
from engines.manifest import GradesHead, InputSpec, ProbabilityHead, RegressionHead
from engines.preprocess import crop_box, extract
from engines.synthetic_mark import draw

from .crops_makers import SIDE, SPEC, crop_rows, frame_rows, picture, read, refused, save, write_table

EGFR = RegressionHead(
    name="egfr", title="eGFR", quantity="egfr", output="egfr_members", unit="mL/min/1.73 m2", resolution=1.0
)
BELOW = ProbabilityHead(
    name="p_egfr_below_60", title="P", quantity="egfr_below_60", event="eGFR < 60", output="p_egfr_below_60_members"
)
LENGTH = RegressionHead(
    name="length", title="Length", quantity="other", output="length_members", unit="cm", resolution=0.1
)
STONE = ProbabilityHead(name="stone", title="Stone", quantity="other", event="a stone", output="stone_members")
GRADE = GradesHead(name="dilation", title="Dilation", output="dilation_members", grades=("None", "Mild", "Marked"))


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a set of ten crops pass, where its size is not what is tested."""
    monkeypatch.setattr("convert.crops.gather.CALIBRATION_MINIMUM", 10)


def test_every_picture_of_a_folder_is_a_crop_of_a_patient_of_its_own(tmp_path: Path) -> None:
    for at in range(210):
        save(tmp_path / f"{at}.png", picture(at))
    (tmp_path / "notes.txt").write_text("not a picture")
    crops = read(tmp_path)
    assert len(crops) == 210 and len(set(crops.patients)) == 210
    assert crops.counts.patients == 210 and crops.counts.by_scanner[0].name == "not known"
    assert any("a patient of its own" in text for text in crops.remarks)
    assert {pixels.tobytes() for pixels in crops.pixels} == {picture(at).tobytes() for at in range(210)}, (
        "RGB, as it is"
    )


def test_other_sizes_are_scaled_and_it_is_said(tmp_path: Path, few: None) -> None:
    for at in range(10):
        save(tmp_path / f"{at}.png", np.full((30, 27, 3), 10 * at + 5, np.uint8))
    crops = read(tmp_path)
    assert crops.pixels.shape == (10, SIDE, SIDE, 3)
    assert {int(value) for value in crops.pixels[:, 7, 7, 0]} == set(range(5, 105, 10))
    assert any(text.startswith("10 pictures are not square") for text in crops.remarks)
    assert any(text.startswith("10 crops are smaller") for text in crops.remarks)


def test_whole_screens_are_not_taken_for_crops(tmp_path: Path) -> None:
    for at in range(3):
        save(tmp_path / f"s{at}.png", picture(at, 64, 48))
    assert "whole screens need a table" in (said := refused(tmp_path)) and "(s0.png, s1.png, s2.png)" in said


def test_a_table_gives_patients_scanners_and_truth(tmp_path: Path) -> None:
    rows = crop_rows(tmp_path, 210)
    rows[0]["egfr"] = rows[1]["egfr"] = ""
    write_table(tmp_path / "labels.csv", rows)
    crops = read(tmp_path, (EGFR, BELOW))
    assert crops.counts.patients == 105
    assert [(s.name, s.crops, s.patients) for s in crops.counts.by_scanner] == [("E9", 104, 52), ("P3", 106, 53)]
    by_band = {share.name: share.crops for share in crops.counts.by_truth["egfr"]}
    assert by_band == {
        "G5, below 15": 8,  # patients 1 to 4, eGFR 11 to 14
        "G4, 15 to 30": 30,
        "G3b, 30 to 45": 30,
        "G3a, 45 to 60": 30,
        "G2, 60 to 90": 60,
        "G1, 90 and above": 50,
        "not known": 2,
    }
    sides = {share.name: share.crops for share in crops.counts.by_truth["p_egfr_below_60"]}
    assert sides == {"not eGFR < 60": 110, "eGFR < 60": 98, "not known": 2}
    known = crops.labelled("egfr")
    assert known.sum() == 208 and not crops.labelled("length").any()
    assert np.array_equal(crops.truth["p_egfr_below_60"][known] == 1, crops.truth["egfr"][known] < 60)
    assert not any("Jane" in name for name in crops.patients.tolist()), "names stay in the source"
    assert len(crops.single(known, 3)) == 104


def test_the_truth_of_each_kind_of_head(tmp_path: Path, few: None) -> None:
    rows = [{**row, "length": "", "stone": "", "Dilation": ""} for row in crop_rows(tmp_path, 10, each=1)]
    for at, (length, stone, dilation) in enumerate(
        [("9,5", "yes", "mild"), ("10", "0", "None"), ("", "TRUE", "MARKED"), ("11.25", "no", ""), ("8", "1", "none")]
    ):
        rows[at].update(egfr=f"{20 + at}", length=length, stone=stone, Dilation=dilation)
    write_table(tmp_path / "labels.csv", rows, ";")
    crops = read(tmp_path, (LENGTH, STONE, GRADE))
    at = {int(value): place for place, value in enumerate(crops.truth["egfr"])}
    order = [at[20 + row] for row in range(5)]
    assert crops.truth["length"][order].tolist() == pytest.approx([9.5, 10, np.nan, 11.25, 8], nan_ok=True)
    assert crops.truth["stone"][order].tolist() == [1, 0, 1, 0, 1]
    assert crops.truth["dilation"][order].tolist() == pytest.approx([1, 0, 2, np.nan, 0], nan_ok=True)
    assert [(s.name, s.crops) for s in crops.counts.by_truth["dilation"]] == [
        ("None", 2),
        ("Mild", 1),
        ("Marked", 1),
        ("not known", 6),
    ]


def test_frames_are_cut_between_their_markers_as_the_app_cuts(tmp_path: Path, few: None) -> None:
    rows = frame_rows(tmp_path, 12)
    for name in ("x1", "y1", "x2", "y2"):
        rows[11][name] = ""
    rows[10].update(x1="90", y1="70", x2="70", y2="50")  # reaches beyond the picture
    write_table(tmp_path / "labels.csv", rows)
    crops = read(tmp_path)
    found = {pixels.tobytes() for pixels in crops.pixels}
    # Markers 40 px apart around (40, 40), pixel centres: edges 20.5 to 60.5, rounded half up 21 to 61.
    expected = {picture(at, 100, 80)[21:61, 21:61].tobytes() for at in range(10)}
    corner = extract(picture(10, 100, 80), crop_box((90, 70), (70, 50), "square"), SIDE, SIDE)
    assert found == expected | {corner.tobytes()}
    assert "1 rows without a frame and its markers were left out." in crops.remarks
    wide = read(tmp_path, spec=InputSpec(name="c", height=SIDE, width=SIDE, crop_mode="legacy_tight", crop_factor=1.2))
    assert found.isdisjoint({pixels.tobytes() for pixels in wide.pixels})


def test_everything_that_is_wrong_with_frames_is_in_one_sentence(tmp_path: Path) -> None:
    rows = [{**row, "split": "a", "egfr": "50"} for row in frame_rows(tmp_path, 20)]
    rows[0].update(x1="100")
    rows[1].update(y2="-3")
    rows[2].update(x2="25")
    rows[3].update(y1="")
    rows[4].update(x1="left")
    (tmp_path / "f5.png").write_bytes(b"no picture")
    rows[6]["frame"] = "absent.png"
    rows[7]["patient"] = ""
    rows[8]["frame"] = ""
    rows[9].update(patient="Jane 0", split="b")
    rows[10]["egfr"] = "251"
    rows[11]["egfr"] = "about 40"
    (tmp_path / "f12.png").write_bytes((tmp_path / "f13.png").read_bytes())
    write_table(tmp_path / "labels.csv", rows)
    said = refused(tmp_path)
    for text in (
        "a patient is in two splits (lines 2 and 11)",
        "markers lie outside of the picture (line 2, line 3)",
        "markers are closer than 8 px (line 4)",
        "x1, y1, x2 and y2 are not four numbers (line 5, line 6)",
        "pictures cannot be read (line 7, line 8)",
        "no patient is given (line 9)",
        "no picture is named (line 10)",
        "the egfr is not a number from 0 to 250 (line 12, line 13)",
        "the same picture belongs to two patients (line 14 and line 15)",
    ):
        assert text in said, text
    assert "Jane" not in said


def test_labels_that_mean_nothing_are_said_by_column(tmp_path: Path) -> None:
    rows = [{**row, "length": "9", "stone": "0", "dilation": "mild"} for row in crop_rows(tmp_path, 4)]
    rows[0]["length"] = "inf"
    rows[1]["stone"] = "0.5"
    rows[2]["dilation"] = "severe"
    write_table(tmp_path / "labels.csv", rows)
    said = refused(tmp_path, (LENGTH, STONE, GRADE))
    assert "the column length holds no number (line 2)" in said
    assert "the column stone holds neither 0 nor 1, yes nor no (line 3)" in said
    assert "the column dilation holds none of None, Mild, Marked (line 4)" in said


def test_kidneys_that_stand_are_refused_for_a_tight_crop_only(tmp_path: Path, few: None) -> None:
    write_table(tmp_path / "labels.csv", frame_rows(tmp_path, 12, marks=(40, 20, 41, 60)))
    assert len(read(tmp_path)) == 12
    tight = InputSpec(name="c", height=SIDE, width=SIDE, crop_mode="legacy_tight")
    assert "stand almost above each other" in refused(tmp_path, spec=tight)


def test_the_same_picture_of_one_patient_is_dropped_and_of_two_refused(tmp_path: Path, few: None) -> None:
    rows = crop_rows(tmp_path, 12)
    save(tmp_path / "crops" / "c1.png", picture(0))  # c0 and c1 are of one patient
    write_table(tmp_path / "labels.csv", rows)
    crops = read(tmp_path)
    assert len(crops) == 11
    assert "1 pictures were there twice for the same patient and were left out." in crops.remarks
    save(tmp_path / "crops" / "c2.png", picture(0))
    assert "the same picture belongs to two patients (line 2 and line 4)" in refused(tmp_path)


def test_fewer_than_200_are_refused_with_the_count_and_fewer_than_500_remarked(tmp_path: Path) -> None:
    rows = crop_rows(tmp_path, 500, each=4)
    save(tmp_path / "crops" / "c1.png", picture(0))
    write_table(tmp_path / "labels.csv", rows[:200])
    said = refused(tmp_path)
    assert "it holds 199 and at least 200 are needed (1 pictures were there twice" in said
    assert "add crops of your own scanner" in said
    write_table(tmp_path / "labels.csv", rows[:201])
    assert "200 crops are fewer than the 500 that are advised." in read(tmp_path).remarks
    save(tmp_path / "crops" / "c1.png", picture(1))
    write_table(tmp_path / "labels.csv", rows)
    assert not any("advised" in text for text in read(tmp_path).remarks)


@pytest.mark.parametrize(
    ("files", "text"),
    [
        ((), "nothing in it can be read as crops"),
        (("a.png", "b.mp4"), "it holds videos and pictures"),
        (("labels.csv", "videos.csv"), "it holds labels.csv and videos.csv"),
        (("labels.csv", "a.mp4"), "it holds labels.csv and videos"),
    ],
)
def test_what_lies_there_must_be_one_kind(tmp_path: Path, files: tuple[str, ...], text: str) -> None:
    for name in files:
        (tmp_path / name).write_text("crop\n")
    assert text in refused(tmp_path)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"crop\n", "it has no rows"),
        (b"name\nx\n", "it has no column crop, frame or video"),
        (b"frame\nx.png\n", "it has no columns x1, y1, x2, y2 beside frame"),
        (b"crop,patient,Patient\na.png,1,2\n", "it has the column patient twice: keep one of them"),
        (b"\xff\xfe\x00", "it is not UTF-8 text"),
    ],
)
def test_tables_that_are_none_are_refused(tmp_path: Path, content: bytes, text: str) -> None:
    (tmp_path / "labels.csv").write_bytes(content)
    assert text in refused(tmp_path)
    assert text in refused(tmp_path / "labels.csv")


def test_absent_and_foreign_files_are_refused(tmp_path: Path) -> None:
    assert "there is no such folder" in refused(tmp_path / "absent")
    (tmp_path / "notes.txt").write_text("x")
    assert "it is no folder, no table and no video" in refused(tmp_path / "notes.txt")


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("crops") / "phantom"
    write_dataset(DatasetPlan(patients=6, out=root, seed=5, frames=2, processes=1))
    return root


def without_frames(root: Path, target: Path) -> Path:
    """The data set as it is without ``--frames``: the column is there and empty."""
    lines = (root / "labels.csv").read_text().splitlines()
    at = lines[0].split(",").index("frame")
    rows = [dict(zip(lines[0].split(","), line.split(","), strict=True)) for line in lines[1:]]
    assert at > 0 and any(row["frame"] for row in rows)
    write_table(target / "labels.csv", [{**row, "frame": "", "crop": str(root / row["crop"])} for row in rows])
    (target / "dataset.json").write_bytes((root / "dataset.json").read_bytes())
    return target


def test_crops_and_frames_of_the_phantom_agree_and_their_labels_are_not_read(
    phantom: Path, tmp_path: Path, few: None
) -> None:
    spec = InputSpec(name="crops", height=224, width=224, crop_mode="square")
    given = read(without_frames(phantom, tmp_path), (EGFR, BELOW), spec)
    cut = read(phantom, (EGFR, BELOW), spec)
    assert len(given) == 24 and len(cut) == 12, "a frame of each visit, measured or clean"
    assert given.simulated and cut.simulated
    assert not any(crops.labelled(name).any() for crops in (given, cut) for name in ("egfr", "p_egfr_below_60"))
    own = {pixels.tobytes() for pixels in given.pixels}
    assert {pixels.tobytes() for pixels in cut.pixels} < own, "cut by two programs, byte for byte the same"
    assert any(text.endswith("without a frame and its markers were left out.") for text in cut.remarks)
    assert {share.name for share in cut.counts.by_scanner} <= {"ge", "philips", "canon"}


def test_frames_of_the_phantom_are_known_by_their_mark(tmp_path: Path, few: None) -> None:
    rows = frame_rows(tmp_path, 12)
    for at, row in enumerate(rows):
        frame = picture(at, 320, 240)
        draw(frame)
        save(tmp_path / row["frame"], frame)
    write_table(tmp_path / "labels.csv", rows)
    assert read(tmp_path).simulated
    save(tmp_path / "f3.png", picture(3, 320, 240))
    assert "it holds pictures of the phantom and of patients" in refused(tmp_path)


def test_another_dataset_json_is_no_harm(tmp_path: Path, few: None) -> None:
    write_table(tmp_path / "labels.csv", crop_rows(tmp_path, 12))
    for text in ("[1]", "{broken", json.dumps({"kind": "something else"})):
        (tmp_path / "dataset.json").write_text(text)
        assert not read(tmp_path).simulated


def test_progress_counts_up_to_the_last_picture(tmp_path: Path, few: None) -> None:
    from convert.crops import read_crops

    write_table(tmp_path / "labels.csv", crop_rows(tmp_path, 12))
    seen: list[tuple[str, int, int]] = []
    read_crops(tmp_path, SPEC, (), 1, lambda *told: seen.append(told))
    assert seen == [("reading crops", at, 12) for at in range(1, 13)]
