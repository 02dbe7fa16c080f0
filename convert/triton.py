"""Writes a model repository for NVIDIA Triton from a bundle: the artifacts as they are, or their engines.

A fused artifact is one model. Members in separate artifacts are one model each, and an ensemble that sends one picture
to all of them and gives back all their answers; Triton's ensembles cannot calculate, so that the client joins them
(``engines.members.join``: values side by side, maps averaged).
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from convert.folder import Kind, all_or_nothing
from convert.progress import Progress, silent
from engines._triton import config_text
from engines.bundle import Bundle
from engines.engine_record import EngineRecord
from engines.errors import UsageError
from engines.manifest import Artifact, Precision
from engines.members import members_of, session_info
from engines.parity import parity_fault
from engines.server import ARTIFACT_SHA256, BUNDLE_SHA256, member_name, model_name, part_name
from engines.store import EngineStore, Here
from engines.tensors import TensorSpec, input_spec, output_specs

Backend = Literal["onnxruntime", "tensorrt"]
MARK: Final = "echogfr-repository.txt"  # a plain file at the top: Triton looks at folders only
KIND: Final = Kind("model repository", MARK)
VERSION: Final = "1"
_FILES: Final[dict[Backend, str]] = {"onnxruntime": "model.onnx", "tensorrt": "model.plan"}
_TYPES: Final = {"uint8": "TYPE_UINT8", "float32": "TYPE_FP32"}
Fields = dict[str, object]


@dataclass(frozen=True, slots=True)
class RepositoryPlan:
    """What is to be served, and how. ``max_batch``: crops in one run; ``delay_us``: how long it waits for others."""

    target: Path
    precision: Precision = "fp32"
    backend: Backend = "onnxruntime"
    instances: int = 1
    max_batch: int = 8
    delay_us: int = 2000
    force: bool = False


@dataclass(frozen=True, slots=True)
class _Model:
    """One model of the repository: its name, what is in it, and the file that it runs."""

    name: str
    artifact: Artifact
    engine: tuple[Path, EngineRecord] | None


def write_repository(
    bundle: Bundle, plan: RepositoryPlan, store: EngineStore, here: Here, progress: Progress = silent
) -> tuple[str, ...]:
    """Write the repository at once or not at all, and return the names of its models, the one to ask first.

    Raises
    ------
    EchoGFRError
        The bundle has no such artifact or its parity failed, there is no engine of it, or the target is taken.
    """
    artifacts = bundle.artifacts(plan.precision, "cpu" if plan.backend == "onnxruntime" else "tensorrt")
    fault = parity_fault(bundle.manifest, artifacts[0])
    if fault:
        raise UsageError(f"{artifacts[0].file} cannot be served", fault, "choose another precision")
    models = [_model(bundle, plan, artifact, store, here) for artifact in artifacts]
    with all_or_nothing(plan.target, plan.force, KIND) as folder:
        for done, model in enumerate(models):
            progress("models", done, len(models))
            _write_model(bundle, plan, folder / model.name, model)
        names = [model.name for model in models]
        if len(models) > 1:
            names.insert(0, model_name(bundle.manifest, plan.precision))
            fields = _ensemble(bundle, models, min(_most(plan, model) for model in models))
            _write_config(folder / names[0], fields)
        (folder / MARK).write_text(f"{bundle.manifest.bundle_id} {bundle.manifest.version}\n{bundle.sha256}\n")
        progress("models", len(models), len(models))
    return tuple(names)


def _model(bundle: Bundle, plan: RepositoryPlan, artifact: Artifact, store: EngineStore, here: Here) -> _Model:
    name = model_name(bundle.manifest, plan.precision)
    if artifact.member is not None and bundle.manifest.members > 1:
        name = member_name(bundle.manifest, plan.precision, artifact.member)
    return _Model(name, artifact, None if plan.backend == "onnxruntime" else _engine(artifact, store, here))


def _engine(artifact: Artifact, store: EngineStore, here: Here) -> tuple[Path, EngineRecord]:
    """Return the newest good engine of an artifact."""
    found = [
        entry.record
        for entry in store.entries(here)
        if entry.state == "good"
        and entry.record is not None
        and entry.record.key.artifact_sha256 == artifact.sha256
        and entry.record.key.builder.runtime == "tensorrt"
    ]
    if not found:
        raise UsageError(
            f"{artifact.file} cannot be served by TensorRT",
            f"there is no good engine of it in {store.folder}",
            "build it with echogfr-convert build on the server's GPU, or choose --backend onnxruntime",
        )
    record = max(found, key=lambda one: one.created)
    return store.folder / record.engine, record


def _most(plan: RepositoryPlan, model: _Model) -> int:
    """Return how many crops a model takes at once: an engine was built for so many."""
    return plan.max_batch if model.engine is None else min(plan.max_batch, model.engine[1].key.recipe.batch[2])


def _write_model(bundle: Bundle, plan: RepositoryPlan, folder: Path, model: _Model) -> None:
    file = folder / VERSION / _FILES[plan.backend]
    file.parent.mkdir(parents=True)
    if model.engine is None:
        file.write_bytes(bundle.read(model.artifact.file))
    else:
        shutil.copyfile(model.engine[0], file)
    _write_config(folder, _config(bundle, plan, model))


def _write_config(folder: Path, fields: Fields) -> None:
    (folder / VERSION).mkdir(parents=True, exist_ok=True)  # of an ensemble empty, and yet asked for
    (folder / "config.pbtxt").write_text(config_text(fields))


def _config(bundle: Bundle, plan: RepositoryPlan, model: _Model) -> Fields:
    crops = input_spec(bundle.manifest)
    zeros = {crops.name: {"data_type": _TYPES[crops.dtype], "dims": _dims(crops), "zero_data": True}}
    members = members_of(bundle.manifest, (model.artifact,))
    extra = {} if model.engine is None else _engine_facts(model.engine[1])
    return {
        **_declared(model.name, _most(plan, model), crops, output_specs(bundle.manifest, members)),
        "backend": plan.backend,
        "version_policy": {"specific": {"versions": [int(VERSION)]}},
        "dynamic_batching": {"max_queue_delay_microseconds": plan.delay_us},
        "instance_group": [
            {"count": plan.instances, "kind": "KIND_AUTO" if plan.backend == "onnxruntime" else "KIND_GPU"}
        ],
        "model_warmup": [{"name": "black crop", "batch_size": 1, "inputs": zeros}],
        "parameters": _parameters({**_facts(bundle, (model.artifact,)), **extra}),
    }


def _ensemble(bundle: Bundle, models: Sequence[_Model], most: int) -> Fields:
    crops = input_spec(bundle.manifest)
    each = output_specs(bundle.manifest, 1)
    every = [TensorSpec(part_name(s.name, at), s.dtype, s.shape) for at in range(len(models)) for s in each]
    steps = [
        {
            "model_name": model.name,
            "model_version": -1,
            "input_map": {crops.name: crops.name},
            "output_map": {spec.name: part_name(spec.name, at) for spec in each},
        }
        for at, model in enumerate(models)
    ]
    artifacts = tuple(model.artifact for model in models)
    return {
        **_declared(model_name(bundle.manifest, artifacts[0].precision), most, crops, every),
        "platform": "ensemble",
        "ensemble_scheduling": {"step": steps},
        "parameters": _parameters(_facts(bundle, artifacts)),
    }


def _declared(name: str, most: int, crops: TensorSpec, outputs: Sequence[TensorSpec]) -> Fields:
    return {
        "name": name,
        "max_batch_size": most,  # the axis of the batch is Triton's own and in no dims
        "input": [{"name": crops.name, "data_type": _TYPES[crops.dtype], "dims": _dims(crops)}],
        "output": [{"name": s.name, "data_type": _TYPES[s.dtype], "dims": _dims(s)} for s in outputs],
    }


def _facts(bundle: Bundle, artifacts: tuple[Artifact, ...]) -> dict[str, str]:
    """Return by what a client knows that a server runs exactly this bundle."""
    return {
        "echogfr_bundle": f"{bundle.manifest.bundle_id} {bundle.manifest.version}",
        BUNDLE_SHA256: bundle.sha256,
        ARTIFACT_SHA256: session_info("", "", artifacts).artifact_sha256,
        "echogfr_precision": artifacts[0].precision,
        "echogfr_synthetic": "true" if bundle.manifest.synthetic else "false",
    }


def _engine_facts(record: EngineRecord) -> dict[str, str]:
    builder = record.key.builder
    return {
        "echogfr_engine_sha256": record.sha256,
        "echogfr_engine_built_by": f"{builder.runtime} {builder.version}",
        "echogfr_engine_built_for": str(record.key.target),
    }


def _parameters(facts: dict[str, str]) -> Fields:
    return {key: {"string_value": value} for key, value in facts.items()}


def _dims(spec: TensorSpec) -> list[int]:
    return [length or -1 for length in spec.shape[1:]]
