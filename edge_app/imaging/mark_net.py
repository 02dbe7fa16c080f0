"""The mark network: says of a patch whether a length marker is in it, which, where exactly and how large.

Two small stacks of convolutions (the place; three times as much around it) and two layers over both, half a million
multiplications a patch. Trained by ``tests/training/marks`` on markers and look-alikes drawn into screens; see
docs/calipers.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from edge_app.imaging.patches import Views

Array = NDArray[np.float32]
Place = tuple[float, float, float]

WEIGHTS = Path(__file__).parent / "weights" / "marks.npz"
DEPTHS = {"near": 3, "far": 3, "glance": 2}
"""Convolutions of each stack."""
BATCH = 16
"""Patches at once: what a core's cache holds."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the network says of one place: probabilities 0..1, and the marker's centre and arm in frame pixels."""

    plus: float
    cross: float
    worded: float  # that it stands in a line of text, if it is a marker
    x: float
    y: float
    arm: float

    @property
    def mark(self) -> float:
        """Probability that there is a marker."""
        return self.plus + self.cross


class MarkNet:
    """The network with the weights of a file: float16 arrays, never pickled ones."""

    def __init__(self, path: Path = WEIGHTS) -> None:
        with np.load(path, allow_pickle=False) as stored:
            weights = {name: stored[name].astype(np.float32) for name in stored.files}
        self._stacks = {
            name: [(_columns(weights[f"{name}{i}.w"]), weights[f"{name}{i}.b"]) for i in range(depth)]
            for name, depth in DEPTHS.items()
        }
        self._sides = {name: [weights[f"{name}{i}.w"].shape[-1] for i in range(n)] for name, n in DEPTHS.items()}
        layers = ("mix", "out", "glance.mix", "glance.out")
        self._layers = {name: (weights[f"{name}.w"].T.copy(), weights[f"{name}.b"]) for name in layers}

    def ask(self, views: Views, places: list[Place], *, mirrored: bool = False) -> list[Verdict]:
        """Return the verdicts on places (x, y, arm) of a picture; ``mirrored``: each seen in four mirrors too."""
        verdicts: list[Verdict] = []
        for at in range(0, len(places), BATCH):
            some = places[at : at + BATCH]
            near, far = views.patches(some)
            rows = self._mirrored(near, far) if mirrored else self.outputs(near, far)
            verdicts += [_verdict(row, place) for row, place in zip(rows, some, strict=True)]
        return verdicts

    def _mirrored(self, near: Array, far: Array) -> Array:
        """Return the mean of the outputs over the patches as they are, left to right, upside down, and both."""
        total = np.zeros((len(near), 7), np.float32)
        for across, down in ((1, 1), (-1, 1), (1, -1), (-1, -1)):
            rows = self.outputs(near[:, :, ::down, ::across], far[:, :, ::down, ::across])
            total += rows * np.array([1, 1, 1, 1, across, down, 1], np.float32)
        return np.asarray(total / 4, dtype=np.float32)

    def outputs(self, near: Array, far: Array) -> Array:
        """Return float32 (N, 7): scores of nothing, plus, cross, worded; dx and dy in arms; log of the arm's ratio."""
        both = np.concatenate([self._run("near", near), self._run("far", far)], axis=1)
        return self._dense("out", np.maximum(self._dense("mix", both), 0))

    def glance(self, patches: Array) -> Array:
        """Return the probability of a marker, float32 (N,), of (N, GLANCE, GLANCE), each patch in its own spread."""
        seen = self._run("glance", patches[:, None])
        scores = self._dense("glance.out", np.maximum(self._dense("glance.mix", seen), 0))[:, 0]
        return np.asarray(1 / (1 + np.exp(-scores)), dtype=np.float32)

    def _dense(self, name: str, features: Array) -> Array:
        weights, bias = self._layers[name]
        return np.asarray(features @ weights + bias, dtype=np.float32)

    def _run(self, name: str, patches: Array) -> Array:
        """Return the flat features, channel by channel, of (N, C, H, W)."""
        here = np.ascontiguousarray(patches.transpose(0, 2, 3, 1))
        for (weights, bias), side in zip(self._stacks[name], self._sides[name], strict=True):
            here = _convolved(here, weights, bias, side)
        return np.ascontiguousarray(here.transpose(0, 3, 1, 2)).reshape(len(here), -1)


def _columns(weights: Array) -> Array:
    """Return (k, k, C, out) as the (k * k * C, out) that windows are multiplied with."""
    return np.ascontiguousarray(weights.transpose(2, 3, 1, 0)).reshape(-1, weights.shape[0])


def _convolved(here: Array, weights: Array, bias: Array, side: int) -> Array:
    """Return the rectified convolution with stride 2 of (N, H, W, C)."""
    pad = side // 2
    padded = np.pad(here, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    windows = sliding_window_view(padded, (side, side), axis=(1, 2))[:, ::2, ::2]  # (N, h, w, C, k, k)
    count, height, width = windows.shape[:3]
    rows = np.ascontiguousarray(windows.transpose(0, 1, 2, 4, 5, 3)).reshape(count * height * width, -1)
    done = rows @ weights
    done += bias
    np.maximum(done, 0, out=done)
    return done.reshape(count, height, width, -1)


def _verdict(row: Array, place: Place) -> Verdict:
    scores = np.exp(row[:3] - row[:3].max())
    scores /= scores.sum()
    x, y, arm = place
    dx, dy, ratio = (float(np.clip(v, -1, 1)) for v in row[4:7])
    return Verdict(
        float(scores[1]),
        float(scores[2]),
        float(1 / (1 + np.exp(-row[3]))),
        x + dx * arm,
        y + dy * arm,
        arm * float(np.exp(ratio)),
    )


@lru_cache(maxsize=1)
def mark_net() -> MarkNet:
    """Return the network, read once."""
    return MarkNet()
