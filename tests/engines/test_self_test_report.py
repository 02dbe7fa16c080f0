"""``doctor --self-test``: what is run, what is told, what is written, and what is never in it."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from edge_app.self_test import Report, examine_runtimes, write_report
from engines.gpu import NoDriverError

from .device import Device, install


def quiet(done: int, total: int) -> None:
    assert 0 <= done <= total


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Device:
    return install(monkeypatch, tmp_path, "cuda-python")


def outcomes(report: Report) -> dict[str, str]:
    return {f"{row.runtime} {row.precision}": row.outcome for row in report.rows}


def test_all_that_is_usable_is_run_and_timed(device: Device, make_bundle) -> None:
    graphs = {("fp32", "any"): {}, ("fp16", "tensorrt"): {"doc": "half"}}
    bundle = make_bundle(graphs=graphs, parity=(("fp16", "tensorrt", True),))
    device.build(bundle, bundle.artifacts("fp16", "tensorrt"))
    report = examine_runtimes(bundle, quiet)
    assert report.passed
    found = outcomes(report)
    assert found["tensorrt fp16"] == found["onnxruntime fp32"] == "passed"
    assert found["tensorrt fp32"] == found["tensorrt-rtx fp16"] == found["onnxruntime fp16"] == "not run"
    row = next(row for row in report.rows if (row.runtime, row.precision) == ("tensorrt", "fp16"))
    assert row.provider == "Orin by cuda-python 13.5.0, with a CUDA graph, TensorRT 10.3.0"
    assert 0 < row.latency_ms["p50"] <= row.latency_ms["p95"] <= row.latency_ms["p99"]
    assert {delta.output for delta in row.deltas} >= {"egfr_members", "p_egfr_below_60_members"}
    device.check_all_was_given_back()


def test_an_engine_that_answers_wrongly_fails_with_its_numbers(device: Device, make_bundle) -> None:
    graphs = {("fp32", "any"): {}, ("fp16", "tensorrt"): {"gain": 9.0}}
    bundle = make_bundle(graphs=graphs, parity=(("fp16", "tensorrt", True),))
    device.build(bundle, bundle.artifacts("fp16", "tensorrt"))
    report = examine_runtimes(bundle, quiet)
    assert not report.passed
    row = next(row for row in report.rows if row.outcome == "failed")
    assert (row.runtime, row.precision) == ("tensorrt", "fp16")
    assert any(delta.delta > delta.allowed for delta in row.deltas)


def test_a_gpu_that_fails_is_a_failure_and_the_others_are_run(device: Device, bundle) -> None:
    device.build(bundle, bundle.artifacts("fp32", "tensorrt"))
    device.machine.fail_at = ("cuMemAlloc", 2)
    report = examine_runtimes(bundle, quiet)
    assert outcomes(report)["tensorrt fp32"] == "failed"
    assert outcomes(report)["onnxruntime fp32"] == "passed"
    assert "cuMemAlloc failed" in next(row.detail for row in report.rows if row.outcome == "failed")
    device.check_all_was_given_back()


def test_the_report_names_no_person_no_computer_and_no_folder(device: Device, bundle, tmp_path: Path) -> None:
    write_report(examine_runtimes(bundle, quiet), tmp_path / "report.json")
    text = (tmp_path / "report.json").read_text()
    assert Report.model_validate_json(text).bundle == "test-bundle 1"
    assert "there is no engine of model-0.onnx" in text and "in ENGINES" in text and "build BUNDLE" in text
    for secret in (str(tmp_path), str(Path.home()) + "/", platform.node()):
        assert secret not in text


def test_the_command_prints_writes_and_ends_with_its_verdict(tmp_path: Path, bundle_path: Path) -> None:
    def doctor(*arguments: str) -> subprocess.CompletedProcess[str]:
        code = "from edge_app.cli import main; main()"
        command = [sys.executable, "-c", code, "doctor", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    out = tmp_path / "report.json"
    done = doctor("--self-test", "--bundle", str(bundle_path), "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert "onnxruntime" in done.stdout and f"Written: {out}" in done.stdout
    rows = {(row["runtime"], row["precision"]): row["outcome"] for row in json.loads(out.read_text())["rows"]}
    assert rows[("onnxruntime", "fp32")] == "passed"

    broken = json.loads((bundle_path / "manifest.json").read_text())
    broken["golden"]["tolerance"]["fp32"] = dict.fromkeys(broken["golden"]["tolerance"]["fp32"], -1.0)
    (bundle_path / "manifest.json").write_text(json.dumps(broken))
    assert doctor("--self-test", "--bundle", str(bundle_path)).returncode == 1

    misused = doctor("--out", str(out))
    assert misused.returncode == 2
    assert "add --self-test" in misused.stderr and "Traceback" not in misused.stderr


def test_without_a_driver_the_gpu_is_said_to_be_none(bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_driver() -> None:
        raise NoDriverError("the NVIDIA driver is not installed")

    monkeypatch.setattr("edge_app.self_test.read_gpu", no_driver)
    assert examine_runtimes(bundle, quiet).gpu == "none: the NVIDIA driver is not installed"
