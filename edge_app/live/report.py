"""FrameReport: what became of one frame.

One JSON object a frame in ``echogfr analyze``, and the message that the scanner worker sends to the
window: one schema for both.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

State = Literal["LIVE", "FROZEN", "STALE", "LOST"]
LengthBasis = Literal["dicom", "ruler", "printed", "operator"]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_bytes="base64", val_json_bytes="base64")


class SectorReport(_Model):
    """Where the ultrasound image is; ``bbox`` (x0, y0, x1, y1) exclusive, pixels."""

    bbox: tuple[int, int, int, int]
    kind: str
    confidence: float
    outline: tuple[tuple[float, float], ...]


class RefusedMarkReport(_Model):
    """Something that looks like a length marker and was not taken for one; pixels."""

    x: float
    y: float
    size: float
    reason: str


class CropReport(_Model):
    """What the model read: a rectangle of the frame, pixels, possibly reaching beyond it."""

    x0: float
    y0: float
    x1: float
    y1: float
    mode: str
    poles: tuple[float, float, float, float]
    basis: Literal["calipers", "poles", "proposed-accepted"]  # the last: proposed by a localizer, accepted by a person
    length_cm: float | None
    length_basis: LengthBasis | None = None  # what ``length_cm`` rests on
    lengths_cm: dict[LengthBasis, float] = Field(default_factory=dict)  # by all that is known, the best first


class TrackingReport(_Model):
    """Where the operator's poles are now, x1, y1, x2, y2; where they were last, if the kidney was lost from them."""

    state: Literal["following", "held", "lost"]  # held: nothing moves in a frozen picture
    poles: tuple[float, float, float, float]
    confidence: float  # 0..1
    why: str = ""  # lost: what was seen


class ProposalReport(_Model):
    """Where a localizer proposes the poles, x1, y1, x2, y2; nothing is read from it until the operator accepts it."""

    poles: tuple[float, float, float, float]
    confidence: float  # 0..1
    localizer: str  # bundle id and version


class QualityReport(_Model):
    """Measures, faults (code and what to do) and grade."""

    grade: str
    faults: tuple[tuple[str, str], ...]
    measures: dict[str, float]


class Refusal(_Model):
    """Why there is no number, for the operator to act on."""

    code: str
    reason: str


MapReport = tuple[tuple[float, ...], ...]  # class activation map, rows of (h, w), signed


class RegressionReport(_Model):
    """What a regression head says, in ``unit``; ``low``, ``high``, ``level`` are None where it was not calibrated."""

    kind: Literal["regression"] = "regression"
    head: str  # its name in the manifest
    title: str
    quantity: Literal["egfr", "other"]
    unit: str
    resolution: float  # the smallest difference that matters: it decides how many digits are shown
    value: float
    low: float | None
    high: float | None
    level: float | None  # of the interval, 0..1
    spread: float  # standard deviation over members
    members: tuple[float, ...]
    categories: str  # that the interval touches, "G3a-G4"; empty where the head has none
    map: MapReport | None


class ProbabilityReport(_Model):
    """What a probability head says: ``p`` of ``event``, 0..1."""

    kind: Literal["probability"] = "probability"
    head: str
    title: str
    quantity: Literal["egfr_below_60", "other"]
    event: str
    p: float
    spread: float
    members: tuple[float, ...]
    map: MapReport | None


class GradesReport(_Model):
    """What a head with grades says: ``p`` of each of ``grades``; ``top`` is the position of the most probable one."""

    kind: Literal["grades"] = "grades"
    head: str
    title: str
    grades: tuple[str, ...]
    p: tuple[float, ...]
    top: int
    members: tuple[tuple[float, ...], ...]
    map: MapReport | None  # of the most probable grade

    @property
    def grade(self) -> str:
        """The most probable grade."""
        return self.grades[self.top]


ValueReport = Annotated[RegressionReport | ProbabilityReport | GradesReport, Field(discriminator="kind")]
Values = Annotated[tuple[ValueReport, ...], Field(min_length=1)]  # one a head; the first is the main one


class ReadingReport(_Model):
    """One crop through one session."""

    values: Values
    heads_agree: bool  # an eGFR and P(eGFR < 60); True where a model has not both
    domain_distance: float
    in_domain: bool
    synthetic: bool
    runtime: str
    precision: str
    bundle: str
    provider: str = ""
    note: str = ""  # what the operator must know of how it came about: a fallback, a return of the server
    members_seen: int  # that made the values; fewer than all while they take turns
    members_total: int


class Readout(_Model):
    """What the screen says after fusing readings over time; always of a named frame and time. No maps."""

    values: Values
    readings: int  # how many were fused; while members take turns, how many gave the newest answer of one
    frame: int  # newest frame that went in
    t_ms: float
    age_ms: float
    stale: bool
    in_domain: bool
    heads_agree: bool
    runtime: str = ""  # and precision, of all its readings
    note: str = ""  # of the newest reading
    members_seen: int  # fewer than all while they take turns: the interval is wider for it
    members_total: int


class FrameReport(_Model):
    """Everything about one frame, from picture to readout."""

    frame: int
    t_ms: float
    generation: int
    state: State
    frozen: bool  # the scanner's picture stands still, whatever is said of the value
    repeated_ms: float = 0.0  # for so long the very same picture came, to the last letter on the screen
    sector: SectorReport | None
    calipers: tuple[tuple[float, float, float, float], ...]
    refused: tuple[RefusedMarkReport, ...] = ()  # marks not taken for calipers, and why
    px_per_cm: float | None
    scale_basis: LengthBasis | None = None
    modes: tuple[str, ...] = ()  # what else than one grey image is shown
    crop: CropReport | None
    tracking: TrackingReport | None = None  # of the operator's poles, in a picture that may move
    proposal: ProposalReport | None = None  # where no calipers and no handles are
    quality: QualityReport | None
    refusal: Refusal | None
    reading: ReadingReport | None
    readout: Readout | None
    others: tuple[SectorReport, ...] = ()  # images on the screen that are not read
    undecided: bool = False  # nothing says which of two images is meant: the operator is asked
    by_hand: bool = False  # the operator moved the border of the image, now or on this layout before
    torn: int = 0  # frames of this stream up to now that were made of two; none of them was read
    notice: str | None = None  # a sentence for the operator: what was set could not be kept
    timings_ms: dict[str, float]  # by stage: sector, calipers, ruler, gate, crop, infer, fuse, total
