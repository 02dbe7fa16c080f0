"""Manifests of a bundle in the making: one that is enough to run its artifacts, then the final one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from convert.answers import FEATURES, Answers
from convert.golden import tolerances
from convert.plan import ArtifactKey, BuildPlan
from convert.tools import tool_versions
from convert.trade import Trade
from convert.write import refer
from engines.bundle import Bundle
from engines.errors import UsageError
from engines.manifest import (
    Artifact,
    BundleManifest,
    CropMode,
    DomainSpec,
    FileRef,
    GoldenSpec,
    GradesHead,
    HeadSpec,
    InputSpec,
    IntervalSpec,
    Meaning,
    OutputSpec,
    ParityRow,
    RegressionHead,
    TrainingSpec,
)

DOMAIN_LIMIT = 1.0  # engines.domain gives distances in units of its held-out 99 % quantile
_PENDING = FileRef(file="pending", sha256="0" * 64, size_bytes=0)


@dataclass(frozen=True, slots=True)
class Claims:
    """What a bundle says of itself that nothing here can measure."""

    synthetic: bool
    limits: tuple[str, ...]  # sentences shown at the point of use
    crop_mode: CropMode = "square"
    crop_factor: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """What a bundle is assembled from.

    ``known``: what the fp32 graph answers to crops that it was asked about already, so that the proof need not
    ask again; of ``known_crops``, in their order, or of ``calibration`` if that is None. ``convert.assemble`` asks
    about these in the one pass that the ranges of INT8 need anyway. ``measured``: the same of whole artifacts, over
    the crops of the parity.
    """

    model: onnx.ModelProto  # fp32, all members; its outputs are those that the heads name, and perhaps ``features``
    heads: tuple[HeadSpec, ...]
    calibration: NDArray[np.uint8]  # crops (K, H, W, 3) for the ranges of INT8
    training: TrainingSpec
    members: int
    parameters: int  # of one member
    claims: Claims
    known: Answers | None = None
    known_crops: NDArray[np.uint8] | None = None
    files: tuple[Path, ...] = ()  # one fp32 graph of a single member each; ``model`` has inputs and outputs alone then
    check: Callable[[Answers], object] | None = None  # of fp32, before any artifact is written; raises to refuse
    measured: Mapping[ArtifactKey, Answers] = field(default_factory=dict)
    trades: tuple[Trade, ...] = ()  # what was left in float to bring INT8 within its limits


@dataclass(frozen=True, slots=True, eq=False)
class Proven:
    """What a proof settles: rows of parity, intervals by head, and on what the domain check rests."""

    rows: tuple[ParityRow, ...]
    answers: Mapping[ArtifactKey, Answers]  # on the crops of the parity, fp32 among them
    intervals: Mapping[str, IntervalSpec]
    domain_basis: str


def provisional(plan: BuildPlan, material: Material, artifacts: tuple[Artifact, ...]) -> BundleManifest:
    """Return a manifest that is enough to run the artifacts; what is pending is measured next. Never written.

    Raises
    ------
    UsageError
        The graph has an output that no head names.
    """
    graph, claims = material.model.graph, material.claims
    shape = [dimension.dim_value for dimension in graph.input[0].type.tensor_type.shape.dim]
    return BundleManifest(
        schema_version=2,
        bundle_id=plan.bundle_id,
        version=plan.version,
        title=plan.title,
        created=datetime.now(timezone.utc).replace(microsecond=0),
        synthetic=claims.synthetic,
        members=material.members,
        input=InputSpec(
            name=graph.input[0].name,
            height=shape[1],
            width=shape[2],
            crop_mode=claims.crop_mode,
            crop_factor=claims.crop_factor,
        ),
        heads=material.heads,
        outputs=tuple(_output(value, material.heads) for value in graph.output),
        artifacts=artifacts,
        golden=GoldenSpec(**_PENDING.model_dump(), tolerance={}),
        domain=DomainSpec(**_PENDING.model_dump(), limit=DOMAIN_LIMIT, basis="pending"),
        card=_PENDING,
        report=_PENDING,
        report_json=_PENDING,
        parity=(),
        training=material.training,
        limits=claims.limits,
        tools=tool_versions(),
    )


def final(bundle: Bundle, proven: Proven) -> BundleManifest:
    """Return the manifest of a bundle whose files are all written and whose artifacts all passed."""

    def ref(name: str) -> dict[str, object]:
        return refer(bundle.path, name).model_dump()

    settled = {
        "heads": [_settled(head, proven.intervals).model_dump() for head in bundle.manifest.heads],
        "golden": {**ref("golden.npz"), "tolerance": tolerances(proven.answers)},
        "domain": {**ref("domain.npz"), "limit": DOMAIN_LIMIT, "basis": proven.domain_basis},
        "card": ref("card.md"),
        "report": ref("report.html"),
        "report_json": ref("report.json"),
        "parity": [row.model_dump() for row in proven.rows],
    }
    return BundleManifest.model_validate({**bundle.manifest.model_dump(), **settled})


def _settled(head: HeadSpec, intervals: Mapping[str, IntervalSpec]) -> HeadSpec:
    """Return the head with its interval, or with none: nothing but a proof settles it."""
    if not isinstance(head, RegressionHead):
        return head
    return head.model_copy(update={"interval": intervals.get(head.name)})


def _output(value: onnx.ValueInfoProto, heads: tuple[HeadSpec, ...]) -> OutputSpec:
    shape = tuple(dimension.dim_value for dimension in value.type.tensor_type.shape.dim)[1:]
    meaning, unit = _meaning(str(value.name), heads)
    return OutputSpec(name=value.name, meaning=meaning, shape=shape, unit=unit)


def _meaning(name: str, heads: tuple[HeadSpec, ...]) -> tuple[Meaning, str]:
    """Return what an output means and its unit, by the head that names it."""
    for head in heads:
        unit = head.unit if isinstance(head, RegressionHead) else "1"
        if name == head.output:
            return ("grade_members" if isinstance(head, GradesHead) else "members"), unit
        if name == head.map:  # behind a sigmoid or a softmax the map is of what goes into it
            return "map", f"{unit if isinstance(head, RegressionHead) else 'log-odds'} per cell"
    if name == FEATURES:
        return "features", "1"
    cure = "name it in a head, or take it out of the graph"
    raise UsageError("The bundle cannot be assembled", f"no head names the output '{name}'", cure)
