"""The evaluation as a document: what ``evaluation.json`` holds, frozen and checked.

eGFR in mL/min/1.73 m2; shares 0..1; intervals 95 %. ``None`` means: undefined for these data. No name of
a patient and no path is in it: rows are known by their line in the table.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Estimate(_Model):
    """A number, its 95 % interval and where the interval comes from."""

    value: float | None
    low: float | None
    high: float | None
    method: str


class About(_Model):
    """What was evaluated on what."""

    title: str
    bundle: str
    bundle_sha256: str
    artifact_sha256: str
    precision: str
    runtime: str
    provider: str
    synthetic_model: bool
    synthetic_data: bool
    limits: tuple[str, ...]
    data: str  # name of the table, without its folder
    data_sha256: str
    split: str | None
    cut: float | None  # of the eGFR, or of the probability; None: the most probable grade
    resamples: int
    seed: int
    created: datetime
    version: str


class Counts(_Model):
    """How many."""

    images: int
    patients: int
    images_positive: int | None  # on the side that is asked about; None where there are more than two
    patients_positive: int | None  # patients with such an image
    largest_cluster: int  # images of the patient with most


class Measure(_Model):
    """One measure with its words."""

    key: str
    name: str
    unit: str
    estimate: Estimate


class BandRow(_Model):
    """Error by band of the REFERENCE, and the reference by band of the PREDICTED value."""

    by: Literal["reference", "predicted"]
    band: str
    images: int
    patients: int
    bias: float
    sd: float
    mae: float
    p30: float
    reference_median: float
    reference_p5: float
    reference_p95: float


class CategoryRow(_Model):
    """How the crops of one reference category, class or grade were predicted, in the order of ``categories``."""

    category: str
    counts: tuple[int, ...]


class Curve(_Model):
    """A ROC curve with its area; ``points`` are (1 - specificity, sensitivity)."""

    name: str
    images: int
    area: Estimate
    points: tuple[tuple[float, float], ...]


class Comparison(_Model):
    """Two areas on the same images: difference first minus second, z and two-sided p."""

    first: str
    second: str
    images: int
    patients: int
    first_area: float | None
    second_area: float | None
    difference: Estimate
    z: float | None
    p: float | None


class PrevalenceRow(_Model):
    """Predictive values by Bayes at a prevalence that is not that of the data."""

    prevalence: float
    ppv: float | None
    npv: float | None


class Decision(_Model):
    """A rule at its cut: counts of images on the side that is asked about and on the other, and what follows."""

    rule: str
    positive: str  # the side that is asked about, in words: "below 60"
    negative: str
    images: int
    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int
    measures: tuple[Measure, ...]
    prevalences: tuple[PrevalenceRow, ...]


class ReliabilityBin(_Model):
    """One bin of P: what was said and what was seen."""

    low: float
    high: float
    images: int
    mean_p: float
    observed: Estimate


class StratumRow(_Model):
    """One subgroup; ``measures`` is empty where there are too few patients to describe."""

    factor: str
    level: str
    images: int
    patients: int
    images_positive: int | None
    measures: tuple[Measure, ...]


class Words(_Model):
    """How this evaluation calls things; the same tables speak of an eGFR and of classes."""

    answer: str  # what was evaluated: "eGFR", "Lesion"
    positive: str | None  # the side that is asked about: "reference eGFR below 60"; None: more than two classes
    short: str | None  # the same as the head of a column: "below 60"
    probability: str | None  # what calibration is of: "P(eGFR < 60)"
    event: str | None  # what the probability is of, on an axis: "reference below 60"
    categories: str  # "GFR category"


class Evaluation(_Model):
    """Everything that the page and the tables show; what a model has not is empty."""

    schema_version: Literal[2] = 2
    kind: Literal["egfr", "classes"]
    words: Words
    about: About
    remarks: tuple[str, ...]
    counts: Counts
    agreement: tuple[Measure, ...]
    limit_error: float | None  # standard error of a limit of agreement, independent images
    bands: tuple[BandRow, ...]
    categories: tuple[str, ...]
    category_table: tuple[CategoryRow, ...]
    category_agreement: tuple[Measure, ...]
    curves: tuple[Curve, ...]
    comparisons: tuple[Comparison, ...]
    decisions: tuple[Decision, ...]
    calibration: tuple[Measure, ...]
    reliability: tuple[ReliabilityBin, ...]
    interval_level: float | None  # None: not calibrated, or no number
    intervals: tuple[StratumRow, ...]
    safety: tuple[Measure, ...]
    strata: tuple[StratumRow, ...]
    reader_name: str | None  # the second party, if its eGFR can be compared
    reader_agreement: tuple[Measure, ...]  # of that party; else empty

    @property
    def synthetic(self) -> bool:
        """True if the model or the data are synthetic: the numbers mean nothing for any patient."""
        return self.about.synthetic_model or self.about.synthetic_data
