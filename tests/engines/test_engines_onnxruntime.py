"""ONNX Runtime's own promises: no telemetry, no need of it until it is used."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from engines._onnxruntime_session import OnnxSession, default_threads
from engines.bundle import Bundle
from engines.cpu import read_cpu
from engines.errors import BundleError

ROOT = Path(__file__).resolve().parents[2]

RUN_A_SESSION = """
import sys, time
import numpy as np
from engines.bundle import open_bundle
from engines.runtimes import select
with select(open_bundle(sys.argv[1]), "onnxruntime").open() as session:
    session.infer(np.zeros((1, 64, 64, 3), np.uint8))
    time.sleep(0.5)
print("ran", session.info.provider)
"""

WITHOUT_IT = """
import sys
sys.modules["onnxruntime"] = None
import engines.runtimes, engines.reading, engines.selftest, engines.version
from engines.bundle import open_bundle
from engines.errors import RuntimeUnavailableError
from engines._onnxruntime_session import OnnxSession
bundle = open_bundle(sys.argv[1])
print(dict(engines.runtimes.available())["onnxruntime"])
session = OnnxSession(bundle, bundle.artifacts("fp32", "cpu"))
for act in (lambda: engines.runtimes.select(bundle), session.__enter__):
    try:
        act()
    except RuntimeUnavailableError as error:
        print(error.sentence)
"""

IMPORT_ALL = """
import sys
import engines.runtimes, engines.reading, engines.selftest, engines.version, engines.kdigo, engines.preprocess
heavy = {"onnxruntime", "tensorrt", "torch", "onnx", "scipy", "PyQt6", "matplotlib"} & set(sys.modules)
print("heavy:", sorted(heavy))
"""


def fresh(code: str, home: Path, *arguments: str) -> str:
    """Run code in a new interpreter that has a home of its own and telemetry not forbidden."""
    home.mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "LD_LIBRARY_PATH")}
    environment = {**kept, "HOME": str(home), "ORT_DISABLE_TELEMETRY": "0", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-B", "-c", code, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_no_telemetry_file_is_written_even_where_the_environment_allows_it(bundle: Bundle, tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert "ran CPUExecutionProvider" in fresh(RUN_A_SESSION, home, str(bundle.path))
    assert [str(path) for path in home.rglob("*")] == []


def test_without_the_library_everything_imports_and_use_names_the_cure(bundle: Bundle, tmp_path: Path) -> None:
    told = fresh(WITHOUT_IT, tmp_path / "home", str(bundle.path)).splitlines()
    assert "state='absent'" in told[0]
    assert len(told) == 3
    assert all("pip install onnxruntime" in line for line in told)


def test_importing_the_engines_loads_no_heavy_library(tmp_path: Path) -> None:
    assert fresh(IMPORT_ALL, tmp_path / "home") == "heavy: []\n"


def test_one_core_is_left_to_the_screen() -> None:
    assert default_threads() == max(1, read_cpu().cores - 1)


def test_the_number_of_threads_does_not_change_the_answer(bundle: Bundle) -> None:
    crops = np.random.default_rng(0).integers(0, 200, (3, 64, 64, 3), dtype=np.uint8)
    answers = []
    for threads in (1, 2):
        with OnnxSession(bundle, bundle.artifacts("fp32", "cpu"), threads) as session:
            answers.append(session.infer(crops)["egfr_members"])
    np.testing.assert_allclose(answers[0], answers[1], rtol=1e-5)


def test_an_artifact_that_was_exchanged_after_the_check_is_not_run(bundle: Bundle) -> None:
    artifact = bundle.artifact("fp32", "cpu")
    path = bundle.file(artifact.file)
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(BundleError, match="was changed after"):
        OnnxSession(bundle, artifact).__enter__()


def test_the_file_of_an_artifact_is_not_kept_in_memory(bundle: Bundle) -> None:
    """Its weights are in the session already; a full-size member would hold 181 MB for nothing."""
    raw = (bundle.path / bundle.manifest.artifacts[0].file).read_bytes()
    with OnnxSession(bundle, bundle.manifest.artifacts[0], threads=1):
        natives = [held for held in gc.get_objects() if type(held).__name__ == "InferenceSession"]
        assert natives
        assert not any(isinstance(value, bytes) and value == raw for held in natives for value in vars(held).values())
