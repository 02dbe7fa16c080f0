"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from engines.errors import UsageError


def check_writable(path: Path) -> None:
    """Refuse early, before long work, what could not be written in the end; leaves nothing behind.

    Raises
    ------
    UsageError
        The place cannot be written to, or what lies there is no plain file: a device would be lost.
    """
    with explained(path):
        if path.name == "" or (path.exists() and not path.is_file()):
            raise UsageError(f"{path} cannot be written", "it is no plain file", "choose a file's name")
        draft = _draft(path)
        draft.touch()
        draft.unlink()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary sibling to write to; it takes the name ``path`` only if the block ends well.

    Raises
    ------
    UsageError
        As ``check_writable``, or the file cannot take its name.
    """
    check_writable(path)
    unfinished = _draft(path)
    try:
        yield unfinished
        with explained(path):
            unfinished.replace(path.resolve())  # through a link, to the file that it means
    finally:
        with suppress(OSError):  # it has taken its name, or never came to be
            unfinished.unlink()


def _draft(path: Path) -> Path:
    real = path.resolve()
    return real.with_name(f".{real.name}.{os.getpid()}.part")


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what the operating system says of writing ``path`` into one sentence."""
    try:
        yield
    except OSError as error:
        cause = error.strerror or "the disk refuses"
        raise UsageError(f"{path} cannot be written", cause.lower(), "choose another place") from error
