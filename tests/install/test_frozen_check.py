"""The check of the frozen app fails for every reason it should, on folders that behave badly."""

from __future__ import annotations

import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from .scripts import PACKAGING, script

CHECK = PACKAGING / "frozen" / "check.py"
READING = 'echo "1.0 s FROZEN eGFR 71 mL/min/1.73 m2"'
PICTURE = 'echo picture > "$5"'
GOOD = f"{READING}\n{PICTURE}"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the frozen app is checked by Linux's /proc")


def frozen(folder: Path, run: str, other: str = "echo EchoGFR 9") -> Path:
    """Write a folder whose ``echogfr run`` does what a shell script says."""
    folder.mkdir()
    for program in ("sh", "sleep"):
        shutil.copy(f"/bin/{program}", folder / program)
    for name in ("echogfr", "echogfr-convert"):
        (folder / name).write_text(f'#!{folder}/sh\nhere={folder}\nif [ "$1" = run ]; then\n{run}\nelse {other}\nfi\n')
        (folder / name).chmod(stat.S_IRWXU)
    return folder


def checked(folder: Path, *words: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, CHECK, folder, *words], capture_output=True, text=True, timeout=100, check=False
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def test_a_good_one_passes_and_its_numbers_are_told(tmp_path: Path) -> None:
    code, told, wrong = checked(frozen(tmp_path / "app", GOOD))
    assert (code, wrong) == (0, "")
    assert "echogfr version: EchoGFR 9" in told
    assert " MB on disk, first reading after " in told.splitlines()[-1]
    assert told.endswith("exit code 0\n")


@pytest.mark.parametrize(
    ("run", "sentence"),
    [
        (PICTURE, "no reading came in 20 s"),
        (READING, "it wrote no picture of its window"),
        (f"{GOOD}\nexit 3", "its window ends with exit code 3"),
        (f'{GOOD}\n"$here/sleep" 60 >/dev/null 2>&1 &', "it left processes behind ("),
        (f'{GOOD}\ntouch "$TMPDIR/left"', "it left files behind (left)"),
        (f"{GOOD}\ntouch /dev/shm/psm_of_a_test", "it left shared memory behind (psm_of_a_test)"),
    ],
    ids=["no reading", "no picture", "exit code", "process", "file", "shared memory"],
)
def test_what_went_wrong_is_a_sentence(tmp_path: Path, run: str, sentence: str) -> None:
    folder = frozen(tmp_path / "app", run)
    code, _, wrong = checked(folder)
    Path("/dev/shm/psm_of_a_test").unlink(missing_ok=True)
    assert code == 1
    assert wrong.startswith(f"The frozen app is not good: {sentence}")
    assert wrong.count("\n") == 1
    assert script("frozen/check").still_running(folder) == [], "the check ends what was left"


@pytest.mark.parametrize(
    ("words", "run", "sentence"),
    [
        (("--size", "0.01"), GOOD, "its size is 0, above 0 MB"),
        (("--memory", "0.01"), f'{GOOD}\n"$here/sleep" 1', "its memory is "),
        (("--first", "0.5"), f'"$here/sleep" 1\n{GOOD}', "its time to the first reading is 1, above 0 s"),
    ],
    ids=["size", "memory", "first reading"],
)
def test_what_passes_a_bound_is_a_sentence(tmp_path: Path, words: tuple[str, str], run: str, sentence: str) -> None:
    code, _, wrong = checked(frozen(tmp_path / "app", run), *words)
    assert code == 1
    assert f"The frozen app is not good: {sentence}" in wrong


def test_a_command_that_fails_is_told_before_any_window_opens(tmp_path: Path) -> None:
    code, told, wrong = checked(frozen(tmp_path / "app", GOOD, other="exit 7"))
    assert code == 1
    assert "echogfr version ends with 7" in wrong
    assert "mL/min" not in told


def test_a_window_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    check = script("frozen/check")
    folder = frozen(tmp_path / "app", f'{GOOD}\n"$here/sleep" 60')
    seen = check.live(folder / "echogfr", limit_s=1.0)
    assert "it did not end by itself within 1 s" in seen.wrong
    assert check.still_running(folder) == []


def test_memory_that_processes_share_counts_once(tmp_path: Path) -> None:
    """A child of a process that holds 100 MB has the same pages: the two need 100 MB, not 200."""
    check = script("frozen/check")
    code = "import os, time; held = b'x' * 10**8; print('ready', flush=True); os.fork(); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        while len(check.below(child.pid)) < 2:
            pass
        tree = check.below(child.pid)
        told = sum(map(check.memory, tree))
        check.end(tree)
    assert len(tree) == 2
    assert 1.0e8 < told < 1.6e8
