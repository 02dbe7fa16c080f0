"""Candidate: an outline that may be an ultrasound image's, and how well the lit pixels agree with it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.imaging.band import fan_of_band
from edge_app.imaging.outline import Outline, fit_outline
from edge_app.imaging.texture import Pieces

Mask = NDArray[np.bool_]

SMALLEST_SHARE = 0.006  # of the picture: less lit texture is no ultrasound image
MOST_GAPS = 5  # dark stretches between lit rows: more than tissue has, fewer than a page of text
HEAVY = 0.12  # of all pieces of a candidate: more than a line of text is of a page
MOST = 0.9  # of all pieces of a candidate are few heavy ones: an image with its trace, and no page of text
WIDER = 1.15  # times the width of the other: pieces of like width are one linear array's image
FULL = 0.6  # of its box, a piece of a linear array's image is lit
AS_WIDE = 0.85  # as the main piece, each other one of such an image
LINE = 5  # small pixels: lines are thinner
SHALLOW = 0.7  # times the confidence in a band
UNSURE = 0.75  # confidence under which a candidate may rather be a probe in air
MOST_BANDS = 3  # pieces that are looked at
IN_AIR = 0.5  # most confidence in a fan of which only the band under the probe is seen
WITH_ITS_END = 0.62  # most confidence in one of which the end is seen too: its middle is dark and says nothing
APART = 0.1  # more confidence in one piece than in all of them: the others are a trace, or another picture
TRACE = 0.55  # confidence in the upper of two such pieces from which it is the image and the lower one its trace


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """An outline, the lit pixels bool (h, w) that it was fitted to, and how well they agree.

    ``confidence`` is 0..1; ``merit`` is that weighed with the size, to choose between candidates. ``pieces`` are those
    of the same screen that the candidate was not made of. ``in_air``: all that is seen of the image is the band under
    the probe and noise at its end.
    """

    outline: Outline
    lit: Mask
    confidence: float
    merit: float
    pieces: Pieces
    chosen: tuple[int, ...]
    in_air: bool = False


def candidate_of(pieces: Pieces, chosen: list[int], *, air: bool = True) -> Candidate | None:
    """Return the candidate that the chosen pieces make, or None where they have no outline.

    ``air`` False: they are no fan of which only the band under the probe is seen.
    """
    plain = _plain(pieces, chosen)
    if not air or (plain is not None and plain.confidence >= UNSURE):
        return plain
    fan = _in_air(pieces, chosen)
    if fan is None or (plain is not None and plain.confidence > fan.confidence and not fan.in_air):
        return plain
    return fan


def _plain(pieces: Pieces, chosen: list[int]) -> Candidate | None:
    lit = without_lines(pieces.labels == chosen[0])
    if len(chosen) > 1:
        lit |= pieces.mask(chosen[1:])
    if np.count_nonzero(lit) < SMALLEST_SHARE * lit.size:
        return None
    outline = fit_outline(lit)
    if outline is None:
        return None
    confidence, share = _confidence(outline, lit, parted=_is_parted(pieces, chosen))
    if _is_shallow(outline, lit):
        confidence *= SHALLOW
    return _weighed(outline, lit, confidence, share, pieces, chosen)


def _in_air(pieces: Pieces, chosen: list[int]) -> Candidate | None:
    """Return the fan of which one of the pieces is the band under the probe, if any is."""
    lit = pieces.mask(chosen)
    for piece in sorted(chosen[:MOST_BANDS], key=lambda n: int(pieces.boxes[n, 1])):  # the uppermost first
        found = fan_of_band(pieces.labels == piece, lit)
        if found is None:
            continue
        outline, own = found
        confidence, share = _confidence(outline, own, parted=False)
        shallow = _is_shallow(outline, own)
        confidence = min(IN_AIR, confidence * SHALLOW) if shallow else WITH_ITS_END * _kept(outline, own) ** 2
        fan = _weighed(outline, own, confidence, share, pieces, chosen)
        return replace(fan, in_air=not shallow)
    return None


def _weighed(
    outline: Outline, lit: Mask, confidence: float, share: float, pieces: Pieces, chosen: list[int]
) -> Candidate:
    merit = confidence * (0.75 + 0.25 * min(1.0, share / 0.25))
    return Candidate(outline, lit, confidence, merit, pieces, tuple(chosen))


def without_lines(lit: Mask) -> Mask:
    """Remove what is thin beside the body of the lit pixels, bool (h, w): an ECG, a needle's guide, a frame."""
    kernel = np.ones((LINE, LINE), np.uint8)
    body = cv2.morphologyEx(lit.view(np.uint8), cv2.MORPH_CLOSE, kernel)
    opened = cv2.morphologyEx(body, cv2.MORPH_OPEN, kernel, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(lit & np.asarray(opened, np.uint8).view(np.bool_), dtype=np.bool_)


def _is_shallow(outline: Outline, lit: Mask) -> bool:
    """Whether only a band under the probe is seen, as in air: the rest of the image's depth is not known."""
    if outline.apex is not None and outline.top.arc:
        return outline.top.position > 0.7 * outline.bottom.position
    rows, columns = np.flatnonzero(lit.any(axis=1)), np.flatnonzero(lit.any(axis=0))
    return bool(rows[-1] - rows[0] < 0.2 * (columns[-1] - columns[0]))


def best_candidate(pieces: Pieces) -> Candidate | None:
    """Return the main piece with those that belong to it, or one piece alone where the others are a trace beside it."""
    if pieces.main == 0:
        return None
    belonging = pieces.belonging()
    together = candidate_of(pieces, belonging)
    if together is not None and together.in_air:
        return together
    heavy = [n for n in belonging if pieces.weights[n] > HEAVY * pieces.weights[belonging].sum()]
    if len(heavy) < 2 or pieces.weights[heavy].sum() < MOST * pieces.weights[belonging].sum():
        return together
    widths = pieces.boxes[heavy, 2]
    if widths.max() < WIDER * widths.min():
        return together
    alone = [one for n in heavy[:3] if (one := candidate_of(pieces, [n])) is not None]
    known = 0.0 if together is None else together.confidence
    better = [one for one in alone if one.confidence > known + APART]
    if not better:
        return together
    upper = [one for one in alone if one.confidence > TRACE and _is_over(one, better[0])]
    return (upper or better)[0]


def _is_over(one: Candidate, other: Candidate) -> bool:
    y, h = (int(v) for v in one.pieces.boxes[one.chosen[0]][[1, 3]])
    return y + h <= int(other.pieces.boxes[other.chosen[0]][1]) + 4


def _is_parted(pieces: Pieces, chosen: list[int]) -> bool:
    """Whether the pieces are parts of one linear array's image: full, and each as wide as the main one."""
    _, _, width, height = (int(v) for v in pieces.boxes[chosen[0]])
    full = float((pieces.labels == chosen[0]).sum()) > FULL * width * height
    return len(chosen) > 1 and full and bool((pieces.boxes[chosen[1:], 2] > AS_WIDE * width).all())


def _confidence(outline: Outline, lit: Mask, *, parted: bool) -> tuple[float, float]:
    """Return (0..1, share of the picture): the lit pixels lie inside, fill the shape, and stop at its edges.

    ``parted``: the image has a dark stretch between its pieces, which need not be filled.
    """
    shape = np.zeros(lit.shape, np.uint8)
    cv2.fillPoly(shape, [np.round(outline.polygon()).astype(np.int32)], (1,))
    area = int(shape.sum())
    if area < 0.01 * lit.size:
        return 0.0, 0.0
    inside = float(lit[shape > 0].sum())
    kept = inside / max(1, int(lit.sum()))
    dark = _dark_rows(lit, shape > 0)
    if np.count_nonzero(dark[1:] & ~dark[:-1]) >= MOST_GAPS:
        return 0.0, 0.0
    rows = np.flatnonzero(shape.any(axis=1))
    empty = int(shape[rows[0] : rows[-1] + 1][dark].sum()) if parted else 0
    filled = inside / max(1, area - empty)
    edges = min(1.0, 0.4 + outline.support)
    return float(kept**2 * min(1.0, 0.45 + 0.55 * filled) * edges), area / lit.size


def _kept(outline: Outline, lit: Mask) -> float:
    """Return the share of the lit pixels that lie inside the outline."""
    shape = np.zeros(lit.shape, np.uint8)
    cv2.fillPoly(shape, [np.round(outline.polygon()).astype(np.int32)], (1,))
    return float(np.count_nonzero(lit & (shape > 0))) / max(1, int(np.count_nonzero(lit)))


def _dark_rows(lit: Mask, shape: Mask) -> Mask:
    """Return which rows of a shape are dark: one or two stretches in tissue, many in text."""
    share = (lit & shape).sum(axis=1) / np.maximum(shape.sum(axis=1), 1)
    rows = np.flatnonzero(shape.any(axis=1))
    return np.asarray(share[rows[0] : rows[-1] + 1] < 0.02, dtype=np.bool_)
