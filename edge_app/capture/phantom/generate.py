"""A labelled data set of phantom frames and crops, the same bytes for the same seed.

Layout: ``labels.csv`` (one row a crop), ``crops/*.png`` (224 x 224 RGB), ``frames/*.png`` (whole
screens, if asked for), ``dataset.json``; for a localizer, if asked for, ``sectors.csv`` (one row a picture) and
``sectors/*.png`` (128 x 128, each with the kidney's mask). Every picture is synthetic and carries the mark; its
names are invented.
"""

from __future__ import annotations

import csv
import json
import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from edge_app.capture.phantom.patient import EgfrSampling
from edge_app.capture.phantom.pictures import COLUMNS, CROP_PX, Job, Made, Row, Split, make_pictures
from edge_app.capture.phantom.sectors import COLUMNS as SECTOR_COLUMNS
from engines.errors import UsageError

GENERATOR_VERSION = 1
SHARES = {"train": 0.7, "validation": 0.1, "test": 0.2}


@dataclass(frozen=True, slots=True)
class DatasetPlan:
    """What to generate.

    ``split`` other than "mixed" puts all patients into that one, drawn from a seed range of its own:
    patients of a "test" set never meet those of a "mixed" one. ``frames`` is how many whole screens
    to keep for a patient, 0..2; ``sectors``: how many pictures for a localizer, 0..20.
    """

    patients: int
    out: Path
    seed: int = 1
    split: Split = "mixed"
    egfr: EgfrSampling = "uniform"
    frames: int = 0
    processes: int = 2
    sectors: int = 0


@dataclass(frozen=True, slots=True)
class Summary:
    """What was written."""

    out: Path
    patients: int
    crops: int
    frames: int
    counts: dict[str, int]  # patients in each split


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
        if plan.sectors:
            (folder / "sectors").mkdir()
        jobs = _jobs(plan, folder)
        rows: list[Row] = []
        sectors: list[Row] = []
        with closing(_run(jobs, plan.processes)) as results:  # on a cancel, workers end before their folder goes
            for done, made in enumerate(results, start=1):
                rows += made.crops
                sectors += made.sectors
                if progress is not None:
                    progress(done, plan.patients)
        _write_table(folder / "labels.csv", COLUMNS, rows)
        if plan.sectors:
            _write_table(folder / "sectors.csv", SECTOR_COLUMNS, sectors)
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
    if not 0 <= plan.sectors <= 20:
        raise UsageError(what, f"{plan.sectors} sectors a patient are not 0 to 20", "choose another number")
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


def _jobs(plan: DatasetPlan, folder: Path) -> list[Job]:
    return [
        Job(folder, number, split, plan.seed, plan.split, plan.egfr, plan.frames, plan.sectors)
        for number, split in enumerate(_splits(plan), start=1)
    ]


def _splits(plan: DatasetPlan) -> list[str]:
    if plan.split != "mixed":
        return [plan.split] * plan.patients
    edges = np.round(np.cumsum(list(SHARES.values())) * plan.patients).astype(int)
    names = [name for name, end, start in zip(SHARES, edges, [0, *edges[:-1]], strict=True) for _ in range(end - start)]
    order = np.random.default_rng([plan.seed, 7]).permutation(plan.patients)
    return [names[i] for i in order]


def _run(jobs: list[Job], processes: int) -> Generator[Made, None, None]:
    if processes <= 1 or len(jobs) < 4:
        yield from map(make_pictures, jobs)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(processes, len(jobs)), mp_context=context, initializer=_quiet_worker)
    try:
        yield from pool.map(make_pictures, jobs, chunksize=2)
    finally:
        pool.shutdown(cancel_futures=True)


def _quiet_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent alone answers Ctrl+C and cleans up
    cv2.setNumThreads(1)


def _write_table(path: Path, columns: tuple[str, ...], rows: list[Row]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _describe(plan: DatasetPlan, summary: Summary) -> str:
    facts = {key: value for key, value in asdict(plan).items() if key not in ("out", "processes")}
    if not plan.sectors:
        del facts["sectors"]  # as before there were any: the same bytes for the same seed
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
