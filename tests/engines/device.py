"""A machine with a GPU, for tests: libraries over ``device_machine``, an engine store, and engines in it."""

from __future__ import annotations

import gc
import hashlib
import sys
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Literal

import pytest

from engines._tensorrt_session import TensorRtSession
from engines.bundle import Bundle
from engines.engine_record import (
    EngineBuilder,
    EngineKey,
    EngineRecipe,
    EngineRecord,
    EngineTarget,
    LayerSummary,
    engine_name,
)
from engines.gpu import Gpu
from engines.libraries import RuntimeName
from engines.manifest import Artifact
from engines.store import STORE_VARIABLE, EngineStore

from .device_cuda_python import make_cuda_python
from .device_machine import Machine
from .device_pycuda import make_pycuda
from .device_tensorrt import make_engine, make_tensorrt

Layer = Literal["pycuda", "cuda-python"]
ORIN = Gpu("Orin", "8.7", 8, "540.4.0, CUDA 12.6")
HERE = EngineTarget.of(ORIN)
MODULES: dict[RuntimeName, str] = {"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx"}


@dataclass
class Device:
    """What a test sees of it."""

    store: EngineStore
    runtime: RuntimeName = "tensorrt"
    version: str = "10.3.0"
    machine: Machine = field(default_factory=Machine)
    made: int = 0

    def build(
        self,
        bundle: Bundle,
        artifacts: tuple[Artifact, ...],
        profile: tuple[int, int, int] = (1, 4, 16),
        recordable: bool = True,
        target: EngineTarget = HERE,
        workspace: int | None = None,
    ) -> list[EngineRecord]:
        """Put an engine of each artifact into the store, as a build on this machine would."""
        records = []
        recipe = EngineRecipe(batch=profile, workspace_mib=workspace, dla_core=None)
        for artifact in artifacts:
            raw = make_engine((bundle.path / artifact.file).read_bytes(), profile, recordable)
            records.append(self._put(bundle, artifact, raw, recipe, target))
        return records

    def put(self, bundle: Bundle, artifact: Artifact, graph: bytes) -> EngineRecord:
        """Put an engine into the store that says it is of an artifact, and answers as another graph does."""
        recipe = EngineRecipe(batch=(1, 4, 16), workspace_mib=None, dla_core=None)
        return self._put(bundle, artifact, make_engine(graph, recipe.batch, True), recipe, HERE)

    def _put(
        self, bundle: Bundle, artifact: Artifact, raw: bytes, recipe: EngineRecipe, target: EngineTarget
    ) -> EngineRecord:
        self.made += 1
        record = self._record(bundle, artifact, raw, recipe, target)
        draft = self.store.draft()
        draft.write_bytes(raw)
        self.store.put(draft, record)
        return record

    def open(self, bundle: Bundle, artifacts: tuple[Artifact, ...] | None = None, **plan: object) -> TensorRtSession:
        """Build what is asked for and return a session on it."""
        artifacts = artifacts or bundle.artifacts("fp32", "tensorrt")
        self.build(bundle, artifacts, **plan)  # type: ignore[arg-type]
        return TensorRtSession(self.runtime, bundle, artifacts)

    def check_all_was_given_back(self) -> None:
        """Nothing is held, and nothing had to go with its context."""
        gc.collect()
        assert self.machine.clean, self.machine
        assert self.machine.abandoned == 0

    def _record(
        self, bundle: Bundle, artifact: Artifact, raw: bytes, recipe: EngineRecipe, target: EngineTarget
    ) -> EngineRecord:
        key = EngineKey(
            artifact_sha256=artifact.sha256,
            recipe=recipe,
            builder=EngineBuilder(runtime=self.runtime, version=self.version),
            target=target,
        )
        sha256 = hashlib.sha256(raw).hexdigest()
        return EngineRecord(
            key=key,
            engine=engine_name(key, sha256),
            sha256=sha256,
            size_bytes=len(raw),
            bundle_id=bundle.manifest.bundle_id,
            bundle_version=bundle.manifest.version,
            bundle_sha256=bundle.sha256,
            artifact=artifact.file,
            precision=artifact.precision,
            created=datetime(2026, 11, 22, tzinfo=timezone.utc) + timedelta(seconds=self.made),
            build_seconds=1.0,
            layers=LayerSummary(layers=1, planned={}, compiled={}, fallbacks=()),
            warnings=(),
        )


def install(
    patch: pytest.MonkeyPatch, folder: Path, layer: Layer = "cuda-python", runtime: RuntimeName = "tensorrt"
) -> Device:
    """Put the libraries of a machine with a GPU in place, the other layer and the other TensorRT not being there."""
    device = Device(EngineStore(folder / "engines"), runtime)
    device.store.prepare()
    patch.setenv(STORE_VARIABLE, str(device.store.folder))
    patch.setattr("engines._tensorrt.read_gpu", lambda: ORIN)
    absent = ["pycuda", "pycuda.driver", "cuda", "cuda.bindings", "cuda.bindings.driver", *MODULES.values()]
    layers = make_pycuda(device.machine) if layer == "pycuda" else make_cuda_python(device.machine)
    there = {**layers, MODULES[runtime]: make_tensorrt(device.machine, MODULES[runtime], device.version)}
    for name in absent:
        patch.setitem(sys.modules, name, there.get(name))
    return device
