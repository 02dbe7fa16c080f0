"""Told: all that the words of a screen say of its picture."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from edge_app.imaging._ocr import TextLine
from edge_app.imaging.modes import is_low_power, told_by
from edge_app.imaging.printed import results, stated_depths
from edge_app.imaging.scene import Mode, PrintedLength
from edge_app.imaging.thresholds import find_maker


@dataclass(frozen=True, slots=True)
class Told:
    """Depths the image may have (cm), printed lengths, modes, the scanner's maker and its power."""

    depths_cm: frozenset[float]
    lengths: tuple[PrintedLength, ...]
    modes: frozenset[Mode]
    maker: str | None
    low_power: bool  # as for contrast alone


@lru_cache(maxsize=2)
def told(lines: tuple[TextLine, ...]) -> Told:
    """Return what these lines say; asked again for the same ones, as at every picture, it costs nothing."""
    return Told(stated_depths(lines), results(lines), told_by(lines), find_maker(lines), is_low_power(lines))
