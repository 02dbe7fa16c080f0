"""The child's whole life: it builds one engine in a process of its own and says how that ended.

A crash, a lack of memory, a hang or a cancel ends this process and nothing else. Its parent cancels by closing its
end of the pipe, so that a build whose parent was killed ends by itself.
"""

from __future__ import annotations

import resource
import signal
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from convert.tensorrt_builder import Built, CancelledError, build
from convert.tensorrt_library import load_library
from convert.tensorrt_messages import Failed, Finished, Line
from convert.tensorrt_plan import EnginePlan
from engines.errors import EchoGFRError

_OOM_SCORE = Path("/proc/self/oom_score_adj")


@dataclass(frozen=True, slots=True)
class Job:
    """What the child gets: ``memory_bytes`` is the most that it may allocate."""

    plan: EnginePlan
    draft: Path
    memory_bytes: int


def work(connection: Connection, job: Job) -> None:
    """Build and send the result."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the parent, which cancels
    line = Line(connection)
    try:
        _limit_memory(job.memory_bytes)
        built = build(load_library(job.plan.runtime), job.plan, job.draft, line)
    except CancelledError:
        return
    except EchoGFRError as error:
        line.send(Failed(what=error.what, because=error.because, cure=error.cure))
    except MemoryError:
        line.send(_out_of_memory(job))
    else:
        line.send(_finished(built))


def _out_of_memory(job: Job) -> Failed:
    because = f"it needs more than the {job.memory_bytes >> 20} MiB of memory that are free"
    return Failed(what=job.plan.what, because=because, cure="close other programs or allow a smaller --workspace")


def _finished(built: Built) -> Finished:
    return Finished(sha256=built.sha256, size_bytes=built.size_bytes, layers=built.layers, warnings=built.warnings)


def _limit_memory(limit: int) -> None:
    """Cap the child's own data, and let the kernel end it first if memory runs out.

    RLIMIT_DATA, not RLIMIT_AS: a CUDA context reserves far more addresses than there is memory.
    """
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    with suppress(OSError):
        _OOM_SCORE.write_text("1000", encoding="ascii")
