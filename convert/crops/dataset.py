"""A calibration set on disk: ``crops/``, ``labels.csv`` and ``dataset.json``, without a name or path of its sources."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final, Literal

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from convert.crops.counts import Counts
from convert.crops.identity import canonical, renamed
from convert.crops.sample import Sample
from convert.folder import Kind, check_target
from convert.progress import Progress
from engines.errors import UsageError
from engines.manifest import CropMode, InputSpec, Sha256

SET_KIND: Final = "echogfr calibration set"
FACTS, TABLE = "dataset.json", "labels.csv"
SET = Kind("calibration set", FACTS)
AGAIN = "collect it again from its sources"


class SetFacts(BaseModel):
    """``dataset.json``: how the crops were cut, what they are, and their hashes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["echogfr calibration set"]
    version: Literal[1]
    synthetic: bool
    crop_mode: CropMode
    crop_factor: float
    height: Annotated[int, Field(gt=0)]
    width: Annotated[int, Field(gt=0)]
    sha256: Sha256  # of pixels and grouping: convert.crops.identity
    labels_sha256: Sha256  # of labels.csv, as it was written
    counts: Counts
    remarks: tuple[str, ...]
    tool: str

    @property
    def spec(self) -> InputSpec:
        """What the crops were cut for."""
        return InputSpec(
            name="crops",
            height=self.height,
            width=self.width,
            crop_mode=self.crop_mode,
            crop_factor=self.crop_factor,
        )

    @property
    def cut(self) -> str:
        """How the crops were cut, in words."""
        return f"{self.crop_mode} x {self.crop_factor:g} at {self.width} x {self.height}"


def stored_facts(root: Path) -> SetFacts | None:
    """Return what ``dataset.json`` says, or None for a folder that is no set of ours.

    Raises
    ------
    UsageError
        It is one, but its ``dataset.json`` cannot be understood.
    """
    try:
        text = (root / FACTS).read_text(encoding="utf-8")
        found = json.loads(text)
    except (OSError, ValueError):
        return None
    if not isinstance(found, dict) or found.get("kind") != SET_KIND:
        return None
    try:
        return SetFacts.model_validate_json(text)
    except ValidationError as error:
        because = f"its {FACTS} cannot be understood ({error.errors()[0]['msg'].lower()})"
        raise UsageError(f"The calibration set {root} cannot be used", because, AGAIN) from error


def require_same(root: Path, stored: SetFacts, spec: InputSpec) -> None:
    """Refuse a set whose crops were cut in another way than asked for.

    Raises
    ------
    UsageError
        Mode, factor or size differ.
    """
    asked = stored.model_copy(
        update={
            "crop_mode": spec.crop_mode,
            "crop_factor": spec.crop_factor,
            "height": spec.height,
            "width": spec.width,
        }
    )
    if asked.cut != stored.cut:
        because = f"its crops were cut {stored.cut} and {asked.cut} is asked for"
        raise UsageError(f"The calibration set {root} cannot be used", because, _again_for(spec))


def _again_for(spec: InputSpec) -> str:
    if spec.height != spec.width:  # no option collects such a set
        return "give the sources themselves"
    options = f"--crop-mode {spec.crop_mode} --crop-factor {spec.crop_factor:g} --size {spec.height}"
    return f"{AGAIN} with {options}, or give the sources themselves"


def verify(root: Path, stored: SetFacts, samples: Sequence[Sample]) -> None:
    """Compare a set with its hashes.

    Raises
    ------
    UsageError
        A crop was added, lost, changed or given to another patient, or the table is another.
    """
    what = f"The calibration set {root} cannot be used"
    if canonical(samples, stored.height, stored.width)[1] != stored.sha256:
        raise UsageError(what, "its crops are not those that its hash was made of", AGAIN)
    if _sha256((root / TABLE).read_bytes()) != stored.labels_sha256:
        raise UsageError(what, f"its {TABLE} was changed after it was written", AGAIN)


def check_set_target(target: Path, force: bool) -> None:
    """Refuse early a place where no set may be written; data sets of other kinds are never replaced.

    Raises
    ------
    UsageError
        See ``convert.folder.check_target``; or what lies there is no calibration set.
    """
    check_target(target, force, SET)
    if target.is_dir() and any(target.iterdir()) and stored_facts(target) is None:
        what = f"The calibration set cannot be written to {target}"
        raise UsageError(what, "what lies there is another data set and would be lost", "choose another name")


def write_crops(
    folder: Path, samples: Sequence[Sample], columns: Sequence[str], progress: Progress
) -> tuple[str, list[tuple[str, str, Sample]]]:
    """Write ``crops/`` and ``labels.csv``; patients are renamed p0001 and so on, in the order of the samples.

    Returns
    -------
    tuple
        SHA-256 of the table, and name of the file, new name of the patient and sample of each crop.
    """
    (folder / "crops").mkdir()
    written: list[tuple[str, str, Sample]] = []
    for at, (patient, item) in enumerate(zip(renamed(samples), samples, strict=True)):
        name = f"{patient}_{at + 1:05d}.png"
        _write_png(folder / "crops" / name, item)
        written.append((name, patient, item))
        progress("writing crops", at + 1, len(samples))
    with (folder / TABLE).open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("crop", "patient", "scanner", *columns))
        for name, patient, item in written:
            table.writerow((name, patient, item.facts.scanner, *(item.facts.labels.get(key, "") for key in columns)))
    return _sha256((folder / TABLE).read_bytes()), written


def _write_png(path: Path, item: Sample) -> None:
    done, data = cv2.imencode(".png", np.ascontiguousarray(item.pixels[:, :, ::-1]))
    if not done:
        raise UsageError("A crop cannot be written", "it cannot be encoded as PNG", "check the installation of OpenCV")
    path.write_bytes(data.tobytes())


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
