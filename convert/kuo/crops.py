"""Reads the hospital's calibration crops: a plain folder of pictures, or one with ``labels.csv``."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from convert.egfr_heads import egfr_truth
from convert.plan import CALIBRATION_MINIMUM
from convert.progress import Progress
from engines.errors import UsageError

PICTURES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"})
HELD_SHARE = 0.2  # of the patients, kept from the INT8 calibration to measure parity on
HELD_LEAST = 40  # crops; fewer say too little about the 95 % of a difference


@dataclass(frozen=True, slots=True, eq=False)
class Crops:
    """Crops and what is known of them; all arrays have length K."""

    pixels: NDArray[np.uint8]  # (K, H, W, 3) RGB
    patients: NDArray[np.str_]
    egfr: NDArray[np.float64]  # mL/min/1.73 m2, NaN where not known
    held: NDArray[np.bool_]  # kept from the calibration
    apart: bool  # False: too few crops, so parity is measured on those that calibrated
    simulated: bool = False  # of the phantom: their labels say nothing of patients and are not read

    def __len__(self) -> int:
        """Return the number of crops."""
        return len(self.patients)

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """Where the eGFR is known."""
        return np.isfinite(self.egfr)

    @property
    def scanners(self) -> NDArray[np.str_]:
        """Scanner of each crop: not known."""
        return np.full(len(self), "", dtype=np.str_)

    @property
    def truth(self) -> dict[str, NDArray[np.float64]]:
        """What is known, by head of the eGFR model."""
        return egfr_truth(self.egfr)

    @property
    def remarks(self) -> tuple[str, ...]:
        """Sentences that a report must repeat."""
        return ()

    @property
    def sha256(self) -> str:
        """SHA-256 of the pixels."""
        return hashlib.sha256(self.pixels.tobytes()).hexdigest()

    def single(self, among: NDArray[np.bool_], seed: int) -> NDArray[np.intp]:
        """Return the position of one random crop of every patient ``among``: the unit of statistics."""
        order = np.random.default_rng(seed).permutation(np.flatnonzero(among))
        _, first = np.unique(self.patients[order], return_index=True)
        return np.sort(order[first])


@dataclass(frozen=True, slots=True)
class _Row:
    path: Path
    patient: str
    egfr: float


def read_crops(root: Path, size: int, seed: int, progress: Progress) -> Crops:
    """Read at least 200 crops, each scaled to ``size`` x ``size`` as the published code does (bilinear).

    ``labels.csv`` needs the column ``crop``; ``patient`` and ``egfr`` are read where they are there. Without
    ``patient``, every crop counts as a patient of its own.

    Raises
    ------
    UsageError
        Too few crops, a file that is no picture, or an eGFR that is no number.
    """
    rows = _rows(root)
    if len(rows) < CALIBRATION_MINIMUM:
        raise UsageError(
            f"{root} cannot serve as calibration crops",
            f"it holds {len(rows)} and at least {CALIBRATION_MINIMUM} are needed",
            "add crops of your own scanner",
        )
    pixels = np.empty((len(rows), size, size, 3), np.uint8)
    for index, row in enumerate(rows):
        pixels[index] = _picture(row.path, size)
        progress("reading crops", index + 1, len(rows))
    patients = np.array([row.patient for row in rows])
    held = _held(patients, seed)
    apart = bool((~held).sum() >= CALIBRATION_MINIMUM and held.sum() >= HELD_LEAST)
    everything = np.ones(len(rows), np.bool_)
    simulated = _is_simulated(root)
    egfr = np.array([float("nan") if simulated else row.egfr for row in rows])
    return Crops(pixels, patients, egfr, held if apart else everything, apart, simulated)


def _is_simulated(root: Path) -> bool:
    """Tell whether ``dataset.json`` calls the crops synthetic, as that of the phantom does."""
    try:
        facts = json.loads((root / "dataset.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(facts, dict) and facts.get("synthetic") is True


def _held(patients: NDArray[np.str_], seed: int) -> NDArray[np.bool_]:
    names = np.random.default_rng(seed).permutation(np.unique(patients))
    return np.isin(patients, names[: round(HELD_SHARE * len(names))])


def _rows(root: Path) -> Sequence[_Row]:
    if (root / "labels.csv").is_file():
        return _labelled(root)
    if not root.is_dir():
        raise UsageError(f"{root} cannot serve as calibration crops", "there is no such folder", "name another")
    files = sorted(path for path in root.iterdir() if path.suffix.lower() in PICTURES)
    return [_Row(path, path.stem, float("nan")) for path in files]


def _labelled(root: Path) -> list[_Row]:
    path = root / "labels.csv"
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} cannot be used", "it is no CSV file in UTF-8", "write it again") from error
    if rows and not rows[0].get("crop"):
        raise UsageError(f"{path} cannot be used", "it has no column crop", "name the picture of each row there")
    return [_Row(_file(root, row["crop"]), row.get("patient") or row["crop"], _egfr(path, row)) for row in rows]


def _file(root: Path, name: str | None) -> Path:
    text = name or ""
    return root / (text if "/" in text else f"crops/{text}")


def _egfr(path: Path, row: dict[str, str]) -> float:
    text = (row.get("egfr") or "").strip()
    try:
        value = float(text) if text else float("nan")
    except ValueError as error:
        because = f"the eGFR '{text[:20]}' is no number"
        raise UsageError(f"{path} cannot be used", because, "correct it, or leave it empty") from error
    if np.isinf(value) or value < 0 or value > 300:
        raise UsageError(f"{path} cannot be used", f"an eGFR is {value:g}", "give mL/min/1.73 m2")
    return value


def _picture(path: Path, size: int) -> NDArray[np.uint8]:
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise UsageError(f"{path} cannot be read", "it is missing or no picture", "mend it or take it out")
    return np.asarray(cv2.resize(picture, (size, size), interpolation=cv2.INTER_LINEAR)[:, :, ::-1], np.uint8)
