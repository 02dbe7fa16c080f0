"""Texture descriptor of a crop: what a picture looks like, whatever the network makes of it."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.errors import TensorMismatchError

GREY_BINS = 16
BANDS = 16
LENGTH = GREY_BINS + BANDS + 2


def texture(crop: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Describe an RGB crop by numbers that do not depend on where things lie in it.

    Parameters
    ----------
    crop : uint8 (H, W, 3)
        RGB, 0..255, at least 32 pixels a side.

    Returns
    -------
    float64 (34,)
        Grey histogram (16, square roots of fractions), radial log10 power spectrum of the grey crop (16
        bands from coarse to fine, 0 for a constant crop), fraction of exactly black pixels, colourfulness
        (mean channel spread, 0..1). Always finite.

    Raises
    ------
    TensorMismatchError
        Not uint8 (H, W, 3), or smaller than 32 pixels.
    """
    if crop.dtype != np.uint8 or crop.ndim != 3 or crop.shape[2] != 3 or min(crop.shape[:2]) < 32:
        raise TensorMismatchError(
            "The texture of the crop cannot be described",
            f"it is {crop.dtype} {crop.shape} instead of uint8 (H, W, 3) of 32 px or more",
            "prepare it with engines.preprocess",
        )
    grey = cv2.cvtColor(np.ascontiguousarray(crop), cv2.COLOR_RGB2GRAY)
    histogram = np.bincount(grey.ravel(), minlength=256).reshape(GREY_BINS, -1).sum(axis=1) / grey.size
    brightest, darkest = _extremes(crop)
    black = np.count_nonzero(brightest == 0) / grey.size
    spread = float(np.mean(brightest - darkest)) / 255.0
    return np.concatenate([np.sqrt(histogram), _spectrum(grey.astype(np.float32)), [black, spread]])


def _extremes(crop: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the largest and the smallest channel of each pixel; by planes, 10 times faster than by axis."""
    red, green, blue = crop[:, :, 0], crop[:, :, 1], crop[:, :, 2]
    return np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)


def _spectrum(grey: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return log10(1 + mean power) in grey levels squared, by band of radial frequency."""
    window, band, counts = _grid(grey.shape[0], grey.shape[1])
    transform = np.fft.rfft2((grey - grey.mean()) * window)
    power = (transform.real**2 + transform.imag**2) / grey.size
    sums = np.bincount(band.ravel(), weights=power.ravel(), minlength=BANDS + 1)[:BANDS]
    return np.asarray(np.log10(1.0 + sums / counts), dtype=np.float64)


@lru_cache(maxsize=4)
def _grid(height: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Return a Hann window, the band of each rfft2 cell (the last is beyond the circle) and cells a band.

    Bands rise geometrically from two periods a crop to 0.5 cycles a pixel.
    """
    window = np.outer(np.hanning(height), np.hanning(width)).astype(np.float32)
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    edges = np.geomspace(2.0 / min(height, width), 0.5, BANDS)
    band = np.searchsorted(edges, radius).astype(np.int64)
    counts = np.maximum(np.bincount(band.ravel(), minlength=BANDS + 1)[:BANDS], 1)
    return window, band, counts
