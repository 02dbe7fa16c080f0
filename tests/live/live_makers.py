"""Readings, scenes and frames with chosen numbers, for the tests of this room."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from edge_app.capture.base import Frame
from edge_app.imaging.scene import CaliperPair, Scale, Scene, Sector
from edge_app.live.report import ReadingReport, Readout, RegressionReport
from engines.kdigo import category_range
from engines.manifest import GradesHead, ProbabilityHead, RegressionHead
from engines.reading import Reading
from engines.values import Chance, Graded, Map, Regressed, Value

SIZE = (400, 300)  # width, height
FIRST, SECOND = (100.0, 150.0), (300.0, 150.0)


EGFR = RegressionHead(
    name="egfr",
    title="Image-derived eGFR",
    quantity="egfr",
    output="egfr_members",
    unit="mL/min/1.73 m2",
    resolution=1.0,
    lowest=0.0,
)
BELOW_60 = ProbabilityHead(
    name="p_egfr_below_60", title="P(eGFR < 60)", quantity="egfr_below_60", event="eGFR < 60", output="p_members"
)
SHIFT = RegressionHead(
    name="shift", title="Cortical shift", quantity="other", output="shift_members", unit="mm", resolution=0.01
)
BRIGHT = ProbabilityHead(
    name="bright", title="P(bright cortex)", quantity="other", event="bright cortex", output="bright_members"
)
ECHOES = GradesHead(
    name="echo", title="Cortical echogenicity", output="echo_members", grades=("darker", "alike", "brighter")
)


def egfr(value: float = 50.0, low: float | None = None, high: float | None = None) -> Regressed:
    bounds = (max(0.0, value - 15.0) if low is None else low, value + 15.0 if high is None else high)
    return Regressed(EGFR, value, *bounds, 0.9, 3.0, (value,), category_range(*bounds), None)


def below_60(p: float = 0.7) -> Chance:
    return Chance(BELOW_60, p, 0.0, (p,), None)


def shift(value: float, members: tuple[float, ...] = ()) -> Regressed:
    """A number that nobody calibrated, and that may be negative."""
    return Regressed(SHIFT, value, None, None, None, 0.5, members or (value,), "", None)


def bright(*members: float) -> Chance:
    return Chance(BRIGHT, float(np.mean(members)), float(np.std(members)), members, None)


def echoes(*p: float, map: Map | None = None) -> Graded:
    return Graded(ECHOES, p, p.index(max(p)), (p, p), map)


def reading(value: float = 50.0, low: float | None = None, high: float | None = None, **changes: Any) -> Reading:
    """A reading of an eGFR and P(eGFR < 60)."""
    return reading_of(egfr(value, low, high), below_60(), **changes)


def reading_of(*values: Value, **changes: Any) -> Reading:
    made = Reading(
        values=values,
        heads_agree=True,
        domain_distance=0.5,
        in_domain=True,
        synthetic=True,
        runtime="fake",
        provider="here",
        precision="fp32",
        bundle="test 1",
        bundle_sha256="0" * 64,
        artifact_sha256="1" * 64,
        seen=(0,),
        members_total=1,
    )
    return replace(made, **changes)


def main_of(told: Readout | ReadingReport | None) -> RegressionReport:
    """The main head of a report, which must be a number."""
    assert told is not None
    main = told.values[0]
    assert isinstance(main, RegressionReport)
    return main


def sector(size: tuple[int, int] = SIZE) -> Sector:
    width, height = size
    mask = np.zeros((height, width), np.bool_)
    mask[20 : height - 20, 20 : width - 20] = True
    box = (20, 20, width - 20, height - 20)
    corners = ((20.0, 20.0), (width - 21.0, 20.0), (width - 21.0, height - 21.0), (20.0, height - 21.0))
    return Sector("convex", box, corners, mask, 0.9)


def scene(**changes: Any) -> Scene:
    made = Scene(
        frame_index=0,
        t_ms=0.0,
        size=SIZE,
        signal=True,
        frozen=True,
        synthetic=True,
        sector=sector(),
        calipers=(CaliperPair(FIRST, SECOND, "plus", 0.9),),
        scale=Scale(20.0, "ruler", 0.9),  # FIRST to SECOND: 10 cm
    )
    return replace(made, **changes)


def frame(index: int = 0, t_ms: float | None = None, seed: int = 1) -> Frame:
    pixels = np.random.default_rng(seed).integers(60, 190, (SIZE[1], SIZE[0], 3)).astype(np.uint8)
    pixels.setflags(write=False)
    return Frame(index, index * 33.0 if t_ms is None else t_ms, pixels)
