"""Proves the stand-in's bundle: parity, interval, domain check, golden vectors, report and card, split by split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convert.answers import Answers, answer, answer_all
from convert.dataset import SPLITS, Table
from convert.egfr_heads import BELOW_60, EGFR, egfr_truth
from convert.evaluation import evaluate
from convert.golden import choose, write_golden
from convert.manifests import DOMAIN_LIMIT, Material, Proven, final
from convert.parity import compare, refuse_failed
from convert.plan import BuildPlan
from convert.progress import Progress
from convert.report import CardFacts, Evidence, Identity, render_card, render_html, render_json
from convert.statistics import Bands, conformal_bands
from engines.bundle import Bundle
from engines.domain import DomainModel, fit
from engines.manifest import BundleManifest, IntervalSpec

DOMAIN_BASIS = "validation patients: half to fit, the 99 % quantile of the other half is the limit"


@dataclass(frozen=True, slots=True, eq=False)
class StandinProver:
    """Holds the data set that the proof is made on; called by ``convert.assemble``."""

    table: Table  # all splits

    def __call__(self, plan: BuildPlan, material: Material, bundle: Bundle, progress: Progress) -> BundleManifest:
        """Measure everything, write the files beside the artifacts and return the final manifest.

        Raises
        ------
        ParityError
            An artifact differs too much from fp32.
        """
        test = self.table.split("test")
        crops = test.pixels()
        answers = answer_all(bundle, crops, progress, material.measured)
        reference = answers["fp32", "any"]
        rows = tuple(
            compare(key, reference, found, egfr_truth(test.egfr), test.patients) for key, found in answers.items()
        )
        refuse_failed(rows, answers)
        interval, domain, band_patients = self._calibrate(plan, bundle, progress)
        progress("measuring", 0, 1)
        single = test.single(plan.training.seed)
        chosen = choose(reference.score(EGFR))
        shown = reference.rows(single)
        evidence = Evidence(
            truth=test.egfr,
            answers=answers,
            single=single,
            parity=rows,
            evaluation=evaluate(shown.shown(EGFR), shown.mean(BELOW_60), test.egfr[single], interval),
            interval=interval,
            band_patients=band_patients,
            golden_crops=crops[chosen],
            golden=reference.rows(chosen),
            strange=_strange(domain, reference, crops),
            trades=material.trades,
        )
        domain.save(bundle.path / "domain.npz")
        write_golden(bundle.path / "golden.npz", evidence.golden_crops, evidence.golden)
        self._write_texts(bundle, material, evidence)
        progress("measuring", 1, 1)
        return final(bundle, Proven(rows, answers, {EGFR.name: interval}, DOMAIN_BASIS))

    def _calibrate(
        self, plan: BuildPlan, bundle: Bundle, progress: Progress
    ) -> tuple[IntervalSpec, DomainModel, tuple[int, ...]]:
        """Return interval and domain check, both from the validation patients, whom no member was trained on."""
        validation = self.table.split("validation")
        crops = validation.pixels()
        found = answer(bundle, bundle.artifacts("fp32", "any"), crops, progress)
        single = validation.single(plan.training.seed)
        bands = conformal_bands(found.shown(EGFR)[single], validation.egfr[single], plan.interval_level)
        return _interval(plan, bands), _domain(validation, found, crops), bands.patients

    def _write_texts(self, bundle: Bundle, material: Material, evidence: Evidence) -> None:
        manifest = bundle.manifest
        identity = Identity(
            manifest.bundle_id, manifest.version, manifest.title, manifest.created, synthetic=manifest.synthetic
        )
        parts = [(name, self.table.split(name)) for name in SPLITS]
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


def _domain(validation: Table, found: Answers, crops: NDArray[np.uint8]) -> DomainModel:
    """Fit on the crops of every second patient, all variants; the others set the limit."""
    _, patient = np.unique(validation.patients, return_inverse=True)
    fitted, held = found.rows(patient % 2 == 0), found.rows(patient % 2 == 1)
    return fit(fitted.features, crops[patient % 2 == 0], held.features, crops[patient % 2 == 1])


def _strange(domain: DomainModel, found: Answers, crops: NDArray[np.uint8]) -> float:
    distances = [
        domain.distance(None if found.features is None else found.features[at], crop) for at, crop in enumerate(crops)
    ]
    return float(np.mean(np.asarray(distances) > DOMAIN_LIMIT))
