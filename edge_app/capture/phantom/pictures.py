"""All pictures of one patient of a data set: two frames, four crops, and their rows of labels."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from edge_app.capture.phantom.arrays import U8, Point, Rng
from edge_app.capture.phantom.beam import Moment
from edge_app.capture.phantom.layout import DATA_LOOKS, SIZES
from edge_app.capture.phantom.marks import Marks, Stage
from edge_app.capture.phantom.patient import EgfrSampling, draw_patient, sample_egfr
from edge_app.capture.phantom.scanner import Machine, Scanner
from edge_app.capture.phantom.sectors import make_sectors
from engines.errors import UsageError
from engines.preprocess import CropBox, crop_box, extract

CROP_PX = 224
LOOKS_IN_BANK, LOOK_WINDOW = 10, 6.0  # two frames with almost no look in common, 4 looks each
PLANES = (2.5, 7.5)  # positions of the two frames in the bank
Split = Literal["mixed", "train", "validation", "test"]
SEED_RANGES: tuple[Split, ...] = ("mixed", "train", "validation", "test")
Row = dict[str, str]
COLUMNS = (
    *("patient", "split", "frame", "crop", "egfr", "side", "look", "width", "height", "px_per_cm"),
    *("x1", "y1", "x2", "y2", "length_cm", "has_calipers", "quality"),
    *("variant", "frame_index", "measured_cm", "cortex_cm", "medulla_cm", "echo_db", "cmd_db", "shadowed"),
    *("box_x0", "box_y0", "box_x1", "box_y1"),
)


@dataclass(frozen=True, slots=True)
class Job:
    """One patient's work, sent to a worker process.

    ``frames``: how many whole screens to keep, 0..2; ``sectors``: how many pictures for a localizer.
    """

    folder: Path
    patient: int
    split: str
    seed: int
    seed_range: Split
    egfr: EgfrSampling
    frames: int
    sectors: int = 0

    @property
    def name(self) -> str:
        """The patient in the tables: unique in the data set, and in those of other splits."""
        return f"{'p' if self.seed_range == 'mixed' else self.split[0]}{self.patient:05d}"


@dataclass(frozen=True, slots=True)
class Made:
    """Rows of the labels of crops, and of the sectors."""

    crops: list[Row]
    sectors: list[Row]


@dataclass(slots=True)
class _Shot:
    """One frame of a patient and its crops."""

    scanner: Scanner
    rng: Rng
    index: int
    clean: U8
    marked: U8
    calipers: tuple[Point, Point]
    rows: list[Row] = field(default_factory=list)


def make_pictures(job: Job) -> Made:
    """Make all pictures of one patient; returns the rows of the tables."""
    rng = np.random.default_rng([job.seed, SEED_RANGES.index(job.seed_range), job.patient])
    patient = draw_patient(rng, sample_egfr(rng, job.egfr))
    scanner = Scanner(patient, _machine(rng), rng)
    rows: list[Row] = []
    for index, plane in enumerate(PLANES):
        if index:
            scanner.switch(_machine(rng), rng)
        shot = _shoot(scanner, index, plane, rng)
        for variant in ("measured", "jitter") if index == 0 else ("clean", "jitter"):
            _crop(job, shot, variant)
        rows += shot.rows
    apart = np.random.default_rng([job.seed, SEED_RANGES.index(job.seed_range), job.patient, 17])
    bank = (LOOKS_IN_BANK, LOOK_WINDOW)
    return Made(rows, make_sectors(scanner, (job.folder, job.name, job.split), job.sectors, bank, apart))


def _machine(rng: Rng) -> Machine:
    return Machine(
        DATA_LOOKS[rng.integers(len(DATA_LOOKS))], SIZES[rng.integers(len(SIZES))], LOOKS_IN_BANK, LOOK_WINDOW
    )


def _shoot(scanner: Scanner, index: int, plane: float, rng: Rng) -> _Shot:
    moment = Moment((float(rng.uniform(-0.9, 0.9)), float(rng.uniform(-0.15, 0.15))), plane)
    clean = scanner.screen(moment, (int(rng.integers(96)), int(rng.integers(48))))
    calipers = scanner.calipers_at(moment, 1.0, rng)
    stage: Stage = "second" if rng.random() < 0.3 else "set"
    marked = clean.copy()
    scanner.mark(marked, Marks(stage, *calipers))
    return _Shot(scanner, rng, index, clean, marked, calipers)


def _crop(job: Job, shot: _Shot, variant: str) -> None:
    """Cut one crop, write it, and note it."""
    with_calipers = variant == "measured" or (variant == "jitter" and bool(shot.rng.random() < 0.5))
    box = crop_box(*shot.calipers, "square")
    if variant == "jitter":
        box = _jitter(box, shot.rng)
    pixels = shot.marked if with_calipers else shot.clean
    name = f"p{job.patient:05d}_{shot.index}"
    crop = f"crops/{name}_{variant}.png"
    _write_png(job.folder / crop, extract(pixels, box, CROP_PX, CROP_PX))
    frame = ""
    if shot.index < job.frames:
        frame = f"frames/{name}_{'measured' if with_calipers else 'clean'}.png"
        if variant != "jitter":
            _write_png(job.folder / frame, pixels)
        elif not (job.folder / frame).exists():
            frame = ""  # a jittered crop whose twin frame was not kept
    shot.rows.append(_row(job, shot, (variant, crop, frame), (box, with_calipers)))


def _jitter(box: CropBox, rng: Rng) -> CropBox:
    side = box.width * float(rng.uniform(0.95, 1.10))
    x = (box.x0 + box.x1) / 2.0 + float(rng.uniform(-0.03, 0.03)) * box.width
    y = (box.y0 + box.y1) / 2.0 + float(rng.uniform(-0.03, 0.03)) * box.width
    return CropBox(x - side / 2.0, y - side / 2.0, x + side / 2.0, y + side / 2.0, "square")


def _row(job: Job, shot: _Shot, files: tuple[str, str, str], cut: tuple[CropBox, bool]) -> Row:
    layout, patient, (box, with_calipers) = shot.scanner.layout, shot.scanner.patient, cut
    (x1, y1), (x2, y2) = shot.calipers
    dim = shot.scanner.controls.liver_grey < 95.0 or shot.scanner.controls.liver_grey > 155.0
    values: dict[str, object] = {
        "patient": job.name,
        "split": job.split,
        "variant": files[0],
        "crop": files[1],
        "frame": files[2],
        "frame_index": shot.index,
        "look": layout.look,
        "width": layout.size[0],
        "height": layout.size[1],
        "px_per_cm": round(layout.px_per_cm, 6),
        **{"x1": x1, "y1": y1, "x2": x2, "y2": y2},
        "length_cm": round(patient.length_cm, 4),
        "measured_cm": round(float(np.hypot(x2 - x1, y2 - y1)) / layout.px_per_cm, 4),
        "has_calipers": int(with_calipers),
        "quality": "limited" if dim or shot.scanner.shadowed > 0.15 else "diagnostic",
        "shadowed": round(shot.scanner.shadowed, 4),
        **{
            "box_x0": round(box.x0, 3),
            "box_y0": round(box.y0, 3),
            "box_x1": round(box.x1, 3),
            "box_y1": round(box.y1, 3),
        },
        **{"egfr": round(patient.egfr, 3), "side": patient.side},
        **{"cortex_cm": round(patient.cortex_cm, 4), "medulla_cm": round(patient.medulla_cm, 4)},
        **{"echo_db": round(patient.echo_db, 3), "cmd_db": round(patient.cmd_db, 3)},
    }
    return {key: str(values[key]) for key in COLUMNS}


def _write_png(path: Path, pixels: U8) -> None:
    ok, data = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 2])
    if not ok:
        raise UsageError(f"The picture {path.name} cannot be written", "it cannot be encoded as PNG", "report this")
    path.write_bytes(data.tobytes())
