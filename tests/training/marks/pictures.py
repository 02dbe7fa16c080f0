"""Backgrounds: pictures of real screens from a folder, and the phantom's live frames; none of them with markers."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from edge_app.capture.phantom.layout import LOOKS
from edge_app.capture.phantom.plan import Cycle, PhantomPlan
from edge_app.capture.phantom.source import PhantomSource

from .draw import Picture

EVERY = 25  # frames of a clip


def real_pictures(folder: Path, without: tuple[str, ...]) -> list[Picture]:
    """Return stills and some frames of every clip under ``folder`` whose name holds none of the words."""
    found: list[Picture] = []
    for path in sorted(folder.rglob("*")):
        if any(word in path.name for word in without):
            continue
        if path.suffix in (".png", ".jpg"):
            read = cv2.imread(str(path))
            if read is not None:
                found.append(np.ascontiguousarray(np.asarray(read, np.uint8)[..., ::-1]))
        elif path.suffix == ".mp4":
            found += _clip(path)
        elif path.suffix == ".dcm":
            found += _dicom(path)
    return found


def _clip(path: Path) -> list[Picture]:
    capture, index = cv2.VideoCapture(str(path)), 0
    found: list[Picture] = []
    while capture.grab():
        if index % EVERY == 0:
            found.append(np.ascontiguousarray(np.asarray(capture.retrieve()[1], np.uint8)[..., ::-1]))
        index += 1
    capture.release()
    return found


def _dicom(path: Path) -> list[Picture]:
    import pydicom

    with pydicom.dcmread(path) as dataset:
        pixels = np.asarray(dataset.pixel_array)
    frames = pixels if pixels.ndim == 4 else pixels[None]
    if frames.dtype != np.uint8:
        return []
    if frames.shape[-1] != 3:
        frames = np.repeat(frames.reshape(-1, *frames.shape[-2:])[..., None], 3, axis=3)
    return [np.ascontiguousarray(frames[0])]


def phantom_pictures(seeds: int) -> list[Picture]:
    """Return live frames of every look and size."""
    found: list[Picture] = []
    for look in LOOKS:
        for index, size in enumerate(((960, 720), (1280, 960), (1920, 1080))):
            for seed in range(seeds):
                plan = PhantomPlan(look, size, 100 + 10 * seed + index, frames=1, realtime=False, cycle=Cycle(4, 0, 0))
                with PhantomSource(plan) as source:
                    frame = source.read()
                    if frame is not None:
                        found.append(frame.pixels.copy())
    return found
