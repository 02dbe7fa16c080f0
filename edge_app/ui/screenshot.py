"""Saving what is on screen without the identity that scanners burn in outside the sector."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_app.atomic import explained, replacing
from edge_app.imaging._ocr import Box
from edge_app.imaging.harmless import suspicious
from edge_app.imaging.redact import Reader, ResidueError, read_words
from edge_app.ui._qt import QImage, QPixmap
from edge_app.ui.main_window import MainWindow
from engines.errors import UsageError


def _rgb(picture: QPixmap) -> NDArray[np.uint8]:
    """Return a picture as uint8 (H, W, 3) RGB."""
    image = picture.toImage().convertToFormat(QImage.Format.Format_RGB888)
    data = image.constBits()
    rows = np.frombuffer(data.asstring(image.sizeInBytes()), np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3)


@contextmanager
def _masked(window: MainWindow) -> Iterator[None]:
    window.live.masked = window.inset.masked = True
    try:
        yield
    finally:
        window.live.masked = window.inset.masked = False


def grab_masked(window: MainWindow) -> QPixmap:
    """Return a picture of the window in which nothing outside the sector was ever painted."""
    with _masked(window):
        return window.grab()


def image_box(window: MainWindow) -> Box:
    """Return where in a window's picture the scanner's is, device pixels."""
    live, ratio = window.live, window.devicePixelRatioF()
    corner, strip = live.mapTo(window, live.rect().topLeft()), live.strip_px()
    sides = (corner.x(), corner.y() + strip, corner.x() + live.width(), corner.y() + live.height())
    x0, y0, x1, y1 = (round(side * ratio) for side in sides)
    return x0, y0, x1, y1


def save(picture: QPixmap, path: Path, image: Box, read: Reader = read_words) -> None:
    """Write a PNG whole or not at all; not where words that may name the patient are read in ``image``.

    Raises
    ------
    UsageError, ResidueError, RuntimeUnavailableError
        The place cannot be written to, such words are there, or they cannot be looked for here.
    """
    x0, y0, x1, y1 = image
    shown = _rgb(picture)[y0:y1, x0:x1]
    if suspicious(read(np.ascontiguousarray(shown)), shown.shape):
        raise ResidueError("The picture of the window is not written", "take the name off the scanner's image")
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as unfinished:
        if not picture.save(str(unfinished), "PNG"):
            raise UsageError(f"{path} cannot be written", "the disk refuses the picture", "choose another place")
