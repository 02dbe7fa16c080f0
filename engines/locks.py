"""Locks between processes that end with their process, however it ends."""

from __future__ import annotations

import sys
from typing import IO


def lock_file(file: IO[bytes], shared: bool) -> bool:
    """Take a lock that ends with the process; False: another holds it."""
    if sys.platform == "win32":  # nothing can be told of other processes there
        return True
    import fcntl

    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
