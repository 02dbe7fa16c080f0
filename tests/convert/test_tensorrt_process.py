"""The process that builds: killed, starved, orphaned or hung, it costs one sentence and nothing else."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from convert.progress import silent
from convert.tensorrt_child import Job
from convert.tensorrt_library import Library
from convert.tensorrt_process import _Silence, run_child
from engines.errors import EchoGFRError
from engines.store import EngineError

from .tensorrt_makers import ROOT, plan_of

Artifacts = Callable[[str, str], Path]
MEMORY = 4 << 30
SILENCE_S = 2.0


@pytest.fixture
def job(rtx: Library, artifact_of: Artifacts, tmp_path: Path) -> Job:
    return Job(plan_of(rtx, artifact_of("residual", "int8"), "int8"), tmp_path / "engine", MEMORY)


def children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "spawn_main" in " ".join(child.cmdline())]


def at(stage: str, sign: signal.Signals, times: int = 1) -> Callable[[str, int, int], None]:
    """Return a reporter that signals the child when ``stage`` begins, so many times at most."""
    left = [times]

    def report(seen: str, done: int, total: int) -> None:
        if seen == stage and done == 0 and left[0]:
            left[0] -= 1
            for child in children():
                os.kill(child.pid, sign)

    return report


def test_a_killed_builder_is_one_sentence(job: Job) -> None:
    with pytest.raises(EngineError, match="was ended by SIGKILL"):
        run_child(job, at("Building engine", signal.SIGKILL))
    assert children() == []


def test_a_builder_that_hangs_once_is_ended_and_tried_again(job: Job) -> None:
    """Stopped, it neither speaks nor computes: as one that waits for a lock."""
    done = run_child(job, at("Building engine", signal.SIGSTOP), SILENCE_S)
    assert done.layers.compiled == {"Int8": 12, "Half": 2, "Float": 2}
    assert "once: it was ended, and the engine is of a second try" in done.warnings[0]
    assert job.draft.stat().st_size == done.size_bytes
    assert children() == []


def test_a_builder_that_always_hangs_is_one_sentence(job: Job) -> None:
    """It waits in the kernel for an artifact that nobody writes."""
    pipe = job.draft.with_name("never.onnx")
    os.mkfifo(pipe)
    waits = Job(dataclasses.replace(job.plan, artifact=pipe), job.draft, MEMORY)
    with pytest.raises(EngineError, match=r"nothing was heard of the builder for 2 s and it did nothing, 2 times"):
        run_child(waits, silent, SILENCE_S)
    assert children() == []
    assert not job.draft.exists()


def test_a_process_that_computes_in_silence_does_not_hang() -> None:
    silence = _Silence(os.getpid(), limit_s=3.0)  # of which 1 % is three ticks of the kernel's clock
    silence.broken()
    end = time.process_time() + 0.3
    while time.process_time() < end:
        pass
    assert not silence.too_long(3.0)
    assert not silence.too_long(2.0)  # a whole limit must go by
    assert silence.too_long(1.0)


def test_a_cancel_ends_the_builder(job: Job) -> None:
    def cancel(stage: str, done: int, total: int) -> None:
        if stage == "Building engine":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_child(job, cancel)
    assert children() == []


def test_a_second_cancel_does_not_wait_for_the_builder(job: Job) -> None:
    def cancel(stage: str, done: int, total: int) -> None:
        if stage == "Building engine":
            for child in children():
                os.kill(child.pid, signal.SIGSTOP)  # it will not look at its monitor
            signal.setitimer(signal.ITIMER_REAL, 0.5)
            raise KeyboardInterrupt

    def again(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before, started = signal.signal(signal.SIGALRM, again), time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            run_child(job, cancel)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert children() == []
    assert time.monotonic() - started < 8.0  # and not the 10 s that a first cancel gives it


def test_too_little_memory_is_one_sentence(job: Job) -> None:
    starved = Job(job.plan, job.draft, 200 << 20)
    with pytest.raises(EchoGFRError, match=r"too little free memory|cannot be loaded|ended by SIG|needs more than"):
        run_child(starved, silent)
    assert not job.draft.exists()


ORPHAN = """
import sys, time
from pathlib import Path
import psutil
from convert.tensorrt_child import Job
from convert.tensorrt_plan import EnginePlan
from convert.tensorrt_process import run_child
from engines.engine_record import EngineKey

def told(stage, done, total):
    if stage == "Building engine":
        print(*(child.pid for child in psutil.Process().children()), flush=True)
        time.sleep(60)

if __name__ == "__main__":
    key = EngineKey.model_validate_json(sys.argv[2])
    run_child(Job(EnginePlan(Path(sys.argv[1]), "int8", "tensorrt-rtx", key), Path(sys.argv[3]), 4 << 30), told)
"""


def test_a_build_whose_parent_was_killed_ends_by_itself(job: Job, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(ORPHAN)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])}
    words = [str(job.plan.artifact), job.plan.key.model_dump_json(), str(job.draft)]
    with subprocess.Popen(
        [sys.executable, str(script), *words], stdout=subprocess.PIPE, text=True, env=environment
    ) as parent:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        parent.kill()
    assert pids
    deadline = time.monotonic() + 20
    while any(psutil.pid_exists(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert [pid for pid in pids if psutil.pid_exists(pid)] == []
