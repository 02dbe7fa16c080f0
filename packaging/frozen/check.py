"""Starts the frozen app on the phantom, offscreen and with an empty environment, until its first reading.

Run: ``python packaging/frozen/check.py FOLDER [--size MB] [--memory MB] [--first SECONDS]``; FOLDER holds ``echogfr``.
Prints size, seconds to the first reading, and the largest memory of the process tree, in which pages that processes
share count once. Ends with 1, and one sentence each, where no reading came, a bound was passed, the app did not end
by itself, or anything stayed behind.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

# Generous: what is passed is a library too many, a leak or a hang, not a slow or busy machine.
SIZE_MB, MEMORY_MB, FIRST_S = 850.0, 1400.0, 60.0
SECONDS = 20  # the phantom's first measured freeze is read after about 9
COMMAND_S = 120.0
ENDING_S = 60.0
SAMPLE_S = 0.25
GRACE_S = 2.0
SHARED = Path("/dev/shm")


@dataclass
class Run:
    """What was seen of one run of the window."""

    first_s: float | None = None
    memory_mb: float = 0.0
    exit_code: int | None = None
    wrong: list[str] = field(default_factory=list)


def main() -> int:
    """Check one frozen folder; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=float, default=SIZE_MB)
    parser.add_argument("--memory", type=float, default=MEMORY_MB)
    parser.add_argument("--first", type=float, default=FIRST_S)
    told = parser.parse_args()
    folder = told.folder.resolve()
    wrong = commands(folder)
    seen = Run() if wrong else live(folder / "echogfr", SECONDS + told.first + ENDING_S)
    first = "no reading" if seen.first_s is None else f"first reading after {seen.first_s:.1f} s"
    mb = size(folder) / 1e6
    print(f"{mb:.0f} MB on disk, {first}, {seen.memory_mb:.0f} MB of memory, exit code {seen.exit_code}")
    wrong += seen.wrong
    wrong += above("size", mb, told.size, "MB: see what was collected that is not used")
    wrong += above("memory", seen.memory_mb, told.memory, "MB: look for a leak, or for two copies of a library")
    wrong += above(
        "time to the first reading", seen.first_s or 0.0, told.first, "s: see the lines above for what it waited for"
    )
    for line in wrong:
        print(f"The frozen app is not good: {line}.", file=sys.stderr)
    return 1 if wrong else 0


def above(what: str, found: float, bound: float, cure: str) -> list[str]:
    """Return a sentence if a bound is passed."""
    return [f"its {what} is {found:.0f}, above {bound:.0f} {cure}"] if found > bound else []


def commands(folder: Path) -> list[str]:
    """Return what is wrong with the commands that show no window."""
    wrong = []
    for name, *words in (("echogfr", "version"), ("echogfr", "sources", "--help"), ("echogfr-convert", "--help")):
        with own_folders() as (home, _):
            try:
                done = subprocess.run(
                    [folder / name, *words],
                    env=bare(home),
                    capture_output=True,
                    text=True,
                    timeout=COMMAND_S,
                    check=False,
                )
            except (OSError, subprocess.TimeoutExpired) as error:
                wrong.append(f"{name} {' '.join(words)} did not run ({error})")
                continue
        said = done.stdout.strip().splitlines() or ["(nothing)"]
        print(f"{name} {' '.join(words)}: {said[0].strip()}")
        if done.returncode:
            print(done.stdout + done.stderr)
            wrong.append(f"{name} {' '.join(words)} ends with {done.returncode}")
    return wrong


@contextmanager
def own_folders() -> Iterator[tuple[Path, Path]]:
    """Lend a home and a folder for temporary files to one run."""
    with tempfile.TemporaryDirectory() as folder:
        home, temporary = Path(folder, "home"), Path(folder, "tmp")
        home.mkdir()
        temporary.mkdir()
        yield home, temporary


def bare(home: Path) -> dict[str, str]:
    """Return the environment of a new user, on a machine that knows nothing of Python."""
    return {
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(home),
        "TMPDIR": str(home.with_name("tmp")),
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
    }


def live(program: Path, limit_s: float) -> Run:
    """Run the window offscreen until it closes by itself; a run that hangs is ended."""
    seen = Run()
    segments = set(shared_memory())
    with own_folders() as (home, temporary):
        picture = home / "picture.png"
        words = ["run", "--offscreen-seconds", str(SECONDS), "--screenshot", str(picture)]
        began = time.monotonic()
        with subprocess.Popen(
            [program, *words], env=bare(home), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as child:
            watcher = threading.Thread(target=watch, args=(child, seen, limit_s))
            watcher.start()
            for line in child.stdout or ():
                after = time.monotonic() - began
                print(f"  {after:5.1f} s  {line.rstrip()}", flush=True)
                if "mL/min" in line and seen.first_s is None:
                    seen.first_s = after
            seen.exit_code = child.wait()
            watcher.join()
        if seen.exit_code:
            seen.wrong.append(f"its window ends with exit code {seen.exit_code}")
        if seen.first_s is None:
            seen.wrong.append(f"no reading came in {SECONDS} s")
        if not picture.is_file():
            seen.wrong.append("it wrote no picture of its window")
        seen.wrong += left_behind(program.parent, temporary, segments)
    return seen


def watch(child: subprocess.Popen[str], seen: Run, limit_s: float) -> None:
    """Sample the memory until the program ended; end it, and all below it, where it takes too long."""
    began = time.monotonic()
    while child.poll() is None:
        seen.memory_mb = max(seen.memory_mb, memory_below(child.pid) / 1e6)
        if time.monotonic() - began > limit_s:
            seen.wrong.append(f"it did not end by itself within {limit_s:.0f} s")
            end(below(child.pid))
        time.sleep(SAMPLE_S)


def below(root: int) -> list[int]:
    """Return a process and all below it (Linux)."""
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        found.append(pid)
        try:
            told = "".join(path.read_text(encoding="ascii") for path in Path(f"/proc/{pid}/task").glob("*/children"))
        except OSError:
            continue  # it ended meanwhile
        todo += [int(child) for child in told.split()]
    return found


def memory_below(root: int) -> int:
    """Return the memory of a process and all below it in bytes, shared pages counted once."""
    return sum(memory(pid) for pid in below(root))


def memory(pid: int) -> int:
    """Return the memory of a process in bytes: its own pages, and its part of those that it shares (PSS)."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0  # it ended meanwhile
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def left_behind(folder: Path, temporary: Path, segments: set[str]) -> list[str]:
    """Return what stayed behind after a moment; end processes that did. ``segments``: what there was before."""
    deadline = time.monotonic() + GRACE_S
    while (running := still_running(folder)) and time.monotonic() < deadline:
        time.sleep(0.1)
    end(running)
    files = sorted(path.name for path in temporary.iterdir())
    memories = sorted(set(shared_memory()) - segments - in_use())
    told = [("processes", [str(pid) for pid in running]), ("shared memory", memories), ("files", files)]
    return [f"it left {what} behind ({', '.join(names)})" for what, names in told if names]


def still_running(folder: Path) -> list[int]:
    """Return processes that run a program of the folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "exe").resolve().is_relative_to(folder):
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def end(processes: list[int]) -> None:
    """End processes at once."""
    for pid in processes:
        try:
            os.kill(pid, 9)
        except ProcessLookupError:
            continue


def shared_memory() -> list[str]:
    """Return the names of the segments of shared memory that this program's runs make."""
    return [path.name for path in SHARED.glob("psm_*")] if SHARED.is_dir() else []


def in_use() -> set[str]:
    """Return the segments that some process holds: those of another program that began meanwhile."""
    held = set()
    for maps in Path("/proc").glob("[0-9]*/maps"):
        try:
            lines = maps.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        held |= {Path(line.split()[5]).name for line in lines if f" {SHARED}/psm_" in line}
    return held


def size(folder: Path) -> int:
    """Return the bytes of all files below."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


if __name__ == "__main__":
    sys.exit(main())
