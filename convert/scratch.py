"""Scratch folders beside a target: gone afterwards, one process at a time; what a killed one left is removed."""

from __future__ import annotations

import errno
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engines.errors import UsageError

_RANDOM = re.compile("[a-z0-9_]{8}")  # what tempfile puts behind a prefix
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@contextmanager
def scratch(target: Path, use: str, what: str) -> Iterator[Path]:
    """Yield an empty folder ``.NAME.use-...`` beside ``target``; it is gone afterwards, whatever happens.

    It is locked while it is in use. A killed process leaves it behind unlocked: the next one for the same target and
    use removes it. ``what`` fails, in sentences.

    Raises
    ------
    UsageError
        The parent folder cannot be written, another process is at work on the same target, or the disk is full.
    """
    prefix = f".{target.name}.{use}-"
    try:
        _remove_stale(target.parent, prefix, what)
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=target.parent))
        lock = _lock(folder)
    except OSError as error:
        raise UsageError(
            what, error.strerror or "the folder is closed", "choose a folder that can be written"
        ) from error
    try:
        yield folder
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise UsageError(what, "the disk is full", f"make room in {target.parent} and run it again") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _unlock(lock)


def _remove_stale(parent: Path, prefix: str, what: str) -> None:
    for path in parent.iterdir():
        if not path.name.startswith(prefix) or not _RANDOM.fullmatch(path.name.removeprefix(prefix)):
            continue
        try:
            lock = _lock(path)
        except BlockingIOError as error:
            because = f"another process is writing it (in {path.name})"
            raise UsageError(what, because, "wait until it is done, or end it") from error
        except FileNotFoundError:  # that process has just finished
            continue
        shutil.rmtree(path)
        _unlock(lock)


def _lock(folder: Path) -> int | None:
    """Lock a folder for this process; None where the file system cannot.

    Raises
    ------
    BlockingIOError
        Another one has it.
    """
    if sys.platform == "win32":
        return None
    import fcntl

    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise
    except OSError:  # some network file systems have no locks
        os.close(lock)
        return None
    return lock


def _unlock(lock: int | None) -> None:
    if lock is not None:
        os.close(lock)
