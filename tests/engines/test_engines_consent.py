"""An engine that failed: nothing is read in its place but with the operator's consent, and then all say so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_app.live.model import ModelPlan, OpenModel, open_model
from engines.bundle import Bundle
from engines.engine_files import EngineFiles
from engines.engine_record import EngineRecord
from engines.errors import RuntimeUnavailableError
from engines.runtimes import select

from .device import Device, install

WRONG = {("fp32", "any"): {}, ("fp16", "tensorrt"): {"gain": 9.0}}
RIGHT = {("fp32", "any"): {}, ("fp16", "tensorrt"): {"doc": "half"}}
PASSED = (("fp16", "tensorrt", True),)
NOTE = "Read by onnxruntime at fp32, with consent: the engine of tensorrt at fp16 failed."


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Device:
    return install(monkeypatch, tmp_path, "cuda-python")


@pytest.fixture
def wrong(device: Device, make_bundle) -> Bundle:
    """A bundle with an engine in the store that answers wrongly."""
    bundle: Bundle = make_bundle(graphs=WRONG, parity=PASSED)
    device.build(bundle, bundle.artifacts("fp16", "tensorrt"))
    return bundle


def refused(plan: ModelPlan) -> str:
    with pytest.raises(RuntimeUnavailableError) as caught, open_model(plan):
        pytest.fail("it was opened")
    return caught.value.sentence


def wrong_answers(make_bundle) -> bytes:
    """An artifact with the same inputs and outputs, and other answers."""
    other = make_bundle(graphs=WRONG, parity=PASSED)
    return bytes((other.path / other.artifacts("fp16", "tensorrt")[0].file).read_bytes())


def crop(model: OpenModel) -> np.ndarray:
    size = model.reader.manifest.input.height
    return np.full((size, size, 3), 90, np.uint8)


def test_a_failed_self_test_ends_this_start_and_the_next_with_one_sentence(device: Device, wrong: Bundle) -> None:
    for _ in range(2):
        told = refused(ModelPlan(wrong.path))
        assert "tensorrt fp16" in told and "it failed its self-test: egfr_members differs by" in told
        assert f"echogfr-convert build {wrong.path} --runtime tensorrt --precision fp16 --again" in told
        assert "--fallback onnxruntime, or name one with --runtime" in told and "\n" not in told
        device.check_all_was_given_back()
    assert "it failed its self-test" in refused(ModelPlan(wrong.path, "tensorrt", "fp16"))


@pytest.mark.parametrize("starts", [1, 2])
def test_with_consent_the_fallback_reads_and_each_reading_says_so(device: Device, wrong: Bundle, starts: int) -> None:
    for _ in range(starts):  # the first finds out that the engine fails, the next knows
        with open_model(ModelPlan(wrong.path, fallback="onnxruntime")) as model:
            assert (model.summary.runtime, model.summary.precision) == ("onnxruntime", "fp32")
            assert model.summary.note == NOTE and NOTE in model.summary.selection
            reading = model.reader.read(crop(model))
            assert (reading.runtime, reading.note) == ("onnxruntime", NOTE)
    device.check_all_was_given_back()


def test_naming_another_runtime_is_consent_too(device: Device, wrong: Bundle) -> None:
    refused(ModelPlan(wrong.path))
    with open_model(ModelPlan(wrong.path, "onnxruntime")) as model:
        assert (model.summary.runtime, model.summary.note) == ("onnxruntime", "")


def test_an_older_good_engine_of_the_same_artifact_takes_its_place_at_once(device: Device, make_bundle) -> None:
    bundle = make_bundle(graphs=RIGHT, parity=PASSED)
    artifacts = bundle.artifacts("fp16", "tensorrt")
    device.build(bundle, artifacts)
    newer = device.build(bundle, artifacts, workspace=64)[0]
    device.store.reject(newer, "egfr differs")
    with open_model(ModelPlan(bundle.path)) as model:
        assert (model.summary.runtime, model.summary.precision, model.summary.note) == ("tensorrt", "fp16", "")


def test_the_engine_before_a_rebuild_takes_the_place_of_one_that_answers_wrongly(device: Device, make_bundle) -> None:
    bundle = make_bundle(graphs=RIGHT, parity=PASSED)
    artifacts = bundle.artifacts("fp16", "tensorrt")
    (older,) = device.build(bundle, artifacts)
    device.put(bundle, artifacts[0], wrong_answers(make_bundle))
    for _ in range(2):
        with open_model(ModelPlan(bundle.path)) as model:
            assert (model.summary.runtime, model.summary.precision, model.summary.note) == ("tensorrt", "fp16", "")
            assert "in place of a newer one (it failed its self-test: egfr_members" in model.summary.selection[0]
            assert model.reader.read(crop(model)).note == ""
        device.check_all_was_given_back()
    assert [(entry.state, entry.previous) for entry in device.store.entries()] == [("failed", False), ("good", True)]
    assert device.store.rollback(older.key.name).sha256 == older.sha256


def test_a_precision_that_was_not_asked_for_is_no_consent(device: Device, make_bundle) -> None:
    bundle = make_bundle(graphs=WRONG, parity=PASSED)
    device.build(bundle, bundle.artifacts("fp16", "tensorrt"))
    device.build(bundle, bundle.artifacts("fp32", "tensorrt"))
    assert "tensorrt fp16" in refused(ModelPlan(bundle.path))
    assert "tensorrt fp16" in refused(ModelPlan(bundle.path, "tensorrt"))
    with open_model(ModelPlan(bundle.path, "tensorrt", "fp32")) as model:
        assert (model.summary.runtime, model.summary.precision) == ("tensorrt", "fp32")
    with open_model(ModelPlan(bundle.path, "tensorrt", fallback="onnxruntime")) as model:
        assert (model.summary.runtime, model.summary.note) == ("onnxruntime", NOTE)


def test_a_damaged_engine_ends_the_start_and_one_that_was_never_built_does_not(device: Device, make_bundle) -> None:
    bundle = make_bundle(graphs=RIGHT, parity=PASSED)
    assert select(bundle).runtime.name == "onnxruntime"
    record = device.build(bundle, bundle.artifacts("fp16", "tensorrt"))[0]
    engine = device.store.folder / record.engine
    engine.write_bytes(engine.read_bytes() + b"x")
    assert "the engine has" in refused(ModelPlan(bundle.path)) and "--again" in refused(ModelPlan(bundle.path))
    assert select(bundle, fallback="onnxruntime").note == NOTE
    (device.store.folder / f"{record.key.name}.json").write_text("{}")
    assert "engines prune" in refused(ModelPlan(bundle.path))
    assert select(bundle, "onnxruntime").note == ""


def test_a_store_that_cannot_be_written_still_ends_the_start(
    device: Device, wrong: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(files: EngineFiles, name: str, record: EngineRecord) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(EngineFiles, "write", full)
    with pytest.raises(Exception, match="tensorrt at fp16 failed the self-test"), open_model(ModelPlan(wrong.path)):
        pytest.fail("it was opened")
    device.check_all_was_given_back()
