"""Kills a command at a random moment, again and again, and looks at what it leaves."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
ENDS_S = 60  # in which the processes of a killed command end by themselves


def command(program: str, words: Sequence[str | Path]) -> list[str]:
    """``program``: the module with ``main``."""
    code = f"import sys; sys.argv = ['x', *{list(map(str, words))!r}]; from {program} import main; main()"
    return [sys.executable, "-c", code]


def environment(**more: str | Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **{k: str(v) for k, v in more.items()}}


def kill_at_random(
    words: list[str], env: dict[str, str], kills: int, whole_s: float, look: Callable[[], None], seed: int = 1
) -> int:
    """Start a command and kill it within ``whole_s``, until ``kills`` were in time, and ``look`` after each.

    Returns how often it was started. Processes that it started have to end by themselves, or this raises.
    """
    rng, started, in_time = random.Random(seed), 0, 0
    while in_time < kills:
        started += 1
        if started > 10 * kills:
            raise AssertionError(f"only {in_time} kills of {started} were in time")
        process = subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(0, whole_s))
        try:
            family = psutil.Process(process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            family = []
        in_time += process.poll() is None
        process.kill()
        process.wait()
        _, alive = psutil.wait_procs(family, ENDS_S)
        if alive:
            for left in alive:
                left.kill()
            raise AssertionError(f"{len(alive)} processes outlive the killed command")
        look()
    return started
