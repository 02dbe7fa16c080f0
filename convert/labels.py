"""Words for bands of the eGFR."""

from __future__ import annotations

from collections.abc import Sequence


def band_label(index: int, edges: Sequence[float]) -> str:
    """Return "below 15", "15 to 30" or "90 and above"; ``edges`` rise, ``index`` counts from the lowest band."""
    if not edges:
        return "all"
    if index == 0:
        return f"below {edges[0]:g}"
    return f"{edges[-1]:g} and above" if index == len(edges) else f"{edges[index - 1]:g} to {edges[index]:g}"
