"""Who uses or changes installed bundles now: locks that end with their process, however it ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engines.locks import lock_file

SLOTS_NAME = "slots.json"  # beside the folders of an id


@contextmanager
def in_use(path: Path) -> Iterator[None]:
    """Hold a bundle of the shelf, so that it is not removed; another folder is none of the shelf's business."""
    if not (path.parent / SLOTS_NAME).is_file():
        yield
        return
    try:
        mark = use_file(path).open("ab")
    except OSError:  # a shelf that this user may only read: it cannot be removed by them either
        yield
        return
    with mark:
        lock_file(mark, shared=True)  # not got only while it is being removed: opening it says so
        yield


def use_file(path: Path) -> Path:
    """Return the file beside a bundle by which its users hold it."""
    return path.with_name(f".{path.name}.use")


def is_used(path: Path) -> bool:
    """Tell whether a process holds this bundle."""
    try:
        with use_file(path).open("rb+") as mark:
            return not lock_file(mark, shared=False)
    except OSError:
        return False
