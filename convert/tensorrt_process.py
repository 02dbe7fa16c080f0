"""Runs a job in a child process and follows it: it ends with a result or one sentence, however the child ends.

A child that says nothing and does nothing is ended, and the job is tried once more: a builder that waits for ever must
not make its user wait for ever.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path

from convert.progress import Progress
from convert.tensorrt_child import Job, work
from convert.tensorrt_messages import MESSAGES, Advance, Failed, Finished
from engines.interrupts import unheard_by_children
from engines.store import EngineError

CANCEL_S = 10.0  # a builder looks at its monitor between two steps
POLL_S = 0.2
SILENCE_S = 60.0  # one that works writes to its log or computes, all the time
IDLE_SHARE = 0.01  # of one core: less is nothing
TRIES = 2
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


class HungError(Exception):
    """The child was silent and idle for too long, and was ended."""


def run_child(job: Job, progress: Progress, silence_s: float = SILENCE_S) -> Finished:
    """Run a job in a child, tell ``progress``, and leave no process behind.

    Raises
    ------
    EngineError
        The child says so, it died, or it hung twice.
    KeyboardInterrupt
        As ``progress`` or Ctrl-C raise it; the child is ended.
    """
    hung = f"nothing was heard of the builder for {silence_s:.0f} s and it did nothing"
    for tried in range(TRIES):
        try:
            finished = _run_once(job, progress, silence_s)
        except HungError:
            continue
        told = (f"{hung} once: it was ended, and the engine is of a second try",) if tried else ()
        return finished.model_copy(update={"warnings": (*told, *finished.warnings)})
    raise EngineError(job.plan.what, f"{hung}, {TRIES} times", "try again, with another version of TensorRT")


def _run_once(job: Job, progress: Progress, silence_s: float) -> Finished:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=work, args=(theirs, job), name="engine-builder", daemon=True)
    with unheard_by_children():
        process.start()
    theirs.close()
    try:
        return _follow(ours, process, job, progress, silence_s)
    except HungError:
        process.kill()  # it will not look at its monitor
        raise
    finally:
        ours.close()
        _end(process)


def _end(process: SpawnProcess) -> None:
    """Wait until the child has ended by itself, then end it; a second Ctrl-C ends it at once."""
    try:
        process.join(CANCEL_S)
    finally:
        if process.is_alive():
            process.kill()
            process.join()
        process.close()


def _follow(ours: Connection, process: SpawnProcess, job: Job, progress: Progress, silence_s: float) -> Finished:
    silence = _Silence(process.pid or 0, silence_s)
    while True:
        if not ours.poll(POLL_S):
            if silence.too_long(POLL_S):
                raise HungError
            continue
        silence.broken()
        try:
            message = MESSAGES.validate_json(ours.recv_bytes())
        except (EOFError, ConnectionResetError):
            process.join(CANCEL_S)
            raise _died(job, process.exitcode) from None
        if isinstance(message, Finished):
            return message
        if isinstance(message, Failed):
            raise EngineError(message.what, message.because, message.cure)
        if isinstance(message, Advance):
            progress(message.stage, message.done, message.total)


@dataclass(slots=True)
class _Silence:
    """How long a process has said nothing, and whether it computed meanwhile.

    Counted in waits, not read from a clock: the time in which both processes were stopped is no silence.
    """

    pid: int
    limit_s: float
    quiet_s: float = 0.0
    computed_s: float = 0.0

    def broken(self) -> None:
        """Begin anew."""
        self.quiet_s, self.computed_s = 0.0, cpu_seconds(self.pid)

    def too_long(self, waited_s: float) -> bool:
        """Add a wait without a message; True where a whole limit went by without a message and without work."""
        self.quiet_s += waited_s
        if self.quiet_s < self.limit_s:
            return False
        idle = cpu_seconds(self.pid) - self.computed_s < IDLE_SHARE * self.limit_s
        self.broken()
        return idle


def cpu_seconds(pid: int) -> float:
    """Return the processor time of all threads of a process, in s; 0 of one that is gone."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(words[11]) + int(words[12])) / _TICKS_A_SECOND  # utime and stime, the 14th and 15th of proc(5)


def _died(job: Job, exitcode: int | None) -> EngineError:
    what = job.plan.what
    if exitcode is not None and exitcode < 0:
        name = signal.Signals(-exitcode).name
        because = f"the process that builds was ended by {name}; it may use {job.memory_bytes >> 20} MiB of memory"
        return EngineError(what, because, "close other programs, allow a smaller --workspace, and try again")
    return EngineError(what, f"the process that builds ended with code {exitcode}", "see its message above")
