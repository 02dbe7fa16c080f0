"""Scribe: reads lines of text at once, or on another thread that serves, so that no picture waits for words."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future

import numpy as np
from numpy.typing import NDArray

from edge_app.imaging._ocr import Box, TextLine, prepare, read_text
from engines.errors import RuntimeUnavailableError

Lines = tuple[TextLine | None, ...]  # one a box; None: no words
IDLE_S = 0.1  # between two looks at whether the server is to stop


class Scribe:
    """Takes boxes of one picture at a time; whoever asks keeps the answer that is to come.

    ``serve`` is run by a thread of the app's own; without one, ``request`` answers before it returns.
    """

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[tuple[Future[Lines], NDArray[np.uint8], list[Box]]] = queue.SimpleQueue()
        self._served = threading.Event()

    def request(self, pixels: NDArray[np.uint8], boxes: list[Box]) -> Future[Lines]:
        """Ask for the words in ``boxes`` of RGB uint8 (H, W, 3) ``pixels``, which must not change any more.

        The answer, or a ``RuntimeUnavailableError``, is in the future.
        """
        future: Future[Lines] = Future()
        if self._served.is_set():
            self._jobs.put((future, pixels, boxes))
        else:
            _answer(future, pixels, boxes)
        return future

    def serve(self, stopped: Callable[[], bool], when: threading.Event | None = None) -> None:
        """Load the networks, as soon as ``when`` is set, then answer on this thread until ``stopped``."""
        self._served.set()  # before they are loaded: who asks meanwhile shall not wait for it either
        try:
            if when is not None:
                when.wait()
            if not stopped():
                _try_prepare()
            while not stopped():
                self._turn()
        finally:
            self._served.clear()
            self._finish()

    def _turn(self) -> None:
        try:
            job = self._jobs.get(timeout=IDLE_S)
        except queue.Empty:
            return
        _answer(*job)

    def _finish(self) -> None:
        """Leave nobody without an answer."""
        while not self._jobs.empty():
            _answer(*self._jobs.get())


SCRIBE = Scribe()
"""The process's own: its networks are loaded once."""


def _answer(future: Future[Lines], pixels: NDArray[np.uint8], boxes: list[Box]) -> None:
    try:
        found = [read_text(pixels, [box]) for box in boxes]
    except RuntimeUnavailableError as error:
        future.set_exception(error)
        return
    future.set_result(tuple(lines[0] if lines else None for lines in found))


def _try_prepare() -> None:
    try:
        prepare()
    except RuntimeUnavailableError:
        return  # every request is answered with the same sentence
