"""A table that could be read in two ways is read in none."""

from __future__ import annotations

from pathlib import Path

import pytest

from convert.crops import read_crops
from convert.csvfile import read_csv
from convert.progress import silent
from convert.sources.collect import check_files
from convert.sources.example import example
from convert.sources.read_recipe import read_recipe
from engines.errors import UsageError
from engines.manifest import InputSpec

SPEC = InputSpec(name="crops", height=32, width=32, crop_mode="square")


def table(folder: Path, text: str) -> Path:
    (folder / "labels.csv").write_text(text, encoding="utf-8")
    return folder / "labels.csv"


def test_a_decimal_comma_between_commas_is_refused_and_not_cut_off(tmp_path: Path) -> None:
    path = table(tmp_path, "crop,patient,egfr\na.png,p1,52\nb.png,p2,52,9\n")
    with pytest.raises(UsageError, match=r"rows have more values than there are columns \(line 3\)"):
        read_csv(path, "It cannot be read")


def test_empty_cells_at_the_end_and_decimal_commas_between_semicolons_are_read(tmp_path: Path) -> None:
    assert read_csv(table(tmp_path, "crop,egfr\na.png,52,,\n"), "x").rows == [{"crop": "a.png", "egfr": "52"}]
    assert read_csv(table(tmp_path, "crop;egfr\na.png;52,9\n"), "x").rows == [{"crop": "a.png", "egfr": "52,9"}]


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    path = table(tmp_path, "crop,eGFR,patient,egfr \na.png,50,p1,20\n")
    with pytest.raises(UsageError, match="it has the column egfr twice"):
        read_csv(path, "It cannot be read")


@pytest.mark.parametrize("name", ["a\0b.png", "a" * 5000 + ".png", ".", "../../etc"])
@pytest.mark.parametrize("header", ["crop,patient", "frame,patient,x1,y1,x2,y2"])
def test_a_name_that_no_picture_has_is_one_sentence(tmp_path: Path, name: str, header: str) -> None:
    markers = ",1,2,30,40" if "x1" in header else ""
    path = table(tmp_path, f"{header}\n{name},p1{markers}\n")
    with pytest.raises(UsageError, match=r"pictures cannot be read \(line 2\)"):
        read_crops(path, SPEC, (), 1, silent)


@pytest.mark.parametrize("text", ["a = " + "[" * 20_000, "a = " + "9" * 5000])
def test_a_recipe_beyond_reason_is_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "r.toml").write_text(text)
    with pytest.raises(UsageError, match="it nests deeper or has longer numbers than any recipe"):
        read_recipe(tmp_path / "r.toml")


def test_weights_whose_name_no_file_can_have_are_named(tmp_path: Path) -> None:
    text = example("onnx").replace('"model.onnx"', '"a\\u0000.onnx", "b.onnx"')
    (tmp_path / "r.toml").write_text(text)
    with pytest.raises(UsageError, match=r"'a\\x00\.onnx' is no name of a file; b\.onnx cannot be read"):
        check_files(read_recipe(tmp_path / "r.toml"), tmp_path)
