"""Small pictures, tables and videos of a hospital, made by hand."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from convert.crops import Crops, read_crops
from convert.progress import silent
from engines.errors import UsageError
from engines.manifest import HeadSpec, InputSpec

SIDE = 40
SPEC = InputSpec(name="crops", height=SIDE, width=SIDE, crop_mode="square")
Row = dict[str, str]


def picture(seed: int, width: int = SIDE, height: int = SIDE) -> NDArray[np.uint8]:
    """Noise in colour, uint8 (height, width, 3) RGB; another for every seed."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def save(path: Path, pixels: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), pixels[:, :, ::-1])


def write_table(path: Path, rows: Sequence[Row], delimiter: str = ",") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, fieldnames=list(rows[0]), delimiter=delimiter)
        table.writeheader()
        table.writerows(rows)
    return path


def crop_rows(root: Path, count: int, each: int = 2) -> list[Row]:
    """Save crops to ``root/crops`` and return their rows: ``each`` crops a patient, eGFR 10 + the patient's number."""
    rows = []
    for at in range(count):
        save(root / "crops" / f"c{at}.png", picture(at))
        patient = at // each
        scanner = "E9" if patient % 2 else "P3"
        rows.append({"crop": f"c{at}.png", "patient": f"Jane {patient}", "scanner": scanner, "egfr": f"{10 + patient}"})
    return rows


def frame_rows(root: Path, count: int, marks: tuple[int, int, int, int] = (20, 40, 60, 40)) -> list[Row]:
    """Save frames of 100 x 80 to ``root`` and return their rows with the same markers, a patient each."""
    rows = []
    for at in range(count):
        save(root / f"f{at}.png", picture(at, 100, 80))
        ends = dict(zip(("x1", "y1", "x2", "y2"), map(str, marks), strict=True))
        rows.append({"frame": f"f{at}.png", "patient": f"Jane {at}", **ends})
    return rows


def write_video(path: Path, frames: Sequence[NDArray[np.uint8]], fps: float = 20.0) -> Path:
    """Write a lossless video, so that crops can be compared byte for byte."""
    path.parent.mkdir(parents=True, exist_ok=True)
    size = (frames[0].shape[1], frames[0].shape[0])
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"FFV1"), fps, size)
    assert writer.isOpened()
    for frame in frames:
        writer.write(np.ascontiguousarray(frame[:, :, ::-1]))
    writer.release()
    return path


def report_line(frame: int, poles: Sequence[float] | None, code: str | None = None, fps: float = 20.0) -> str:
    """One frame as ``echogfr analyze`` writes it, with fields that are no business of convert's."""
    crop = None if poles is None else {"x0": 0.0, "mode": "square", "poles": list(poles), "basis": "calipers"}
    refusal = None if code is None else {"code": code, "reason": "Because."}
    told = {"frame": frame, "t_ms": frame * 1000 / fps, "state": "LIVE", "crop": crop, "refusal": refusal}
    return json.dumps({**told, "reading": {"values": [1, 2]}, "readout": None})


def write_report(path: Path, lines: Sequence[str], size: tuple[int, int] = (100, 80), summary: bool = True) -> Path:
    last = json.dumps({"summary": True, "frames": len(lines), "source": {"uri": "file:x", "size": size}})
    path.write_text("\n".join([*lines, *([last] if summary else [])]) + "\n", encoding="utf-8")
    return path


def read(source: Path, heads: Sequence[HeadSpec] = (), spec: InputSpec = SPEC) -> Crops:
    return read_crops(source, spec, heads, 1, silent)


def refused(source: Path, heads: Sequence[HeadSpec] = (), spec: InputSpec = SPEC) -> str:
    with pytest.raises(UsageError) as caught:
        read(source, heads, spec)
    sentence = caught.value.sentence
    assert "\n" not in sentence
    return sentence
