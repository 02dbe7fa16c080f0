"""Backdrop: what of a screen is flat colour around the image, and how far each pixel stands out from it.

A user interface is drawn in flat colours and smooth shades; tissue never is, because of speckle. So a light panel, a
grey desktop or a black window is told from an image by its flatness, whatever its colour.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.imaging.evidence import colourful

Labels = NDArray[np.int32]

SMALLEST_SHARE = 0.004  # of the picture: a smaller flat piece may be a vessel or a saturated wall
DARK = 24  # level up to which a piece is the black of a screen or of an image
DARK_SPREAD = 4.0  # standard deviation within a dark piece
SPREAD = 1.5  # standard deviation within a lighter piece, or about a plane where it is shaded; noise comes on top
CLEANEST = 2  # grey levels between neighbours that are flat in a clean picture
NOISIEST = 3  # the 10th percentile of local ranges above which a picture has no flat part to speak of
WALLPAPER = 0.05  # of the screen has many colours: less is a colour box, or keys
AROUND = 0.35  # of the screen's border is such a part: a colour box that a still was cropped to has less
DIVERSE = 0.3  # of such a part differ from its own tint
APART = 8  # grey levels over the darkest piece from which another is a panel
OWN_BLACK = 0.02  # of a picture between bars may have their level
BAR_RANGE = 1  # grey levels within a bar beside the picture
INNER = 24  # the same for pieces that do not touch the border: a deep dark part of an image is not a panel


@dataclass(frozen=True, slots=True, eq=False)
class Backdrop:
    """What is flat on a screen.

    ``over`` is uint8 (h, w): by how many grey levels each pixel differs from the flat colour nearest to it; 0 on
    panels. ``panels`` is bool (h, w): flat parts lighter than the darkest. ``black`` is the darkest one's level.
    """

    over: NDArray[np.uint8]
    panels: NDArray[np.bool_]
    black: int


@dataclass(frozen=True, slots=True)
class _Piece:
    """One connected flat part of the screen."""

    label: int
    level: int
    border: bool


def find_backdrop(grey: NDArray[np.uint8]) -> Backdrop:
    """Return the backdrop of a small grey picture, uint8 (h, w)."""
    labels, pieces = _pieces(grey)
    content = content_of(grey)
    black = min((piece.level for piece in pieces), default=int(np.percentile(grey[::2, ::2], 2)))
    black = _commonest(grey[content], black)
    panels = [p for p in pieces if p.level > black + (APART if p.border else INNER)]
    if not panels:
        return Backdrop(_only(content, _difference(grey, black)), np.zeros(grey.shape, np.bool_), black)
    flat = _marked(labels, pieces)
    nearest = _nearest(grey, flat)
    nearest[nearest <= black + APART] = black  # flat parts of a dark image stand out from black by what they are
    over = np.asarray(cv2.absdiff(grey, nearest), dtype=np.uint8)
    wide = cv2.dilate(_marked(labels, panels).astype(np.uint8), np.ones((5, 5), np.uint8))
    over[wide > 0] = 0
    return Backdrop(_only(content, over), wide > 0, black)


def without_wallpaper(backdrop: Backdrop, thin: NDArray[np.uint8]) -> Backdrop:
    """Return the backdrop with pictures of many colours at the screen's border added to its panels.

    ``thin`` is the screen in colour, uint8 (h, w, 3), smaller. An image in one tint has not many colours.
    """
    height, width = thin.shape[:2]
    spots = colourful(thin.reshape(-1, 3)).reshape(height, width).astype(np.uint8)
    closed = cv2.morphologyEx(spots, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    own = np.asarray(cv2.morphologyEx(closed, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)), dtype=np.uint8)
    if float(own.mean()) < WALLPAPER:
        return backdrop
    count, labels, stats, _ = cv2.connectedComponentsWithStats(own, connectivity=4)
    paper = np.zeros((height, width), np.uint8)
    for label in range(1, count):
        x, y, w, h, pixels = (int(v) for v in stats[label])
        border = x == 0 or y == 0 or x + w == width or y + h == height
        if border and pixels > SMALLEST_SHARE * own.size and colourful(thin[labels == label]).mean() > DIVERSE:
            paper[labels == label] = 1
    edges = np.concatenate([paper[0], paper[-1], paper[:, 0], paper[:, -1]])
    if float(edges.mean()) < AROUND:
        return backdrop
    wide = cv2.resize(cv2.dilate(paper, np.ones((3, 3), np.uint8)), backdrop.over.shape[::-1])
    over = np.where(wide > 0, 0, backdrop.over).astype(np.uint8)
    return Backdrop(over, np.asarray(backdrop.panels | (wide > 0), dtype=np.bool_), backdrop.black)


def content_of(grey: NDArray[np.uint8]) -> tuple[slice, slice]:
    """Return rows and columns without the bars that a grabber puts around a picture of another aspect.

    Its black is another than the picture's own, as where that is in limited range: bars of the same black are none.
    """
    everything = slice(0, grey.shape[0]), slice(0, grey.shape[1])
    if np.ptp(grey[[0, 0, -1, -1], [0, -1, 0, -1]]) > BAR_RANGE:  # all corners belong to bars, or there are none
        return everything
    level = int(grey[0, 0])
    differ = cv2.absdiff(grey, np.full_like(grey, level)) > BAR_RANGE
    rows, columns = np.flatnonzero(differ.any(axis=1)), np.flatnonzero(differ.any(axis=0))
    if len(rows) == 0:
        return everything
    content = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
    return content if float((~differ[content]).mean()) < OWN_BLACK else everything


def _only(content: tuple[slice, slice], over: NDArray[np.uint8]) -> NDArray[np.uint8]:
    kept = np.zeros_like(over)
    kept[content] = over[content]
    return kept


def _commonest(grey: NDArray[np.uint8], level: int) -> int:
    """Return the commonest level about ``level``: a dark fan of one or two levels over black is part of its piece."""
    low = max(0, level - APART)
    counts = cv2.calcHist([np.ascontiguousarray(grey)], [0], None, [256], [0, 256]).ravel()
    return low + int(counts[low : level + APART + 1].argmax())


def _marked(labels: Labels, pieces: list[_Piece]) -> NDArray[np.bool_]:
    chosen = np.zeros(int(labels.max()) + 1, np.bool_)
    chosen[[piece.label for piece in pieces]] = True
    return np.take(chosen, labels)


def _difference(grey: NDArray[np.uint8], level: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.absdiff(grey, np.full_like(grey, level)), dtype=np.uint8)


def _nearest(grey: NDArray[np.uint8], flat: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return for each pixel the level of the flat pixel that is nearest to it."""
    _, nearest = cv2.distanceTransformWithLabels(
        (~flat).astype(np.uint8), cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    levels = np.zeros(int(nearest.max()) + 1, np.uint8)
    levels[nearest[flat]] = grey[flat]
    return np.take(levels, np.asarray(nearest, dtype=np.int32))


def _pieces(grey: NDArray[np.uint8]) -> tuple[Labels, list[_Piece]]:
    """Return labels (h, w) of flat pixels and those pieces that are large and of one colour or one shade."""
    kernel = np.ones((3, 3), np.uint8)
    spread = cv2.subtract(cv2.dilate(grey, kernel), cv2.erode(grey, kernel))
    noise = float(np.percentile(spread[::2, ::2], 10))
    tolerance = CLEANEST + 2 * noise if noise <= NOISIEST else CLEANEST
    _, found, stats, _ = cv2.connectedComponentsWithStats((spread <= tolerance).astype(np.uint8), connectivity=4)
    labels, pieces = np.asarray(found, dtype=np.int32), []
    for label in np.flatnonzero(stats[:, cv2.CC_STAT_AREA] >= SMALLEST_SHARE * grey.size).tolist():
        piece = None if label == 0 else _piece(grey, labels, label, tuple(int(v) for v in stats[label][:4]), noise)
        if piece is not None:
            pieces.append(piece)
    return labels, pieces


def _piece(grey: NDArray[np.uint8], labels: Labels, label: int, place: tuple[int, ...], noise: float) -> _Piece | None:
    """Return one flat part, or None where its levels differ as those of smooth tissue do."""
    x, y, w, h = place
    own = labels[y : y + h, x : x + w] == label
    values = grey[y : y + h, x : x + w][own]
    border = x == 0 or y == 0 or x + w == grey.shape[1] or y + h == grey.shape[0]
    level = int(np.median(values))
    most = DARK_SPREAD if level <= DARK else SPREAD + noise
    if float(values.std()) > most and not (border and _plane_leaves(own, values) <= SPREAD + noise):
        return None
    return _Piece(label, level, border)


def _plane_leaves(own: NDArray[np.bool_], values: NDArray[np.uint8]) -> float:
    """Return the standard deviation of ``values`` about the plane that fits them best."""
    rows, columns = np.nonzero(own)
    step = max(1, len(rows) // 500)
    at = np.column_stack([rows, columns, np.ones(len(rows))])[::step].astype(np.float64)
    left = values[::step].astype(np.float64)
    plane, *_ = np.linalg.lstsq(at, left, rcond=None)
    return float((left - at @ plane).std())
