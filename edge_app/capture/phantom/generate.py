"""A labelled data set of phantom frames and crops, the same bytes for the same seed.

Layout: ``labels.csv`` (one row a crop), ``crops/*.png`` (224 x 224 RGB), ``frames/*.png`` (whole
screens, if asked for), ``dataset.json``. Every picture is synthetic and carries the mark; its
names are invented.
"""

from __future__ import annotations

import csv
import json
import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from edge_app.capture.phantom.arrays import U8, Point, Rng
from edge_app.capture.phantom.beam import Moment
from edge_app.capture.phantom.layout import LOOKS, SIZES
from edge_app.capture.phantom.marks import Marks, Stage
from edge_app.capture.phantom.patient import EgfrSampling, draw_patient, sample_egfr
from edge_app.capture.phantom.scanner import Machine, Scanner
from engines.errors import UsageError
from engines.preprocess import CropBox, crop_box, extract

GENERATOR_VERSION = 1
CROP_PX = 224
LOOKS_IN_BANK, LOOK_WINDOW = 10, 6.0  # two frames with almost no look in common, 4 looks each
SHARES = {"train": 0.7, "validation": 0.1, "test": 0.2}
Split = Literal["mixed", "train", "validation", "test"]
Row = dict[str, str]
COLUMNS = (
    *("patient", "split", "frame", "crop", "egfr", "side", "look", "width", "height", "px_per_cm"),
    *("x1", "y1", "x2", "y2", "length_cm", "has_calipers", "quality"),
    *("variant", "frame_index", "measured_cm", "cortex_cm", "medulla_cm", "echo_db", "cmd_db", "shadowed"),
    *("box_x0", "box_y0", "box_x1", "box_y1"),
)


@dataclass(frozen=True, slots=True)
class DatasetPlan:
    """What to generate.

    ``split`` other than "mixed" puts all patients into that one, drawn from a seed range of its own:
    patients of a "test" set never meet those of a "mixed" one. ``frames`` is how many whole screens
    to keep for a patient, 0..2.
    """

    patients: int
    out: Path
    seed: int = 1
    split: Split = "mixed"
    egfr: EgfrSampling = "uniform"
    frames: int = 0
    processes: int = 2


@dataclass(frozen=True, slots=True)
class Summary:
    """What was written."""

    out: Path
    patients: int
    crops: int
    frames: int
    counts: dict[str, int]  # patients in each split


@dataclass(frozen=True, slots=True)
class _Job:
    """One patient's work, sent to a worker process."""

    plan: DatasetPlan
    folder: Path
    patient: int
    split: str


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


def write_dataset(plan: DatasetPlan, progress: Callable[[int, int], None] | None = None) -> Summary:
    """Generate a data set; it appears at ``plan.out`` when complete, or not at all.

    Parameters
    ----------
    plan : DatasetPlan
        What to generate.
    progress : callable, optional
        Called with (patients done, patients in all) after each patient.

    Raises
    ------
    UsageError
        The plan cannot be done: numbers out of range, or the folder exists already.
    KeyboardInterrupt
        Passed on after the unfinished data set was removed.
    """
    _check(plan)
    with _all_or_nothing(plan.out) as folder:
        (folder / "crops").mkdir()
        (folder / "frames").mkdir()
        jobs = [_Job(plan, folder, number, split) for number, split in enumerate(_splits(plan), start=1)]
        rows: list[Row] = []
        for done, made in enumerate(_run(jobs, plan.processes), start=1):
            rows += made
            if progress is not None:
                progress(done, plan.patients)
        _write_labels(folder / "labels.csv", rows)
        counts = {name: sum(job.split == name for job in jobs) for name in SHARES}
        summary = Summary(plan.out, plan.patients, len(rows), plan.frames * plan.patients, counts)
        (folder / "dataset.json").write_text(_describe(plan, summary), encoding="utf-8")
    return summary


def _check(plan: DatasetPlan) -> None:
    what = "The phantom data set cannot be written"
    if not 1 <= plan.patients <= 100_000:
        raise UsageError(what, f"{plan.patients} patients are not 1 to 100000", "choose another number")
    if plan.frames not in (0, 1, 2):
        raise UsageError(what, f"{plan.frames} frames a patient are not 0, 1 or 2", "choose another number")
    if plan.out.exists():
        raise UsageError(what, f"{plan.out} exists already", "choose a new folder or remove that one")


@contextmanager
def _all_or_nothing(out: Path) -> Iterator[Path]:
    """Give a temporary folder beside ``out``; rename it on success, remove it on any failure."""
    folder = out.parent / f".{out.name}.partial-{os.getpid()}"
    folder.mkdir(parents=True)
    try:
        yield folder
        os.replace(folder, out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _splits(plan: DatasetPlan) -> list[str]:
    if plan.split != "mixed":
        return [plan.split] * plan.patients
    edges = np.round(np.cumsum(list(SHARES.values())) * plan.patients).astype(int)
    names = [name for name, end, start in zip(SHARES, edges, [0, *edges[:-1]], strict=True) for _ in range(end - start)]
    order = np.random.default_rng([plan.seed, 7]).permutation(plan.patients)
    return [names[i] for i in order]


def _run(jobs: list[_Job], processes: int) -> Iterator[list[Row]]:
    if processes <= 1 or len(jobs) < 4:
        yield from map(_patient, jobs)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(processes, len(jobs)), mp_context=context, initializer=_quiet_worker)
    try:
        yield from pool.map(_patient, jobs, chunksize=2)
    finally:
        pool.shutdown(cancel_futures=True)


def _quiet_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent alone answers Ctrl+C and cleans up
    cv2.setNumThreads(1)


def _patient(job: _Job) -> list[Row]:
    """Make all pictures of one patient; returns the rows of the labels."""
    ranges: tuple[Split, ...] = ("mixed", "train", "validation", "test")
    rng = np.random.default_rng([job.plan.seed, ranges.index(job.plan.split), job.patient])
    patient = draw_patient(rng, sample_egfr(rng, job.plan.egfr))
    scanner = Scanner(patient, _machine(rng), rng)
    rows: list[Row] = []
    for index, plane in enumerate((2.5, 7.5)):
        if index:
            scanner.switch(_machine(rng), rng)
        shot = _shoot(scanner, index, plane, rng)
        for variant in ("measured", "jitter") if index == 0 else ("clean", "jitter"):
            _crop(job, shot, variant)
        rows += shot.rows
    return rows


def _machine(rng: Rng) -> Machine:
    return Machine(LOOKS[rng.integers(len(LOOKS))], SIZES[rng.integers(len(SIZES))], LOOKS_IN_BANK, LOOK_WINDOW)


def _shoot(scanner: Scanner, index: int, plane: float, rng: Rng) -> _Shot:
    moment = Moment((float(rng.uniform(-0.9, 0.9)), float(rng.uniform(-0.15, 0.15))), plane)
    clean = scanner.screen(moment, (int(rng.integers(96)), int(rng.integers(48))))
    calipers = scanner.calipers_at(moment, 1.0, rng)
    stage: Stage = "second" if rng.random() < 0.3 else "set"
    marked = clean.copy()
    scanner.mark(marked, Marks(stage, *calipers))
    return _Shot(scanner, rng, index, clean, marked, calipers)


def _crop(job: _Job, shot: _Shot, variant: str) -> None:
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
    if shot.index < job.plan.frames:
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


def _row(job: _Job, shot: _Shot, files: tuple[str, str, str], cut: tuple[CropBox, bool]) -> Row:
    layout, patient, (box, with_calipers) = shot.scanner.layout, shot.scanner.patient, cut
    (x1, y1), (x2, y2) = shot.calipers
    dim = shot.scanner.controls.liver_grey < 95.0 or shot.scanner.controls.liver_grey > 155.0
    values: dict[str, object] = {
        "patient": f"{job.split[0] if job.plan.split != 'mixed' else 'p'}{job.patient:05d}",
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


def _write_labels(path: Path, rows: list[Row]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _describe(plan: DatasetPlan, summary: Summary) -> str:
    facts = {key: value for key, value in asdict(plan).items() if key not in ("out", "processes")}
    rule = "by patient, seeded shuffle, 70/10/20" if plan.split == "mixed" else f"all patients {plan.split}"
    sampling = {"uniform": "uniform 5..120", "clinic": "Gamma(1.4, 28) clipped to 2..170"}[plan.egfr]
    facts |= {"kind": "echogfr phantom data set", "synthetic": True, "version": GENERATOR_VERSION, "split_rule": rule}
    facts |= {
        "egfr_sampling": sampling,
        "crop_px": CROP_PX,
        "crops": summary.crops,
        "patients_by_split": summary.counts,
    }
    return json.dumps(facts, indent=2, sort_keys=True) + "\n"
