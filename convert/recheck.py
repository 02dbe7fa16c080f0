"""Repeats the parity comparison and the evaluation of a finished bundle on a data set, through the app's own Reader."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from convert.answers import BATCH, answer
from convert.dataset import Table
from convert.evaluation import Evaluation, evaluate
from convert.parity import compare
from convert.progress import Progress, silent
from engines._onnxruntime import OnnxSession
from engines.bundle import Bundle
from engines.manifest import ParityRow
from engines.reading import Reader


@dataclass(frozen=True, slots=True)
class Recheck:
    """What a finished bundle does on a data set; in domain: share of the crops that are read without reserve."""

    parity: tuple[ParityRow, ...]
    evaluation: Evaluation
    in_domain: float


def recheck(bundle: Bundle, table: Table, seed: int, progress: Progress = silent) -> Recheck:
    """Compare all artifacts on the crops of ``table``, and evaluate fp32 on one crop a patient."""
    crops = table.pixels()
    answers = {
        (item.precision, item.family): answer(bundle, item, crops, progress) for item in bundle.manifest.artifacts
    }
    reference = answers["fp32", "any"]
    rows = tuple(compare(key, reference, found, table.egfr) for key, found in answers.items())
    single = table.rows(table.single(seed))
    evaluation, in_domain = read_all(bundle, single, progress)
    return Recheck(rows, evaluation, in_domain)


def read_all(bundle: Bundle, table: Table, progress: Progress = silent) -> tuple[Evaluation, float]:
    """Read every crop of ``table`` with the fp32 artifact as the app does; return evaluation and share in domain."""
    crops = table.pixels()
    with OnnxSession(bundle, bundle.artifact("fp32", "any")) as session:
        reader = Reader(bundle, session)
        readings = []
        for start in range(0, len(crops), BATCH):
            readings += reader.read_many(crops[start : start + BATCH])
            progress("reading", len(readings), len(crops))
    egfr = np.array([reading.egfr for reading in readings])
    chance = np.array([reading.p_egfr_below_60 for reading in readings])
    inside = float(np.mean([reading.in_domain for reading in readings]))
    return evaluate(egfr, chance, table.egfr, bundle.manifest.interval), inside
