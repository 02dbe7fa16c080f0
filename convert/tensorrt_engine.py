"""From a plan to an engine in the store: memory is looked at first, and the store gets all or nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from convert.progress import Progress
from convert.tensorrt_child import Job
from convert.tensorrt_messages import Finished
from convert.tensorrt_plan import EnginePlan
from convert.tensorrt_process import run_child
from engines.bundle import Bundle
from engines.engine_record import EngineRecord, engine_name
from engines.manifest import Artifact
from engines.store import EngineError, EngineStore

MEMORY_SHARE = 0.8  # of the memory that is free now: the rest is for the window and the system
LEAST_MEMORY_BYTES = 512 << 20  # 300 MiB were enough for the stand-in; less ends in the middle of a build
_MEMINFO = Path("/proc/meminfo")


@dataclass(frozen=True, slots=True)
class Made:
    """An engine in the store; ``kept``: it was there already, for the same key and whole."""

    record: EngineRecord
    kept: bool


def build_engines(
    bundle: Bundle,
    plans: Sequence[tuple[EnginePlan, Artifact]],
    store: EngineStore,
    progress: Progress,
    again: bool = False,
) -> list[Made]:
    """Build what is not yet in the store, one after the other: a cancel or an error loses the one in hand only.

    ``again``: also what is there already.

    Raises
    ------
    EngineError, KeyboardInterrupt
        See ``build_engine``.
    """
    made = []
    for at, (plan, artifact) in enumerate(plans):
        if len(plans) > 1:
            progress("Members", at, len(plans))
        found = None if again else store.find(plan.key)
        there = found.record if found is not None and found.state == "good" else None
        record = there or build_engine(bundle, artifact, plan, store, progress)
        made.append(Made(record, kept=there is not None))
    return made


def build_engine(
    bundle: Bundle, artifact: Artifact, plan: EnginePlan, store: EngineStore, progress: Progress
) -> EngineRecord:
    """Build in a child process and put the engine into the store; any error or cancel leaves the store as it was.

    Raises
    ------
    EngineError
        The build failed, its process died or hung, or the store cannot be written.
    KeyboardInterrupt
        Cancelled by Ctrl-C or by ``progress``.
    """
    store.prepare()
    started, memory = time.monotonic(), _memory_bytes(plan)
    job = Job(plan, store.draft(), memory)
    try:
        built = run_child(job, progress)
        record = _record(bundle, artifact, plan, built, round(time.monotonic() - started, 2))
        store.put(job.draft, record)
    except OSError as error:
        because = f"{store.folder} cannot be written ({error.strerror})"
        raise EngineError(plan.what, because, "free some space there, or choose another folder with --out") from error
    finally:
        job.draft.unlink(missing_ok=True)
    return record


def free_memory_bytes() -> int:
    """Return what the system can give without swapping."""
    for line in _MEMINFO.read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return int(value.split()[0]) << 10
    raise EngineError("No engine can be built", "the free memory is not known", "use Linux 3.14 or later")


def _memory_bytes(plan: EnginePlan) -> int:
    memory = int(free_memory_bytes() * MEMORY_SHARE)
    if memory < LEAST_MEMORY_BYTES:
        because = f"only {memory >> 20} MiB of memory can be had and a builder needs {LEAST_MEMORY_BYTES >> 20}"
        raise EngineError(plan.what, because, "close other programs")
    return memory


def _record(bundle: Bundle, artifact: Artifact, plan: EnginePlan, built: Finished, seconds: float) -> EngineRecord:
    return EngineRecord(
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
        build_seconds=seconds,
        layers=built.layers,
        warnings=built.warnings,
    )
