"""Saving what is on screen without the identity that scanners burn in outside the sector."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_app.atomic import explained, replacing
from edge_app.ui._qt import QPixmap
from edge_app.ui.main_window import MainWindow
from engines.errors import UsageError


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


def save(picture: QPixmap, path: Path) -> None:
    """Write a PNG whole or not at all.

    Raises
    ------
    UsageError
        The place cannot be written to.
    """
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as unfinished:
        if not picture.save(str(unfinished), "PNG"):
            raise UsageError(f"{path} cannot be written", "the disk refuses the picture", "choose another place")
