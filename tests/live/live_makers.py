"""Readings, scenes and frames with chosen numbers, for the tests of this room."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from edge_app.capture.base import Frame
from edge_app.imaging.scene import CaliperPair, Scale, Scene, Sector
from engines.kdigo import category_range
from engines.reading import Reading

SIZE = (400, 300)  # width, height
FIRST, SECOND = (100.0, 150.0), (300.0, 150.0)


def reading(egfr: float = 50.0, low: float | None = None, high: float | None = None, **changes: Any) -> Reading:
    bounds = (max(0.0, egfr - 15.0) if low is None else low, egfr + 15.0 if high is None else high)
    made = Reading(
        egfr=egfr,
        low=bounds[0],
        high=bounds[1],
        level=0.9,
        spread=3.0,
        category_range=category_range(*bounds),
        p_egfr_below_60=0.7,
        heads_agree=True,
        members=(egfr,),
        p_members=(0.7,),
        domain_distance=0.5,
        in_domain=True,
        synthetic=True,
        runtime="fake",
        provider="here",
        precision="fp32",
        bundle="test 1",
        bundle_sha256="0" * 64,
        artifact_sha256="1" * 64,
        cam=None,
    )
    return replace(made, **changes)


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
