"""Array types and small numeric helpers that the phantom's modules share."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Point = tuple[float, float]
Rng = np.random.Generator


def smooth_noise(rng: Rng, shape: tuple[int, int], cells: tuple[int, int]) -> F32:
    """Smooth random field of unit SD: a small grid of normals, enlarged by cubic interpolation."""
    small = rng.standard_normal((max(2, cells[0]), max(2, cells[1])), dtype=np.float32)
    field = cv2.resize(small, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    return np.asarray(field / max(float(field.std()), 1e-6), dtype=np.float32)


def soft(value: F32, width: float) -> F32:
    """Soft step from 0 to 1 around ``value`` = 0, ``width`` wide: no edge is sharper than the anatomy."""
    return np.asarray(np.clip(value / width + 0.5, 0.0, 1.0), dtype=np.float32)


def blend(base: F32, other: F32 | float, weight: F32) -> F32:
    """Return ``base`` where the weight is 0, ``other`` where it is 1."""
    return np.asarray(base + (other - base) * weight, dtype=np.float32)


def bump(value: F32, sigma: float) -> F32:
    """Gaussian bump of height 1 around ``value`` = 0."""
    return np.asarray(np.exp(-0.5 * np.square(value / sigma)), dtype=np.float32)
