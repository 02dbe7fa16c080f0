"""Nudge: what the operator moved of the image's place where it was not found quite right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from edge_app.imaging.place import mask_box, polygon_mask
from edge_app.imaging.scene import Sector

LEAST_PX = 16  # a side cannot be moved nearer to the other one


class Nudge(BaseModel):
    """By how much each side of the image's box was moved: shares of the picture's width and height."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    left: float = Field(default=0.0, ge=-1, le=1)
    top: float = Field(default=0.0, ge=-1, le=1)
    right: float = Field(default=0.0, ge=-1, le=1)
    bottom: float = Field(default=0.0, ge=-1, le=1)

    def and_then(self, more: Nudge) -> Nudge:
        """Return both together."""
        left, top, right, bottom = (
            min(1.0, max(-1.0, before + after)) for before, after in zip(self.sides, more.sides, strict=True)
        )
        return Nudge(left=left, top=top, right=right, bottom=bottom)

    @property
    def sides(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom."""
        return self.left, self.top, self.right, self.bottom


def nudged(sector: Sector, nudge: Nudge) -> Sector:
    """Return the sector with its box moved, and its outline stretched along with it; the picture's border holds it."""
    height, width = sector.mask.shape
    x0, y0, x1, y1 = sector.bbox
    left, right = _between(x0 + nudge.left * width, x1 + nudge.right * width, width)
    top, bottom = _between(y0 + nudge.top * height, y1 + nudge.bottom * height, height)
    points = np.array(sector.outline)
    points[:, 0] = left + (points[:, 0] - x0) * (right - left) / (x1 - x0)
    points[:, 1] = top + (points[:, 1] - y0) * (bottom - top) / (y1 - y0)
    outline = tuple((float(x), float(y)) for x, y in points)
    mask = polygon_mask(outline, (width, height))
    return replace(sector, outline=outline, mask=mask, bbox=mask_box(mask)) if mask.any() else sector


def _between(low: float, high: float, size: int) -> tuple[float, float]:
    """Keep two sides in the picture and apart."""
    low = min(max(low, 0.0), size - LEAST_PX)
    return low, max(min(high, float(size)), low + LEAST_PX)
