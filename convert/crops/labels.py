"""``labels.csv``: one row a crop, or one row a frame with its caliper columns."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from os.path import isfile
from pathlib import Path

from convert.crops.intake import Intake, one_split, text_of
from convert.crops.pictures import UNREADABLE, Ends, cut, fault_of, read_picture, take_crop
from convert.crops.sample import Facts
from convert.csvfile import CsvTable, Row, number
from convert.synthetic import says_synthetic
from engines import synthetic_mark

ENDS = ("x1", "y1", "x2", "y2")
UNMARKED = "{} rows without a frame and its markers were left out."


@dataclass(frozen=True, slots=True, eq=False)
class _Sheet:
    """What all rows of a table share; ``framed``: at least one gives a frame with markers."""

    root: Path
    comma: bool
    simulated: bool
    framed: bool


def take_labels(root: Path, table: CsvTable, intake: Intake) -> None:
    """Take every row of a table whose files lie under ``root``.

    Where any row gives a frame with markers, frames are cut and rows without are counted and left out: crops that
    somebody else cut are never mixed with them. Otherwise crops are taken as they are.
    """
    one_split(table, intake)
    sheet = _Sheet(root, table.comma, says_synthetic(root), any(_framed(row) for row in table.rows))
    for at, row in enumerate(table.rows):
        facts = intake.facts(table, at, text_of(row, "frame", "crop"))
        if facts is not None:
            _take_row(sheet, row, facts, intake)
        intake.report("reading crops", at + 1, len(table.rows))


def ends_of(row: Row, comma: bool) -> Ends:
    """Return the markers of a row, NaN where a number lacks."""
    x1, y1, x2, y2 = (number(row.get(name, ""), comma) for name in ENDS)
    return x1, y1, x2, y2


def _framed(row: Row) -> bool:
    return bool(row.get("frame") and text_of(row, *ENDS))


def _take_row(sheet: _Sheet, row: Row, facts: Facts, intake: Intake) -> None:
    if not text_of(row, "frame", "crop"):
        intake.defects.add("no picture is named", facts.where)
    elif sheet.framed and _framed(row):
        _take_frame(sheet, row, facts, intake)
    elif not sheet.framed and row.get("crop"):
        take_crop(_file(sheet.root, "crops", row["crop"]), facts, sheet.simulated, intake)
    else:
        intake.lose(UNMARKED)


def _take_frame(sheet: _Sheet, row: Row, facts: Facts, intake: Intake) -> None:
    frame = read_picture(_file(sheet.root, "frames", row["frame"]))
    if frame is None:
        intake.defects.add(UNREADABLE, facts.where)
        return
    ends = ends_of(row, sheet.comma)
    fault = fault_of(ends, (frame.shape[1], frame.shape[0]), intake.spec)
    if fault is not None:
        intake.defects.add(fault, facts.where)
        return
    simulated = sheet.simulated or synthetic_mark.present(frame)
    intake.add_cut(frame, cut(frame, ends, intake.spec), partial(cut, ends=ends, spec=intake.spec), facts, simulated)


def _file(root: Path, usual: str, name: str) -> Path:
    """Return the file of a name: in its usual folder, else relative to the table."""
    there = root / usual / name
    return there if "/" not in name and isfile(there) else root / name  # false for names that no file can have
