"""Keeps the engines that were built here, each with a record of what it was built from, by what and for what.

An engine is named after its contents and the record names the engine, so that replacing the record is
the one step that makes an engine valid: a build that is killed at any moment leaves the store as it was.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, Literal

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engines.errors import EchoGFRError
from engines.gpu import Gpu
from engines.manifest import FileName, Precision, Sha256

RECORD_VERSION: Final = 1
STORE_VARIABLE = "ECHOGFR_ENGINES"
DRAFT_PREFIX = ".draft-"
_AGAIN = "build it again with `echogfr-convert build --again`"
RECORD_LIMIT_BYTES = 1 << 20
_OURS = re.compile(rf"[0-9a-f]{{24}}(-[0-9a-f]{{16}}\.engine|\.json)|{re.escape(DRAFT_PREFIX)}(?P<process>[0-9]+)-.+")
_TIMING = re.compile(r"timing-[0-9a-f]{24}\.cache")

RuntimeName = Literal["tensorrt", "tensorrt-rtx"]
State = Literal["good", "failed", "corrupt", "stale", "foreign"]


class EngineError(EchoGFRError):
    """An engine cannot be built, kept or found."""


class EngineFailedError(EngineError):
    """There was an engine and it is of no use: it failed its self-test here, or was changed. Not: it was never built."""


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


@dataclass(frozen=True, slots=True)
class Here:
    """What this machine has: the GPU and the builds of the libraries, by runtime; None: not known."""

    gpu: Gpu | None
    versions: dict[RuntimeName, str]

    def fault(self, key: EngineKey) -> str | None:
        """Return why an engine is of no use here any more; None: nothing speaks against it."""
        version = self.versions.get(key.builder.runtime)
        if version is not None and version != key.builder.version:
            return f"built by {key.builder.runtime} {key.builder.version}, here is {version}"
        if self.gpu is None or key.target.gpu is None or key.target == EngineTarget.of(self.gpu):
            return None
        return f"built on {key.target.gpu}, driver {key.target.driver}; here is {self.gpu.name}, {self.gpu.driver}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One engine of the store, or a file that does not belong there. ``name``: the key or the file."""

    name: str
    state: State
    reason: str
    record: EngineRecord | None
    files: tuple[Path, ...]


def store_folder() -> Path:
    """Return where engines lie: ``ECHOGFR_ENGINES``, else the user's cache folder."""
    named = os.environ.get(STORE_VARIABLE)
    return Path(named) if named else Path(platformdirs.user_cache_path("echogfr")) / "engines"


@dataclass(frozen=True, slots=True)
class EngineStore:
    """A folder of engines and their records."""

    folder: Path

    def prepare(self) -> None:
        """Make the folder.

        Raises
        ------
        EngineError
            It cannot be made or written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                pass
        except OSError as error:
            raise EngineError(
                f"Engines cannot be kept in {self.folder}", f"{error.strerror}", "choose another folder with --out"
            ) from error

    def draft(self) -> Path:
        """Return the name of a new empty file, in which a build may leave its engine."""
        handle, name = tempfile.mkstemp(prefix=f"{DRAFT_PREFIX}{os.getpid()}-", dir=self.folder)
        os.close(handle)
        return Path(name)

    def put(self, draft: Path, record: EngineRecord) -> Path:
        """Take a finished draft in under its record and return the engine's path; an older one of this key goes.

        Raises
        ------
        EngineError
            The draft is not what the record says.
        """
        fault = _file_fault(draft, record)
        if fault:
            raise EngineError("The engine cannot be kept", f"the file that was built {fault}", "build it again")
        engine = self.folder / record.engine
        draft.chmod(0o644)  # mkstemp gives 0600; an engine is read by whoever runs the app
        os.replace(draft, engine)
        self.write(f"{record.key.name}.json", record.model_dump_json(indent=2).encode() + b"\n")
        for old in self.folder.glob(f"{record.key.name}-*.engine"):
            if old != engine:
                old.unlink(missing_ok=True)
        return engine

    def write(self, name: str, data: bytes) -> None:
        """Write a small file of the store at once or not at all."""
        draft = self.draft()
        try:
            draft.write_bytes(data)
            draft.chmod(0o644)
            os.replace(draft, self.folder / name)
        finally:
            draft.unlink(missing_ok=True)

    def find(self, key: EngineKey) -> Entry | None:
        """Return the engine of this key with its hash verified (``state`` good or corrupt); None: there is none."""
        path = self.folder / f"{key.name}.json"
        return self._entry(path, None) if path.is_file() else None

    def of(self, artifact_sha256: str, here: Here) -> list[Entry]:
        """Return the engines of one artifact with their hashes verified, newest first."""
        found = []
        for path in sorted(self.folder.glob("*.json")):
            try:
                record = _read_record(path)
            except (OSError, ValueError):
                continue  # nobody can tell whose it was; ``entries`` shows it
            if record.key.artifact_sha256 == artifact_sha256:
                found.append((record.created, self._entry(path, here)))
        return [entry for _, entry in sorted(found, key=lambda pair: pair[0], reverse=True)]

    def unreadable(self) -> bool:
        """Tell whether there is a record of this program that cannot be read."""
        return any(_is_unreadable(path) for path in self.folder.glob("*.json") if _OURS.fullmatch(path.name))

    def read(self, record: EngineRecord) -> bytes:
        """Return the bytes of an engine, verified once more: what was checked is what is used.

        Raises
        ------
        EngineError
            They are not what the record says.
        """
        path = self.folder / record.engine
        try:
            raw = path.read_bytes()
        except OSError as error:
            raise EngineError(
                f"The engine {path} cannot be used", f"it cannot be read ({error.strerror})", _AGAIN
            ) from error
        if hashlib.sha256(raw).hexdigest() != record.sha256:
            raise EngineError(f"The engine {path} cannot be used", "it was changed (its SHA-256 differs)", _AGAIN)
        return raw

    def reject(self, record: EngineRecord, why: str) -> None:
        """Mark an engine as failed: it stays, and is not used again before it is built again."""
        marked = record.model_copy(update={"failed": why})
        self.write(f"{record.key.name}.json", marked.model_dump_json(indent=2).encode() + b"\n")

    def entries(self, here: Here | None = None) -> list[Entry]:
        """Return all that lies in the store, with every hash verified; ``here``: also what is stale here.

        Raises
        ------
        EngineError
            What lies in its place is no folder.
        """
        if not self.folder.exists():
            return []
        if not self.folder.is_dir():
            raise EngineError("The engines cannot be listed", f"{self.folder} is no folder", "name another with --out")
        records = [self._entry(path, here) for path in sorted(self.folder.glob("*.json"))]
        claimed = {path for entry in records for path in entry.files}
        return [*records, *self._strangers(claimed)]

    def prune(self, here: Here | None = None, everything: bool = False) -> list[Entry]:
        """Remove engines that are corrupt, stale or failed and what killed builds left; files of others stay.

        Returns what was removed. ``everything``: good engines and timing caches too.
        """
        removed = []
        for entry in self.entries(here):
            if entry.state == "foreign" or (entry.state == "good" and not everything):
                continue
            for path in reversed(entry.files):  # the record, last in the list, goes first
                path.unlink(missing_ok=True)
            removed.append(entry)
        if everything:
            for path in self.folder.glob("timing-*.cache"):
                path.unlink(missing_ok=True)
        return removed

    def _entry(self, path: Path, here: Here | None) -> Entry:
        name = path.stem
        if not _OURS.fullmatch(path.name) or path.is_symlink():
            return Entry(path.name, "foreign", "no record of this program", None, (path,))
        engines = tuple(sorted(self.folder.glob(f"{name}-*.engine")))
        try:
            record = _read_record(path)
        except (OSError, ValueError) as error:
            return Entry(name, "corrupt", f"its record cannot be read ({_first_line(error)})", None, (*engines, path))
        files = (*engines, path)
        fault = _record_fault(name, record) or _file_fault(self.folder / record.engine, record)
        if fault:
            return Entry(name, "corrupt", f"the engine {fault}", record, files)
        stale = here.fault(record.key) if here else None
        if stale is None and record.failed is not None:
            return Entry(name, "failed", f"it failed its self-test: {record.failed}", record, files)
        return Entry(name, "stale" if stale else "good", stale or "its hash is right", record, files)

    def _strangers(self, claimed: set[Path]) -> Iterator[Entry]:
        for path in sorted(self.folder.iterdir()):
            if path in claimed or (_TIMING.fullmatch(path.name) and not path.is_symlink()) or _is_being_written(path):
                continue
            if _OURS.fullmatch(path.name) and path.is_file() and not path.is_symlink():
                yield Entry(path.name, "corrupt", "left by a build that did not finish", None, (path,))
            else:
                yield Entry(path.name, "foreign", "not of this program; left alone", None, (path,))


def _is_being_written(path: Path) -> bool:
    """Tell whether a draft belongs to a process that runs."""
    found = _OURS.fullmatch(path.name)
    process = found.group("process") if found else None
    return process is not None and Path(f"/proc/{process}").exists()


def _read_record(path: Path) -> EngineRecord:
    if path.stat().st_size > RECORD_LIMIT_BYTES:
        raise ValueError("larger than 1 MiB")
    return EngineRecord.model_validate_json(path.read_bytes())


def _is_unreadable(path: Path) -> bool:
    try:
        _read_record(path)
    except (OSError, ValueError):
        return path.exists()
    return False


def _record_fault(name: str, record: EngineRecord) -> str | None:
    if record.key.name != name or record.engine != engine_name(record.key, record.sha256):
        return "has a record that belongs to another"
    return None


def _file_fault(path: Path, record: EngineRecord) -> str | None:
    try:
        if path.is_symlink() or not path.is_file():
            return "is missing"
        if path.stat().st_size != record.size_bytes:
            return f"has {path.stat().st_size} bytes instead of {record.size_bytes}"
        with path.open("rb") as stream:
            digest = hashlib.sha256()
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return None if digest.hexdigest() == record.sha256 else "was changed (its SHA-256 differs)"


def engine_name(key: EngineKey, sha256: str) -> str:
    """Return the file name of an engine: after its key and its contents."""
    return f"{key.name}-{sha256[:16]}.engine"


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc'])) or 'file'}: {first['msg']}"
    return str(error).splitlines()[0]
