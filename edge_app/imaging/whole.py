"""Whole: pictures that are ultrasound from edge to edge, as data sets and publications crop them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.imaging.backdrop import Backdrop
from edge_app.imaging.outline import Edge, Outline, Side

BAND = 0.05  # of the picture's width and height: how far along each border tissue is looked for
FAINT = 4  # grey levels over black, or between neighbours, that tissue has and a screen's background has not
EACH = 0.4  # of every border's band must be tissue: a screen leaves at least one border to its background
THREE = 0.6  # of the bands of three borders, where the fourth is dark
STROKE = 60  # grey levels between neighbours that letters and lines have
DRAWN = 0.0005  # of the picture
MOST_PANELS = 0.03  # of the picture flat and lighter than black: more is a screen
TOGETHER = 0.65  # of all four bands


def whole_picture(grey: NDArray[np.uint8], backdrop: Backdrop) -> Outline | None:
    """Return the border of a small grey picture uint8 (h, w) as an outline where tissue reaches all four sides."""
    if backdrop.panels.mean() > MOST_PANELS:
        return None
    shares = _border_shares(_tissue(grey, backdrop))
    ordered = sorted(shares)
    around = ordered[0] >= EACH and sum(shares) / 4 >= TOGETHER
    if not around and not (ordered[1] >= THREE and _is_undrawn(grey, backdrop)):
        return None
    height, width = grey.shape
    left, right, top, bottom = shares
    return Outline(
        Side(-0.5, 0.0, left),
        Side(width - 0.5, 0.0, right),
        Edge(-0.5, top, arc=False),
        Edge(height - 0.5, bottom, arc=False),
        None,
        kind_unknown=True,
    )


def _tissue(grey: NDArray[np.uint8], backdrop: Backdrop) -> NDArray[np.bool_]:
    kernel = np.ones((5, 5), np.uint8)
    spread = cv2.subtract(cv2.dilate(grey, kernel), cv2.erode(grey, kernel))
    return np.asarray((spread > FAINT) & (spread < 160) & (backdrop.over + spread > FAINT), dtype=np.bool_)


def _is_undrawn(grey: NDArray[np.uint8], backdrop: Backdrop) -> bool:
    """Whether no letters or lines stand in what is dark: an image with a dark part, and no screen."""
    kernel = np.ones((3, 3), np.uint8)
    strokes = cv2.subtract(cv2.dilate(grey, kernel), cv2.erode(grey, kernel)) > STROKE
    lit = cv2.morphologyEx((backdrop.over > FAINT).astype(np.uint8), cv2.MORPH_OPEN, np.ones((15, 15), np.uint8))
    apart = cv2.dilate(lit, np.ones((9, 9), np.uint8)) == 0
    return float((strokes & apart).mean()) < DRAWN


def _border_shares(tissue: NDArray[np.bool_]) -> tuple[float, float, float, float]:
    """Return which share of the left, right, top and bottom band is tissue."""
    height, width = tissue.shape
    x, y = max(3, round(BAND * width)), max(3, round(BAND * height))
    bands = tissue[:, :x], tissue[:, -x:], tissue[:y], tissue[-y:]
    left, right, top, bottom = (float(band.mean()) for band in bands)
    return left, right, top, bottom
