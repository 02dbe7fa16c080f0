"""Builds the bundle of Kuo 2019 from its published files and the hospital's calibration crops."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from convert.assemble import assemble
from convert.crop_proof import CropProver
from convert.crops import read_crops
from convert.egfr_heads import EGFR_HEADS
from convert.folder import check_target
from convert.graph.ensemble import write_graph
from convert.graph.parts import Member
from convert.kuo.facts import DATA, LEVEL, LIMITS_OF_USE, PATIENTS, PUBLISHED_BY_HEAD, RECIPE
from convert.kuo.layout import PUBLISHED_LAYOUT, Layout, expected_shapes
from convert.kuo.polarity import examine
from convert.kuo.source import Request, ensemble_of, read_members
from convert.manifests import Claims, Material
from convert.members import MemberFiles, interface
from convert.origin import Origin
from convert.plan import ARTIFACTS, ArtifactKey, BuildPlan
from convert.progress import Progress, silent
from convert.scratch import scratch
from convert.write import BUNDLE
from engines.manifest import BundleManifest, CropMode, InputSpec, TrainingSpec

SEED = 2019


@dataclass(frozen=True, slots=True)
class KuoPlan:
    """All that is decided before published weights are converted."""

    models: Path
    crops: Path
    bundle: Path
    members: int | None = None  # None: all that are there
    force: bool = False
    flip_polarity: bool = False
    crop_mode: CropMode = "square"
    artifacts: tuple[ArtifactKey, ...] = ARTIFACTS
    layout: Layout = PUBLISHED_LAYOUT
    separate_members: bool = False
    sensitivity: bool = True

    @property
    def request(self) -> Request:
        """What is read from the folder of models."""
        return Request(self.models, self.members, self.flip_polarity, self.layout)

    @property
    def input(self) -> InputSpec:
        """What the networks read."""
        return InputSpec(name="crops", height=self.layout.size, width=self.layout.size, crop_mode=self.crop_mode)


def build_kuo(plan: KuoPlan, progress: Progress = silent) -> BundleManifest:
    """Build the bundle of ``plan`` and return its manifest.

    Raises
    ------
    EchoGFRError
        Files, crops or target cannot be used, the polarity is wrong, or an artifact fails its limits;
        nothing is written then.
    """
    check_target(plan.bundle, plan.force, BUNDLE)
    crops = read_crops(plan.crops, plan.input, EGFR_HEADS, SEED, progress)
    with scratch(plan.bundle, "members", f"The bundle cannot be written to {plan.bundle}") as folder:
        members = MemberFiles(folder)

        def take(index: int, member: Member) -> None:
            members.add(index, write_graph(ensemble_of((member,), plan.layout)))

        sources = read_members(plan.request, take, progress)
        origin = Origin(sources, PUBLISHED_BY_HEAD, partial(examine, flipped=plan.flip_polarity))
        count = len(members.files)
        material = Material(
            model=interface(members.graphs, EGFR_HEADS),
            heads=EGFR_HEADS,
            calibration=crops.calibration(SEED),
            training=TrainingSpec(recipe=RECIPE, data=DATA, patients=PATIENTS, reproduce=_command(plan, count)),
            members=count,
            parameters=_parameters(plan.layout),
            claims=Claims(synthetic=False, limits=LIMITS_OF_USE, crop_mode=plan.crop_mode),
            known_crops=crops.pixels,
            files=tuple(members.files),
            check=origin.examine,
        )
        return assemble(_build_plan(plan, count), material, progress, CropProver(crops, origin))


def _build_plan(plan: KuoPlan, members: int) -> BuildPlan:
    return BuildPlan(
        dataset=plan.crops,
        bundle=plan.bundle,
        work=plan.bundle.parent,
        force=plan.force,
        artifacts=plan.artifacts,
        interval_level=LEVEL,
        separate_members=plan.separate_members,
        sensitivity=plan.sensitivity,
        bundle_id="kuo2019",
        title=f"Kuo 2019, {members} member{'s' if members > 1 else ''} (research use)",
    )


def _command(plan: KuoPlan, members: int) -> str:
    flip = " --flip-polarity" if plan.flip_polarity else ""
    crop = "" if plan.crop_mode == "square" else f" --crop-mode {plan.crop_mode}"
    apart = " --separate-members" if plan.separate_members else ""
    return f"echogfr-convert kuo2019 MODELS --crops CROPS --out BUNDLE --members {members}{crop}{flip}{apart}"


def _parameters(layout: Layout) -> int:
    """Return the weights of one network with batch norms folded: each norm leaves one bias a channel."""
    shapes = expected_shapes(layout)
    folded = [name for name in shapes if ".running_" in name]
    scale = [name.replace("running_mean", "weight") for name in folded if name.endswith("running_mean")]
    gone = {*folded, *scale}
    return sum(int(np.prod(shape)) for name, shape in shapes.items() if name not in gone)
