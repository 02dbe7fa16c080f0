"""Reads a calibration set from whatever holds it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from convert.crops.counts import count
from convert.crops.crops import Crops
from convert.crops.gather import Gathered, Wish, gather
from convert.crops.identity import renamed
from convert.crops.intake import EVERY_S
from convert.crops.split import hold
from convert.progress import Progress
from engines.manifest import HeadSpec, InputSpec

NOT_APART = "The crops are too few to keep whole patients apart: parity is measured on crops that also calibrated."


def read_crops(
    source: Path,
    spec: InputSpec,
    heads: Sequence[HeadSpec],
    seed: int,
    progress: Progress,
    every_s: float = EVERY_S,
) -> Crops:
    """Read at least 200 crops of a source, check them, split them by patient and count them.

    Parameters
    ----------
    source : Path
        A folder of pictures, ``labels.csv`` with crops or frames, a video with its report, a folder of videos, or a
        set that ``echogfr-convert calibration`` collected; told by what lies there (``docs/calibration.md``).
    spec : InputSpec
        What the model reads: frames and videos are cut so, pictures are scaled so.
    heads : sequence of HeadSpec
        Whose truth is looked for in columns of their names.
    seed : int
        Chooses the patients that are held apart.
    progress : Progress
        Told of every picture; may raise to cancel.
    every_s : float
        Least time between two crops of one video, seconds.

    Raises
    ------
    UsageError
        One sentence with all that is wrong, or with how many crops there are of the 200 needed.
    """
    return settled(gather([source], Wish(spec, tuple(heads), every_s=every_s), progress), heads, seed)


def settled(gathered: Gathered, heads: Sequence[HeadSpec], seed: int) -> Crops:
    """Return what was gathered, split and counted."""
    samples = gathered.samples
    patients = np.array(renamed(samples))
    scanners = np.array([item.facts.scanner for item in samples])
    held = hold(patients.tolist(), seed)
    return Crops(
        pixels=np.stack([item.pixels for item in samples]),
        patients=patients,
        scanners=scanners,
        truth=gathered.truth,
        held=np.ones(len(samples), np.bool_) if held is None else held,
        apart=held is not None,
        simulated=gathered.simulated,
        sha256=gathered.sha256,
        counts=count(patients, scanners, gathered.truth, heads),
        remarks=gathered.remarks if held is not None else (*gathered.remarks, NOT_APART),
    )
