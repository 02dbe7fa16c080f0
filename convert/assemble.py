"""From an fp32 graph and a data set to a proven bundle: artifacts, parity, interval, domain, golden, report, card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from convert.answers import Answers, answer
from convert.calibration import to_int8
from convert.dataset import SPLITS, Table
from convert.evaluation import Evaluation, evaluate
from convert.golden import choose, tolerances, write_golden
from convert.parity import compare, refuse_failed
from convert.plan import ArtifactKey, BuildPlan
from convert.precision import to_fp16
from convert.progress import Progress
from convert.report import CardFacts, Evidence, Identity, render_card, render_html, render_json
from convert.statistics import Bands, conformal_bands
from convert.tools import tool_versions
from convert.write import draft, refer, write_manifest
from engines.bundle import Bundle
from engines.domain import DomainModel, fit
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


def assemble(plan: BuildPlan, material: Material, progress: Progress) -> BundleManifest:
    """Write the bundle of ``plan`` and return its manifest; nothing is written if an artifact fails its limits.

    Raises
    ------
    ParityError
        An artifact differs too much from fp32.
    UsageError
        The target exists, or there is too little to calibrate with.
    """
    with draft(plan.bundle, plan.force) as folder:
        artifacts = tuple(_write_artifact(folder, material, key, progress) for key in plan.artifacts)
        bundle = Bundle(folder, _provisional(plan, material, artifacts), "0" * 64)
        manifest = _prove(plan, material, bundle, progress)
        write_manifest(folder, manifest)
    return manifest


def _write_artifact(folder: Path, material: Material, key: ArtifactKey, progress: Progress) -> Artifact:
    precision, family = key
    name = f"{precision}.onnx" if family == "any" else f"{precision}-{family}.onnx"
    progress(f"writing {name}", 0, 1)
    if precision == "int8":
        to_int8(material.model, family, material.calibration, folder / name)
    else:
        model = to_fp16(_copy(material.model)) if precision == "fp16" else material.model
        (folder / name).write_bytes(model.SerializeToString(deterministic=True))
    progress(f"writing {name}", 1, 1)
    return Artifact(**refer(folder, name).model_dump(), precision=precision, family=family)


def _provisional(plan: BuildPlan, material: Material, artifacts: tuple[Artifact, ...]) -> BundleManifest:
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


def _output(value: onnx.ValueInfoProto) -> OutputSpec:
    shape = tuple(dimension.dim_value for dimension in value.type.tensor_type.shape.dim)[1:]
    return OutputSpec.model_validate(
        {"name": value.name, "meaning": value.name, "shape": shape, "unit": UNITS[str(value.name)]}
    )


def _prove(plan: BuildPlan, material: Material, bundle: Bundle, progress: Progress) -> BundleManifest:
    """Measure everything, write the files beside the artifacts and return the final manifest."""
    test = material.table.split("test")
    crops = test.pixels()
    artifacts = bundle.manifest.artifacts
    answers = {(item.precision, item.family): answer(bundle, item, crops, progress) for item in artifacts}
    reference = answers["fp32", "any"]
    rows = tuple(compare(key, reference, found, test.egfr) for key, found in answers.items())
    refuse_failed(rows)
    interval, domain, band_patients = _calibrate(plan, material, bundle, progress)
    progress("measuring", 0, 1)
    single = _single(test, plan.training.seed)
    chosen = choose(reference.egfr)
    evidence = Evidence(
        truth=test.egfr,
        answers=answers,
        single=single,
        parity=rows,
        evaluation=_evaluate(reference.rows(single), test.egfr[single], interval),
        interval=interval,
        band_patients=band_patients,
        golden_crops=crops[chosen],
        golden=reference.rows(chosen),
        strange=_strange(domain, reference.features, crops),
    )
    domain.save(bundle.path / "domain.npz")
    write_golden(bundle.path / "golden.npz", evidence.golden_crops, evidence.golden)
    _write_texts(bundle, material, evidence)
    progress("measuring", 1, 1)
    return _final(bundle, rows, interval, answers)


def _final(
    bundle: Bundle, rows: tuple[ParityRow, ...], interval: IntervalSpec, answers: Mapping[ArtifactKey, Answers]
) -> BundleManifest:
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


def _calibrate(
    plan: BuildPlan, material: Material, bundle: Bundle, progress: Progress
) -> tuple[IntervalSpec, DomainModel, tuple[int, ...]]:
    """Return interval and domain check, both from the validation patients, whom no member was trained on."""
    validation = material.table.split("validation")
    crops = validation.pixels()
    found = answer(bundle, bundle.artifact("fp32", "any"), crops, progress)
    single = _single(validation, plan.training.seed)
    bands = conformal_bands(np.maximum(found.egfr[single], 0.0), validation.egfr[single], plan.interval_level)
    return _interval(plan, bands), _domain(validation, found.features, crops), bands.patients


def _interval(plan: BuildPlan, bands: Bands) -> IntervalSpec:
    patients = sum(bands.patients)
    return IntervalSpec(
        level=plan.interval_level,
        edges=bands.edges,
        low=bands.low,
        high=bands.high,
        patients=patients,
        basis=f"SYNTHETIC: split conformal on {patients} validation patients of the phantom, one crop each",
    )


def _domain(validation: Table, features: NDArray[np.float32], crops: NDArray[np.uint8]) -> DomainModel:
    """Fit on the crops of every second patient, all variants; the others set the limit."""
    _, patient = np.unique(validation.patients, return_inverse=True)
    held = patient % 2 == 1
    return fit(features[~held], crops[~held], features[held], crops[held])


def _strange(domain: DomainModel, features: NDArray[np.float32], crops: NDArray[np.uint8]) -> float:
    distances = [domain.distance(row, crop) for row, crop in zip(features, crops, strict=True)]
    return float(np.mean(np.asarray(distances) > DOMAIN_LIMIT))


def _evaluate(answers: Answers, truth: NDArray[np.float64], interval: IntervalSpec) -> Evaluation:
    return evaluate(np.maximum(answers.egfr, 0.0), answers.probability, truth, interval)


def _single(table: Table, seed: int) -> NDArray[np.intp]:
    """Return the positions of one random crop of every patient."""
    order = np.random.default_rng(seed).permutation(len(table))
    _, first = np.unique(table.patients[order], return_index=True)
    return np.sort(order[first])


def _write_texts(bundle: Bundle, material: Material, evidence: Evidence) -> None:
    manifest = bundle.manifest
    identity = Identity(
        manifest.bundle_id, manifest.version, manifest.title, manifest.created, synthetic=manifest.synthetic
    )
    parts = [(name, material.table.split(name)) for name in SPLITS]
    facts = CardFacts(
        training=material.training,
        splits=tuple((name, part.patient_count, len(part)) for name, part in parts),
        members=material.members,
        parameters=material.parameters,
        limits=manifest.limits,
    )
    texts = {
        "report.html": render_html(identity, evidence, manifest.tools),
        "report.json": render_json(identity, evidence, manifest.tools),
        "card.md": render_card(identity, evidence, facts),
    }
    for name, text in texts.items():
        (bundle.path / name).write_text(text, encoding="utf-8")


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy
