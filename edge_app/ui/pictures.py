"""QImage over pixels without copying them, and the map overlay."""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray

from edge_app.ui._qt import QImage, voidptr


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


def map_image(cam: tuple[tuple[float, ...], ...]) -> QImage:
    """Return a class activation map (h, w) as a translucent picture of its own size.

    Opacity is |contribution| relative to the greatest: one hue, because the sign of a cell is no finding.
    """
    magnitude = np.abs(np.asarray(cam, dtype=np.float64))
    top = float(magnitude.max(initial=0.0))
    alpha = magnitude / top if top > 0 else magnitude
    rgba = np.empty((*alpha.shape, 4), dtype=np.uint8)
    rgba[..., :3] = (255, 170, 60)
    rgba[..., 3] = np.round(alpha * 170)
    data = rgba.tobytes()
    return QImage(data, alpha.shape[1], alpha.shape[0], 4 * alpha.shape[1], QImage.Format.Format_RGBA8888).copy()
