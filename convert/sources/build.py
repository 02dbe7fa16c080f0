"""Builds the bundle of any model that a recipe describes, proven on the hospital's calibration crops."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from convert.assemble import assemble
from convert.checkpoint import DefectError, file_sha256
from convert.crop_proof import CropProver
from convert.crops import Crops, read_crops
from convert.folder import check_target
from convert.graph.ensemble import INPUT, write_graph
from convert.manifests import Claims, Material
from convert.members import MemberFiles, interface
from convert.origin import Origin, SourceFile
from convert.plan import ARTIFACTS, ArtifactKey, BuildPlan
from convert.progress import Progress, silent
from convert.scratch import scratch
from convert.sources.collect import Collected, check_files, read_each, refused
from convert.sources.equivalence import COUNT, Equivalence, measure, told
from convert.sources.meaning import limits, spec
from convert.sources.read_recipe import read_recipe
from convert.sources.recipe import Recipe
from convert.write import BUNDLE
from engines.manifest import BundleManifest, InputSpec, TrainingSpec

SEED = 2019
LEVEL = 0.9
RESEARCH = "Research use only: what one picture says to a network, at one time point, that no decision may rest on."
REPRODUCE = "echogfr-convert model RECIPE --crops CROPS --out BUNDLE"


@dataclass(frozen=True, slots=True)
class ModelPlan:
    """All that is decided before a model is converted."""

    recipe: Path
    crops: Path
    bundle: Path
    force: bool = False
    artifacts: tuple[ArtifactKey, ...] = ARTIFACTS
    separate_members: bool = False
    sensitivity: bool = True


def build_model(plan: ModelPlan, progress: Progress = silent) -> BundleManifest:
    """Build the bundle of ``plan`` and return its manifest.

    Raises
    ------
    EchoGFRError
        Recipe, weights, crops or target cannot be used, a converted network differs from its original, or an
        artifact fails its limits; nothing is written then.
    """
    check_target(plan.bundle, plan.force, BUNDLE)
    recipe = read_recipe(plan.recipe)
    folder = plan.recipe.parent
    files = check_files(recipe, folder)
    crops = read_crops(plan.crops, _input(recipe), tuple(spec(head, False) for head in recipe.heads), SEED, progress)
    with scratch(plan.bundle, "members", f"The bundle cannot be written to {plan.bundle}") as store:
        taken = _Taken(recipe, crops.pixels[:: max(1, len(crops) // COUNT)][:COUNT], store)
        progress("reading weights", 0, len(files))
        for index, collected in enumerate(read_each(recipe, folder, files)):
            taken.take(index, collected)
            progress("reading weights", index + 1, len(files))
        origin = Origin((SourceFile(plan.recipe.name, file_sha256(plan.recipe)), *files))
        material = _material(recipe, taken, crops)
        return assemble(_build_plan(plan, recipe), material, progress, CropProver(crops, origin))


class _Taken:
    """Holds each member against its original, writes it as a graph of its own, and lets go of its weights."""

    def __init__(self, recipe: Recipe, crops: NDArray[np.uint8], store: Path) -> None:
        self._recipe, self._crops = recipe, crops
        self.members = MemberFiles(store)
        self.measured: list[Equivalence] = []
        self.first: Collected | None = None

    def take(self, index: int, collected: Collected) -> None:
        """Take one member."""
        try:
            found = measure(collected.ensemble, 0, collected.network, self._crops, self._recipe.input)
        except DefectError as error:
            raise refused(f"{collected.file.name} {error}") from error
        self.measured.append(found)
        self.members.add(index, write_graph(collected.ensemble))
        self.first = self.first or collected


def _material(recipe: Recipe, taken: _Taken, crops: Crops) -> Material:
    first = taken.first
    if first is None:
        raise refused("there are none")
    about, given = recipe.model, recipe.input
    sentences = (RESEARCH, *about.limits, *limits(recipe.heads, first.ensemble.pooled))
    trained = f"{about.training.rstrip('.')}. {told(taken.measured, first.network)}"
    return Material(
        model=interface(taken.members.graphs, first.heads),
        heads=first.heads,
        calibration=crops.calibration(SEED),
        training=TrainingSpec(recipe=trained, data=about.data, patients=about.patients, reproduce=REPRODUCE),
        members=len(taken.members.files),
        parameters=first.ensemble.members[0].parameters,
        claims=Claims(about.synthetic, sentences, given.crop_mode, given.crop_factor),
        known_crops=crops.pixels,
        files=tuple(taken.members.files),
    )


def _build_plan(plan: ModelPlan, recipe: Recipe) -> BuildPlan:
    return BuildPlan(
        dataset=plan.crops,
        bundle=plan.bundle,
        work=plan.bundle.parent,
        force=plan.force,
        artifacts=plan.artifacts,
        interval_level=LEVEL,
        bundle_id=recipe.model.id,
        version=recipe.model.version,
        title=recipe.model.title,
        separate_members=plan.separate_members,
        sensitivity=plan.sensitivity,
    )


def _input(recipe: Recipe) -> InputSpec:
    given = recipe.input
    return InputSpec(
        name=INPUT,
        height=given.height,
        width=given.width,
        crop_mode=given.crop_mode,
        crop_factor=given.crop_factor,
    )
