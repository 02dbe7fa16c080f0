"""What every family of sources gives: a trunk, its answers, and the original to hold them against."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convert.graph.parts import OnnxTrunk, Trunk, Whole
from convert.sources.cut import Ending

Floats = NDArray[np.float32]
Original = Callable[[Floats], Mapping[str, Floats]]  # planes (N, C, H, W) to answers (N, K) by output, as it gives them
FEATURES = "features"  # what an original may give beside its outputs


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """One file of weights, taken over; ``compared_with`` names the original in a sentence."""

    trunk: Trunk | OnnxTrunk | Whole
    endings: Mapping[str, Ending]  # by output
    original: Original
    size: tuple[int, int, int]  # channels, height, width
    compared_with: str
    reparameterised: bool = False
