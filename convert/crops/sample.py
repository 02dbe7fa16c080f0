"""Sample: one crop as a source gave it, before anything is counted."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a crop beside its pixels.

    ``where`` is how sentences name it: ``"line 4"``, ``"a.png"``. ``patient`` is the same for all crops of one person;
    where no table names one (``named`` is false) it stands for the picture or the video. ``labels`` are the values
    of columns as written, a decimal comma turned into a point.
    """

    where: str
    patient: str
    named: bool = True
    scanner: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One crop, uint8 (H, W, 3) RGB; ``simulated``: of the phantom."""

    pixels: Pixels
    facts: Facts
    simulated: bool
    digest: str  # SHA-256 of the pixels


def sample(pixels: Pixels, facts: Facts, simulated: bool) -> Sample:
    """Return a sample with its digest."""
    return Sample(pixels, facts, simulated, hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest())
