"""Starts the frozen app on the phantom, offscreen and with an empty environment, until its first reading.

Run: ``python packaging/frozen/check.py FOLDER``; FOLDER holds ``echogfr``. Prints size, seconds to the
first reading, and the largest memory of the process tree; ends with 1 where no reading came, or anything stayed behind.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SECONDS = 20
SAMPLE_S = 0.2


def main(folder: Path) -> int:
    """Check one frozen folder; return the exit code."""
    program = folder / "echogfr"
    print(f"{folder}: {size(folder) / 1e6:.0f} MB")
    for arguments in (["version"], ["sources", "--help"]):
        done = run(program, arguments)
        first = next(iter(done.stdout.strip().splitlines()), "").strip()
        print(f"echogfr {' '.join(arguments)}: {done.returncode}, {first}")
        if done.returncode:
            print(done.stdout, done.stderr)
            return 1
    done = run(folder / "echogfr-convert", ["--help"])
    if done.returncode:
        print(done.stderr)
        return 1
    return live(program)


def run(program: Path, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command of the folder as it would be run on a machine that knows nothing of Python."""
    with tempfile.TemporaryDirectory() as home:
        return subprocess.run(
            [program, *arguments], env=bare(home), capture_output=True, text=True, timeout=120, check=False
        )


def bare(home: str) -> dict[str, str]:
    """Return the environment of a new user."""
    return {"HOME": home, "XDG_RUNTIME_DIR": home, "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}


def live(program: Path) -> int:
    """Run the window offscreen; print when what came, and the largest memory."""
    with tempfile.TemporaryDirectory() as home:
        picture = Path(home) / "picture.png"
        arguments = ["run", "--offscreen-seconds", str(SECONDS), "--screenshot", str(picture)]
        began = time.monotonic()
        largest, first = 0, 0.0
        with subprocess.Popen(
            [program, *arguments], env=bare(home), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as child:
            for line in child.stdout or ():
                largest = max(largest, resident(child.pid))
                print(f"  {time.monotonic() - began:5.1f} s  {line.rstrip()}")
                if "mL/min" in line and not first:
                    first = time.monotonic() - began
        left = still_running(program)
        print(f"exit code {child.returncode}, first reading after {first:.1f} s, memory {largest / 1e6:.0f} MB")
        if left:
            print("left behind:", left)
        return 0 if child.returncode == 0 and picture.exists() and not left else 1


def resident(root: int) -> int:
    """Return the memory of a process and all below it, bytes (Linux)."""
    total, todo = 0, [root]
    while todo:
        pid = todo.pop()
        try:
            pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        except (OSError, IndexError):
            continue
        total += pages * os.sysconf("SC_PAGE_SIZE")
        todo += [int(child) for child in children]
    return total


def still_running(program: Path) -> list[int]:
    """Return processes that still run the program."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "exe").resolve() == program.resolve():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def size(folder: Path) -> int:
    """Return the bytes of all files below."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
