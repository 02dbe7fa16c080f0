"""Collects sources to one calibration set on disk, at once or not at all."""

from __future__ import annotations

import csv
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from convert.crops.crops import Crops
from convert.crops.dataset import FACTS, SET, SET_KIND, SetFacts, check_set_target, stored_facts, write_crops
from convert.crops.gather import Wish, gather
from convert.crops.read import read_crops, settled
from convert.crops.sample import Sample
from convert.crops.truth import columns_of
from convert.folder import all_or_nothing
from convert.progress import Progress
from engines.errors import UsageError
from engines.version import program_version

WHAT = "The calibration set cannot be collected"
NAME = re.compile("[a-z][a-z0-9_]{0,31}")  # as engines.manifest.HeadName
RESERVED = frozenset({"crop", "frame", "video", "patient", "scanner", "look", "split", "x1", "y1", "x2", "y2"})
SEED = 2019  # of the split that the counts are shown with


@dataclass(frozen=True, slots=True)
class CollectPlan:
    """What is collected from where; ``key``: the file that says who p0001 is, None: nobody is to know."""

    sources: tuple[Path, ...]
    target: Path
    wish: Wish
    key: Path | None = None
    force: bool = False


def collect(plan: CollectPlan, progress: Progress) -> Crops:
    """Read all sources, write the set (and the key) and return what is in it.

    Raises
    ------
    UsageError
        Sources, target or key cannot be used; nothing is written then.
    """
    check_set_target(plan.target, plan.force)
    _check_key(plan)
    _check_columns(plan.wish.columns)
    gathered = gather(plan.sources, plan.wish, progress)
    _require_columns(gathered.samples, plan.wish.columns)
    crops, spec = settled(gathered, (), SEED), plan.wish.spec
    columns = tuple(dict.fromkeys((*columns_of(()), *plan.wish.columns)))
    with _key(plan) as key, all_or_nothing(plan.target, plan.force, SET) as folder:
        labels_sha256, written = write_crops(folder, gathered.samples, columns, progress)
        facts = SetFacts(
            kind=SET_KIND,
            version=1,
            synthetic=gathered.simulated,
            crop_mode=spec.crop_mode,
            crop_factor=spec.crop_factor,
            height=spec.height,
            width=spec.width,
            sha256=gathered.sha256,
            labels_sha256=labels_sha256,
            counts=crops.counts,
            remarks=gathered.remarks,
            tool=f"echogfr {program_version()}",
        )
        (folder / FACTS).write_text(facts.model_dump_json(indent=2) + "\n", encoding="utf-8")
        if key is not None:
            _write_key(key, written)
    return crops


def check(root: Path, progress: Progress) -> tuple[SetFacts, Crops]:
    """Read a set that was collected, which verifies its hashes.

    Raises
    ------
    UsageError
        The folder is no set, or was changed.
    """
    stored = stored_facts(root)
    if stored is None:
        because = "it has no dataset.json of a calibration set"
        raise UsageError(f"{root} cannot be checked", because, "give the folder that --out named")
    return stored, read_crops(root, stored.spec, (), SEED, progress)


def _check_columns(columns: Sequence[str]) -> None:
    for name in columns:
        if name in RESERVED or not NAME.fullmatch(name):
            because = f"'{name}' is no name of a label"
            raise UsageError(WHAT, because, "give the name of a head: small letters, digits and underscores")


def _require_columns(samples: Sequence[Sample], columns: Sequence[str]) -> None:
    lacking = [name for name in columns if not any(name in item.facts.labels for item in samples)]
    if lacking:
        raise UsageError(WHAT, f"no table has a value in the column {lacking[0]}", "correct --label or leave it out")


def _check_key(plan: CollectPlan) -> None:
    if plan.key is None:
        return
    what, key = f"The key cannot be written to {plan.key}", plan.key.absolute()
    if key.is_relative_to(plan.target.absolute()):
        raise UsageError(what, "it would travel with the set that it opens", "name a file elsewhere")
    if key.exists() and not (plan.force and key.is_file()):
        raise UsageError(what, "it exists already", "choose another name or add --force")
    if not key.parent.is_dir() or not os.access(key.parent, os.W_OK):
        raise UsageError(what, "its folder is missing or closed", "choose a folder that can be written")


@contextmanager
def _key(plan: CollectPlan) -> Iterator[Path | None]:
    """Yield an unfinished file, readable by its owner only, that takes the key's name once the set is in place."""
    if plan.key is None:
        yield None
        return
    handle, name = tempfile.mkstemp(prefix=f".{plan.key.name}.", suffix=".part", dir=plan.key.absolute().parent)
    os.close(handle)
    unfinished = Path(name)
    try:
        yield unfinished
        unfinished.replace(plan.key)
    finally:
        unfinished.unlink(missing_ok=True)


def _write_key(path: Path, written: Sequence[tuple[str, str, Sample]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("crop", "patient", "patient_in_source", "place_in_source"))
        for name, patient, item in written:
            facts = item.facts
            table.writerow((name, patient, facts.patient if facts.named else "", facts.where))
