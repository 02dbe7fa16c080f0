"""Runs a build in a process of its own: a crash, a lack of memory or a cancel ends that process and nothing else.

Two ends of one pipe carry JSON: progress and the result to the parent; the parent cancels by closing its end,
so that a build whose parent was killed ends by itself.
"""

from __future__ import annotations

import multiprocessing
import resource
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, TypeAdapter

from convert.progress import Progress
from convert.tensorrt_builder import Built, CancelledError, build
from convert.tensorrt_library import load_library
from convert.tensorrt_plan import EnginePlan
from engines.bundle import Bundle
from engines.errors import EchoGFRError
from engines.manifest import Artifact
from engines.store import EngineError, EngineRecord, EngineStore, LayerSummary, engine_name

MEMORY_SHARE = 0.8  # of the memory that is free now: the rest is for the window and the system
LEAST_MEMORY_BYTES = 512 << 20  # 300 MiB were enough for the stand-in; less ends in the middle of a build
REPORT_EVERY_S = 0.1
CANCEL_S = 10.0  # a builder looks at its monitor between two steps
POLL_S = 0.2
_MEMINFO = Path("/proc/meminfo")
_OOM_SCORE = Path("/proc/self/oom_score_adj")


class Advance(BaseModel):
    """How far the build is."""

    kind: Literal["advance"] = "advance"
    stage: str
    done: int
    total: int


class Finished(BaseModel):
    """The engine lies in the draft."""

    kind: Literal["finished"] = "finished"
    sha256: str
    size_bytes: int
    layers: LayerSummary
    warnings: tuple[str, ...]


class Failed(BaseModel):
    """One sentence, in its three parts."""

    kind: Literal["failed"] = "failed"
    what: str
    because: str
    cure: str


_MESSAGES: TypeAdapter[Advance | Finished | Failed] = TypeAdapter(
    Annotated[Advance | Finished | Failed, Field(discriminator="kind")]
)


@dataclass(frozen=True, slots=True)
class Job:
    """What the child gets: ``memory_bytes`` is the most that it may allocate."""

    plan: EnginePlan
    draft: Path
    memory_bytes: int


@dataclass(slots=True)
class Line:
    """The child's end of the pipe, as the watch of a build."""

    connection: Connection
    _last: float = field(default=0.0)

    def report(self, stage: str, done: int, total: int) -> None:
        """Send progress: the ends of each stage, and between them not too often."""
        now = time.monotonic()
        if 0 < done < total and now - self._last < REPORT_EVERY_S:
            return
        self._last = now
        self.send(Advance(stage=stage, done=done, total=total))

    def cancelled(self) -> bool:
        """Tell whether the parent closed its end."""
        try:
            return self.connection.poll()
        except OSError:
            return True

    def send(self, message: BaseModel) -> None:
        """Send one message; a parent that is gone hears nothing."""
        with suppress(OSError):
            self.connection.send_bytes(message.model_dump_json().encode())


def free_memory_bytes() -> int:
    """Return what the system can give without swapping."""
    for line in _MEMINFO.read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return int(value.split()[0]) << 10
    raise EngineError("No engine can be built", "the free memory is not known", "use Linux 3.14 or later")


def work(connection: Connection, job: Job) -> None:
    """Build in the child and send the result: the child's whole life."""
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


def build_engine(
    bundle: Bundle, artifact: Artifact, plan: EnginePlan, store: EngineStore, progress: Progress
) -> EngineRecord:
    """Build in a child process and put the engine into the store; any error or cancel leaves the store as it was.

    Raises
    ------
    EngineError
        The build failed, or its process died.
    KeyboardInterrupt
        Cancelled by Ctrl-C or by ``progress``.
    """
    store.prepare()
    started, memory = time.monotonic(), int(free_memory_bytes() * MEMORY_SHARE)
    if memory < LEAST_MEMORY_BYTES:
        because = f"only {memory >> 20} MiB of memory can be had and a builder needs {LEAST_MEMORY_BYTES >> 20}"
        raise EngineError(plan.what, because, "close other programs")
    job = Job(plan, store.draft(), memory)
    try:
        built = run_child(job, progress)
        record = EngineRecord(
            key=plan.key,
            engine=engine_name(plan.key, built.sha256),
            sha256=built.sha256,
            size_bytes=built.size_bytes,
            bundle_id=bundle.manifest.bundle_id,
            bundle_version=bundle.manifest.version,
            bundle_sha256=bundle.sha256,
            artifact=artifact.file,
            precision=artifact.precision,
            created=datetime.now(timezone.utc),
            build_seconds=round(time.monotonic() - started, 2),
            layers=built.layers,
            warnings=built.warnings,
        )
        store.put(job.draft, record)
    finally:
        job.draft.unlink(missing_ok=True)
    return record


def run_child(job: Job, progress: Progress) -> Finished:
    """Run a job in a child, tell ``progress``, and leave no process behind.

    Raises
    ------
    EngineError
        The child says so, or it died.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=work, args=(theirs, job), name="engine-builder", daemon=True)
    with _interrupts_ignored():
        process.start()
    theirs.close()
    try:
        return _follow(ours, process, job, progress)
    finally:
        ours.close()
        process.join(CANCEL_S)
        if process.is_alive():
            process.kill()
            process.join()
        process.close()


def _follow(ours: Connection, process: SpawnProcess, job: Job, progress: Progress) -> Finished:
    while True:
        if not ours.poll(POLL_S):
            continue
        try:
            message = _MESSAGES.validate_json(ours.recv_bytes())
        except (EOFError, ConnectionResetError):
            process.join(CANCEL_S)
            raise _died(job, process.exitcode) from None
        if isinstance(message, Finished):
            return message
        if isinstance(message, Failed):
            raise EngineError(message.what, message.because, message.cure)
        progress(message.stage, message.done, message.total)


def _died(job: Job, exitcode: int | None) -> EngineError:
    what = job.plan.what
    if exitcode is not None and exitcode < 0:
        name = signal.Signals(-exitcode).name
        because = f"the process that builds was ended by {name}; it may use {job.memory_bytes >> 20} MiB of memory"
        return EngineError(what, because, "close other programs, allow a smaller --workspace, and try again")
    return EngineError(what, f"the process that builds ended with code {exitcode}", "see its message above")


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


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Let a child be born deaf to Ctrl-C, before its first own line could say so; only the main thread may."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
