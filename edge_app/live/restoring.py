"""Restoring: a new worker sets again what the operator had set before the last one died, if it is the same picture."""

from __future__ import annotations

from math import hypot

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.capture.base import Frame
from edge_app.live.messages import (
    Anchor,
    Choice,
    ChooseImage,
    ClearPoles,
    Command,
    Kept,
    MoveImage,
    Poles,
    SetAgain,
    SetLength,
    SetPoles,
)
from edge_app.live.pipeline import Pipeline
from edge_app.live.report import FrameReport

PATIENCE_MS = 4000.0  # of the stream: a breath; what is not seen again by then is gone
SAME_IMAGE = 0.8  # overlap of two boxes of one image
SAME_MOVED = 0.4  # the same, where the operator had moved its border
FOUND = 0.6  # correlation of a pole's surroundings
REACH = 0.22  # of the length: how far breathing carries a pole
STRETCH = 0.12  # of the length: how differently the two poles may have moved
FLAT = 2.0  # grey levels: nothing to be known again by
ELSEWHERE = "the picture is laid out in another way"
UNSEEN = "the kidney is not seen at the handles any more"

Box = tuple[int, int, int, int]


class Restoring:
    """Waits for the picture of before, then sets all again; nothing is to be read until it is ``done``."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept
        self._since_ms: float | None = None
        self._image_done = False
        self.done = False
        self.placed: Poles | None = None
        """Where the handles were put."""

    def heed(self, command: Command) -> None:
        """Leave alone what the operator sets anew meanwhile."""
        if isinstance(command, (SetPoles, ClearPoles)):
            changed: dict[str, object] = {"poles": None}
        elif isinstance(command, SetLength):
            changed = {"length_cm": None}
        else:
            changed = {"chosen": None} if isinstance(command, ChooseImage) else {"nudge": None}
        self._kept = self._kept.model_copy(update=changed)

    def step(self, pipeline: Pipeline, frame: Frame, report: FrameReport) -> SetAgain | None:
        """Look at the newest frame and its report; return what became of it all, once that is known."""
        if self._since_ms is None:
            self._since_ms = frame.t_ms
        late = frame.t_ms - self._since_ms > PATIENCE_MS
        if not self._image_done:
            if not self._is_same(frame, report):
                return self._give_up(ELSEWHERE, ("handles", "length", "image")) if late else None
            self._set_image(pipeline, report)
            self._image_done = True
        self.placed = self._poles(frame.pixels)
        if self.placed is None and self._kept.poles is not None:
            gone = late or self._kept.lost or self._kept.anchors is None
            return self._give_up(UNSEEN, ("handles", "length")) if gone else None
        if self.placed is not None:
            pipeline.set_poles(self.placed, pipeline.generation)
        if self._kept.length_cm is not None:
            of_markers = None if self.placed is not None else self._kept.length_ends
            pipeline.restore_length(self._kept.length_cm, of_markers)
        self.done = True
        return SetAgain()

    def _is_same(self, frame: Frame, report: FrameReport) -> bool:
        kept = self._kept
        if kept.size is not None and kept.size != (frame.pixels.shape[1], frame.pixels.shape[0]):
            return False
        seen = () if report.sector is None else (report.sector, *report.others)
        boxes = sorted(image.bbox for image in seen)
        least = SAME_IMAGE if kept.nudge is None else SAME_MOVED
        before = sorted(kept.images)
        return len(boxes) == len(before) and all(
            _overlap(one, other) >= least for one, other in zip(boxes, before, strict=True)
        )

    def _set_image(self, pipeline: Pipeline, report: FrameReport) -> None:
        kept = self._kept
        if kept.chosen is not None:
            x, y = kept.chosen
            pipeline.obey(ChooseImage(x=x, y=y, generation=pipeline.generation))
        if kept.nudge is not None and not report.by_hand:  # a known layout has it already
            pipeline.obey(MoveImage(by=kept.nudge, generation=pipeline.generation))

    def _poles(self, pixels: NDArray[np.uint8]) -> Poles | None:
        """Return where the handles belong in this picture, or None where that is not seen."""
        poles, anchors = self._kept.poles, self._kept.anchors
        if poles is None or self._kept.lost:
            return None
        if not self._kept.images:
            return poles  # no image was seen: nothing was read, and nothing is
        if anchors is None:
            return None
        ends = (poles.x1, poles.y1), (poles.x2, poles.y2)
        length = hypot(ends[1][0] - ends[0][0], ends[1][1] - ends[0][1])
        moved = [_moved(pixels, anchor, end, REACH * length) for anchor, end in zip(anchors, ends, strict=True)]
        first, second = moved
        if first is None or second is None or hypot(first[0] - second[0], first[1] - second[1]) > STRETCH * length:
            return None
        (x1, y1), (x2, y2) = ((end[0] + by[0], end[1] + by[1]) for end, by in zip(ends, (first, second), strict=True))
        return Poles(x1=x1, y1=y1, x2=x2, y2=y2, proposed=poles.proposed)

    def _give_up(self, because: str, these: tuple[Choice, ...]) -> SetAgain:
        kept, self.done = self._kept, True
        had = {
            "handles": kept.poles is not None,
            "length": kept.length_cm is not None,
            "image": kept.chosen is not None or kept.nudge is not None,
        }
        return SetAgain(lost=tuple(choice for choice in these if had[choice]), because=because)


def _overlap(one: Box, other: Box) -> float:
    across = max(0, min(one[2], other[2]) - max(one[0], other[0]))
    down = max(0, min(one[3], other[3]) - max(one[1], other[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return across * down / max(1, sum(areas) - across * down)


def _moved(
    pixels: NDArray[np.uint8], anchor: Anchor, end: tuple[float, float], reach: float
) -> tuple[float, float] | None:
    """Return by how much a pole has moved, or None where its surroundings are not seen near by."""
    grey = np.frombuffer(anchor.grey, np.uint8).reshape(anchor.side, anchor.side)
    half, x, y = anchor.side // 2, round(end[0]), round(end[1])
    if float(grey.std()) < FLAT:
        return None
    left, top = max(0, int(x - half - reach)), max(0, int(y - half - reach))
    part = np.ascontiguousarray(pixels[top : int(y + half + reach) + 1, left : int(x + half + reach) + 1, 1])
    if min(part.shape) < anchor.side:
        return None
    scores = cv2.matchTemplate(part, grey, cv2.TM_CCOEFF_NORMED)
    _, score, _, (column, row) = cv2.minMaxLoc(scores)
    return (float(left + column + half - x), float(top + row + half - y)) if score >= FOUND else None
