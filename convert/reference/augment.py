"""Light augmentation of a crop: box jitter, gain and brightness, left-right mirror."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

ZOOM = (0.96, 1.08)  # clinic-and-paper 1.4: crop jitter k 0.95-1.10
SHIFT = 0.03  # of the crop's side, both ways
GAIN = (0.92, 1.08)  # narrow: the contrast between cortex and liver is what is learned
OFFSET = 10.0  # grey levels, both ways


def augment(crop: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Return a slightly different view of ``crop`` uint8 (H, W, 3); mirrored in half of the cases."""
    height, width = crop.shape[:2]
    zoom = random.uniform(*ZOOM)
    mirror = -1.0 if random.random() < 0.5 else 1.0
    shift = random.uniform(-SHIFT, SHIFT, 2) * (width, height)
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    matrix = np.array([[mirror * zoom, 0.0, 0.0], [0.0, zoom, 0.0]])
    matrix[:, 2] = centre + shift - matrix[:, :2] @ centre
    moved = cv2.warpAffine(crop, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    levels = np.arange(256) * random.uniform(*GAIN) + random.uniform(-OFFSET, OFFSET)
    table = np.clip(levels, 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(moved, table), np.uint8)
