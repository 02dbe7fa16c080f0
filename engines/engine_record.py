"""The record of an engine: what it was built from, by what and for what, and how it is named after all that."""

from __future__ import annotations

import hashlib
import platform
from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from engines.gpu import Gpu
from engines.libraries import RuntimeName
from engines.manifest import FileName, Precision, Sha256

RECORD_VERSION: Final = 1


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class EngineRecipe(_Model):
    """All that is decided about a build. Types are those of the artifact; no flag changes a precision."""

    batch: tuple[int, int, int]  # least, best and most crops at once
    workspace_mib: int | None
    dla_core: int | None
    tf32: Literal[False] = False  # fp32 stays fp32: TF32 has the mantissa of half


class EngineBuilder(_Model):
    """The library that built an engine; only the same build of it reads the engine."""

    runtime: RuntimeName
    version: str


class EngineTarget(_Model):
    """What an engine was built for: the GPU of this machine, or compute capabilities ahead of time (``gpu`` None)."""

    compute_capabilities: Annotated[tuple[str, ...], Field(min_length=1)]
    gpu: str | None = None
    multiprocessors: int | None = None
    driver: str | None = None
    system: str = Field(default_factory=platform.system)
    machine: str = Field(default_factory=platform.machine)

    @classmethod
    def of(cls, gpu: Gpu) -> EngineTarget:
        """Return the target that is this machine's GPU."""
        return cls(
            compute_capabilities=(gpu.compute_capability,),
            gpu=gpu.name,
            multiprocessors=gpu.multiprocessors,
            driver=gpu.driver,
        )

    def __str__(self) -> str:
        """Return it for a person."""
        capabilities = ", ".join(self.compute_capabilities)
        return f"{self.gpu} ({capabilities})" if self.gpu else f"compute capability {capabilities}, ahead of time"


class EngineKey(_Model):
    """All that an engine depends on: the same key, the same engine."""

    artifact_sha256: Sha256
    recipe: EngineRecipe
    builder: EngineBuilder
    target: EngineTarget

    @property
    def name(self) -> str:
        """24 hexadecimal digits that stand for the key."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:24]


class LayerSummary(_Model):
    """What became of the artifact's layers. Precisions: Int8, Half, Float, or Unknown where nothing was told."""

    layers: int
    planned: dict[str, int]  # convolutions by precision as the artifact's types ask for
    compiled: dict[str, int]  # convolutions by precision as they were compiled
    fallbacks: tuple[str, ...]  # "member0/trunk/block0/conv0: Int8 planned, Half compiled"


class EngineRecord(_Model):
    """The record of one engine: ``<key>.json`` beside it."""

    record_version: Literal[1] = RECORD_VERSION
    key: EngineKey
    engine: FileName
    sha256: Sha256
    size_bytes: Annotated[int, Field(gt=0)]
    bundle_id: str
    bundle_version: str
    bundle_sha256: Sha256
    artifact: FileName
    precision: Precision
    created: datetime
    build_seconds: float
    layers: LayerSummary
    warnings: tuple[str, ...]
    failed: str | None = None  # why it must not be used, where its self-test failed; building it again clears it


def engine_name(key: EngineKey, sha256: str) -> str:
    """Return the file name of an engine: after its key and its contents."""
    return f"{key.name}-{sha256[:16]}.engine"


def record_fault(name: str, record: EngineRecord) -> str | None:
    """Return what is wrong with a record found under the name of a key; None: nothing."""
    if record.key.name != name or record.engine != engine_name(record.key, record.sha256):
        return "has a record that belongs to another"
    return None
