"""A worker whose source does what a file says, so that a test can break it while it runs.

``main`` takes the place of ``edge_app.live.worker.main`` in the spawned process; all but the source is the app's.
"""

from __future__ import annotations

import os
import time
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from edge_app.capture import open as opening
from edge_app.capture.base import Frame, FrameSource, SourceError, SourceInfo, Waiting, frames
from edge_app.live import worker

FPS = 30.0
Picture = NDArray[np.uint8]


class FaultySource:
    """Live pictures of moving bars; its file says their size, or ``block``, ``stall``, ``fail``, ``end``, ``crash``.

    ``PICTURE.npy``: that picture, again and again.
    ``scan``: a scanner's moving picture instead; ``tear``: the same, and every fourth ends with the one before it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._index = 0
        self._scan: list[Picture] = []

    @property
    def info(self) -> SourceInfo:
        return SourceInfo(f"fault:{self._path}", "faulty grabber", True, FPS, None)

    def __enter__(self) -> FaultySource:
        order = self._order()
        if order == "unplugged":
            raise SourceError("The grabber cannot be opened", "it is not plugged in", "plug it in")
        if order == "block":
            time.sleep(3600)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def read(self) -> Frame | Waiting | None:
        order = self._order()
        if order == "block":
            time.sleep(3600)
        if order in ("fail", "unplugged"):
            raise SourceError("The grabber gives no picture", "it was unplugged", "plug it in")
        if order == "crash":
            os.abort()
        if order == "end":
            return None
        if order == "stall":
            time.sleep(0.2)
            return Waiting("no picture has come")
        time.sleep(1 / FPS)
        if order.endswith(".npy"):
            return self._shown(np.load(order))
        if order in ("scan", "tear"):
            return self._scanned(order == "tear")
        width, height = (int(side) for side in order.split("x"))
        frame = Frame(self._index, self._index * 1000 / FPS, picture(width, height, self._index))
        self._index += 1
        return frame

    def _shown(self, pixels: Picture) -> Frame:
        self._index += 1
        return Frame(self._index - 1, (self._index - 1) * 1000 / FPS, pixels)

    def _scanned(self, tears: bool) -> Frame:
        self._scan = self._scan or scan()
        pixels, before = (self._scan[(self._index - back) % len(self._scan)] for back in (0, 1))
        if tears and self._index % 4 == 0:
            row = pixels.shape[0] * (40 + self._index % 20) // 100
            pixels = np.concatenate([pixels[:row], before[row:]])
        frame = Frame(self._index, self._index * 1000 / FPS, pixels)
        self._index += 1
        return frame

    def _order(self) -> str:
        return self._path.read_text()


def picture(width: int, height: int, index: int) -> Picture:
    """A grey ramp that moves; its first pixel tells the index."""
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[:] = ((np.arange(width) + index) % 200 + 30).astype(np.uint8)[None, :, None]
    pixels[0, 0] = index % 256
    pixels.setflags(write=False)
    return pixels


def scan() -> list[Picture]:
    """Two seconds of a phantom's scanner before it freezes, there and back."""
    with opening.open_source("phantom:look=ge,size=640x480,fps=20") as source:
        there = [frame.pixels for _, frame in zip(range(40), frames(source), strict=False)]
    return [*there, *reversed(there)]


def main(plan_json: str, up: Connection, down: Connection) -> None:
    """Run the app's worker with one more kind of source."""
    known = opening.open_source

    def open_source(uri: str, *, realtime: bool = False) -> FrameSource:
        if uri.startswith("fault:"):
            return FaultySource(Path(uri.removeprefix("fault:")))
        return known(uri, realtime=realtime)

    opening.open_source = open_source
    opening.endless = lambda uri: uri.startswith("fault:")
    worker.main(plan_json, up, down)
