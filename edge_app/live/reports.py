"""From what the rooms know to what a report says: plain numbers, all of them finite."""

from __future__ import annotations

import json
from math import isfinite

from pydantic import BaseModel

from edge_app.capture.base import FrameSource
from edge_app.imaging.scene import CaliperPair, Quality, Sector
from edge_app.live.messages import SourceSummary
from edge_app.live.report import QualityReport, ReadingReport, SectorReport
from engines.reading import Reading


def line(told: BaseModel) -> str:
    """Return one line of strict JSON, numbers to three decimals: a thousandth of a pixel, a millisecond or a unit."""
    plain = json.loads(told.model_dump_json(), parse_float=lambda digits: round(float(digits), 3))
    return json.dumps(plain, allow_nan=False, ensure_ascii=False, separators=(",", ":"))


def summary_of(source: FrameSource) -> SourceSummary:
    """Return what an entered source says of itself."""
    info = source.info
    return SourceSummary(uri=info.uri, title=info.title, live=info.live, fps=info.fps, size=info.size)


def sector(found: Sector | None) -> SectorReport | None:
    """Return the report of a sector; its mask stays behind."""
    if found is None:
        return None
    outline = tuple((round(x, 1), round(y, 1)) for x, y in found.outline)  # half a pixel says nothing more
    return SectorReport(bbox=found.bbox, kind=found.kind, confidence=round(found.confidence, 3), outline=outline)


def calipers(found: tuple[CaliperPair, ...]) -> tuple[tuple[float, float, float, float], ...]:
    """Return x1, y1, x2, y2 of each pair."""
    return tuple((*pair.first, *pair.second) for pair in found)


def quality(found: Quality | None) -> QualityReport | None:
    """Return the report of the quality; measures that are not finite are left out."""
    if found is None:
        return None
    measures = {name: float(value) for name, value in found.measures.items() if isfinite(value)}
    faults = tuple((fault.code, fault.reason) for fault in found.faults)
    return QualityReport(grade=found.grade, faults=faults, measures=measures)


def reading(found: Reading | None) -> ReadingReport | None:
    """Return the report of a reading."""
    if found is None:
        return None
    return ReadingReport(
        egfr=found.egfr,
        low=found.low,
        high=found.high,
        level=found.level,
        spread=found.spread,
        category_range=found.category_range,
        p_egfr_below_60=found.p_egfr_below_60,
        heads_agree=found.heads_agree,
        members=found.members,
        domain_distance=found.domain_distance,
        in_domain=found.in_domain,
        synthetic=found.synthetic,
        runtime=found.runtime,
        precision=found.precision,
        bundle=found.bundle,
        cam=None if found.cam is None else tuple(tuple(row) for row in found.cam.tolist()),
    )
