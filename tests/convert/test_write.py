"""A bundle appears whole or not at all."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from convert.folder import check_target
from convert.write import BUNDLE, draft
from engines.bundle import open_bundle
from engines.errors import BundleError, UsageError

SHIPPED = Path(__file__).resolve().parents[2] / "edge_app" / "bundles" / "synthetic-standin"

WRITER = """
import pathlib, sys, time
from convert.write import draft
with draft(pathlib.Path(sys.argv[1]), False) as folder:
    (folder / "fp32.onnx").write_bytes(b"half a model")
    print("writing", flush=True)
    time.sleep(60)
"""


def fill(folder: Path) -> None:
    shutil.copytree(SHIPPED, folder, dirs_exist_ok=True)


def test_a_finished_draft_is_a_bundle_and_nothing_else_is_left(tmp_path: Path) -> None:
    with draft(tmp_path / "b", force=False) as folder:
        fill(folder)
        assert not (tmp_path / "b").exists()
    assert open_bundle(tmp_path / "b").manifest.synthetic
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_an_invalid_draft_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(BundleError), draft(tmp_path / "b", force=False) as folder:
        fill(folder)
        (folder / "card.md").write_text("changed")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_an_error_leaves_the_old_bundle_as_it_was(tmp_path: Path, error: type[BaseException]) -> None:
    fill(tmp_path / "b")
    before = open_bundle(tmp_path / "b").sha256
    with pytest.raises(error), draft(tmp_path / "b", force=True) as folder:
        (folder / "x").write_text("x")
        raise error
    assert open_bundle(tmp_path / "b").sha256 == before
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_a_killed_writer_leaves_no_bundle_and_the_next_one_tidies_up(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path / "b")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).resolve().parents[2]) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == b"writing"
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    assert not (tmp_path / "b").exists()
    with draft(tmp_path / "b", force=False) as folder:
        fill(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_an_interrupted_writer_tidies_up_itself(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path / "b")]
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=root) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        process.wait(10)
    assert not list(tmp_path.iterdir())


def test_force_replaces_a_bundle(tmp_path: Path) -> None:
    fill(tmp_path / "b")
    (tmp_path / "b" / "stranger.txt").write_text("old")
    with draft(tmp_path / "b", force=True) as folder:
        fill(folder)
    assert not (tmp_path / "b" / "stranger.txt").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_an_existing_target_is_refused_without_force(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    with pytest.raises(UsageError, match="add --force"):
        check_target(tmp_path / "b", force=False, kind=BUNDLE)


def test_what_is_no_bundle_is_not_replaced_even_with_force(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "me.png").write_bytes(b"png")
    with pytest.raises(UsageError, match="would be lost"):
        check_target(tmp_path / "photos", force=True, kind=BUNDLE)
    assert (tmp_path / "photos" / "me.png").exists()


def test_a_missing_parent_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        check_target(tmp_path / "no" / "b", force=False, kind=BUNDLE)
