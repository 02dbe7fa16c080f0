"""Reads and checks a hospital's table of labelled crops; all defects are said in one sentence."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from convert.crops.pictures import read_picture
from convert.csvfile import WORDS, CsvTable, Row, number, read_csv
from convert.defects import Defects
from convert.evaluate.factors import factors_of
from convert.evaluate.plan import EGFR_RANGE, EvaluationPlan
from convert.evaluate.question import ClassHead, class_names, column_of
from convert.evaluate.sample import Index, Vector
from convert.progress import Progress
from convert.synthetic import says_synthetic
from engines.errors import UsageError
from engines.manifest import HeadSpec, ProbabilityHead

FEWEST, FEW = 20, 50


@dataclass(frozen=True, slots=True, eq=False)
class Cohort:
    """Checked rows of a table, one a crop (N,)."""

    name: str  # of the file, without its folder
    sha256: str
    synthetic: bool  # the data set says so of itself
    lines: Index  # line of each row in the file, the header is line 1
    crops: tuple[Path, ...]
    truth: Vector  # eGFR, mL/min/1.73 m2, or the position of the class
    patients: Index  # codes
    factors: dict[str, tuple[str, ...]]  # level of each crop by factor
    reader: Vector | None  # as the column says; nan where it is empty
    remarks: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of crops."""
        return len(self.lines)


def read_cohort(plan: EvaluationPlan, head: HeadSpec, progress: Progress) -> Cohort:
    """Read the table of a plan, with the reference of ``head``, and try every crop of it.

    Raises
    ------
    UsageError
        One sentence with all defects: no such file, missing columns, fewer than 20 rows, values outside of
        their range, duplicate rows, crops that cannot be read or are the same picture twice.
    """
    path = plan.data
    table = _parse(path, head)
    lines, rows, comma = table.lines, table.rows, table.comma
    remarks = []
    if "split" in rows[0] and plan.split is None and len({row["split"] for row in rows}) > 1:
        remarks.append("The table has a column split and all of it was used: were some of these patients trained on?")
    keep = [at for at, row in enumerate(rows) if plan.split is None or row.get("split") == plan.split]
    lines, rows = [lines[at] for at in keep], [rows[at] for at in keep]
    defects = Defects()
    _check_rows(plan, lines, rows, defects)
    truth = _truth(head, lines, rows, comma, defects)
    reader = _reader_column(plan, lines, rows, comma, defects)
    crops = tuple(path.parent / row["crop"] for row in rows)
    _check_crops(lines, crops, defects, progress)
    factors, factor_remarks = factors_of(rows, lambda line, kind: defects.add(kind, f"line {lines[line]}"))
    defects.refuse(f"{path} cannot be evaluated", "correct the table and run it again")
    _, patients = np.unique(np.array([row["patient"] for row in rows]), return_inverse=True)
    return Cohort(
        name=path.name,
        sha256=hashlib.sha256(table.raw).hexdigest(),
        synthetic=says_synthetic(path.parent),
        lines=np.array(lines),
        crops=crops,
        truth=truth,
        patients=patients,
        factors=factors,
        reader=reader,
        remarks=(*remarks, *factor_remarks, *_few(len(rows), len(np.unique(patients)))),
    )


def _parse(path: Path, head: HeadSpec) -> CsvTable:
    what = f"{path} cannot be evaluated"
    table = read_csv(path, what)
    required = ("crop", column_of(head), "patient")
    missing = [name for name in required if name not in table.columns]
    if missing:
        because = "it has no column " + ", ".join(missing) if table.rows else "it has no rows"
        raise UsageError(what, because, f"give the columns {', '.join(required)}")
    return table


def _check_rows(plan: EvaluationPlan, lines: list[int], rows: list[Row], defects: Defects) -> None:
    if len(rows) < FEWEST:
        where = f" of the split {plan.split}" if plan.split else ""
        defects.whole(f"it has {len(rows)} rows{where} and at least {FEWEST} are needed")
    seen: dict[str, int] = {}
    for line, row in zip(lines, rows, strict=True):
        if not row["patient"]:
            defects.add("no patient is given", f"line {line}")
        first = seen.setdefault(row["crop"], line)
        if first != line:
            defects.add("rows are there twice", f"lines {first} and {line}")


def _truth(head: HeadSpec, lines: list[int], rows: list[Row], comma: bool, defects: Defects) -> Vector:
    column = column_of(head)
    if isinstance(head, ClassHead):
        names = {name.lower(): float(at) for at, name in enumerate(class_names(head))}
        known = {**WORDS, "0": 0.0, "1": 1.0} if isinstance(head, ProbabilityHead) else names
        values = np.array([known.get(row[column].lower(), np.nan) for row in rows])
        wanted = "0 or 1" if isinstance(head, ProbabilityHead) else " or ".join(head.grades)
        wrong, kind = np.isnan(values), f"the column {column} does not say {wanted}"
    else:
        values = np.array([number(row[column], comma) for row in rows])
        low, high = EGFR_RANGE
        wrong, kind = ~((values >= low) & (values <= high)), f"the egfr is not a number from {low:g} to {high:g}"
    for at in np.flatnonzero(wrong).tolist():
        defects.add(kind, f"line {lines[at]}")
    return values


def _reader_column(
    plan: EvaluationPlan, lines: list[int], rows: list[Row], comma: bool, defects: Defects
) -> Vector | None:
    column = plan.contender.reader_column
    if column is None:
        return None
    name = column.strip().lower()
    if rows and name not in rows[0]:
        defects.whole(f"it has no column {column}")
        return None
    values = np.array([WORDS.get(row[name].lower(), number(row[name], comma)) for row in rows])
    given = np.array([bool(row[name]) for row in rows])
    low, high = EGFR_RANGE if plan.contender.reader_means == "egfr" else (-np.inf, np.inf)
    for at in np.flatnonzero(given & ~(np.isfinite(values) & (values >= low) & (values <= high))).tolist():
        defects.add(f"the column {column} holds no usable number", f"line {lines[at]}")
    if given.sum() < FEWEST:
        defects.whole(f"the column {column} has {int(given.sum())} values and at least {FEWEST} are needed")
    return values


def _check_crops(lines: list[int], crops: tuple[Path, ...], defects: Defects, progress: Progress) -> None:
    seen: dict[bytes, int] = {}
    for done, (line, path) in enumerate(zip(lines, crops, strict=True), start=1):
        if read_picture(path) is None:
            defects.add("crops cannot be read", f"line {line}")
        else:
            first = seen.setdefault(hashlib.sha256(path.read_bytes()).digest(), line)
            if first != line and crops[lines.index(first)] != path:
                defects.add("the same picture is there twice", f"lines {first} and {line}")
        progress("checking the crops", done, len(crops))


def _few(rows: int, patients: int) -> Iterable[str]:
    if rows < FEW:
        yield f"Only {rows} images (fewer than {FEW}): every interval is wide and no subgroup can be judged."
    if patients < FEW:
        yield f"Only {patients} patients (fewer than {FEW}): the patients, not the images, carry the information."
