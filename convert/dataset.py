"""Reads a labelled data set of crops: ``labels.csv``, ``crops/`` and ``dataset.json``."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from convert.crops.pictures import read_picture
from engines.errors import UsageError

SPLITS = ("train", "validation", "test")
COLUMNS = ("patient", "split", "crop", "egfr", "has_calipers")  # those that are read; others may be there
TRUE = frozenset({"1", "true", "True", "yes"})


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Rows of a data set, one a crop; all arrays have length K."""

    root: Path
    patients: NDArray[np.str_]
    splits: NDArray[np.str_]
    crops: NDArray[np.str_]  # file names relative to root
    egfr: NDArray[np.float64]  # mL/min/1.73 m2
    has_calipers: NDArray[np.bool_]

    def __len__(self) -> int:
        """Return the number of crops."""
        return len(self.patients)

    @property
    def patient_count(self) -> int:
        """Number of different patients."""
        return len(np.unique(self.patients))

    def rows(self, index: NDArray[np.intp] | NDArray[np.bool_]) -> Table:
        """Return the rows of ``index`` (positions or mask)."""
        return Table(
            self.root,
            self.patients[index],
            self.splits[index],
            self.crops[index],
            self.egfr[index],
            self.has_calipers[index],
        )

    def split(self, name: str) -> Table:
        """Return the rows of one split."""
        return self.rows(self.splits == name)

    def single(self, seed: int) -> NDArray[np.intp]:
        """Return the position of one randomly drawn crop of every patient: the unit of all statistics."""
        order = np.random.default_rng(seed).permutation(len(self))
        _, first = np.unique(self.patients[order], return_index=True)
        return np.sort(order[first])

    def pixels(self) -> NDArray[np.uint8]:
        """Read the crops: uint8 (K, H, W, 3) RGB.

        Raises
        ------
        UsageError
            A file is missing, is no picture, or differs in size from the first.
        """
        pictures = [_read_picture(self.root / name) for name in self.crops]
        if len({picture.shape for picture in pictures}) > 1:
            raise UsageError("The data set cannot be read", "its crops differ in size", "write it again")
        return np.stack(pictures) if pictures else np.zeros((0, 224, 224, 3), np.uint8)


def read_table(root: Path) -> Table:
    """Read and check ``labels.csv`` under ``root``.

    Raises
    ------
    UsageError
        No data set, missing columns, a label that is no number, or a patient in two splits.
    """
    path = root / "labels.csv"
    if not path.is_file():
        raise UsageError(
            f"{root} is not a data set", "it has no labels.csv", "give a folder that echogfr phantom wrote"
        )
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    _check_columns(path, rows)
    table = _to_table(root, path, rows)
    _check_splits(path, table)
    return table


def fingerprint(root: Path) -> str:
    """SHA-256 of ``labels.csv``: names the data set in the work folder and in the manifest."""
    return hashlib.sha256((root / "labels.csv").read_bytes()).hexdigest()


def _read_picture(path: Path) -> NDArray[np.uint8]:
    picture = read_picture(path)
    if picture is None:
        raise UsageError(f"{path} cannot be read", "it is missing or no picture", "write the data set again")
    return picture


def _check_columns(path: Path, rows: list[dict[str, str]]) -> None:
    missing = [name for name in COLUMNS if not rows or name not in rows[0]]
    if missing:
        because = f"it has no column {', '.join(missing)}" if rows else "it has no rows"
        raise UsageError(f"{path} cannot be used", because, "give a data set of echogfr phantom")


def _to_table(root: Path, path: Path, rows: list[dict[str, str]]) -> Table:
    try:
        egfr = np.array([float(row["egfr"]) for row in rows])
    except ValueError as error:
        raise UsageError(f"{path} cannot be used", f"an eGFR is no number ({error})", "write it again") from error
    return Table(
        root=root,
        patients=np.array([row["patient"] for row in rows]),
        splits=np.array([row["split"] for row in rows]),
        crops=np.array([_crop_name(row["crop"]) for row in rows]),
        egfr=egfr,
        has_calipers=np.array([row["has_calipers"] in TRUE for row in rows]),
    )


def _crop_name(name: str) -> str:
    return name if "/" in name else f"crops/{name}"


def _check_splits(path: Path, table: Table) -> None:
    seen: dict[str, str] = {}
    for patient, split in zip(table.patients, table.splits, strict=True):
        if seen.setdefault(str(patient), str(split)) != split:
            raise UsageError(
                f"{path} cannot be used", f"patient {patient} is in two splits", "split the data set by patient"
            )
    absent = [name for name in SPLITS if name not in set(seen.values())]
    if absent:
        raise UsageError(f"{path} cannot be used", f"the split {absent[0]} is empty", "write a larger data set")
