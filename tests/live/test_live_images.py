"""What the operator says of the image reaches the reports, with a generation of its own."""

from __future__ import annotations

import cv2
import numpy as np

from edge_app.capture.base import Frame
from edge_app.imaging.nudge import Nudge
from edge_app.imaging.observer import SceneObserver
from edge_app.live.messages import ChooseImage, MoveImage
from edge_app.live.pipeline import Pipeline


def two_fans() -> np.ndarray:
    rng = np.random.default_rng(3)
    noise = cv2.GaussianBlur(rng.normal(0, 1, (720, 1280)).astype(np.float32), (0, 0), 1.6)
    grey = np.clip(90 + 16 * noise / noise.std(), 10, 240)
    y, x = np.mgrid[:720, :1280].astype(np.float64)
    mask = np.zeros((720, 1280), dtype=np.bool_)
    for centre in (350.0, 930.0):
        radius, angle = np.hypot(x - centre, y + 20), np.arctan2(x - centre, y + 20)
        mask |= (np.abs(angle) < 0.58) & (radius > 140) & (radius < 500)
    return np.ascontiguousarray(np.dstack([np.where(mask, grey, 0).astype(np.uint8)] * 3))


def test_the_chosen_image_and_its_moved_border_are_what_is_reported() -> None:
    pipeline, pixels = Pipeline(None, observer=SceneObserver()), two_fans()
    frames = (Frame(index, index * 40.0, pixels) for index in range(9))
    first = pipeline.process(next(frames)).report
    assert first.undecided and len(first.others) == 1
    pipeline.obey(ChooseImage(x=930.0, y=300.0, generation=1))
    chosen = pipeline.process(next(frames)).report
    assert chosen.generation == 1 and not chosen.undecided
    assert chosen.sector is not None and chosen.sector.bbox[0] > 600
    pipeline.obey(MoveImage(by=Nudge(bottom=-0.1), generation=2))
    pipeline.obey(MoveImage(by=Nudge(bottom=0.05), generation=3))
    moved = pipeline.process(next(frames)).report
    assert moved.generation == 3 and moved.by_hand and moved.sector is not None
    assert abs(moved.sector.bbox[3] - chosen.sector.bbox[3] + 36) <= 2  # 5 % of 720 rows
    pipeline.obey(MoveImage(by=None, generation=4))
    back = pipeline.process(next(frames)).report
    assert not back.by_hand and back.sector is not None and back.sector.bbox == chosen.sector.bbox
