"""Proves any model that comes with crops of a hospital: one prover for every source of weights.

How to use it::

    material = Material(model, heads, calibration, training, members, parameters, claims, known)
    prover = CropProver(crops, Origin(files=(SourceFile(name, sha256), ...)))
    assemble(plan, material, progress, prover)

What it does: parity of every artifact on the held crops, by head; an examination that the source asks for
(``Origin.examine``: the polarity of Kuo's trees); an interval for each regression, of labelled local patients where
there are 50, else the published one (``Origin.published``), else none, and said so; the domain check, from features
where the graph gives them and from texture; golden vectors; card and report.

``crops`` come from ``convert.crops.read_crops``. Nothing here knows a single model.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convert.answers import FP32, Answers, answer_all, answer_rest
from convert.crop_report import Calibrated, Findings, write_texts
from convert.crops import Crops
from convert.golden import choose, write_golden
from convert.local import LEAST, local_interval, observe
from convert.manifests import Material, Proven, final
from convert.origin import Observation, Origin
from convert.parity import compare, refuse_failed
from convert.plan import BuildPlan
from convert.progress import Progress
from engines.bundle import Bundle
from engines.domain import MIN_PICTURES, DomainModel, fit
from engines.manifest import BundleManifest, RegressionHead

SIMULATED = (
    "Calibrated on SYNTHETIC crops of the phantom: its domain check, its INT8 ranges and its parity say nothing "
    "of pictures of patients; convert it again with crops of your own scanner."
)
HALVES = "half of their patients to fit, the 99 % quantile of the other half is the limit"
FIFTH = "too few patients for two halves, so four fifths of the crops to fit and the 99 % quantile of the others"


@dataclass(frozen=True, slots=True, eq=False)
class CropProver:
    """Holds what the proof needs beside plan and material; called by ``convert.assemble``."""

    crops: Crops
    origin: Origin

    def __call__(self, plan: BuildPlan, material: Material, bundle: Bundle, progress: Progress) -> BundleManifest:
        """Measure everything, write the files beside the artifacts and return the final manifest.

        Raises
        ------
        ParityError
            An artifact differs too much from fp32.
        UsageError
            What the source asks to examine is wrong.
        """
        bundle, crops = self._marked(bundle), self.crops
        held = np.flatnonzero(crops.held)
        reference = answer_rest(bundle, _known(material), crops.pixels, progress)
        observations = tuple(self._observations(plan, reference))
        answers = answer_all(bundle, crops.pixels[held], progress, {**material.measured, FP32: reference.rows(held)})
        truth = {name: values[held] for name, values in crops.truth.items()}
        who = crops.patients[held]
        rows = tuple(compare(key, answers["fp32", "any"], found, truth, who) for key, found in answers.items())
        refuse_failed(rows, answers)
        calibrated = tuple(self._calibrated(plan, reference))
        halves = self._halves()
        self._domain(reference, halves).save(bundle.path / "domain.npz")
        chosen = held[choose(answers["fp32", "any"].score(reference.main))]
        write_golden(bundle.path / "golden.npz", crops.pixels[chosen], reference.rows(chosen))
        write_texts(bundle, Findings(rows, observations, calibrated, self.origin, crops), material)
        intervals = {item.head.name: item.spec for item in calibrated if item.spec is not None}
        return final(bundle, Proven(rows, answers, intervals, _basis(reference, halves)))

    def _marked(self, bundle: Bundle) -> Bundle:
        """Let the bundle say at the point of use that its crops were simulated, if they were."""
        if not self.crops.simulated:
            return bundle
        limits = (SIMULATED, *bundle.manifest.limits)
        return Bundle(bundle.path, bundle.manifest.model_copy(update={"limits": limits}), bundle.sha256)

    def _observations(self, plan: BuildPlan, reference: Answers) -> Iterator[Observation]:
        """Yield what the source asked to examine, then how each head agrees with what is known."""
        if self.origin.examine is not None:
            yield self.origin.examine(reference)
        for head in reference.heads:
            single = self._labelled(head.name, plan)
            found = observe(head, reference.rows(single), self.crops.truth[head.name][single]) if len(single) else None
            if found is not None:
                yield found

    def _calibrated(self, plan: BuildPlan, reference: Answers) -> Iterator[Calibrated]:
        for head in reference.heads:
            if not isinstance(head, RegressionHead):
                continue
            single, published = self._labelled(head.name, plan), self.origin.published.get(head.name)
            if len(single):
                predicted, truth = reference.shown(head)[single], self.crops.truth[head.name][single]
                yield Calibrated(head, *local_interval(head, predicted, truth, plan.interval_level))
            elif published is not None:
                yield Calibrated(head, published.interval, published.patients, published.error)
            else:
                yield Calibrated(head, None, ())

    def _labelled(self, head: str, plan: BuildPlan) -> NDArray[np.intp]:
        """Return one crop of each patient whose truth is known; nothing if these are fewer than 50."""
        single = self.crops.single(self.crops.labelled(head), plan.training.seed)
        return single if len(single) >= LEAST else single[:0]

    def _halves(self) -> NDArray[np.bool_] | None:
        """Return the crops (K,) of every second patient, or None where either half is too few to fit or to hold out."""
        _, patient = np.unique(self.crops.patients, return_inverse=True)
        held = patient % 2 == 1
        return held if min(held.sum(), (~held).sum()) >= MIN_PICTURES else None

    def _domain(self, reference: Answers, held: NDArray[np.bool_] | None) -> DomainModel:
        pixels = self.crops.pixels
        if held is None:
            return fit(reference.features, pixels)
        return fit(reference.rows(~held).features, pixels[~held], reference.rows(held).features, pixels[held])


def _known(material: Material) -> tuple[NDArray[np.uint8], Answers] | None:
    """Return crops that fp32 answered before, and its answers."""
    if material.known is None:
        return None
    return material.calibration if material.known_crops is None else material.known_crops, material.known


def _basis(reference: Answers, halves: NDArray[np.bool_] | None) -> str:
    seen = "texture alone, as the graph gives no features" if reference.features is None else "features and texture"
    return f"the calibration crops, {seen}: {FIFTH if halves is None else HALVES}"
