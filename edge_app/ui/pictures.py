"""Pictures for the screen: scaled frames, QImages over them, and the map overlay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.live.report import MapReport
from edge_app.ui._qt import QImage, voidptr


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A frame as it is on screen: ``pixels`` is uint8 (height, width, 3) RGB of the widget's scale, our own copy."""

    index: int
    t_ms: float
    pixels: NDArray[np.uint8]


def scaled(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return uint8 (H, W, 3) pixels at another (width, height), for the eye only.

    OpenCV does this in a sixth of the time of QPainter's smooth transform (1.5 against 10 ms from 1280 x 960).
    """
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def image_over(pixels: NDArray[np.uint8]) -> QImage:
    """Return a QImage that looks at uint8 (H, W, 3) RGB, rows contiguous; no copy.

    THE CALLER KEEPS ``pixels`` ALIVE for as long as the image is used.
    """
    height, width = pixels.shape[:2]
    row_bytes = pixels.strides[0]
    address = voidptr(pixels.ctypes.data, height * row_bytes, False)
    # the stubs know bytes alone, but sip takes an address too (the only way without a copy)
    return QImage(cast("bytes", address), width, height, row_bytes, QImage.Format.Format_RGB888)


def image_of(rgb: bytes, size: tuple[int, int]) -> QImage:
    """Return a QImage with its own copy of (width, height) RGB bytes."""
    width, height = size
    return QImage(rgb, width, height, 3 * width, QImage.Format.Format_RGB888).copy()


def map_image(rows: MapReport) -> QImage:
    """Return a class activation map (h, w) as a translucent picture of its own size.

    Opacity is |contribution| relative to the greatest: one hue, because the sign of a cell is no finding.
    """
    magnitude = np.abs(np.asarray(rows, dtype=np.float64))
    top = float(magnitude.max(initial=0.0))
    alpha = magnitude / top if top > 0 else magnitude
    rgba = np.empty((*alpha.shape, 4), dtype=np.uint8)
    rgba[..., :3] = (255, 170, 60)
    rgba[..., 3] = np.round(alpha * 170)
    data = rgba.tobytes()
    return QImage(data, alpha.shape[1], alpha.shape[0], 4 * alpha.shape[1], QImage.Format.Format_RGBA8888).copy()
