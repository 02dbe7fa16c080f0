"""Progress on a terminal's standard error, for what takes longer than a moment."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

PATIENCE_S = 2.0  # shorter work needs no progress


@contextmanager
def frame_progress() -> Iterator[Callable[[int], None]]:
    """Give a function to call with the number of frames done so far; their total is not known."""
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.completed} frames"), TimeElapsedColumn())
    progress = Progress(*columns, console=console, transient=True)
    task = progress.add_task("frames", total=None)
    shown = _Shown(progress)

    def advance(frames: int) -> None:
        shown.when_due()
        progress.update(task, completed=frames)

    try:
        yield advance
    finally:
        shown.end()


def dataset_progress() -> AbstractContextManager[Callable[[int, int], None]]:
    """Give a function to call with patients done and in all."""
    return counted_progress("patients")


def counted_progress(what: str) -> AbstractContextManager[Callable[[int, int], None]]:
    """Give a function to call with the number of ``what`` done and in all."""
    return _advancing(BarColumn(), MofNCompleteColumn(), TextColumn(what))


def byte_progress() -> AbstractContextManager[Callable[[int, int], None]]:
    """Give a function to call with bytes done and in all."""
    return _advancing(BarColumn(), DownloadColumn())


@contextmanager
def file_progress() -> Iterator[Callable[[int, int, int], None]]:
    """Give a function to call with files done, files in all, and frames looked at in the present file."""
    columns = (SpinnerColumn(), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    progress = Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True)
    task = progress.add_task("files", total=None)
    shown = _Shown(progress)

    def advance(done: int, total: int, frames: int) -> None:
        shown.when_due()
        progress.update(task, completed=done, total=total, description=f"files, {frames} frames of this one")

    try:
        yield advance
    finally:
        shown.end()


@contextmanager
def _advancing(*columns: ProgressColumn) -> Iterator[Callable[[int, int], None]]:
    console = Console(stderr=True)
    progress = Progress(SpinnerColumn(), *columns, TimeElapsedColumn(), console=console, transient=True)
    task = progress.add_task("", total=None)
    shown = _Shown(progress)

    def advance(done: int, total: int) -> None:
        shown.when_due()
        progress.update(task, completed=done, total=total)

    try:
        yield advance
    finally:
        shown.end()


class _Shown:
    """Starts a progress display once the work has taken long enough, on a terminal alone."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._due_s = time.monotonic() + PATIENCE_S
        self._started = False

    def when_due(self) -> None:
        if not self._started and self._progress.console.is_terminal and time.monotonic() >= self._due_s:
            self._progress.start()
            self._started = True

    def end(self) -> None:
        if self._started:  # else it would write an empty line
            self._progress.stop()
