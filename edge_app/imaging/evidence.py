"""Evidence: a small grey picture of the last frames, in which the moving image stands out from the screen."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.imaging.layout import fingerprint
from edge_app.imaging.place import middle_box, rectangle
from edge_app.imaging.scene import Sector

WORK_ROWS = 288
"""Rows of the small picture. A sector's edge is then found to about 1/300 of the picture's height."""

MOVED = 8  # grey levels between two small pictures: more than the noise of a grabber
COLOUR = 40  # grey levels off the common tint


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What the sector is found in, at ``WORK_ROWS`` rows.

    ``brightest`` and ``movement`` are uint8 (h, w): the brightest value of each pixel over the pictures looked at, and
    how much it changed over them. ``factor`` is frame pixels per small pixel. ``pictures`` is how many were looked at.
    ``thin`` is every eighth frame pixel each way of the last one, RGB.
    """

    brightest: NDArray[np.uint8]
    movement: NDArray[np.uint8]
    factor: float
    pictures: int
    thin: NDArray[np.uint8]


def shrink(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], float]:
    """Return the brightest channel of ``pixels`` (H, W, 3), area-averaged to ``WORK_ROWS`` rows, and the factor."""
    factor = max(1.0, pixels.shape[0] / WORK_ROWS)
    size = round(pixels.shape[1] / factor), round(pixels.shape[0] / factor)
    small = pixels
    while small.shape[0] >= 2 * size[1] and small.shape[0] % 2 == small.shape[1] % 2 == 0:
        half = (small.shape[1] // 2, small.shape[0] // 2)  # halving is many times faster than any other step
        small = np.asarray(cv2.resize(small, half, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    grey = cv2.resize(brightest_channel(small), size, interpolation=cv2.INTER_AREA)
    return np.asarray(grey, dtype=np.uint8), factor


def brightest_channel(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return max(R, G, B), uint8 (H, W), of RGB ``pixels`` (H, W, 3): grey stays grey, a pure colour becomes white."""
    out, another = cv2.extractChannel(pixels, 0), cv2.extractChannel(pixels, 1)  # faster than a split: less memory
    cv2.max(out, another, dst=out)
    cv2.extractChannel(pixels, 2, dst=another)
    return np.asarray(cv2.max(out, another, dst=out), dtype=np.uint8)


def colourful(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return which of RGB ``pixels`` (n, 3) have a colour of their own, bool (n,).

    A grey map in sepia or blue gives all pixels one tint, which is taken off.
    """
    channels = [pixels[:, channel].astype(np.float32) for channel in range(3)]
    brightest = np.maximum(np.maximum(channels[0], channels[1]), channels[2])
    total = float(brightest.sum())
    off = np.zeros(len(pixels), np.float32)
    for channel in channels:
        tint = np.float32(float(channel.sum()) / total if total > 0 else 1.0)
        np.maximum(off, np.abs(channel - brightest * tint), out=off)
    return np.asarray(off > COLOUR, dtype=np.bool_)


def thinned(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return every eighth pixel each way of ``pixels`` (H, W, 3)."""
    size = max(1, pixels.shape[1] // 8), max(1, pixels.shape[0] // 8)
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_NEAREST), dtype=np.uint8)


def over(grey: NDArray[np.uint8], level: int) -> NDArray[np.uint8]:
    """Return 255 where ``grey`` is over ``level``, else 0."""
    return np.asarray(cv2.threshold(grey, level, 255, cv2.THRESH_BINARY)[1], dtype=np.uint8)


class EvidenceMemory:
    """The small pictures of the last moments, at most ``depth`` of them, at least ``gap_ms`` apart."""

    def __init__(self, depth: int = 8, gap_ms: float = 140.0) -> None:
        self._pictures: deque[NDArray[np.uint8]] = deque(maxlen=depth)
        self._gap_ms = gap_ms
        self._last_ms = -float("inf")
        self._factor = 1.0
        self._size = (0, 0)
        self._taken = 0
        self._thin = np.zeros((1, 1, 3), dtype=np.uint8)
        self._inside_of: tuple[Sector, ...] = ()
        self._mask = np.zeros((0, 0), dtype=np.bool_)

    def add(self, pixels: NDArray[np.uint8], t_ms: float) -> bool:
        """Take a picture in where the last is old enough; a change of size clears the memory. True: taken."""
        if self._pictures and t_ms - self._last_ms < self._gap_ms:
            return False
        small, factor = shrink(pixels)
        self._thin = thinned(pixels)
        if self._pictures and self._pictures[-1].shape != small.shape:
            self._pictures.clear()
            self._taken = 0
        self._pictures.append(small)
        self._taken += 1
        self._factor, self._last_ms = factor, t_ms
        self._size = pixels.shape[1], pixels.shape[0]
        return True

    @property
    def full(self) -> bool:
        """Whether the oldest picture goes with the next one."""
        return len(self._pictures) == self._pictures.maxlen and self._taken > len(self._pictures)

    @property
    def newest(self) -> tuple[NDArray[np.uint8], float] | None:
        """The last picture, uint8 (h, w), and frame pixels per small pixel."""
        return (self._pictures[-1], self._factor) if self._pictures else None

    def keep_newest(self) -> None:
        """Forget all pictures but the last, as after a change of layout."""
        while len(self._pictures) > 1:
            self._pictures.popleft()
        self._taken = len(self._pictures)

    def changed_around(self, images: tuple[Sector, ...]) -> float:
        """Return which share of the screen outside ``images`` differs between the last two pictures."""
        if not images or len(self._pictures) < 2:
            return 0.0
        changed = self._change() > 30
        return float((changed & ~self.inside(images)).sum()) / changed.size

    def vanished(self, images: tuple[Sector, ...]) -> float:
        """Return which share of ``images`` was lit and is black in the last picture, as after a change of depth."""
        if not images or len(self._pictures) < 2:
            return 0.0
        before, now, inside = self._pictures[-2], self._pictures[-1], self.inside(images)
        return float(((before > 20) & (now < 5) & inside).sum()) / max(1, int(inside.sum()))

    def movement(self, images: tuple[Sector, ...]) -> tuple[float, ...]:
        """Return for each image which share of it differs between the last two pictures."""
        if len(self._pictures) < 2:
            return (0.0,) * len(images)
        moved = self._change() > MOVED
        shares = []
        for image in images:
            x0, y0, x1, y1 = (int(v / self._factor) for v in image.bbox)
            shares.append(float(moved[y0:y1, x0:x1].mean()) if x1 > x0 and y1 > y0 else 0.0)
        return tuple(shares)

    def layout(self, images: tuple[Sector, ...]) -> str | None:
        """Return the fingerprint of the screen around ``images`` in the last picture; at least one was added."""
        return fingerprint(self._pictures[-1], self.inside(images) if images else None)

    def middle(self) -> Sector | None:
        """Return the middle of the screen as an image's place where none is seen, or None before the first picture."""
        if not self._pictures:
            return None
        return rectangle(middle_box(self._size), self._size, 0.0)

    def _change(self) -> NDArray[np.uint8]:
        return np.asarray(cv2.absdiff(self._pictures[-2], self._pictures[-1]), dtype=np.uint8)

    def inside(self, images: tuple[Sector, ...]) -> NDArray[np.bool_]:
        """Return the masks of all images, a little wider, at the size of the small pictures; of at least one."""
        if self._inside_of is not images or self._mask.shape != self._pictures[-1].shape:
            small = self._pictures[-1]
            mask = np.zeros(small.shape, np.uint8)
            for image in images:
                one = cv2.resize(image.mask.astype(np.uint8), small.shape[::-1], interpolation=cv2.INTER_NEAREST)
                mask |= one.astype(np.uint8)
            self._mask = np.asarray(cv2.dilate(mask, np.ones((7, 7), np.uint8)) > 0, dtype=np.bool_)
            self._inside_of = images
        return self._mask

    def __len__(self) -> int:
        return len(self._pictures)

    def evidence(self) -> Evidence:
        """Return what is remembered; at least one picture must have been added."""
        stack = list(self._pictures)
        brightest, darkest = stack[0], stack[0]
        for picture in stack[1:]:
            brightest, darkest = np.maximum(brightest, picture), np.minimum(darkest, picture)
        return Evidence(brightest, brightest - darkest, self._factor, len(stack), self._thin)
