"""Material: everything that was read, and what it says of itself."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version

from convert.evaluate.cohort import Cohort
from convert.evaluate.document import About, Counts
from convert.evaluate.plan import EvaluationPlan
from convert.evaluate.readings import Readings
from convert.evaluate.sample import Sample


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """Everything that was read: the table, the bundle's answers, the second bundle's if there is one."""

    plan: EvaluationPlan
    cohort: Cohort
    readings: Readings
    against: Readings | None


def about(material: Material) -> About:
    """Return what was evaluated on what."""
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
        cut=plan.cut,
        resamples=plan.resamples,
        seed=plan.seed,
        created=datetime.now(timezone.utc).replace(microsecond=0),
        version=version("echogfr"),
    )


def counts(sample: Sample, cut: float) -> Counts:
    """Return how many images and patients there are, and how many below the cut."""
    below = sample.rows(sample.truth < cut)
    return Counts(
        images=len(sample),
        patients=sample.patient_count,
        images_below=len(below),
        patients_below=below.patient_count,
        largest_cluster=max(Counter(sample.patients.tolist()).values()),
    )
