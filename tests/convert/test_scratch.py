"""Two commands for one target do not destroy each other's work, and nothing is left of a killed one."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from convert.folder import Kind, all_or_nothing
from convert.scratch import scratch
from engines.errors import UsageError

WHAT = "The bundle cannot be written"
HOLD = """
import sys, time
from pathlib import Path
from convert.scratch import scratch
with scratch(Path(sys.argv[1]), "draft", "It cannot be written") as folder:
    (folder / "half.onnx").write_bytes(bytes(1 << 20))
    print(folder, flush=True)
    time.sleep(60)
"""


@contextmanager
def another(target: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A process that is at work on ``target``, and its folder."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(target)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process, Path(process.stdout.readline().strip())
    finally:
        process.kill()
        process.communicate()


def test_the_work_of_another_process_is_refused_and_kept_and_that_of_a_killed_one_removed(tmp_path: Path) -> None:
    target = tmp_path / "b[1]*"  # a name that means something to a shell
    with another(target) as (process, folder):
        with pytest.raises(UsageError, match="another process is writing it"), scratch(target, "draft", WHAT):
            pytest.fail("two at once")
        assert (folder / "half.onnx").is_file()
        with scratch(target, "members", WHAT), scratch(tmp_path / "b", "draft", WHAT):
            pass  # another use, another target
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert (folder / "half.onnx").is_file()
        with scratch(target, "draft", WHAT) as mine:
            assert list(tmp_path.iterdir()) == [mine]
    assert list(tmp_path.iterdir()) == []


def test_only_folders_of_this_target_are_removed(tmp_path: Path) -> None:
    others = [tmp_path / name for name in (".ab.draft-12345678", ".a.draft-mine", ".a.draft-b.draft-12345678")]
    for other in (*others, tmp_path / ".a.draft-k1ll3d_x"):
        other.mkdir()
    with scratch(tmp_path / "a", "draft", WHAT):
        pass
    assert sorted(tmp_path.iterdir()) == sorted(others)


def test_it_is_gone_after_ctrl_c(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), scratch(tmp_path / "a", "members", WHAT) as folder:
        (folder / "member00.onnx").write_bytes(b"x")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_sentence_and_what_was_there_stays(tmp_path: Path) -> None:
    target, kind = tmp_path / "b", Kind("bundle", "manifest.json")
    with all_or_nothing(target, False, kind) as folder:
        (folder / "manifest.json").write_text("old")
    with pytest.raises(UsageError, match="the disk is full"), all_or_nothing(target, True, kind) as folder:
        (folder / "manifest.json").write_text("new")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert (target / "manifest.json").read_text() == "old" and list(tmp_path.iterdir()) == [target]
    with pytest.raises(PermissionError), scratch(target, "draft", WHAT):  # a defect of ours keeps its traceback
        raise PermissionError(errno.EACCES, "closed")
