"""BundleManifest v1: everything that there is to know about a bundle, frozen and checked.

The file is ``manifest.json`` at the root of the bundle. Unknown fields are refused, so that a
manifest of a newer version is never half understood.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION = 1

Precision = Literal["fp32", "fp16", "int8"]
Family = Literal["any", "cpu", "tensorrt"]
CropMode = Literal["square", "legacy_tight"]
Meaning = Literal[
    "egfr_members",  # (N, M) mL/min/1.73 m2, one column a member
    "p_egfr_below_60_members",  # (N, M) probability 0..1, one column a member
    "features",  # (N, F) pooled features, all members side by side: read by the domain check
    "cam",  # (N, h, w) class activation map of the eGFR head, mL/min/1.73 m2 per cell
]

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]  # no folders: no path tricks


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class FileRef(_Model):
    """A file of the bundle, by name, size and SHA-256."""

    file: FileName
    sha256: Sha256
    size_bytes: Annotated[int, Field(ge=0, le=1 << 31)]  # no ONNX file can be larger (limit of protobuf)


class InputSpec(_Model):
    """The model's one input: ``uint8 (N, height, width, 3)`` RGB, 0..255.

    Scaling and normalisation are inside the graph.
    """

    name: str
    height: Annotated[int, Field(ge=32, le=1024)]
    width: Annotated[int, Field(ge=32, le=1024)]
    crop_mode: CropMode
    crop_factor: Annotated[float, Field(gt=0.5, lt=2.0)] = 1.0  # side of the square / pole distance


class OutputSpec(_Model):
    """One output tensor, float32; ``shape`` is without the batch axis."""

    name: str
    meaning: Meaning
    shape: tuple[int, ...]
    unit: str


class Artifact(FileRef):
    """One ONNX file at one precision, for one family of runtimes."""

    precision: Precision
    family: Family


class GoldenSpec(FileRef):
    """Golden vectors: npz with ``crops`` uint8 (K, H, W, 3) and one array an output, from fp32.

    ``tolerance`` is max |delta| in the unit of each head, by precision.
    """

    tolerance: dict[Precision, dict[Meaning, float]]


class IntervalSpec(_Model):
    """Split-conformal prediction interval of the eGFR value.

    Signed residual quantiles (truth - prediction), mL/min/1.73 m2, by band of the predicted value:
    ``edges`` has one value fewer than ``low`` and ``high``. Source: Vovk 2005; Romano 2019.
    """

    level: Annotated[float, Field(gt=0, lt=1)]
    edges: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    patients: int
    basis: str  # what it was calibrated on, in words


class DomainSpec(FileRef):
    """Domain check: npz (no pickles) with what ``engines.domain`` reads, and the limit.

    A distance above ``limit`` means: this picture is unlike those the model was made for.
    """

    limit: float
    basis: str


class TrainingSpec(_Model):
    """How the weights came about."""

    recipe: str
    data: str
    patients: int
    reproduce: str  # the command that makes the same bundle


class ParityRow(_Model):
    """Difference of one artifact from fp32 on held-out crops, in clinical units."""

    precision: Precision
    family: Family
    crops: int
    egfr_p50: float
    egfr_p95: float
    egfr_p99: float
    egfr_max: float
    category_flips: int
    category_flips_far: int  # of these, farther than 1 mL/min/1.73 m2 from a boundary
    p_max: float
    auc_change: float
    cam_correlation: float
    passed: bool
    reasons: tuple[str, ...]


class BundleManifest(_Model):
    """A bundle: one model, possibly an ensemble, in every precision that passed its limits."""

    schema_version: Literal[1]
    bundle_id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    version: str
    title: str
    created: datetime
    synthetic: bool
    role: Literal["reader"] = "reader"
    members: Annotated[int, Field(ge=1, le=100)]
    input: InputSpec
    outputs: tuple[OutputSpec, ...]
    artifacts: Annotated[tuple[Artifact, ...], Field(min_length=1)]
    golden: GoldenSpec
    interval: IntervalSpec
    domain: DomainSpec
    card: FileRef  # model card, Markdown
    report: FileRef  # parity report, HTML
    report_json: FileRef
    parity: tuple[ParityRow, ...]
    training: TrainingSpec
    limits: tuple[str, ...]  # sentences shown at the point of use
    tools: dict[str, str]
