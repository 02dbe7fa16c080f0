"""Builds the synthetic localizer: trains, converts, proves and writes its bundle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from convert.anatomy import dissect
from convert.calibration import check_enough, tensors_of, to_int8
from convert.folder import check_target
from convert.golden import COUNT, MARGIN, USUAL
from convert.localizer.dataset import Sectors, fingerprint, read_sectors
from convert.localizer.graph import KIDNEY, POLES, write_graph
from convert.localizer.measure import Found, compare, decoded, score
from convert.localizer.train import LocalizerTraining, train_localizer
from convert.progress import Progress, silent
from convert.ranges import measure
from convert.running import BATCH, Run, concatenated
from convert.templating import template
from convert.tools import tool_versions
from convert.write import BUNDLE, draft, refer, write_manifest
from engines.domain import fit
from engines.errors import EchoGFRError, UsageError
from engines.manifest import (
    Artifact,
    BundleManifest,
    DomainSpec,
    Family,
    GoldenSpec,
    InputSpec,
    OutputSpec,
    ParityRow,
    Precision,
    TrainingSpec,
)

RECIPE = (
    "A small U-net (Ronneberger 2015) from the sector to the kidney and a distribution of each pole's place; turned, "
    "moved, mirrored and brightened pictures, AdamW with a one-cycle schedule."
)
LIMITS_OF_USE = (
    "SYNTHETIC: trained on simulated pictures only; it proposes nothing on a patient's picture.",
    "A proposal is no measurement: nothing is read from it before the operator has accepted it.",
)
CALIBRATION = 320
TOLERANCE_FLOOR = 0.02  # probability: fp32 on another CPU moves the last bits only
DOMAIN_LIMIT = 1.0
Maps = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class LocalizerPlan:
    """One localizer to be built: from what, where to, and how."""

    dataset: Path
    bundle: Path
    force: bool = False
    training: LocalizerTraining = field(default_factory=LocalizerTraining)
    int8: bool = True
    bundle_id: str = "synthetic-localizer"
    version: str = "1.0.0"
    title: str = "SYNTHETIC localizer (phantom-trained)"


class LocalizerParityError(EchoGFRError):
    """INT8 puts poles elsewhere than fp32 by more than its limits; no bundle is written."""


def build_localizer(plan: LocalizerPlan, progress: Progress = silent) -> BundleManifest:
    """Build the bundle of ``plan`` and return its manifest.

    Raises
    ------
    EchoGFRError
        The data set or the target cannot be used, or INT8 fails its limits; nothing is written then.
    """
    check_target(plan.bundle, plan.force, BUNDLE)
    progress("reading sectors", 0, 1)
    sectors = read_sectors(plan.dataset)
    progress("reading sectors", 1, 1)
    train = sectors.split("train")
    for name in ("train", "validation", "test"):
        if not len(sectors.split(name)):
            raise UsageError("The localizer cannot be trained", f"the split {name} is empty", "write a larger data set")
    if plan.int8:
        check_enough(len(train))
    network = train_localizer(train, plan.training, lambda done, total: progress("training", done, total))
    model = write_graph(network, train.pictures.shape[1])
    models: dict[Precision, onnx.ModelProto] = {"fp32": model}
    if plan.int8:
        models["int8"] = _quantised(model, train, plan, progress)
    with draft(plan.bundle, plan.force) as folder:
        manifest = _write(plan, sectors, models, folder, progress)
        write_manifest(folder, manifest)
    return manifest


def _quantised(model: onnx.ModelProto, train: Sectors, plan: LocalizerPlan, progress: Progress) -> onnx.ModelProto:
    random = np.random.default_rng(plan.training.seed)
    chosen = train.pictures[np.sort(random.choice(len(train), min(CALIBRATION, len(train)), replace=False))]
    every = np.ones(len(chosen), np.bool_)
    ranges = measure(model, tensors_of(dissect(model)), chosen, every, progress).ranges
    return to_int8(model, "cpu", ranges)


def _write(
    plan: LocalizerPlan, sectors: Sectors, models: Mapping[Precision, onnx.ModelProto], folder: Path, progress: Progress
) -> BundleManifest:
    """Write all files but the manifest into ``folder``; return the manifest."""
    test, train = sectors.split("test"), sectors.split("train")
    answers = {precision: _answers(model, test.pictures, progress) for precision, model in models.items()}
    found = {precision: decoded(maps[KIDNEY], maps[POLES]) for precision, maps in answers.items()}
    rows = tuple(compare(precision, found["fp32"], found[precision]) for precision in models)
    failed = [reason for row in rows for reason in row.reasons]
    if failed:
        raise LocalizerParityError("The bundle is not written", "; ".join(failed), "leave INT8 out: --without-int8")
    golden = np.linspace(0, len(test) - 1, min(COUNT, len(test))).round().astype(int)
    with (folder / "golden.npz").open("wb") as stream:
        np.savez_compressed(
            stream,
            crops=test.pictures[golden],
            **{name: values[golden] for name, values in answers["fp32"].items()},
        )
    held = sectors.split("validation").pictures
    fit(None, train.pictures[:: max(1, len(train) // 600)], None, held).save(folder / "domain.npz")
    artifacts = tuple(_artifact(folder, precision, model) for precision, model in models.items())
    training = _training(plan, train)
    _texts(plan, folder, (test, found, rows), training)
    return _manifest(plan, folder, artifacts, (_tolerances(answers, golden), rows), training, test)


def _answers(model: onnx.ModelProto, pictures: NDArray[np.uint8], progress: Progress) -> Maps:
    run, parts = Run(model), []
    for start in range(0, len(pictures), BATCH):
        parts.append(run(pictures[start : start + BATCH]))
        progress("measuring", min(start + BATCH, len(pictures)), len(pictures))
    return concatenated(parts)


def _artifact(folder: Path, precision: Precision, model: onnx.ModelProto) -> Artifact:
    name = "fp32.onnx" if precision == "fp32" else "int8-cpu.onnx"
    onnx.save(model, str(folder / name))
    family: Family = "any" if precision == "fp32" else "cpu"
    return Artifact(**refer(folder, name).model_dump(), precision=precision, family=family)


def _tolerances(answers: Mapping[Precision, Maps], golden: NDArray[np.intp]) -> dict[Precision, dict[str, float]]:
    """Return max |delta| allowed by precision and map: twice what 99 % of the pictures keep to, and the golden ones."""
    allowed: dict[Precision, dict[str, float]] = {}
    for precision, maps in answers.items():
        allowed[precision] = {}
        for name, values in maps.items():
            delta = np.abs(values - answers["fp32"][name]).reshape(len(values), -1).max(axis=1)
            usual = max(float(np.quantile(delta, USUAL)), float(delta[golden].max()))
            allowed[precision][name] = max(TOLERANCE_FLOOR, round(MARGIN * usual, 4))
    return allowed


def _training(plan: LocalizerPlan, train: Sectors) -> TrainingSpec:
    recipe = plan.training
    origin = plan.dataset / "dataset.json"
    facts = json.loads(origin.read_text(encoding="utf-8")) if origin.is_file() else {}
    named = ", ".join(f"{key} {facts[key]}" for key in ("version", "seed") if key in facts) or "without dataset.json"
    data = f"SYNTHETIC phantom data set ({named}), sectors {fingerprint(plan.dataset)[:16]}"
    command = f"echogfr-convert localizer DATASET --out BUNDLE --epochs {recipe.epochs} --seed {recipe.seed}"
    return TrainingSpec(recipe=RECIPE, data=data, patients=len(np.unique(train.patients)), reproduce=command)


def _texts(
    plan: LocalizerPlan,
    folder: Path,
    evidence: tuple[Sectors, Mapping[Precision, Found], tuple[ParityRow, ...]],
    training: TrainingSpec,
) -> None:
    test, found, rows = evidence
    scores = {precision: score(test, poles) for precision, poles in found.items()}
    facts = {"title": plan.title, "bundle_id": plan.bundle_id, "version": plan.version, "training": training}
    facts |= {"scores": scores, "rows": rows, "limits": LIMITS_OF_USE, "pictures": len(test)}
    facts |= {"patients": len(np.unique(test.patients))}
    for name, source in (("card.md", "localizer_card.md.j2"), ("report.html", "localizer_report.html.j2")):
        (folder / name).write_text(template(source).render(**facts) + "\n", encoding="utf-8")
    told = {"synthetic": True, "scores": scores, "parity": [row.model_dump() for row in rows]}
    (folder / "report.json").write_text(json.dumps(told, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _manifest(
    plan: LocalizerPlan,
    folder: Path,
    artifacts: tuple[Artifact, ...],
    proven: tuple[dict[Precision, dict[str, float]], tuple[ParityRow, ...]],
    training: TrainingSpec,
    test: Sectors,
) -> BundleManifest:
    side = test.pictures.shape[1]
    tolerance, rows = proven
    return BundleManifest(
        schema_version=2,
        bundle_id=plan.bundle_id,
        version=plan.version,
        title=plan.title,
        created=datetime.now(timezone.utc).replace(microsecond=0),
        synthetic=True,
        role="localizer",
        members=1,
        input=InputSpec(name="sector", height=side, width=side, crop_mode="sector"),
        heads=(),
        outputs=_outputs(side // 4),
        artifacts=artifacts,
        golden=GoldenSpec(**refer(folder, "golden.npz").model_dump(), tolerance=tolerance),
        domain=DomainSpec(
            **refer(folder, "domain.npz").model_dump(),
            limit=DOMAIN_LIMIT,
            basis="SYNTHETIC: texture of the phantom's sectors, limit from its validation patients",
        ),
        card=refer(folder, "card.md"),
        report=refer(folder, "report.html"),
        report_json=refer(folder, "report.json"),
        parity=rows,
        training=training,
        limits=LIMITS_OF_USE,
        tools=tool_versions(),
    )


def _outputs(cells: int) -> tuple[OutputSpec, ...]:
    return (
        OutputSpec(name=KIDNEY, meaning="kidney", shape=(cells, cells), unit="1"),
        OutputSpec(name=POLES, meaning="poles", shape=(2, cells, cells), unit="1"),
    )
