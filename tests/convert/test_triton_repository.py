"""``echogfr-convert triton``: what is served is the bundle's own file, described by the manifest and nothing else."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from convert.triton import MARK, RepositoryPlan, write_repository
from engines.bundle import Bundle, open_bundle
from engines.engine_record import EngineBuilder, EngineKey, EngineRecipe, EngineTarget
from engines.errors import UsageError
from engines.members import session_info
from engines.store import EngineStore, Here
from tests.engines.bundle_makers import BundlePlan, GraphPlan, write_bundle
from tests.engines.engine_makers import record_of

NOWHERE = Here(None, {})
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Bundle]:
    def made(**fields: Any) -> Bundle:
        return open_bundle(write_bundle(tmp_path / "bundle", BundlePlan(**fields)))

    return made


@pytest.fixture
def store(tmp_path: Path) -> EngineStore:
    made = EngineStore(tmp_path / "engines")
    made.prepare()
    return made


def config_of(repository: Path, name: str) -> Any:
    return text_format.Parse((repository / name / "config.pbtxt").read_text(), model_config_pb2.ModelConfig())


def parameters_of(config: Any) -> dict[str, str]:
    return {key: value.string_value for key, value in config.parameters.items()}


def put_engine(store: EngineStore, artifact_sha256: str, most: int) -> bytes:
    data = b"engine of " + artifact_sha256.encode()
    key = EngineKey(
        artifact_sha256=artifact_sha256,
        recipe=EngineRecipe(batch=(1, 1, most), workspace_mib=None, dla_core=None),
        builder=EngineBuilder(runtime="tensorrt", version="10.3.0"),
        target=EngineTarget(compute_capabilities=("8.6",), gpu="A10", multiprocessors=72, driver="550"),
    )
    draft = store.draft()
    draft.write_bytes(data)
    store.put(draft, record_of(data, key, "model-0.onnx", "fp32"))
    return data


def test_a_fused_artifact_is_one_model_that_carries_its_bundle(make, store: EngineStore, tmp_path: Path) -> None:
    bundle, repository = make(), tmp_path / "repository"
    plan = RepositoryPlan(repository, instances=2, max_batch=4, delay_us=500)
    assert write_repository(bundle, plan, store, NOWHERE) == ("test-bundle-fp32",)
    assert sorted(path.name for path in repository.iterdir()) == [MARK, "test-bundle-fp32"]
    assert (repository / "test-bundle-fp32" / "1" / "model.onnx").read_bytes() == bundle.read("model-0.onnx")
    config = config_of(repository, "test-bundle-fp32")
    assert (config.backend, config.max_batch_size) == ("onnxruntime", 4)
    assert [(one.name, one.data_type, list(one.dims)) for one in config.input] == [
        ("crops", model_config_pb2.TYPE_UINT8, [64, 64, 3])
    ]
    assert {one.name: list(one.dims) for one in config.output} == {
        "egfr_members": [3],
        "p_egfr_below_60_members": [3],
        "features": [12],
        "egfr_map": [8, 8],
    }
    assert {one.data_type for one in config.output} == {model_config_pb2.TYPE_FP32}
    assert config.dynamic_batching.max_queue_delay_microseconds == 500
    assert [group.count for group in config.instance_group] == [2]
    told = parameters_of(config)
    assert told["echogfr_bundle_sha256"] == bundle.sha256
    assert told["echogfr_artifact_sha256"] == bundle.manifest.artifacts[0].sha256


def test_members_apart_are_models_and_an_ensemble_that_keeps_their_answers_apart(
    make, store: EngineStore, tmp_path: Path
) -> None:
    bundle, repository = make(apart=(("fp32", "any"),)), tmp_path / "repository"
    names = write_repository(bundle, RepositoryPlan(repository), store, NOWHERE)
    assert names == ("test-bundle-fp32", *(f"test-bundle-fp32-member{at}" for at in range(3)))
    member = config_of(repository, "test-bundle-fp32-member1")
    assert {one.name: list(one.dims) for one in member.output}["features"] == [4]
    ensemble = config_of(repository, "test-bundle-fp32")
    assert ensemble.platform == "ensemble" and not ensemble.HasField("dynamic_batching")
    assert [step.model_name for step in ensemble.ensemble_scheduling.step] == list(names[1:])
    assert dict(ensemble.ensemble_scheduling.step[2].output_map)["egfr_map"] == "egfr_map-member2"
    assert len({one.name for one in ensemble.output}) == 12
    wanted = session_info("", "", bundle.artifacts("fp32", "cpu")).artifact_sha256
    assert parameters_of(ensemble)["echogfr_artifact_sha256"] == wanted


def test_tensorrt_serves_an_engine_of_the_store_and_no_more_crops_than_it_was_built_for(
    make, store: EngineStore, tmp_path: Path
) -> None:
    bundle, repository = make(), tmp_path / "repository"
    plan = RepositoryPlan(repository, backend="tensorrt")
    with pytest.raises(UsageError, match="there is no good engine of it"):
        write_repository(bundle, plan, store, NOWHERE)
    assert not repository.exists()
    data = put_engine(store, bundle.manifest.artifacts[0].sha256, most=4)
    write_repository(bundle, plan, store, NOWHERE)
    assert (repository / "test-bundle-fp32" / "1" / "model.plan").read_bytes() == data
    config = config_of(repository, "test-bundle-fp32")
    assert (config.backend, config.max_batch_size) == ("tensorrt", 4)
    assert config.instance_group[0].kind == model_config_pb2.ModelInstanceGroup.KIND_GPU
    assert parameters_of(config)["echogfr_engine_built_by"] == "tensorrt 10.3.0"


def test_an_engine_that_was_changed_is_not_served(make, store: EngineStore, tmp_path: Path) -> None:
    bundle = make()
    put_engine(store, bundle.manifest.artifacts[0].sha256, most=4)
    next(store.folder.glob("*.engine")).write_bytes(b"other")
    with pytest.raises(UsageError, match="no good engine"):
        write_repository(bundle, RepositoryPlan(tmp_path / "r", backend="tensorrt"), store, NOWHERE)


def test_what_did_not_pass_its_parity_is_not_served(make, store: EngineStore, tmp_path: Path) -> None:
    graphs = {("fp32", "any"): GraphPlan(), ("fp16", "any"): GraphPlan(doc="half")}
    bundle = make(graphs=graphs, parity=(("fp16", "any", False),))
    with pytest.raises(UsageError, match="its parity with fp32 failed"):
        write_repository(bundle, RepositoryPlan(tmp_path / "r", precision="fp16"), store, NOWHERE)


def test_a_repository_is_replaced_only_on_request_and_a_strange_folder_never(
    make, store: EngineStore, tmp_path: Path
) -> None:
    bundle, repository = make(), tmp_path / "repository"
    write_repository(bundle, RepositoryPlan(repository), store, NOWHERE)
    with pytest.raises(UsageError, match="it exists already"):
        write_repository(bundle, RepositoryPlan(repository), store, NOWHERE)
    write_repository(bundle, RepositoryPlan(repository, force=True), store, NOWHERE)
    strange = tmp_path / "strange"
    strange.mkdir()
    (strange / "thesis.txt").write_text("years")
    with pytest.raises(UsageError, match="would be lost"):
        write_repository(bundle, RepositoryPlan(strange, force=True), store, NOWHERE)


def test_a_cancelled_writing_leaves_nothing(make, store: EngineStore, tmp_path: Path) -> None:
    def cancel(stage: str, done: int, total: int) -> None:
        if done == 1:
            raise KeyboardInterrupt

    bundle, place = make(apart=(("fp32", "any"),)), tmp_path / "place"
    place.mkdir()
    with pytest.raises(KeyboardInterrupt):
        write_repository(bundle, RepositoryPlan(place / "repository"), store, NOWHERE, cancel)
    assert list(place.iterdir()) == []


def test_the_command_says_what_it_wrote_and_a_mistake_is_one_sentence(make, tmp_path: Path) -> None:
    def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
        program = [sys.executable, "-c", "from convert.cli import main; main()"]
        command = [*program, "triton", str(make_once), *map(str, words)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    make_once = make().path
    done = run("--out", tmp_path / "repository")
    assert done.returncode == 0, done.stderr
    assert "test-bundle-fp32, fp32 on onnxruntime" in done.stdout
    wrong = run("--out", tmp_path / "other", "--backend", "openvino")
    assert wrong.returncode == 2
    assert "choose one of onnxruntime, tensorrt" in wrong.stderr and "Traceback" not in wrong.stderr
