"""Manifests of a bundle in the making: one that is enough to run its artifacts, then the final one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone

import numpy as np
import onnx
from numpy.typing import NDArray

from convert.answers import Answers
from convert.dataset import Table
from convert.golden import tolerances
from convert.plan import ArtifactKey, BuildPlan
from convert.tools import tool_versions
from convert.write import refer
from engines.bundle import Bundle
from engines.manifest import (
    Artifact,
    BundleManifest,
    DomainSpec,
    FileRef,
    GoldenSpec,
    InputSpec,
    IntervalSpec,
    OutputSpec,
    ParityRow,
    TrainingSpec,
)

DOMAIN_LIMIT = 1.0  # engines.domain gives distances in units of its held-out 99 % quantile
UNITS = {
    "egfr_members": "mL/min/1.73 m2",
    "p_egfr_below_60_members": "1",
    "features": "1",
    "cam": "mL/min/1.73 m2 per cell",
}
LIMITS_OF_USE = (
    "SYNTHETIC: trained on simulated pictures only; no number from it means anything for a patient.",
    "Research use only: an image-derived value, at one time point, that no decision may rest on.",
    "Made for one longitudinal view of a kidney between its two length markers; anything else is outside its domain.",
    "The crop takes the size away: the length of the kidney is not seen and must be judged beside the value.",
    "Regresses to the mean: low values are read too high and high values too low.",
)
_PENDING = FileRef(file="pending", sha256="0" * 64, size_bytes=0)


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """What a bundle is assembled from."""

    model: onnx.ModelProto  # fp32
    table: Table  # all splits
    calibration: NDArray[np.uint8]  # crops of the training split
    training: TrainingSpec
    members: int
    parameters: int  # of one member


def provisional(plan: BuildPlan, material: Material, artifacts: tuple[Artifact, ...]) -> BundleManifest:
    """Return a manifest that is enough to run the artifacts; what is pending is measured next. Never written."""
    shape = [dimension.dim_value for dimension in material.model.graph.input[0].type.tensor_type.shape.dim]
    return BundleManifest(
        schema_version=1,
        bundle_id=plan.bundle_id,
        version=plan.version,
        title=plan.title,
        created=datetime.now(timezone.utc).replace(microsecond=0),
        synthetic=True,
        members=material.members,
        input=InputSpec(name=material.model.graph.input[0].name, height=shape[1], width=shape[2], crop_mode="square"),
        outputs=tuple(_output(value) for value in material.model.graph.output),
        artifacts=artifacts,
        golden=GoldenSpec(**_PENDING.model_dump(), tolerance={}),
        interval=IntervalSpec(
            level=plan.interval_level, edges=(), low=(0.0,), high=(0.0,), patients=0, basis="pending"
        ),
        domain=DomainSpec(**_PENDING.model_dump(), limit=DOMAIN_LIMIT, basis="pending"),
        card=_PENDING,
        report=_PENDING,
        report_json=_PENDING,
        parity=(),
        training=material.training,
        limits=LIMITS_OF_USE,
        tools=tool_versions(),
    )


def final(
    bundle: Bundle, rows: tuple[ParityRow, ...], interval: IntervalSpec, answers: Mapping[ArtifactKey, Answers]
) -> BundleManifest:
    """Return the manifest of a bundle whose files are all written and whose artifacts all passed."""

    def ref(name: str) -> dict[str, object]:
        return refer(bundle.path, name).model_dump()

    settled = {
        "golden": {**ref("golden.npz"), "tolerance": tolerances(answers)},
        "interval": interval.model_dump(),
        "domain": {
            **ref("domain.npz"),
            "limit": DOMAIN_LIMIT,
            "basis": "validation patients: half to fit, the 99 % quantile of the other half is the limit",
        },
        "card": ref("card.md"),
        "report": ref("report.html"),
        "report_json": ref("report.json"),
        "parity": [row.model_dump() for row in rows],
    }
    return BundleManifest.model_validate({**bundle.manifest.model_dump(), **settled})


def _output(value: onnx.ValueInfoProto) -> OutputSpec:
    shape = tuple(dimension.dim_value for dimension in value.type.tensor_type.shape.dim)[1:]
    return OutputSpec.model_validate(
        {"name": value.name, "meaning": value.name, "shape": shape, "unit": UNITS[str(value.name)]}
    )
