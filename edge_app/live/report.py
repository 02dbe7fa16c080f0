"""FrameReport: what became of one frame.

One JSON object a frame in ``echogfr analyze``, and the message that the scanner worker sends to the
window: one schema for both.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

State = Literal["LIVE", "FROZEN", "STALE", "LOST"]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_bytes="base64", val_json_bytes="base64")


class SectorReport(_Model):
    """Where the ultrasound image is; ``bbox`` (x0, y0, x1, y1) exclusive, pixels."""

    bbox: tuple[int, int, int, int]
    kind: str
    confidence: float
    outline: tuple[tuple[float, float], ...]


class CropReport(_Model):
    """What the model read: a rectangle of the frame, pixels, possibly reaching beyond it."""

    x0: float
    y0: float
    x1: float
    y1: float
    mode: str
    poles: tuple[float, float, float, float]
    basis: Literal["calipers", "poles"]
    length_cm: float | None


class QualityReport(_Model):
    """Measures, faults (code and what to do) and grade."""

    grade: str
    faults: tuple[tuple[str, str], ...]
    measures: dict[str, float]


class Refusal(_Model):
    """Why there is no number, for the operator to act on."""

    code: str
    reason: str


class ReadingReport(_Model):
    """One crop through one session; eGFR in mL/min/1.73 m2."""

    egfr: float
    low: float
    high: float
    level: float  # of the interval, 0..1
    spread: float  # standard deviation over members
    category_range: str  # "G3a-G4"
    p_egfr_below_60: float
    heads_agree: bool
    members: tuple[float, ...]
    domain_distance: float
    in_domain: bool
    synthetic: bool
    runtime: str
    precision: str
    bundle: str
    cam: tuple[tuple[float, ...], ...] | None


class Readout(_Model):
    """What the screen says after fusing readings over time; always of a named frame and time."""

    egfr: float
    low: float
    high: float
    category_range: str
    p_egfr_below_60: float
    readings: int  # how many were fused
    frame: int  # newest frame that went in
    t_ms: float
    age_ms: float
    stale: bool
    in_domain: bool
    heads_agree: bool


class FrameReport(_Model):
    """Everything about one frame, from picture to readout."""

    frame: int
    t_ms: float
    generation: int
    state: State
    frozen: bool  # the scanner's picture stands still, whatever is said of the value
    sector: SectorReport | None
    calipers: tuple[tuple[float, float, float, float], ...]
    px_per_cm: float | None
    crop: CropReport | None
    quality: QualityReport | None
    refusal: Refusal | None
    reading: ReadingReport | None
    readout: Readout | None
    timings_ms: dict[str, float]  # by stage: sector, calipers, ruler, gate, crop, infer, fuse, total
