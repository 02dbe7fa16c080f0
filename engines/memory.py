"""A limit on the memory of this process while it runs a model: a few bytes of a graph can ask for terabytes.

Nothing in a small file tells what its graph will take when it runs (``ConstantOfShape``, ``Tile``), so that the limit
is set where memory is given: a model that exceeds it ends in one sentence, and the machine goes on.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engines.errors import InferenceError

SHARE = 0.8  # of the memory that is free when a model is opened: the rest is for the window and the system
_MEMINFO, _STATM = Path("/proc/meminfo"), Path("/proc/self/statm")


@contextmanager
def memory_limited(limit_bytes: int | None = None) -> Iterator[None]:
    """Let this process take only so much more; None: a share of what is free. Without limit where it is not Linux.

    Counted are its own data, not what it maps: a GPU's driver maps far more addresses than there is memory.

    Raises
    ------
    InferenceError
        Memory was refused in the block where no library made another error of it.
    """
    more = _allowed_bytes() if limit_bytes is None else limit_bytes
    if sys.platform != "linux" or more is None:
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = _used_bytes() + more
    known = [limit for limit in (soft, hard, wanted) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min(known), hard))
    try:
        yield
    except MemoryError as error:
        because = f"it needs more than the {more >> 20} MiB of memory that it may take"
        raise InferenceError(
            "The model cannot be run", because, "close other programs, or use another bundle"
        ) from error
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _allowed_bytes() -> int | None:
    try:
        lines = _MEMINFO.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    free = next((int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")), None)
    return None if free is None else int(free * SHARE)


def _used_bytes() -> int:
    return int(_STATM.read_text(encoding="ascii").split()[5]) * os.sysconf("SC_PAGE_SIZE")
