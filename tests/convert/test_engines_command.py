"""The commands for engines: a table that a person can read, one sentence for every mistake."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from convert.commands.engines import register
from convert.tensorrt_library import load_library
from engines.errors import RuntimeUnavailableError

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "edge_app" / "bundles" / "synthetic-standin"
NARROW = {"COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"}


@pytest.fixture(scope="module")
def app() -> typer.Typer:
    made = typer.Typer()
    register(made)
    return made


@pytest.fixture
def rtx() -> None:
    try:
        load_library("tensorrt-rtx")
    except RuntimeUnavailableError:
        pytest.skip("TensorRT for RTX is not installed, so no engine is built (pip install 'echogfr[rtx]')")


@pytest.fixture
def invoke(app: typer.Typer, tmp_path: Path):
    def run(*arguments: str | Path):
        words = [*map(str, arguments), "--out", str(tmp_path / "store")]
        return CliRunner().invoke(app, words, env=NARROW)

    return run


def test_an_engine_is_built_listed_verified_and_pruned(rtx: None, invoke, tmp_path: Path) -> None:
    done = invoke("build", SHIPPED, "--precision", "int8", "--compute-capability", "8.6")
    assert done.exit_code == 0, done.output
    assert re.search(r"Int8\W+27\W+27\b", done.stdout)
    assert re.search(r"Float\W+6\W+6\b", done.stdout)
    assert "ahead of time" in done.stdout
    assert "It has not been run" in done.stdout
    assert done.stderr == ""
    listed = invoke("engines", "list")
    assert "synthetic-standin int8" in listed.stdout
    assert invoke("engines", "verify").exit_code == 0
    assert "Removed: 0" in invoke("engines", "prune").stdout
    engine = next((tmp_path / "store").glob("*.engine"))
    engine.write_bytes(engine.read_bytes()[:-1])
    told = invoke("engines", "verify")
    assert told.exit_code == 1
    assert "corrupt" in told.stdout
    assert "Removed: 1 (5." in invoke("engines", "prune").stdout
    assert "empty" in invoke("engines", "list").stdout


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--compute-capability", "8.7"), "knows only 7.5, 8.0, 8.6"),
        (("--compute-capability", "8.6", "--precision", "int4"), "'int4' cannot be built"),
        (("--compute-capability", "8.6", "--dla", "0"), "no DLA cores"),
        (("--compute-capability", "8.6", "--workspace", "1"), "allow at least 16"),
        (("--runtime", "onnxruntime"), "choose one of tensorrt, tensorrt-rtx"),
    ],
)
def test_mistakes_are_one_sentence_and_exit_2(rtx: None, invoke, tmp_path: Path, options, told: str) -> None:
    done = invoke("build", SHIPPED, *options)
    assert done.exit_code == 2
    assert told in done.stderr
    assert done.stderr.strip().count("\n") == 0
    assert list(tmp_path.glob("store/*")) == []


BLOCKED = """
import sys
for name in ("tensorrt", "tensorrt_rtx", "onnx", "torch"):
    sys.modules[name] = None
import typer
from convert.commands.engines import register
app = typer.Typer()
register(app)
app()
"""


def test_without_tensorrt_the_cure_is_said_and_the_store_can_be_looked_at(tmp_path: Path) -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", BLOCKED, *words, "--out", str(tmp_path)]
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=60)

    done = run("build", str(SHIPPED))
    assert done.returncode == 2
    assert "pip install 'echogfr[tensorrt]'" in done.stderr
    assert "Traceback" not in done.stderr
    assert run("engines", "list").returncode == 0


MAIN = """
import typer
from convert.commands.engines import register
app = typer.Typer()
register(app)
if __name__ == "__main__":
    app()
"""


def test_control_c_is_one_sentence_and_leaves_nothing(rtx: None, tmp_path: Path) -> None:
    """The signal goes to parent and child alike, as from a terminal."""
    script, store = tmp_path / "main.py", tmp_path / "store"
    script.write_text(MAIN)
    words = ("build", str(SHIPPED), "--precision", "int8", "--compute-capability", "8.6", "--out", str(store))
    with subprocess.Popen(
        [sys.executable, str(script), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={"PYTHONPATH": ":".join([str(ROOT), *filter(None, sys.path)]), **NARROW},
    ) as process:
        deadline = time.monotonic() + 30
        while not list(store.glob(".draft-*")) and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.3)  # in the child's first imports, where a signal would show a traceback
        subprocess.run(["kill", f"-{signal.SIGINT}", "--", f"-{process.pid}"], check=True)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    assert errors.strip() == "Cancelled: the engine store is as it was."
    assert list(store.iterdir()) == []
