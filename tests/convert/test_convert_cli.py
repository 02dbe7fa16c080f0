"""The command line: one command from data set to bundle, one sentence for every mistake."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from convert.cli import app
from engines.bundle import open_bundle

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "edge_app" / "bundles" / "synthetic-standin"
NARROW = {"COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"}

BLOCKED = """
import sys
for name in ("torch", "onnx", "xgboost", "scipy", "matplotlib", "jinja2", "onnxruntime"):
    sys.modules[name] = None
from convert.cli import app
sys.argv[0] = "echogfr-convert"
app()
"""


def invoke(*arguments: str | Path):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env=NARROW)


def without_extra(*arguments: str, before: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", before + BLOCKED, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=60)


def test_help_and_inspect_work_without_the_heavy_libraries() -> None:
    assert without_extra("--help").returncode == 0
    shown = without_extra("inspect", str(SHIPPED))
    assert shown.returncode == 0, shown.stderr
    assert "SYNTHETIC" in shown.stdout


def test_training_without_the_extra_says_the_cure(tmp_path: Path) -> None:
    done = without_extra("standin", str(tmp_path), "--out", str(tmp_path / "b"))
    assert done.returncode == 2
    assert "pip install 'echogfr[convert]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_in_a_package_the_cure_is_not_one_that_a_package_has_not(tmp_path: Path) -> None:
    done = without_extra("standin", str(tmp_path), "--out", str(tmp_path / "b"), before="import sys; sys.frozen = True")
    assert done.returncode == 2
    assert "because this package does without" in done.stderr and "pip install" not in done.stderr


def test_inspect_shows_what_a_person_needs() -> None:
    shown = invoke("inspect", SHIPPED)
    assert shown.exit_code == 0
    for text in ("SYNTHETIC", "fp32.onnx", "int8-cpu.onnx", "90 % interval", "domain", "passed", "Limits", "torch"):
        assert text in shown.stdout, text


def test_inspect_of_a_changed_bundle_is_one_sentence_and_exit_2(tmp_path: Path) -> None:
    shutil.copytree(SHIPPED, tmp_path / "b")
    (tmp_path / "b" / "card.md").write_text("changed")
    shown = invoke("inspect", tmp_path / "b")
    assert shown.exit_code == 2
    assert "card.md" in shown.stderr
    assert shown.stderr.strip().count("\n") == 0


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--members", "0"), "members is 0"),
        (("--without", "int4"), "'int4' cannot be left out"),
        (("--without", "fp32"), "'fp32' cannot be left out"),
        ((), "has no labels.csv"),
    ],
)
def test_mistakes_are_one_sentence_and_exit_2(tmp_path: Path, arguments: tuple[str, ...], text: str) -> None:
    done = invoke("standin", tmp_path, "--out", tmp_path / "b", *arguments)
    assert done.exit_code == 2
    assert text in done.stderr
    assert done.stderr.strip().count("\n") == 0
    assert not (tmp_path / "b").exists()


def test_int8_of_a_small_training_split_is_refused_before_training(fake_dataset: Path, tmp_path: Path) -> None:
    done = invoke("standin", fake_dataset, "--out", tmp_path / "b", "--work", tmp_path / "w")
    assert done.exit_code == 2
    assert "80 crops and at least 200" in done.stderr
    assert not list(tmp_path.iterdir())


def test_an_existing_bundle_is_not_replaced_by_accident(fake_dataset: Path, tmp_path: Path) -> None:
    shutil.copytree(SHIPPED, tmp_path / "b")
    done = invoke("standin", fake_dataset, "--out", tmp_path / "b")
    assert done.exit_code == 2
    assert "--force" in done.stderr


def test_one_command_makes_a_bundle_that_opens_and_can_be_checked_again(fake_dataset: Path, tmp_path: Path) -> None:
    options = ("--members", "1", "--epochs", "1", "--without", "int8-cpu", "--without", "int8-tensorrt")
    done = invoke("standin", fake_dataset, "--out", tmp_path / "b", "--work", tmp_path / "w", *options)
    assert done.exit_code == 0, done.output
    bundle = open_bundle(tmp_path / "b")
    assert bundle.manifest.synthetic
    assert [artifact.file for artifact in bundle.manifest.artifacts] == ["fp32.onnx", "fp16.onnx"]
    assert (bundle.path / "card.md").read_text(encoding="utf-8").startswith("**SYNTHETIC")
    assert str(tmp_path) not in (bundle.path / "manifest.json").read_text(encoding="utf-8")
    page = (bundle.path / "report.html").read_text(encoding="utf-8")
    assert "<svg" in page
    assert "src=" not in page
    assert "<script" not in page
    again = invoke("parity", tmp_path / "b", fake_dataset)
    assert again.exit_code == 0, again.output
    assert "24 patients" in again.stdout


def test_a_bundle_that_fails_its_limits_is_not_written(
    fake_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from convert import plan

    strict = replace(plan.LIMITS["fp16"], regression_p95=0.0)
    monkeypatch.setitem(plan.LIMITS, "fp16", strict)
    options = ("--members", "1", "--epochs", "1", "--without", "int8-cpu", "--without", "int8-tensorrt")
    done = invoke("standin", fake_dataset, "--out", tmp_path / "b", "--work", tmp_path / "w", *options)
    assert done.exit_code == 2
    assert "FAILED" in done.stderr
    assert "95 % of |delta eGFR|" in done.stderr
    assert not (tmp_path / "b").exists()
