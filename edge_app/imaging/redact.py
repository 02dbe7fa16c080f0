"""Redact: names and numbers burned into the screen, blackened before anything is written (DICOM PS3.15 E.3.1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_app.imaging.scene import Sector


def mask_identity(pixels: NDArray[np.uint8], sector: Sector | None) -> NDArray[np.uint8]:
    """Return a copy of RGB uint8 (H, W, 3) ``pixels``, black outside ``sector``; all black without one.

    The pixels are overwritten, not covered. A sector of another size than the picture's is no sector of it.
    """
    masked = np.zeros_like(pixels)
    if sector is not None and sector.mask.shape == pixels.shape[:2]:
        masked[sector.mask] = pixels[sector.mask]
    return masked
