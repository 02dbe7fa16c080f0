"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from engines.errors import UsageError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary sibling to write to; it takes the name ``path`` only if the block ends well.

    Raises
    ------
    UsageError
        The file cannot take its name.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield unfinished
        with explained(path):
            unfinished.replace(path)
    finally:
        with suppress(OSError):  # it has taken its name, or never came to be
            unfinished.unlink()


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what the operating system says of writing ``path`` into one sentence."""
    try:
        yield
    except OSError as error:
        cause = error.strerror or "the disk refuses"
        raise UsageError(f"{path} cannot be written", cause.lower(), "choose another place") from error
