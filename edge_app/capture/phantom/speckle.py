"""Speckle: complex scatterers, filtered by the point spread function, in a bank of looks.

One look is the envelope of a fully developed complex Gaussian field, so mean/SD is 1.91 in even
tissue (Rayleigh). Scanners average several looks (spatial compounding); the bank holds looks of
neighbouring planes on a ring, and a window that slides over it gives speckle that lives as the
plane drifts, at a constant number of looks.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.capture.phantom.arrays import F32, Rng
from edge_app.capture.phantom.probe import PolarGrid, Probe

LATERAL_BANDS = 12
FWHM_PER_SIGMA = 2.3548


@dataclass(frozen=True, slots=True, eq=False)
class LookBank:
    """``looks`` float32 (looks, rows * columns): envelopes; ``window`` looks wide is the average."""

    looks: F32
    shape: tuple[int, int]
    window: float

    def at(self, position: float, out: F32 | None = None) -> F32:
        """Average of the looks around ``position`` on the ring: Hann weights that add up to 1."""
        mixed = np.empty(self.shape, np.float32) if out is None else out
        mixed[:] = 0.0
        for weight, look in zip(self.weights(position), self.looks, strict=True):
            if weight > 0.0:
                cv2.scaleAdd(look.reshape(self.shape), float(weight), mixed, mixed)
        return mixed

    def weights(self, position: float) -> F32:
        """Weight of every look at a position."""
        count = len(self.looks)
        gap = np.abs((np.arange(count) - position + count / 2.0) % count - count / 2.0)
        hann = np.where(gap < self.window / 2.0, np.cos(np.pi * gap / self.window) ** 2, 0.0)
        return np.asarray(hann / hann.sum(), dtype=np.float32)

    def effective_looks(self) -> float:
        """How many independent looks the average is worth: 1 / sum of squared weights."""
        return float(1.0 / np.square(self.weights(0.5)).sum())


def single_look(amplitude: F32, grid: PolarGrid, probe: Probe, rng: Rng) -> F32:
    """Envelope of one look: |PSF * (amplitude x complex normals)|, unit power where amplitude is 1."""
    parts = [
        _point_spread(rng.standard_normal(amplitude.shape, dtype=np.float32) * amplitude, grid, probe) for _ in range(2)
    ]
    return np.asarray(cv2.magnitude(parts[0], parts[1]) * np.float32(np.sqrt(0.5)), dtype=np.float32)


def build_bank(amplitude: F32, grid: PolarGrid, probe: Probe, looks: tuple[int, float], rng: Rng) -> LookBank:
    """Make a bank of ``looks[0]`` looks with an averaging window ``looks[1]`` looks wide."""
    bank = np.empty((looks[0], amplitude.size), np.float32)
    for row in bank:
        row[:] = single_look(amplitude, grid, probe, rng).reshape(-1)
    return LookBank(bank, amplitude.shape, looks[1])


def _point_spread(field: F32, grid: PolarGrid, probe: Probe) -> F32:
    axial = _kernel(probe.axial_fwhm_cm / FWHM_PER_SIGMA / grid.step_r)
    out = np.empty_like(field)
    edges = np.linspace(0, field.shape[0], LATERAL_BANDS + 1).astype(int)
    tall = cv2.sepFilter2D(field, cv2.CV_32F, np.ones(1, np.float32), axial, borderType=cv2.BORDER_REFLECT)
    for top, bottom in pairwise(edges):
        depth = float(grid.r[(top + bottom) // 2, 0])
        width = probe.lateral_fwhm_cm(depth) / ((depth + probe.radius_cm) * grid.step_theta)
        lateral = _kernel(min(width / FWHM_PER_SIGMA, 6.0))
        band = tall[top:bottom]
        out[top:bottom] = cv2.sepFilter2D(
            band, cv2.CV_32F, lateral, np.ones(1, np.float32), borderType=cv2.BORDER_REFLECT
        )
    return out


def _kernel(sigma: float) -> NDArray[np.float32]:
    """Gaussian of unit energy: the power of white noise passes unchanged."""
    half = max(1, int(np.ceil(3.0 * sigma)))
    taps = np.exp(-0.5 * np.square(np.arange(-half, half + 1) / max(sigma, 0.3)))
    return np.asarray(taps / np.sqrt(np.square(taps).sum()), dtype=np.float32)
