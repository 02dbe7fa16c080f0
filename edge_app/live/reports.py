"""From what the rooms know to what a report says: plain numbers, all of them finite."""

from __future__ import annotations

import json
from math import isfinite

from pydantic import BaseModel

from edge_app.capture.base import FrameSource
from edge_app.imaging.scene import CaliperPair, Quality, RefusedMark, Sector
from edge_app.imaging.tracking import Tracked
from edge_app.live.messages import SourceSummary
from edge_app.live.phrases import digits_of
from edge_app.live.report import (
    GradesReport,
    MapReport,
    ProbabilityReport,
    QualityReport,
    ReadingReport,
    RefusedMarkReport,
    RegressionReport,
    SectorReport,
    TrackingReport,
    ValueReport,
)
from engines.reading import Reading
from engines.values import Chance, Map, Regressed, Value

DECIMALS = 3
SQUEEZED = (
    "The picture is {:.2f} times as wide as it should be: its arcs are no circles, and lengths across it are wrong. "
    "Set the grabber to the scanner's own size, or name the shape of its screen (aspect=16:9)."
)


def line(told: BaseModel) -> str:
    """Return one line of strict JSON, numbers to three decimals: a thousandth of a pixel, a millisecond or a unit.

    A number whose smallest difference that matters is below one unit keeps three digits more than that has.
    """
    plain = json.loads(told.model_dump_json(), object_hook=_tidied)
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


def squeezed(found: Sector | None) -> str | None:
    """Return what is said of a picture whose pixels are no squares, though its source says nothing of it."""
    return SQUEEZED.format(found.stretch) if found is not None and found.squeezed else None


def calipers(found: tuple[CaliperPair, ...]) -> tuple[tuple[float, float, float, float], ...]:
    """Return x1, y1, x2, y2 of each pair."""
    return tuple((*pair.first, *pair.second) for pair in found)


def tracking(found: Tracked | None) -> TrackingReport | None:
    """Return the report of where the operator's poles are."""
    if found is None:
        return None
    poles = (*found.first, *found.second)
    return TrackingReport(state=found.state, poles=poles, confidence=round(found.confidence, 3), why=found.why)


def refused(found: tuple[RefusedMark, ...]) -> tuple[RefusedMarkReport, ...]:
    """Return the report of marks that were not taken for calipers."""
    return tuple(
        RefusedMarkReport(x=round(m.centre[0], 1), y=round(m.centre[1], 1), size=round(m.size_px, 1), reason=m.reason)
        for m in found
    )


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
        values=tuple(value(one) for one in found.values),
        heads_agree=found.heads_agree,
        domain_distance=found.domain_distance,
        in_domain=found.in_domain,
        synthetic=found.synthetic,
        runtime=found.runtime,
        precision=found.precision,
        bundle=found.bundle,
        provider=found.provider,
        note=found.note,
        members_seen=found.members_seen,
        members_total=found.members_total,
    )


def value(found: Value) -> ValueReport:
    """Return the report of what one head says."""
    if isinstance(found, Regressed):
        return RegressionReport(
            head=found.head.name,
            title=found.head.title,
            quantity=found.head.quantity,
            unit=found.head.unit,
            resolution=found.head.resolution,
            value=found.value,
            low=found.low,
            high=found.high,
            level=found.level,
            spread=found.spread,
            members=found.members,
            categories=found.categories,
            map=_rows(found.map),
        )
    if isinstance(found, Chance):
        return ProbabilityReport(
            head=found.head.name,
            title=found.head.title,
            quantity=found.head.quantity,
            event=found.head.event,
            p=found.p,
            spread=found.spread,
            members=found.members,
            map=_rows(found.map),
        )
    return GradesReport(
        head=found.head.name,
        title=found.head.title,
        grades=found.head.grades,
        p=found.p,
        top=found.top,
        members=found.members,
        map=None if found.map is None else _rows(found.map[found.top]),
    )


def _rows(map_: Map | None) -> MapReport | None:
    return None if map_ is None else tuple(tuple(row) for row in map_.tolist())


def _tidied(found: dict[str, object]) -> dict[str, object]:
    """Round the numbers of one JSON object; those inside of it are done already."""
    resolution = found.get("resolution")
    decimals = DECIMALS + (digits_of(resolution) if isinstance(resolution, float) else 0)
    return {name: _round(one, decimals) for name, one in found.items()}


def _round(found: object, decimals: int) -> object:
    if isinstance(found, list):
        return [_round(one, decimals) for one in found]
    return round(found, decimals) if isinstance(found, float) else found
