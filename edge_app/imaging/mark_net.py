"""The mark network: says of a patch whether a length marker is in it, which, where exactly and how large.

Two stacks of convolutions (the place; three times as much around it) and two layers over both, 22 million
multiplications a patch, and a smaller one for a first glance; run by ONNX Runtime on the calling thread. Trained by
``tests/training/marks`` on markers and look-alikes drawn into screens; see docs/calipers.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge_app.imaging.patches import Views
from engines import _onnxruntime

Array = NDArray[np.float32]
Place = tuple[float, float, float]

WEIGHTS = Path(__file__).parent / "weights"
READER, GLANCE = "marks.onnx", "glance.onnx"
BATCH = 16
"""Patches at once: what a slice of a search reads."""
MIRRORS = ((1, 1), (-1, 1), (1, -1), (-1, -1))


class _Session(Protocol):
    def run(self, names: None, feed: dict[str, Array]) -> list[Array]: ...


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
    """The network with the weights of a folder."""

    def __init__(self, folder: Path = WEIGHTS) -> None:
        self._reader, self._glance = (_session(folder / name) for name in (READER, GLANCE))

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
        for across, down in MIRRORS:
            rows = self.outputs(near[:, :, ::down, ::across], far[:, :, ::down, ::across])
            total += rows * np.array([1, 1, 1, 1, across, down, 1], np.float32)
        return np.asarray(total / len(MIRRORS), dtype=np.float32)

    def outputs(self, near: Array, far: Array) -> Array:
        """Return float32 (N, 7): scores of nothing, plus, cross, worded; dx and dy in arms; log of the arm's ratio."""
        return self._reader.run(None, {"near": np.ascontiguousarray(near), "far": np.ascontiguousarray(far)})[0]

    def glance(self, patches: Array) -> Array:
        """Return the probability of a marker, float32 (N,), of (N, GLANCE, GLANCE), each patch in its own spread."""
        scores = self._glance.run(None, {"patches": np.ascontiguousarray(patches[:, None])})[0]
        return np.asarray(1 / (1 + np.exp(-scores)), dtype=np.float32)


def _session(path: Path) -> _Session:
    library = _onnxruntime.load_library()
    options = library.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # no threads of its own beside the stream's
    session: _Session = library.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    return session


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
