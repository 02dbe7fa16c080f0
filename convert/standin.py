"""Builds the synthetic stand-in: trains, converts, proves and writes its bundle."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from convert.assemble import assemble
from convert.dataset import Table, fingerprint, read_table
from convert.egfr_heads import EGFR_HEADS
from convert.folder import check_target
from convert.graph.ensemble import write_graph
from convert.manifests import Claims, Material
from convert.plan import CALIBRATION_MINIMUM, BuildPlan
from convert.progress import Progress, silent
from convert.proof import StandinProver
from convert.reference.standin import RECIPE, train_ensemble
from convert.write import BUNDLE
from engines.errors import UsageError
from engines.manifest import BundleManifest, TrainingSpec

LIMITS_OF_USE = (
    "SYNTHETIC: trained on simulated pictures only; no number from it means anything for a patient.",
    "Research use only: an image-derived value, at one time point, that no decision may rest on.",
    "Made for one longitudinal view of a kidney between its two length markers; anything else is outside its domain.",
    "The crop takes the size away: the length of the kidney is not seen and must be judged beside the value.",
    "Regresses to the mean: low values are read too high and high values too low.",
)


def build_standin(plan: BuildPlan, progress: Progress = silent) -> BundleManifest:
    """Build the bundle of ``plan`` and return its manifest.

    Raises
    ------
    EchoGFRError
        The data set or the target cannot be used, or an artifact fails its limits; nothing is written then.
    """
    check_target(plan.bundle, plan.force, BUNDLE)
    table = read_table(plan.dataset)
    train = table.split("train")
    _check_calibration(plan, train)
    progress("reading crops", 0, 1)
    crops = train.pixels()
    progress("reading crops", 1, 1)
    ensemble = train_ensemble(plan, train, crops, progress)
    random = np.random.default_rng(plan.training.seed)
    chosen = random.choice(len(crops), min(plan.calibration_crops, len(crops)), replace=False)
    material = Material(
        model=write_graph(ensemble),
        heads=EGFR_HEADS,
        calibration=crops[np.sort(chosen)],
        training=_training(plan, train),
        members=plan.training.members,
        parameters=ensemble.members[0].parameters,
        claims=Claims(synthetic=True, limits=LIMITS_OF_USE),
    )
    return assemble(plan, material, progress, StandinProver(table))


def _check_calibration(plan: BuildPlan, train: Table) -> None:
    """Refuse before training what the calibration would refuse after it."""
    if len(train) < CALIBRATION_MINIMUM and any(precision == "int8" for precision, _ in plan.artifacts):
        raise UsageError(
            "INT8 cannot be calibrated",
            f"the training split has {len(train)} crops and at least {CALIBRATION_MINIMUM} are needed",
            "write a larger data set, or leave it out: --without int8-cpu --without int8-tensorrt",
        )


def _training(plan: BuildPlan, train: Table) -> TrainingSpec:
    recipe = plan.training
    command = (
        f"echogfr-convert standin DATASET --out BUNDLE --members {recipe.members} "
        f"--epochs {recipe.epochs} --seed {recipe.seed}"
    )
    return TrainingSpec(recipe=RECIPE, data=_describe(plan.dataset), patients=train.patient_count, reproduce=command)


def _describe(dataset: Path) -> str:
    """Name the data set by what its own ``dataset.json`` says and by the hash of its labels."""
    origin = dataset / "dataset.json"
    facts = json.loads(origin.read_text(encoding="utf-8")) if origin.is_file() else {}
    named = ", ".join(f"{key} {facts[key]}" for key in ("version", "seed") if key in facts)
    return f"SYNTHETIC phantom data set ({named or 'without dataset.json'}), labels {fingerprint(dataset)[:16]}"
