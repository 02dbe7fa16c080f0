"""Dual: two images side by side, of which one is live or both stand still."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_app.imaging.candidate import Candidate, candidate_of
from edge_app.imaging.texture import Pieces

HINT = 0.02  # of the main image's weight: a dark second image at the threshold of the first
HINT_AREA = 0.12  # of its box: less is a thumbnail or a mark
STRIP = 1.5  # width to height of a trace
ALIKE = 0.45  # ratio of the two areas
LEVEL = 0.4  # of the lower of the two: how far their rows must overlap
SURE = 0.55  # confidence in each of the two
WIDE = 1.15  # width to height of what may be two images that touch
MIDDLE = 0.08  # of the width: how far from the middle two equal images may touch
REACH = 3  # columns to each side of a seam
SEAM = 2.9  # times the usual difference of columns so far apart
PLAINEST = 1.45  # times the largest but few of them
NOTCH = 0.12  # of the rows: how much lower the picture begins between two fans than in them
DARK = 0.2  # of the usual lit rows: a dark gap between two pictures
NARROW = 8  # columns: a wider gap parts pieces, or is a shadow in one image
LEAN = 0.2  # difference of slope (dx/dy), of both sides at once

Box = tuple[float, float, float, float]


def hints(main: Candidate) -> bool:
    """Whether a large piece of lit texture lies beside the candidate or over it: perhaps another image."""
    boxes, weights = main.pieces.boxes.astype(np.int64), main.pieces.weights
    chosen = list(main.chosen)
    areas = boxes[:, 2] * boxes[:, 3]
    large = (weights > HINT * weights[chosen].max()) & (areas > HINT_AREA * areas[chosen].max())
    large[chosen] = False
    return bool(large.any())


def beside(main: Candidate, other: Candidate | None) -> tuple[Candidate, ...]:
    """Return both where ``other`` is a second image, left one first; the image alone where one of them is its trace."""
    if other is None or other.confidence < SURE:
        return (main,)
    if _are_two(main, other):
        return _ordered(main, other)
    return (other,) if _is_trace(main, other) else (main,)


def _is_trace(one: Candidate, image: Candidate) -> bool:
    """Whether ``one`` is a wide strip under ``image``: a Doppler spectrum or an M-mode."""
    a, b = _box(one), _box(image)
    level = one.outline.apex is None and a[2] - a[0] > STRIP * (a[3] - a[1])
    under = a[1] > b[3] - 0.1 * (b[3] - b[1])
    return level and under and (a[2] - a[0] > b[2] - b[0]) and b[2] - b[0] > 0.2 * (a[2] - a[0])


def halves(main: Candidate, grey: NDArray[np.uint8]) -> tuple[Candidate, Candidate] | None:
    """Return two images that touch and were taken for one, left one first, or None where it is one."""
    x0, y0, x1, y1 = (int(v) for v in _box(main))
    if x1 - x0 < WIDE * (y1 - y0):
        return None
    middle = x0 + int((x1 - x0) * (0.5 - MIDDLE)), x0 + int((x1 - x0) * (0.5 + MIDDLE))
    lit = main.lit[y0:y1]
    gap, notch = _gap(lit[:, x0:x1], lit[:, slice(*middle)]), _notch(lit[:, x0:x1], lit[:, slice(*middle)])
    if gap is not None:
        return _cut(main, middle[0] + gap)
    if notch is not None:
        two = _cut(main, middle[0] + notch)
        return two if two is not None and _is_fan(two[0]) and _is_fan(two[1]) else None
    at = _break(grey[y0:y1], x0, x1 - 1, middle)
    return None if at is None else _cut(main, at)


def _cut(main: Candidate, at: int) -> tuple[Candidate, Candidate] | None:
    left, right = _half(main, slice(0, at)), _half(main, slice(at, None))
    if left is None or right is None or not _are_two(left, right) or _mirrored(left, right):
        return None
    weakest = min(left.confidence, right.confidence)
    return (left, right) if weakest > max(SURE, main.confidence * 0.9) else None


def _is_fan(one: Candidate) -> bool:
    return one.outline.left.slope < -LEAN and one.outline.right.slope > LEAN


def _half(main: Candidate, columns: slice) -> Candidate | None:
    labels = np.zeros(main.lit.shape, np.int32)
    labels[:, columns] = main.lit[:, columns]
    half = Pieces(labels, np.zeros((2, 4), np.int32), np.array([0.0, 1.0]))
    return candidate_of(half, [1], air=False)


def _gap(lit: NDArray[np.bool_], middle: NDArray[np.bool_]) -> int | None:
    """Return the darkest of few dark columns in the middle, or None."""
    filled = middle.sum(axis=0)
    dark = np.count_nonzero(filled < DARK * np.median(lit.sum(axis=0)))
    return int(np.argmin(filled)) if 0 < dark <= NARROW else None


def _notch(lit: NDArray[np.bool_], middle: NDArray[np.bool_]) -> int | None:
    """Return the column in the middle where the picture begins much lower than on both sides, or None."""
    tops, inner = (np.where(part.any(axis=0), np.argmax(part, axis=0), len(part)) for part in (lit, middle))
    half = len(tops) // 2
    sides = np.percentile(tops[:half], 10), np.percentile(tops[half:], 10)
    return int(np.argmax(inner)) if float(inner.max()) > max(sides) + NOTCH * len(lit) else None


def _break(grey: NDArray[np.uint8], first: int, last: int, middle: tuple[int, int]) -> int | None:
    """Return the column where the picture breaks off; columns some pixels apart are compared: a drawn line is none."""
    values = grey[:, first : last + 1].astype(np.float32)
    steps = np.abs(values[:, 2 * REACH :] - values[:, : -2 * REACH]).mean(axis=0)
    low, high = (column - first - REACH for column in middle)
    most = float(steps[low:high].max(initial=0.0))
    if most < SEAM * float(np.median(steps)) or most < PLAINEST * float(np.percentile(steps, 95)):
        return None
    return middle[0] + int(np.argmax(steps[low:high]))


def _mirrored(one: Candidate, other: Candidate) -> bool:
    """Whether two shapes lean as the halves of one fan do, and not as two fans."""
    left, right = one.outline, other.outline
    return min(abs(left.left.slope - right.left.slope), abs(left.right.slope - right.right.slope)) > LEAN


def _are_two(one: Candidate, other: Candidate) -> bool:
    """Whether two candidates are images of like size on one level."""
    a, b = _box(one), _box(other)
    rows = min(a[3], b[3]) - max(a[1], b[1])
    columns = min(a[2], b[2]) - max(a[0], b[0])
    sizes = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    level = rows > LEVEL * min(a[3] - a[1], b[3] - b[1])
    return level and columns < 0.15 * min(a[2] - a[0], b[2] - b[0]) and min(sizes) > ALIKE * max(sizes)


def _ordered(one: Candidate, other: Candidate) -> tuple[Candidate, Candidate]:
    return (one, other) if _box(one)[0] <= _box(other)[0] else (other, one)


def _box(one: Candidate) -> Box:
    ys, xs = np.flatnonzero(one.lit.any(axis=1)), np.flatnonzero(one.lit.any(axis=0))
    return float(xs[0]), float(ys[0]), float(xs[-1] + 1), float(ys[-1] + 1)
