"""The command line: what a person types, and the one sentence for what cannot be done."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge_app import cli
from edge_app.settings import load_settings
from engines.errors import UsageError

ROOT = Path(__file__).resolve().parents[1]


def echogfr(
    *arguments: str, environment: dict[str, str] | None = None, before: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a fresh interpreter; ``before`` runs ahead of its import."""
    code = f"{before}\nimport sys\nsys.argv = ['echogfr', *{list(arguments)!r}]\nfrom edge_app.cli import main\nmain()"
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    full = {**os.environ, "PYTHONPATH": paths, "COLUMNS": "200", "NO_COLOR": "1", **(environment or {})}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=full, check=False
    )


def test_help_names_every_command() -> None:
    done = echogfr("--help")
    assert done.returncode == 0
    for command in ("run", "analyze", "phantom", "version", "doctor", "bundle", "trust"):
        assert command in done.stdout
    assert "research use" in done.stdout


@pytest.mark.parametrize("command", ["run", "analyze", "phantom", "doctor", "bundle", "trust"])
def test_help_needs_no_heavy_library(command: str) -> None:
    heavy = ("numpy", "cv2", "cryptography", "onnxruntime", "PyQt6", "pydicom", "rapidocr", "torch")
    block = "import sys\n" + "".join(f"sys.modules[{name!r}] = None\n" for name in heavy)
    done = echogfr(command, "--help", before=block)
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


def test_doctor_prints_a_cure_as_it_must_be_typed(capsys: pytest.CaptureFixture[str]) -> None:
    from edge_app.doctor import Finding
    from edge_app.summary import print_findings

    print_findings([Finding("x", False, "run: pip install 'echogfr[rtx]'")])  # brackets mean colours to the terminal
    assert "'echogfr[rtx]'" in capsys.readouterr().out


def test_version_says_what_would_run_and_why() -> None:
    done = echogfr("--version")
    assert done.returncode == 0
    assert "EchoGFR" in done.stdout
    assert "runtime onnxruntime: usable" in done.stdout
    assert ", came with the program" in done.stdout
    assert "runtime tensorrt" in done.stdout
    assert "  egfr: Image-derived eGFR, mL/min/1.73 m2, 90% interval" in done.stdout
    assert echogfr("version").stdout == done.stdout


def test_doctor_names_each_part_and_fails_for_a_missing_model(tmp_path: Path) -> None:
    done = echogfr("doctor", environment={"XDG_CONFIG_HOME": str(tmp_path)})
    assert done.returncode in (0, 1)
    for part in ("runtime onnxruntime", "model", "signatures", "window", "DICOM", "words", "shared memory"):
        assert part in done.stdout


@pytest.mark.parametrize(
    ("arguments", "because"),
    [
        (["analyze", "{tmp}/none.mp4", "--bundle", "{tmp}"], "has no readable manifest.json"),
        (["analyze", "phantom:", "--bundle", "{tmp}/none"], "there is no such directory"),
        (["analyze", "phantom:", "--poles", "1,2,3"], "they are not four numbers"),
        (["analyze", "phantom:", "--poles", "1,2,3,nan"], "they are not four numbers"),
        (["analyze", "phantom:", "--precision", "fp8"], "precision"),
        (["run", "--rotate", "often"], "rotate"),
    ],
)
def test_a_mistake_is_one_sentence_and_code_2(tmp_path: Path, arguments: list[str], because: str) -> None:
    done = echogfr(*(argument.replace("{tmp}", str(tmp_path)) for argument in arguments))
    assert done.returncode == 2
    assert done.stdout == ""
    assert because in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


def test_a_missing_library_is_a_sentence_with_the_cure() -> None:
    done = echogfr("analyze", "phantom:", before="import sys\nsys.modules['cv2'] = None")
    assert done.returncode == 2
    assert "cv2" in done.stderr
    assert "pip install" in done.stderr
    assert "Traceback" not in done.stderr


def test_run_hands_the_settings_to_the_window(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from edge_app import app as window

    asked: list[window.RunOptions] = []
    monkeypatch.setattr(window, "run", lambda options: asked.append(options) or 7)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("ECHOGFR_SOURCE", "phantom:seed=9")
    runner = CliRunner()
    assert runner.invoke(cli.app, []).exit_code == 7
    assert runner.invoke(cli.app, ["run", "--source", "a.mp4", "--allow-out-of-domain"]).exit_code == 7
    assert [options.source for options in asked] == ["phantom:seed=9", "a.mp4"]
    assert [options.allow_out_of_domain for options in asked] == [False, True]


def test_phantom_writes_a_data_set(tmp_path: Path) -> None:
    done = echogfr("phantom", "--patients", "1", "--out", str(tmp_path / "set"), "--seed", "3")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "set" / "labels.csv").is_file()
    assert "1 patients" in done.stdout
    again = echogfr("phantom", "--patients", "1", "--out", str(tmp_path / "set"))
    assert again.returncode == 2
    assert "Traceback" not in again.stderr


def settings_in(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    (folder / "echogfr").mkdir()
    (folder / "echogfr" / "settings.toml").write_text(text)


def test_options_win_over_environment_and_that_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings_in(tmp_path, 'source = "file:a"\nprecision = "fp32"\nallow_out_of_domain = true\n', monkeypatch)
    monkeypatch.setenv("ECHOGFR_SOURCE", "file:b")
    monkeypatch.setenv("ECHOGFR_OFFSCREEN_SECONDS", "2.5")
    settings = load_settings(source="file:c", precision=None)
    assert (settings.source, settings.precision, settings.allow_out_of_domain) == ("file:c", "fp32", True)
    assert load_settings().source == "file:b"
    assert settings.offscreen_seconds == 2.5


def test_without_file_and_environment_the_phantom_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    settings = load_settings()
    assert (settings.source, settings.bundle, settings.runtime) == ("phantom:", None, None)


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ('sauce = "file:a"', "sauce"),
        ('precision = "fp8"', "precision"),
        ('rotate = "often"', "rotate"),
        ("offscreen_seconds = -1", "offscreen_seconds"),
        ("source = [", "cannot be read"),
    ],
)
def test_a_mistake_in_the_settings_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, because: str
) -> None:
    settings_in(tmp_path, text, monkeypatch)
    with pytest.raises(UsageError, match=because) as caught:
        load_settings()
    assert "\n" not in caught.value.sentence
