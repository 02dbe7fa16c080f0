"""BundleManifest: everything that there is to know about a bundle, frozen and checked.

The file is ``manifest.json`` at the root of the bundle. Unknown fields are refused, so that a
manifest of a newer version is never half understood.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION = 2  # 1 knew the two heads of Kuo 2019 only

Precision = Literal["fp32", "fp16", "int8"]
Family = Literal["any", "cpu", "tensorrt"]
CropMode = Literal["square", "legacy_tight", "sector"]  # sector: the square over the sector, of a localizer
Meaning = Literal[
    "members",  # (N, M) one value a member: of a regression, in its unit, or a probability 0..1
    "grade_members",  # (N, M, K) probabilities of K grades by member; they add up to 1
    "features",  # (N, F) pooled features, all members side by side: read by the domain check
    "map",  # (N, h, w) signed class activation map, mean over members; (N, K, h, w) of a head with grades
    "kidney",  # (N, h, w) of a localizer: probability that the kidney lies in a cell of its picture
    "poles",  # (N, 2, h, w) of a localizer: where each pole is, left one first; each map adds up to 1
]

HeadName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
Words = Annotated[str, Field(min_length=1, max_length=80)]
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
    """One ONNX file at one precision, for one family of runtimes.

    ``member``: the one member that is in it, of a model whose members were left as separate artifacts; its outputs
    are those of the bundle with one member in them. None: all members, fused.
    """

    precision: Precision
    family: Family
    member: Annotated[int, Field(ge=0, lt=100)] | None = None


class GoldenSpec(FileRef):
    """Golden vectors: npz with ``crops`` uint8 (K, H, W, 3) and one array an output, from fp32.

    ``tolerance`` is max |delta| in the unit of each output, by precision and name of the output.
    """

    tolerance: dict[Precision, dict[str, float]]


class IntervalSpec(_Model):
    """Split-conformal prediction interval of a regression.

    Signed residual quantiles (truth - prediction), in the unit of the head, by band of the predicted value:
    ``edges`` has one value fewer than ``low`` and ``high``. Source: Vovk 2005; Romano 2019.
    """

    level: Annotated[float, Field(gt=0, lt=1)]
    edges: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    patients: int
    basis: str  # what it was calibrated on, in words


class _Head(_Model):
    """What one answer of the model means; ``output`` and ``map`` name tensors of the graph."""

    name: HeadName
    title: Words  # what a screen calls it: "Image-derived eGFR"
    output: str
    map: str | None = None  # its class activation map, where there is one


class RegressionHead(_Head):
    """A number in a unit. Its output means ``members``.

    ``quantity`` ``egfr`` is the one that the app knows by itself (KDIGO ranges, trend, two heads compared).
    ``resolution``: the smallest difference that matters, in the unit; limits of parity are multiples of it.
    ``categories``: names of the ranges between ``boundaries``, lowest first, one more than these; or none of both.
    """

    kind: Literal["regression"] = "regression"
    quantity: Literal["egfr", "other"]
    unit: Words
    resolution: Annotated[float, Field(gt=0)]
    lowest: float | None = None  # values below are shown as this: an eGFR is never negative
    boundaries: tuple[float, ...] = ()
    categories: tuple[Words, ...] = ()
    interval: IntervalSpec | None = None  # None: not calibrated, and said so


class ProbabilityHead(_Head):
    """A probability of one event, 0..1. Its output means ``members``.

    ``event`` is what the probability is of, as a screen writes it: P(``event``). Never the name of a diagnosis that
    a single picture cannot make.
    """

    kind: Literal["probability"] = "probability"
    quantity: Literal["egfr_below_60", "other"]
    event: Words
    cut: Annotated[float, Field(gt=0, lt=1)] = 0.5  # where an evaluation parts the two sides


class GradesHead(_Head):
    """Probabilities of K grades that exclude each other, lowest first. Its output means ``grade_members``."""

    kind: Literal["grades"] = "grades"
    grades: Annotated[tuple[Words, ...], Field(min_length=2, max_length=20)]


HeadSpec = Annotated[RegressionHead | ProbabilityHead | GradesHead, Field(discriminator="kind")]


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


class AucParity(_Model):
    """Area under the ROC curve of a probability head; ``change``: minus that of fp32.

    ``low`` and ``high``: DeLong's 95 % interval, clustered by patient (Obuchowski 1997).
    """

    value: float
    low: float
    high: float
    change: float


class HeadParity(_Model):
    """Difference of one head from fp32 over the held-out crops.

    ``p50`` to ``largest``: |delta| of the mean over members, in the unit of the head; of grades, the largest over the
    grades. ``flips``: crops that changed their category (regression), their side of the cut (probability) or
    their most probable grade; ``flips_far``: of these, those that were not near a boundary.
    """

    head: HeadName
    unit: str
    p50: float
    p95: float
    p99: float
    largest: float
    flips: int
    flips_far: int
    auc: AucParity | None = None  # where the truth of the crops is known
    map_correlation: float | None = None  # mean over crops; None: the head has no map


class ParityRow(_Model):
    """Difference of one artifact from fp32 on held-out crops, in clinical units."""

    precision: Precision
    family: Family
    crops: int
    heads: Annotated[tuple[HeadParity, ...], Field(min_length=1)]
    passed: bool
    reasons: tuple[str, ...]


class BundleManifest(_Model):
    """A bundle: one model, possibly an ensemble, in every precision that passed its limits.

    ``role``: a reader answers questions about the kidney between its poles, by its heads; a localizer has none and
    proposes where the poles are.
    """

    schema_version: Literal[2]
    bundle_id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    version: str
    title: str
    created: datetime
    synthetic: bool
    role: Literal["reader", "localizer"] = "reader"
    members: Annotated[int, Field(ge=1, le=100)]
    input: InputSpec
    heads: Annotated[tuple[HeadSpec, ...], Field(max_length=8)]  # the first is the main one; a localizer has none
    outputs: tuple[OutputSpec, ...]
    artifacts: Annotated[tuple[Artifact, ...], Field(min_length=1)]
    golden: GoldenSpec
    domain: DomainSpec
    card: FileRef  # model card, Markdown
    report: FileRef  # parity report, HTML
    report_json: FileRef
    parity: tuple[ParityRow, ...]
    training: TrainingSpec
    limits: tuple[str, ...]  # sentences shown at the point of use
    tools: dict[str, str]

    @property
    def egfr(self) -> RegressionHead | None:
        """The head that gives an eGFR, if there is one."""
        found = (head for head in self.heads if isinstance(head, RegressionHead) and head.quantity == "egfr")
        return next(found, None)

    @property
    def egfr_below_60(self) -> ProbabilityHead | None:
        """The head that gives P(eGFR < 60), if there is one."""
        found = (head for head in self.heads if isinstance(head, ProbabilityHead) and head.quantity == "egfr_below_60")
        return next(found, None)

    def output(self, name: str) -> OutputSpec:
        """Return the output of that name; ``engines.consistency`` has made sure that heads name real ones."""
        return next(output for output in self.outputs if output.name == name)
