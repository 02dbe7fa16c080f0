"""The commands for engines: a table that a person can read, one sentence for every mistake."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from convert.commands.engines import register
from convert.tensorrt_library import Library
from engines.store import EngineStore
from tests.engines.killing import command, environment, kill_at_random

from .tensorrt_makers import ROOT, write_kind_bundle, write_members

NARROW = {"COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"}


@pytest.fixture(scope="module")
def app() -> typer.Typer:
    made = typer.Typer()
    register(made)
    return made


@pytest.fixture(scope="module")
def bundle(artifact_of: Callable[[str, str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its members are in one artifact at int8 and in three at fp16."""
    folder = tmp_path_factory.mktemp("bundle")
    files = {("int8", "tensorrt"): [artifact_of("residual", "int8")], ("fp16", "any"): write_members(folder)}
    return write_kind_bundle(folder / "b", files)


@pytest.fixture
def invoke(app: typer.Typer, tmp_path: Path):
    def run(*arguments: str | Path):
        words = [*map(str, arguments), "--out", str(tmp_path / "store")]
        return CliRunner().invoke(app, words, env=NARROW)

    return run


def test_an_engine_is_built_listed_verified_and_pruned(rtx: Library, bundle: Path, invoke, tmp_path: Path) -> None:
    done = invoke("build", bundle, "--precision", "int8", "--compute-capability", "8.6")
    assert done.exit_code == 0, done.output
    assert re.search(r"Int8\W+12\W+12\b", done.stdout)
    assert re.search(r"Float\W+2\W+2\b", done.stdout)
    assert "ahead of time" in done.stdout
    assert "It has not been run" in done.stdout
    assert done.stderr == ""
    listed = invoke("engines", "list")
    assert "test-bundle residual-int8.onnx" in listed.stdout
    assert invoke("engines", "verify").exit_code == 0
    assert "Removed: 0" in invoke("engines", "prune").stdout
    engine = next((tmp_path / "store").glob("*.engine"))
    engine.write_bytes(engine.read_bytes()[:-1])
    told = invoke("engines", "verify")
    assert told.exit_code == 1
    assert "corrupt" in told.stdout
    assert "Removed: 1 (2." in invoke("engines", "prune").stdout
    assert "empty" in invoke("engines", "list").stdout


def test_members_that_are_separate_are_built_one_by_one_and_kept(rtx: Library, bundle: Path, invoke) -> None:
    words = ("build", bundle, "--precision", "fp16", "--compute-capability", "8.9")
    done = invoke(*words)
    assert done.exit_code == 0, done.output
    assert "Convolutions of 3 members at fp16" in done.stdout
    assert re.search(r"Half\W+21\W+21\b", done.stdout)
    assert done.stdout.count("Built in") == 3
    assert done.stderr == ""
    assert len(set(re.findall(r"fp16-\d\.onnx", invoke("engines", "list").stdout))) == 3
    again = invoke(*words)
    assert again.stdout.count("In the store already (--again builds it anew)") == 3


def test_a_build_that_replaces_can_be_taken_back(rtx: Library, bundle: Path, invoke, tmp_path: Path) -> None:
    words = ("build", bundle, "--precision", "int8", "--compute-capability", "8.6")
    assert invoke(*words).exit_code == 0
    (first,) = (tmp_path / "store").glob("*.engine")
    assert invoke(*words, "--again").exit_code == 0
    listed = invoke("engines", "list").stdout
    assert listed.count("good, previous") == 1
    key = first.name[:8]
    told = invoke("engines", "rollback", key)
    assert told.exit_code == 0 and "Current is the engine of residual-int8.onnx" in told.stdout
    assert first.name in (tmp_path / "store" / f"{first.name[:24]}.json").read_text()
    missing = invoke("engines", "rollback", "zzz")
    assert missing.exit_code == 2 and "see echogfr-convert engines list" in missing.stderr


def test_a_killed_build_leaves_a_good_engine_and_no_process(rtx: Library, bundle: Path, invoke, tmp_path: Path) -> None:
    words = ["build", bundle, "--precision", "int8", "--compute-capability", "8.6", "--again"]
    assert invoke(*words).exit_code == 0
    store = EngineStore(tmp_path / "store")

    def look() -> None:
        assert [e.state for e in store.entries() if e.record is not None and not e.previous] == ["good"]

    again = command("convert.cli", [*words, "--out", store.folder])
    kill_at_random(again, environment(), kills=3, whole_s=1.2, look=look, seed=7)
    store.prune()
    assert invoke(*words).exit_code == 0
    assert [(e.state, e.previous) for e in store.entries()] == [("good", False), ("good", True)]


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
def test_mistakes_are_one_sentence_and_exit_2(
    rtx: Library, bundle: Path, invoke, tmp_path: Path, options, told: str
) -> None:
    done = invoke("build", bundle, *options)
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


def test_without_tensorrt_the_cure_is_said_and_the_store_can_be_looked_at(bundle: Path, tmp_path: Path) -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", BLOCKED, *words, "--out", str(tmp_path)]
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=60)

    done = run("build", str(bundle))
    assert done.returncode == 2
    assert "pip install 'echogfr[tensorrt]'" in done.stderr
    assert "Traceback" not in done.stderr
    assert run("engines", "list").returncode == 0


EXTRA_BLOCKER = """
import sys
EXTRA = {"torch", "torchvision", "onnx", "onnxscript", "xgboost", "scipy", "matplotlib", "jinja2", "sympy"}
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in EXTRA:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocker())
"""


def test_a_jetson_needs_nothing_of_the_convert_extra(rtx: Library, bundle: Path, tmp_path: Path) -> None:
    """The blocker is in parent and child: Python runs ``sitecustomize`` in both."""
    (tmp_path / "block").mkdir()
    (tmp_path / "block" / "sitecustomize.py").write_text(EXTRA_BLOCKER)
    paths = os.pathsep.join((str(tmp_path / "block"), str(ROOT)))
    environment = {**os.environ, **NARROW, "PYTHONPATH": paths, "ECHOGFR_ENGINES": str(tmp_path / "store")}

    def run(*words: str) -> str:
        command = [sys.executable, "-c", "from convert.cli import main; main()", *words]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    blocked = subprocess.run([sys.executable, "-c", "import onnx"], env=environment, capture_output=True, check=False)
    assert blocked.returncode == 1, "the blocker works"
    assert "every file verified" in run("inspect", str(bundle))
    assert "Built in" in run("build", str(bundle), "--precision", "int8", "--compute-capability", "8.6")
    assert "good" in run("engines", "list")
    assert run("engines", "verify")
    assert "Removed: 1" in run("engines", "prune", "--all")


MAIN = """
import typer
from convert.commands.engines import register
app = typer.Typer()
register(app)
if __name__ == "__main__":
    app()
"""


def test_control_c_is_one_sentence_and_leaves_nothing(rtx: Library, bundle: Path, tmp_path: Path) -> None:
    """The signal goes to parent and child alike, as from a terminal."""
    script, store = tmp_path / "main.py", tmp_path / "store"
    script.write_text(MAIN)
    words = ("build", str(bundle), "--precision", "int8", "--compute-capability", "8.6", "--out", str(store))
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
    assert errors.strip() == "Cancelled: the engine store holds what was finished before, and nothing else."
    assert list(store.iterdir()) == []
