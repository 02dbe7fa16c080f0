"""Glance: a first look at crossings, twenty times cheaper than the mark network, after which few need to be read."""

from __future__ import annotations

import numpy as np

from edge_app.imaging.crossings import Crossing
from edge_app.imaging.mark_net import MarkNet, mark_net
from edge_app.imaging.patches import FLAT

LIKELY = 0.06
"""Probability of a marker for which a crossing is read. The glance was trained to miss few: most that pass are none."""


def likely(crossings: list[Crossing], net: MarkNet | None = None) -> list[Crossing]:
    """Return the crossings that may be markers."""
    if not crossings:
        return []
    patches = np.stack([c.patch for c in crossings]).astype(np.float32)
    spread = patches.std(axis=(1, 2), keepdims=True) + FLAT
    chances = (net or mark_net()).glance((patches - patches.mean(axis=(1, 2), keepdims=True)) / spread)
    return [c for c, p in zip(crossings, chances, strict=True) if p >= LIKELY]
