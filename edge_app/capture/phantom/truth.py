"""What is known of a phantom frame, because it was made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge_app.capture.phantom.arrays import Point
from edge_app.capture.phantom.patient import Side
from edge_app.capture.phantom.text import Box

Phase = Literal["live", "frozen", "measuring", "measured"]


@dataclass(frozen=True, slots=True, eq=False)
class PhantomTruth:
    """Truth of one frame; pixels of the frame, (x, y), pixel centres at integers.

    ``poles`` are the ends of the kidney's long axis; ``calipers`` the exact drawn centres, set only
    when both are drawn and final; ``sector_mask`` bool (H, W); ``identity_boxes`` (x0, y0, x1, y1),
    x1 and y1 exclusive.
    """

    egfr: float
    side: Side
    poles: tuple[Point, Point]
    calipers: tuple[Point, Point] | None
    px_per_cm: float
    sector_mask: NDArray[np.bool_] = field(repr=False)
    identity_boxes: tuple[Box, ...]
    phase: Phase
    kidney_length_cm: float
