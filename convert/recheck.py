"""Repeats the parity comparison and the evaluation of a finished bundle on a data set, through the app's own Reader."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convert.answers import BATCH, answer_all
from convert.dataset import Table
from convert.egfr_heads import egfr_truth
from convert.evaluation import Evaluation, evaluate
from convert.parity import Truth, compare
from convert.progress import Progress, silent
from engines._onnxruntime_session import OnnxSession
from engines.bundle import Bundle
from engines.errors import UsageError
from engines.manifest import BundleManifest, ParityRow
from engines.reading import Reader, Reading


@dataclass(frozen=True, slots=True)
class Recheck:
    """What a finished bundle does on a data set.

    ``evaluation`` is None where no head gives an eGFR; ``in_domain``: share of the crops that are read without reserve.
    """

    parity: tuple[ParityRow, ...]
    evaluation: Evaluation | None
    in_domain: float


def recheck(bundle: Bundle, table: Table, seed: int, progress: Progress = silent) -> Recheck:
    """Compare all artifacts on the crops of ``table``, and evaluate fp32 on one crop a patient.

    Raises
    ------
    UsageError
        The crops are of another size than the bundle reads.
    """
    pixels, reads = table.pixels(), bundle.manifest.input
    if pixels.shape[1:3] != (reads.height, reads.width):
        because = f"{reads.width} x {reads.height} is read and its crops are {pixels.shape[2]} x {pixels.shape[1]}"
        raise UsageError("The parity cannot be measured on this data set", because, "give one of that size")
    answers = answer_all(bundle, pixels, progress)
    truth = known_truth(bundle.manifest, table.egfr)
    rows = tuple(compare(key, answers["fp32", "any"], found, truth, table.patients) for key, found in answers.items())
    evaluation, in_domain = read_all(bundle, table.rows(table.single(seed)), progress)
    return Recheck(rows, evaluation, in_domain)


def told(found: Recheck) -> str:
    """Return what fp32 did on one crop a patient, for the terminal."""
    inside, made = f"{100 * found.in_domain:.1f} % in domain", found.evaluation
    if made is None:
        return f"fp32: {inside}; no head gives an eGFR, so nothing is compared with that of the data set"
    total = made.bands[0]
    auc = "" if made.auc is None else f"AUC {made.auc.value:.3f} ({made.auc.low:.3f} to {made.auc.high:.3f}), "
    return (
        f"fp32 on {made.patients} patients, one crop each: r {made.r[0]:.3f}, mean absolute error {total.mae:.1f}, "
        f"bias {total.bias:+.1f}, {auc}{inside}"
    )


def known_truth(manifest: BundleManifest, egfr: NDArray[np.float64]) -> Truth:
    """Return what an eGFR (K,) says of the heads that speak of it, by the names that they have in the bundle."""
    pairs = zip((manifest.egfr, manifest.egfr_below_60), egfr_truth(egfr).values(), strict=True)
    return {head.name: values for head, values in pairs if head is not None}


def read_all(bundle: Bundle, table: Table, progress: Progress = silent) -> tuple[Evaluation | None, float]:
    """Read every crop of ``table`` with the fp32 artifact as the app does; return evaluation and share in domain."""
    crops = table.pixels()
    readings: list[Reading] = []
    with OnnxSession(bundle, bundle.artifacts("fp32", "any")) as session:
        reader = Reader(bundle, session)
        for start in range(0, len(crops), BATCH):
            readings += reader.read_many(crops[start : start + BATCH])
            progress("reading", len(readings), len(crops))
    inside = float(np.mean([reading.in_domain for reading in readings]))
    values = [reading.egfr.value for reading in readings if reading.egfr is not None]
    if bundle.manifest.egfr is None:
        return None, inside
    chances = [reading.egfr_below_60.p for reading in readings if reading.egfr_below_60 is not None]
    chance = np.array(chances) if chances else None
    return evaluate(np.array(values), chance, table.egfr, bundle.manifest.egfr.interval), inside
