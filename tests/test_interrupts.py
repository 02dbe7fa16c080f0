"""Ctrl-C at any moment, from the first on: no traceback, no process left, the exit code of an interrupt."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from edge_app.bundles import SHIPPED

ROOT = Path(__file__).resolve().parents[1]
BEGIN = (
    "import signal, sys\n"
    "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell may have it ignored in the background
    "sys.argv = ['x', *{words!r}]\n"
    "from {program}.start import main\n"
    "print('begun', flush=True)\n"
    "main()\n"
)
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are a Unix thing")


def interrupted(program: str, words: list[str], after_s: float, times: int = 1) -> tuple[int, str, str]:
    """Start a command, send its whole group Ctrl-C so long after its entrance, and return code, output and errors."""
    code = BEGIN.format(words=words, program=program)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "QT_QPA_PLATFORM": "offscreen", "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    family: list[psutil.Process] = []
    try:
        assert process.stdout is not None and process.stdout.readline() == "begun\n"
        time.sleep(after_s)
        if process.poll() is None:
            family = psutil.Process(process.pid).children(recursive=True)
            for _ in range(times):
                os.killpg(process.pid, signal.SIGINT)
        said, told = process.communicate(timeout=30)
    finally:
        process.kill()
    _, alive = psutil.wait_procs(family, 10)
    assert alive == []
    return process.returncode, said, told


@pytest.mark.parametrize("after_s", [0.03, 0.1, 0.2, 0.35, 0.6])
@pytest.mark.parametrize(
    ("program", "words"),
    [("edge_app", ["doctor"]), ("convert", ["inspect", str(SHIPPED)])],
    ids=["echogfr", "echogfr-convert"],
)
def test_ctrl_c_while_python_imports_is_quiet(program: str, words: list[str], after_s: float) -> None:
    code, _, told = interrupted(program, words, after_s)
    assert told == ""
    # A quick machine may be done, or in the last of Python's own steps, where the system ends it.
    assert code in ((130,) if after_s < 0.1 else (130, 0, 1, -signal.SIGINT))


@pytest.mark.parametrize("after_s", [0.3, 0.9])
def test_ctrl_c_while_the_window_and_its_worker_begin_is_quiet(tmp_path: Path, after_s: float) -> None:
    words = ["run", "--offscreen-seconds", "20", "--screenshot", str(tmp_path / "shot.png")]
    code, _, told = interrupted("edge_app", words, after_s)
    assert told == ""
    assert code == 130


def test_ctrl_c_again_and_again_is_quiet(tmp_path: Path) -> None:
    words = ["analyze", "phantom:", "--max-frames", "100000", "--jsonl", str(tmp_path / "out.jsonl")]
    code, _, told = interrupted("edge_app", words, 1.5, times=3)
    assert "Traceback" not in told
    assert code == 130


SLOW_MODULE = """
import time
try:
    time.sleep(0.5)
except KeyboardInterrupt as error:
    raise ValueError("not a message for a person") from error
"""


@pytest.mark.parametrize("times", [1, 2])
def test_a_library_is_not_interrupted_while_it_is_imported(tmp_path: Path, times: int) -> None:
    """Once: after the import. Twice: at once, as whoever presses again means it."""
    (tmp_path / "slow_module.py").write_text(SLOW_MODULE)
    code = (
        "import os, signal, sys, threading, time\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        "from engines.interrupts import enter\n"
        f"for at in range({times}):\n"
        "    threading.Timer(0.1 + 0.1 * at, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "def main():\n"
        "    try:\n"
        "        import slow_module\n"
        "        time.sleep(5)\n"
        "    except KeyboardInterrupt:\n"
        "        print('slow_module' in sys.modules)\n"
        "        raise\n"
        "enter(lambda: main)\n"
    )
    assert ran(code) == (130, "True\n" if times == 1 else "", "")


def ran(code: str) -> tuple[int, str, str]:
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stdout, done.stderr


def test_where_ctrl_c_is_ignored_it_stays_so() -> None:
    code = (
        "import signal, os\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "from engines.interrupts import enter\n"
        "enter(lambda: lambda: os.kill(os.getpid(), signal.SIGINT))\n"
        "print('went on')\n"
    )
    assert ran(code) == (0, "went on\n", "")
