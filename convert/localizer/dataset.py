"""Reads the sector pictures of a phantom data set: ``sectors.csv`` and ``sectors/``."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from convert.crops.pictures import read_picture
from engines.errors import UsageError

COLUMNS = ("patient", "split", "picture", "mask", "x1", "y1", "x2", "y2")


@dataclass(frozen=True, slots=True, eq=False)
class Sectors:
    """Pictures uint8 (K, H, W, 3), masks of the kidney bool (K, H, W), poles (K, 2, 2) as x, y, left one first."""

    patients: NDArray[np.str_]
    splits: NDArray[np.str_]
    pictures: NDArray[np.uint8]
    masks: NDArray[np.bool_]
    poles: NDArray[np.float32]

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self.patients)

    def split(self, name: str) -> Sectors:
        """Return the pictures of one split."""
        at = self.splits == name
        return Sectors(self.patients[at], self.splits[at], self.pictures[at], self.masks[at], self.poles[at])


def read_sectors(root: Path) -> Sectors:
    """Read all pictures of the data set ``root``.

    Raises
    ------
    UsageError
        There are none, a file is missing or of another size, or a number cannot be read.
    """
    path = root / "sectors.csv"
    if not path.is_file():
        because = "it has no sectors.csv"
        raise UsageError(
            f"{root} has no pictures for a localizer", because, "write it with echogfr phantom --sectors 6"
        )
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    missing = [name for name in COLUMNS if not rows or name not in rows[0]]
    if missing:
        raise UsageError(f"{path} cannot be used", f"it has no {', '.join(missing)}", "write the data set again")
    try:
        poles = np.array([[[row["x1"], row["y1"]], [row["x2"], row["y2"]]] for row in rows], np.float32)
    except ValueError as error:
        raise UsageError(f"{path} cannot be used", f"a pole is no number ({error})", "write it again") from error
    return Sectors(
        patients=np.array([row["patient"] for row in rows]),
        splits=np.array([row["split"] for row in rows]),
        pictures=_stacked(root, [row["picture"] for row in rows]),
        masks=_stacked(root, [row["mask"] for row in rows])[..., 0] > 127,
        poles=poles,
    )


def fingerprint(root: Path) -> str:
    """SHA-256 of ``sectors.csv``: names the data set in the manifest."""
    return hashlib.sha256((root / "sectors.csv").read_bytes()).hexdigest()


def _stacked(root: Path, names: list[str]) -> NDArray[np.uint8]:
    pictures = [read_picture(root / name) for name in names]
    whole = [picture for picture in pictures if picture is not None]
    if len(whole) < len(pictures) or len({picture.shape for picture in whole}) != 1:
        raise UsageError(f"{root} cannot be read", "pictures are missing or differ in size", "write it again")
    return np.stack(whole)
