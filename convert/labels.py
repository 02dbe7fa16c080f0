"""Words and digits of numbers in a unit."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, log10


def band_label(index: int, edges: Sequence[float]) -> str:
    """Return "below 15", "15 to 30" or "90 and above"; ``edges`` rise, ``index`` counts from the lowest band."""
    if not edges:
        return "all"
    if index == 0:
        return f"below {edges[0]:g}"
    return f"{edges[-1]:g} and above" if index == len(edges) else f"{edges[index - 1]:g} to {edges[index]:g}"


def decimals(resolution: float) -> int:
    """Return the digits after the point that show a tenth of ``resolution``: 1 for 1 mL/min/1.73 m2, 2 for 0.5 mm."""
    return max(0, 1 - floor(log10(resolution)))
