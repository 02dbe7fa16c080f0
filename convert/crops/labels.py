"""``labels.csv``: one row a crop, or one row a frame with its caliper columns."""

from __future__ import annotations

from pathlib import Path

from convert.crops.intake import Intake, one_split, text_of
from convert.crops.pictures import UNREADABLE, Ends, cut, fault_of, read_picture, take_crop
from convert.crops.sample import Facts
from convert.csvfile import CsvTable, Row, number
from convert.synthetic import says_synthetic
from engines import synthetic_mark

ENDS = ("x1", "y1", "x2", "y2")
UNMARKED = "{} rows without markers were left out."


def take_labels(root: Path, table: CsvTable, intake: Intake) -> None:
    """Take every row of a table whose files lie under ``root``.

    A row with a frame and markers is cut; one that only has a crop is taken as it is; a frame without markers
    is counted and left out.
    """
    one_split(table, intake)
    simulated = says_synthetic(root)
    for at, row in enumerate(table.rows):
        facts = intake.facts(table, at, text_of(row, "frame", "crop"))
        if facts is not None:
            _take_row(root, table, row, facts, simulated, intake)
        intake.report("reading crops", at + 1, len(table.rows))


def _take_row(root: Path, table: CsvTable, row: Row, facts: Facts, simulated: bool, intake: Intake) -> None:
    if row.get("frame") and text_of(row, *ENDS):
        _take_frame(_file(root, "frames", row["frame"]), ends_of(row, table.comma), facts, simulated, intake)
    elif row.get("crop"):
        take_crop(_file(root, "crops", row["crop"]), facts, simulated, intake)
    elif row.get("frame"):
        intake.lose(UNMARKED)
    else:
        intake.defects.add("no picture is named", facts.where)


def ends_of(row: Row, comma: bool) -> Ends:
    """Return the markers of a row, NaN where a number lacks."""
    x1, y1, x2, y2 = (number(row.get(name, ""), comma) for name in ENDS)
    return x1, y1, x2, y2


def _take_frame(path: Path, ends: Ends, facts: Facts, simulated: bool, intake: Intake) -> None:
    frame = read_picture(path)
    if frame is None:
        intake.defects.add(UNREADABLE, facts.where)
        return
    fault = fault_of(ends, (frame.shape[1], frame.shape[0]), intake.spec)
    if fault is not None:
        intake.defects.add(fault, facts.where)
        return
    intake.add(cut(frame, ends, intake.spec), facts, simulated or synthetic_mark.present(frame))


def _file(root: Path, usual: str, name: str) -> Path:
    """Return the file of a name: in its usual folder, else relative to the table."""
    there = root / usual / name
    return there if "/" not in name and there.is_file() else root / name
