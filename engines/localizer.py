"""The localizer: proposes the poles of a kidney from the whole sector, or nothing.

Its bundle has the role ``localizer``: one network from the square over the sector (``engines.square``) to the
probability of the kidney and a distribution of the place of each pole.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engines.bundle import Bundle, open_bundle
from engines.domain import DomainModel
from engines.errors import BundleError
from engines.preprocess import Point
from engines.session import Session
from engines.square import square_over

REACH = 2  # cells around the most probable one: the mass in these is the confidence, their centroid the place
SAMPLES = 15  # points between the poles that must lie in the kidney


@dataclass(frozen=True, slots=True)
class Proposal:
    """Two poles, the left one first, frame pixels.

    ``confidence`` 0..1: the least of how narrow each pole's distribution is, and how surely the kidney lies between
    them. ``domain_distance``: above the bundle's limit the picture is unlike those that the localizer was made for.
    """

    first: Point
    second: Point
    confidence: float
    domain_distance: float


@dataclass(frozen=True, slots=True)
class Places:
    """What the maps say, in cells: two poles (x, y) and the confidence in them."""

    first: Point
    second: Point
    confidence: float


class Localizer:
    """Lives on the thread that entered the session.

    Raises
    ------
    BundleError
        The bundle is no localizer, or its domain check cannot be used.
    """

    def __init__(self, bundle: Bundle, session: Session) -> None:
        require_localizer(bundle)
        self.bundle = bundle
        self._session = session
        self._domain = DomainModel.parse(bundle.read(bundle.manifest.domain.file), bundle.manifest.domain.file)
        names = {output.meaning: output.name for output in bundle.manifest.outputs}
        self._kidney, self._poles = names["kidney"], names["poles"]

    def propose(
        self, pixels: NDArray[np.uint8], bbox: tuple[int, int, int, int], inside: NDArray[np.bool_]
    ) -> Proposal:
        """Propose poles in a frame uint8 (H, W, 3) RGB, whose sector has ``bbox`` and the mask ``inside``.

        Raises
        ------
        InferenceError
            The session failed.
        """
        square = square_over(bbox, self.bundle.manifest.input.width)
        picture = square.picture(pixels, inside)
        answer = self._session.infer(picture[None])
        found = places(answer[self._kidney][0], answer[self._poles][0])
        cell = square.pixels / answer[self._kidney].shape[-1]
        ends = [
            square.to_frame(((x + 0.5) * cell - 0.5, (y + 0.5) * cell - 0.5)) for x, y in (found.first, found.second)
        ]
        return Proposal(ends[0], ends[1], found.confidence, self._domain.distance(None, picture))


def require_localizer(bundle: Bundle) -> None:
    """Refuse a bundle that is no localizer.

    Raises
    ------
    BundleError
        It is a reader.
    """
    if bundle.manifest.role != "localizer":
        because = "it is a reader, which answers questions between poles that are known"
        raise BundleError(f"{bundle.manifest.bundle_id} cannot propose poles", because, "give a localizer's bundle")


def open_reader(path: Path | str) -> Bundle:
    """Open a bundle as ``engines.bundle.open_bundle``, and refuse one that reads nothing.

    Raises
    ------
    BundleError
        It has defects, or is a localizer.
    """
    bundle = open_bundle(path)
    if bundle.manifest.role != "reader":
        because = "it is a localizer, which proposes poles and reads nothing between them"
        raise BundleError(f"{bundle.manifest.bundle_id} cannot read a kidney", because, "give it with --localizer")
    return bundle


def places(kidney: NDArray[np.float32], poles: NDArray[np.float32]) -> Places:
    """Return poles and confidence of the maps ``kidney`` (h, w) and ``poles`` (2, h, w); see ``Proposal``."""
    (first, sure), (second, also) = (_place(pole) for pole in poles)
    return Places(first, second, min(sure, also, _between(kidney, first, second)))


def _place(pole: NDArray[np.float32]) -> tuple[Point, float]:
    """Return the centroid of the mass around the most probable cell, and that mass."""
    row, column = divmod(int(pole.argmax()), pole.shape[1])
    top, left = max(0, row - REACH), max(0, column - REACH)
    near = pole[top : row + REACH + 1, left : column + REACH + 1].astype(np.float64)
    mass = float(near.sum())
    if mass <= 0.0:
        return (float(column), float(row)), 0.0
    x = left + float(near.sum(axis=0) @ np.arange(near.shape[1])) / mass
    y = top + float(near.sum(axis=1) @ np.arange(near.shape[0])) / mass
    return (x, y), min(1.0, mass)


def _between(kidney: NDArray[np.float32], first: Point, second: Point) -> float:
    """Return the mean probability of the kidney on the middle three quarters of the way between the poles."""
    way = np.linspace(0.125, 0.875, SAMPLES)
    columns = np.clip(np.rint(first[0] + way * (second[0] - first[0])).astype(int), 0, kidney.shape[1] - 1)
    rows = np.clip(np.rint(first[1] + way * (second[1] - first[1])).astype(int), 0, kidney.shape[0] - 1)
    return float(kidney[rows, columns].mean())
