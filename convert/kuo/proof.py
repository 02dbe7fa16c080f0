"""Proves the bundle of published weights: parity, polarity, interval, domain check, golden vectors, report, card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from convert.answers import Answers, answer
from convert.golden import choose, write_golden
from convert.kuo.crops import Crops
from convert.kuo.facts import (
    LIMITS_OF_USE,
    LOCAL_LEAST,
    PUBLISHED,
    PUBLISHED_BANDS,
    SIMULATED,
    labelled_patients,
    local_interval,
)
from convert.kuo.polarity import check, measure
from convert.kuo.report import Findings, Local, write_texts
from convert.manifests import Material, final
from convert.origin import SourceFile
from convert.parity import compare, refuse_failed
from convert.plan import ArtifactKey, BuildPlan
from convert.progress import Progress
from convert.statistics import agreement, pearson
from engines.bundle import Bundle
from engines.domain import DomainModel, fit
from engines.manifest import BundleManifest, CropMode, IntervalSpec

DOMAIN_BASIS = "the calibration crops: half of their patients to fit, the 99 % quantile of the other half is the limit"


@dataclass(frozen=True, slots=True, eq=False)
class KuoProver:
    """Holds what the proof needs beside plan and material; called by ``convert.assemble``."""

    crops: Crops
    files: tuple[SourceFile, ...]
    flipped: bool
    crop_mode: CropMode

    def __call__(self, plan: BuildPlan, material: Material, bundle: Bundle, progress: Progress) -> BundleManifest:
        """Measure everything, write the files beside the artifacts and return the final manifest.

        Raises
        ------
        ParityError
            An artifact differs too much from fp32.
        UsageError
            The polarity is wrong.
        """
        bundle = self._named(bundle)
        reference, answers = self._answers(bundle, progress)
        truth = self.crops.egfr[self.crops.held]
        if not np.all(np.isfinite(truth)):
            truth = np.full_like(truth, np.nan)  # no AUC then: on a guessed truth it would prove nothing
        held = reference.rows(np.flatnonzero(self.crops.held))
        rows = tuple(compare(key, held, found, truth) for key, found in answers.items())
        refuse_failed(rows)
        polarity = measure(reference.egfr_members, reference.p_members)
        check(polarity, self.flipped)
        interval, bands, local = self._interval(plan, reference)
        self._domain(reference).save(bundle.path / "domain.npz")
        chosen = np.flatnonzero(self.crops.held)[choose(held.egfr)]
        write_golden(bundle.path / "golden.npz", self.crops.pixels[chosen], reference.rows(chosen))
        findings = Findings(rows, interval, bands, local, polarity, self.flipped, self.crops, self.files)
        write_texts(bundle, findings, material)
        settled = final(bundle, rows, interval, answers)
        return settled.model_copy(update={"domain": settled.domain.model_copy(update={"basis": DOMAIN_BASIS})})

    def _named(self, bundle: Bundle) -> Bundle:
        manifest = bundle.manifest
        crop = manifest.input.model_copy(update={"crop_mode": self.crop_mode})
        limits = (SIMULATED, *LIMITS_OF_USE) if self.crops.simulated else LIMITS_OF_USE
        told = {"synthetic": False, "limits": limits, "input": crop}
        return Bundle(bundle.path, manifest.model_copy(update=told), bundle.sha256)

    def _answers(self, bundle: Bundle, progress: Progress) -> tuple[Answers, Mapping[ArtifactKey, Answers]]:
        """Run fp32 over all crops and every other artifact over the held ones."""
        held = np.flatnonzero(self.crops.held)
        whole = answer(bundle, bundle.artifact("fp32", "any"), self.crops.pixels, progress)
        found: dict[ArtifactKey, Answers] = {}
        for item in bundle.manifest.artifacts:
            is_reference = item.precision == "fp32"
            held_answers = whole.rows(held) if is_reference else answer(bundle, item, self.crops.pixels[held], progress)
            found[item.precision, item.family] = held_answers
        return whole, found

    def _interval(self, plan: BuildPlan, reference: Answers) -> tuple[IntervalSpec, tuple[int, ...], Local | None]:
        if labelled_patients(self.crops) < LOCAL_LEAST:
            return PUBLISHED, PUBLISHED_BANDS, None
        single = self.crops.single(self.crops.labelled, plan.training.seed)
        predicted, truth = np.maximum(reference.egfr[single], 0.0), self.crops.egfr[single]
        spec, bands = local_interval(predicted, truth)
        return spec, bands, Local(pearson(predicted, truth), agreement("all", predicted, truth))

    def _domain(self, reference: Answers) -> DomainModel:
        _, patient = np.unique(self.crops.patients, return_inverse=True)
        held = patient % 2 == 1
        pixels, features = self.crops.pixels, reference.features
        return fit(features[~held], pixels[~held], features[held], pixels[held])
