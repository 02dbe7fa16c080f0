"""Proves a bundle in the making: parity, interval, domain check, golden vectors, report and card."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from convert.answers import Answers, answer
from convert.dataset import SPLITS, Table
from convert.evaluation import Evaluation, evaluate
from convert.golden import choose, write_golden
from convert.manifests import DOMAIN_LIMIT, Material, final
from convert.parity import compare, refuse_failed
from convert.plan import BuildPlan
from convert.progress import Progress
from convert.report import CardFacts, Evidence, Identity, render_card, render_html, render_json
from convert.statistics import Bands, conformal_bands
from engines.bundle import Bundle
from engines.domain import DomainModel, fit
from engines.manifest import BundleManifest, IntervalSpec


def prove(plan: BuildPlan, material: Material, bundle: Bundle, progress: Progress) -> BundleManifest:
    """Measure everything, write the files beside the artifacts and return the final manifest.

    Raises
    ------
    ParityError
        An artifact differs too much from fp32.
    """
    test = material.table.split("test")
    crops = test.pixels()
    artifacts = bundle.manifest.artifacts
    answers = {(item.precision, item.family): answer(bundle, item, crops, progress) for item in artifacts}
    reference = answers["fp32", "any"]
    rows = tuple(compare(key, reference, found, test.egfr) for key, found in answers.items())
    refuse_failed(rows)
    interval, domain, band_patients = _calibrate(plan, material, bundle, progress)
    progress("measuring", 0, 1)
    single = test.single(plan.training.seed)
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
    return final(bundle, rows, interval, answers)


def _calibrate(
    plan: BuildPlan, material: Material, bundle: Bundle, progress: Progress
) -> tuple[IntervalSpec, DomainModel, tuple[int, ...]]:
    """Return interval and domain check, both from the validation patients, whom no member was trained on."""
    validation = material.table.split("validation")
    crops = validation.pixels()
    found = answer(bundle, bundle.artifact("fp32", "any"), crops, progress)
    single = validation.single(plan.training.seed)
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
