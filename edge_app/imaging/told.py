"""Told: all that the words of a screen say of its picture."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from edge_app.imaging._ocr import TextLine
from edge_app.imaging.modes import told_by
from edge_app.imaging.printed import results, stated_depths
from edge_app.imaging.scene import Mode, PrintedLength
from edge_app.imaging.thresholds import find_maker


@dataclass(frozen=True, slots=True)
class Told:
    """Depths the image may have (cm), printed lengths, modes and the scanner's maker."""

    depths_cm: frozenset[float]
    lengths: tuple[PrintedLength, ...]
    modes: frozenset[Mode]
    maker: str | None


@lru_cache(maxsize=2)
def told(lines: tuple[TextLine, ...]) -> Told:
    """Return what these lines say; asked again for the same ones, as at every picture, it costs nothing."""
    return Told(stated_depths(lines), results(lines), told_by(lines), find_maker(lines))
