"""Judges what was found on a picture against what is known of it: pairs of markers and the image's outline."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.imaging.scene import CaliperPair, Scene, Sector

Point = tuple[float, float]
Ends = tuple[Point, Point]
NEAR_PX, ON_PX = 3.0, 512  # a centre is right within 3 px of a picture whose longer side is 512 px


def tolerance(size: tuple[int, int]) -> float:
    """Return how far a centre may be off, pixels of a picture of a size."""
    return NEAR_PX * max(size) / ON_PX


def apart(found: Ends, truth: Ends) -> float:
    """Return the larger distance of the two centres, whichever way round they are named."""

    def worse(a: Ends, b: Ends) -> float:
        return max(hypot(p[0] - q[0], p[1] - q[1]) for p, q in zip(a, b, strict=True))

    return min(worse(found, truth), worse((found[1], found[0]), truth))


@dataclass(frozen=True)
class Known:
    """What is known of a picture. ``pairs`` None: there are markers, and nobody has measured where."""

    file: str
    pairs: tuple[Ends, ...] | None
    sector: str = ""
    tags: tuple[tuple[str, str], ...] = ()

    def tag(self, name: str) -> str:
        """Return what the manifest says under a name."""
        return dict(self.tags).get(name, "")


def read_manifest(folder: Path) -> list[Known]:
    """Read MANIFEST.csv; the first pair of a row is the kidney's length."""
    with (folder / "MANIFEST.csv").open(newline="", encoding="utf-8") as file:
        return [_known(row) for row in csv.DictReader(file)]


def _known(row: dict[str, str]) -> Known:
    places: list[Point] = []
    number = 1
    while row.get(f"x{number}"):
        places.append((float(row[f"x{number}"]), float(row[f"y{number}"])))
        number += 1
    pairs: tuple[Ends, ...] | None = tuple(zip(places[::2], places[1::2], strict=True))
    if row["has_calipers"] == "y" and not pairs:
        pairs = None
    return Known(row["file"], pairs, row.get("sector", ""), tuple((k, v) for k, v in row.items() if v))


@dataclass(frozen=True)
class Verdict:
    """How one picture went. Errors are NaN where the kidney's pair was not found."""

    kidney: bool | None  # None: there is none to find
    first: bool | None  # it was named first
    hits: int
    wanted: int
    false: int
    error_px: float = float("nan")  # of the kidney's pair, at 512 px
    length_percent: float = float("nan")


def judge(found: Sequence[CaliperPair], known: Sequence[Ends], size: tuple[int, int]) -> Verdict:
    """Match found pairs with known ones, each once."""
    near, left = tolerance(size), [(pair.first, pair.second) for pair in found]
    matched: list[tuple[int, Ends]] = []
    for number, truth in enumerate(known):
        best = min(left, key=lambda ends: apart(ends, truth), default=None)
        if best is not None and apart(best, truth) <= near:
            left.remove(best)
            matched.append((number, best))
    hit = dict(matched).get(0)
    if not known:
        return Verdict(None, None, 0, 0, len(left))
    if hit is None:
        return Verdict(False, False, len(matched), len(known), len(left))
    long, true = hypot(hit[0][0] - hit[1][0], hit[0][1] - hit[1][1]), known[0]
    real = hypot(true[0][0] - true[1][0], true[0][1] - true[1][1])
    first = (found[0].first, found[0].second) == hit
    error = apart(hit, true) * ON_PX / max(size)
    return Verdict(True, first, len(matched), len(known), len(left), error, 100 * abs(long / real - 1))


def overlap(scene: Scene, truth: NDArray[np.bool_]) -> float:
    """Return intersection over union with the truth: of the sector, or of all images that were found if better."""
    if scene.sector is None:
        return 0.0
    masks = [scene.sector.mask]
    if len(scene.images) > 1:
        masks.append(np.asarray(np.any([image.mask for image in scene.images], axis=0), dtype=np.bool_))
    return max(float((m & truth).sum()) / max(1, int((m | truth).sum())) for m in masks)


def share_inside(sector: Sector | None, box: tuple[int, int, int, int]) -> float:
    """Return how much of the found sector lies in a rectangle that the file declares."""
    if sector is None:
        return 0.0
    x0, y0, x1, y1 = box
    return float(sector.mask[y0:y1, x0:x1].sum()) / max(1, int(sector.mask.sum()))


def read_mask(path: Path) -> NDArray[np.bool_]:
    """Read the mask of a composed screen's image."""
    mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if mask is None:
        raise FileNotFoundError(path)
    return np.asarray(mask > 0, dtype=np.bool_)
