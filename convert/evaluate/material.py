"""Material: everything that was read, and what it says of itself."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timezone

from convert.evaluate.cohort import Cohort
from convert.evaluate.document import About, Counts
from convert.evaluate.plan import EvaluationPlan
from convert.evaluate.readings import Readings
from convert.evaluate.sample import Mask, Rows
from engines.manifest import HeadSpec
from engines.version import program_version


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """Everything that was read: the table, the bundle's answers, the second bundle's if there is one."""

    plan: EvaluationPlan
    cohort: Cohort
    readings: Readings
    against: Readings | None

    @property
    def head(self) -> HeadSpec:
        """The main head of the bundle, which is evaluated."""
        return self.readings.bundle.manifest.heads[0]


def about(material: Material, cut: float | None) -> About:
    """Return what was evaluated on what; ``cut`` of the eGFR or of the probability."""
    plan, cohort, first = material.plan, material.cohort, material.readings.first
    bundle = material.readings.bundle
    return About(
        title=bundle.manifest.title,
        bundle=first.bundle,
        bundle_sha256=first.bundle_sha256,
        artifact_sha256=first.artifact_sha256,
        precision=first.precision,
        runtime=first.runtime,
        provider=first.provider,
        synthetic_model=first.synthetic,
        synthetic_data=cohort.synthetic,
        limits=bundle.manifest.limits,
        data=cohort.name,
        data_sha256=cohort.sha256,
        split=plan.split,
        cut=cut,
        resamples=plan.resamples,
        seed=plan.seed,
        created=datetime.now(timezone.utc).replace(microsecond=0),
        version=program_version(),
    )


def second_name(readings: Readings) -> str:
    """Return what the second bundle is called."""
    return f"bundle {readings.bundle.manifest.bundle_id} {readings.bundle.manifest.version} (second)"


def counts(sample: Rows, positive: Mask | None) -> Counts:
    """Return how many images and patients there are, and how many on the side that is asked about."""
    there = None if positive is None else sample.rows(positive)
    return Counts(
        images=len(sample),
        patients=sample.patient_count,
        images_positive=None if there is None else len(there),
        patients_positive=None if there is None else there.patient_count,
        largest_cluster=max(Counter(sample.patients.tolist()).values()),
    )
