"""Reads a table as people write it: CSV in UTF-8, commas or semicolons, column names in any case."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from engines.errors import UsageError

WORDS = {"yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
Row = dict[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class CsvTable:
    """Rows by lower-case column name, values stripped.

    ``lines``: line of each row in the file, the header is line 1. ``comma``: columns are parted by semicolons, so a
    comma may stand for the point in numbers.
    """

    raw: bytes
    lines: list[int]
    rows: list[Row]
    comma: bool

    @property
    def columns(self) -> frozenset[str]:
        """Names of the columns; empty where there are no rows."""
        return frozenset(self.rows[0]) if self.rows else frozenset()


def read_csv(path: Path, what: str) -> CsvTable:
    """Read a table whole; ``what`` is what fails without it: ``"labels.csv cannot be evaluated"``.

    Raises
    ------
    UsageError
        The file cannot be read, is not UTF-8, or is no CSV; two columns have one name, or a row has more values than
        there are columns.
    """
    cure = "write it as CSV in UTF-8"
    raw = _bytes(path, what)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(what, "it is not UTF-8 text", cure) from error
    header = text.partition("\n")[0]
    comma = header.count(";") > header.count(",")
    reader = csv.DictReader(StringIO(text, newline=""), delimiter=";" if comma else ",")
    lines, rows, longer = [], [], []
    try:
        _check_header(reader.fieldnames or (), what)
        for row in reader:
            if any(row.get(None) or ()):
                longer.append(str(reader.line_num))
            rows.append({(key or "").strip().lower(): (value or "").strip() for key, value in row.items() if key})
            lines.append(reader.line_num)
    except csv.Error as error:
        raise UsageError(what, f"it is no CSV file ({error})", cure) from error
    if longer:  # 52,3 between commas would be read as 52
        because = f"rows have more values than there are columns (line {', '.join(longer[:3])})"
        raise UsageError(what, because, "write numbers with a point, or part columns by semicolons")
    return CsvTable(raw, lines, rows, comma)


def _check_header(names: Sequence[str], what: str) -> None:
    plain = [name.strip().lower() for name in names if name]
    twice = sorted({name for name in plain if name and plain.count(name) > 1})
    if twice:  # the last one would win, unseen
        raise UsageError(what, f"it has the column {twice[0]} twice", "keep one of them")


def number(text: str, comma: bool = False) -> float:
    """Return the number that is written there; NaN for anything else."""
    try:
        return float(text.replace(",", ".") if comma else text)
    except ValueError:
        return float("nan")


def _bytes(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        because = (error.strerror or "it is no readable file").lower()
        raise UsageError(what, because, "give the table of the crops, a CSV file") from error
