"""Keeps the engines that were built here, each with a record of what it was built from, by what and for what.

An engine is named after its contents and the record names the engine, so that replacing the record is
the one step that makes an engine valid: a build that is killed at any moment leaves the store as it was. The good
engine that a rebuild replaces is kept beside it, one a key: where the new one fails, there is a way back.
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
PREVIOUS = ".previous.json"
_OURS = re.compile(
    rf"[0-9a-f]{{24}}(-[0-9a-f]{{16}}\.engine|\.json|{re.escape(PREVIOUS)})"
    rf"|{re.escape(DRAFT_PREFIX)}(?P<process>[0-9]+)-.+"
)
_TIMING = re.compile(r"timing-[0-9a-f]{24}\.cache")

RuntimeName = Literal["tensorrt", "tensorrt-rtx"]
State = Literal["good", "failed", "corrupt", "stale", "foreign"]


class EngineError(EchoGFRError):
    """An engine cannot be built, kept or found."""


class EngineFailedError(EngineError):
    """There was an engine and it is of no use: it failed its self-test here, or was changed."""


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
    """One engine of the store, or a file that does not belong there. ``name``: the key or the file.

    ``previous``: the one before the current one of this key, kept for a rollback.
    """

    name: str
    state: State
    reason: str
    record: EngineRecord | None
    files: tuple[Path, ...]
    previous: bool = False


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
        """Take a finished draft in under its record and return the engine's path.

        A good older one of this key becomes the previous one; what was the previous one until then goes.

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
        current = self.find(record.key)
        if (
            current is not None
            and current.state == "good"
            and current.record
            and current.record.engine != record.engine
        ):
            self._write_record(_previous_name(record.key.name), current.record)
        self._write_record(_current_name(record.key.name), record)
        self._tidy(record.key.name)
        return engine

    def rollback(self, name: str) -> EngineRecord:
        """Make the previous engine of a key the current one and return its record; again, it changes them back.

        ``name``: the key, or the first digits of it. A current engine that is not good is dropped.

        Raises
        ------
        EngineError
            There is no such key, more than one, or no good engine before the current one.
        """
        key = self._key_of(name)
        current, previous = self._at(_current_name(key)), self._at(_previous_name(key))
        what = f"There is no way back from the engine {key}"
        if previous is None or previous.record is None or self._is_left_over(_previous_name(key)):
            raise EngineError(what, "none was kept before it", _AGAIN)
        if previous.state != "good":
            raise EngineError(what, previous.reason, _AGAIN)
        self._write_record(_current_name(key), previous.record)  # from here on it is valid, whatever happens
        if current is not None and current.state == "good" and current.record is not None:
            self._write_record(_previous_name(key), current.record)
        else:
            (self.folder / _previous_name(key)).unlink()
        self._tidy(key)
        return previous.record

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
        return self._at(_current_name(key.name))

    def of(self, artifact_sha256: str, here: Here) -> list[Entry]:
        """Return the engines of one artifact with their hashes verified, newest first; previous ones come last."""
        found = []
        for path in sorted(self.folder.glob("*.json")):
            try:
                record = _read_record(path)
            except (OSError, ValueError):
                continue  # nobody can tell whose it was; ``entries`` shows it
            if record.key.artifact_sha256 == artifact_sha256:
                found.append((not path.name.endswith(PREVIOUS), record.created, self._entry(path, here)))
        return [entry for *_, entry in sorted(found, key=lambda one: one[:2], reverse=True)]

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
        for name in (_current_name(record.key.name), _previous_name(record.key.name)):
            there = self._record(name)
            if there is not None and there.sha256 == record.sha256:
                self._write_record(name, there.model_copy(update={"failed": why}))

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
        paths = [path for path in sorted(self.folder.glob("*.json")) if not self._is_left_over(path.name)]
        records = [self._entry(path, here) for path in paths]
        claimed = {path for entry in records for path in entry.files}
        return [*records, *self._strangers(claimed)]

    def prune(self, here: Here | None = None, everything: bool = False) -> list[Entry]:
        """Remove engines that are corrupt, stale or failed and what killed builds left; files of others stay.

        Where a good engine was kept before one that goes, it becomes the current one. Returns what was removed.
        ``everything``: good engines and timing caches too.
        """
        removed = []
        for entry in self.entries(here):
            if entry.state == "foreign" or (entry.state == "good" and not everything):
                continue
            for path in reversed(entry.files):  # the record, last in the list, goes first
                path.unlink(missing_ok=True)
            removed.append(entry)
        for entry in removed:
            self._promote(entry.name)
        if everything:
            for path in self.folder.glob("timing-*.cache"):
                path.unlink(missing_ok=True)
        return removed

    def _write_record(self, name: str, record: EngineRecord) -> None:
        self.write(name, record.model_dump_json(indent=2).encode() + b"\n")

    def _key_of(self, name: str) -> str:
        """Return the one key that begins so."""
        keys = {path.name.partition(".")[0] for path in self.folder.glob("*.json") if _OURS.fullmatch(path.name)}
        found = sorted(key for key in keys if name and key.startswith(name))
        if len(found) != 1:
            because = f"{len(found)} engines here have a name that begins so"
            raise EngineError(f"The engine '{name}' cannot be found", because, "see echogfr-convert engines list")
        return found[0]

    def _at(self, name: str) -> Entry | None:
        path = self.folder / name
        return self._entry(path, None) if path.is_file() else None

    def _is_left_over(self, name: str) -> bool:
        """Tell whether a previous record names the current engine: what a kill between two steps leaves."""
        if not name.endswith(PREVIOUS):
            return False
        now, before = self._record(_current_name(name.partition(".")[0])), self._record(name)
        return now is not None and before is not None and now.engine == before.engine

    def _tidy(self, key: str) -> None:
        """Remove engines of a key that no record names any more, and a previous record that says the same."""
        current, previous = self._record(_current_name(key)), self._record(_previous_name(key))
        if current is not None and previous is not None and current.engine == previous.engine:
            (self.folder / _previous_name(key)).unlink(missing_ok=True)
        named = {record.engine for record in (current, previous) if record is not None}
        for path in self.folder.glob(f"{key}-*.engine"):
            if path.name not in named:
                path.unlink(missing_ok=True)

    def _promote(self, key: str) -> None:
        """Make the previous engine the current one, where that was removed."""
        previous = self.folder / _previous_name(key)
        if previous.is_file() and not (self.folder / _current_name(key)).exists():
            os.replace(previous, self.folder / _current_name(key))

    def _entry(self, path: Path, here: Here | None) -> Entry:
        if not _OURS.fullmatch(path.name) or path.is_symlink():
            return Entry(path.name, "foreign", "no record of this program", None, (path,))
        name, previous = path.name.partition(".")[0], path.name.endswith(PREVIOUS)
        files = (*self._engines(name, previous), path)
        try:
            record = _read_record(path)
        except (OSError, ValueError) as error:
            told = f"its record cannot be read ({_first_line(error)})"
            return Entry(name, "corrupt", told, None, files, previous)
        state, reason = self._judged(name, record, here)
        return Entry(name, state, reason, record, files, previous)

    def _engines(self, key: str, previous: bool) -> tuple[Path, ...]:
        """Return the files that go with a record: what the previous one alone names, all others with the current."""
        before, now = self._record(_previous_name(key)), self._record(_current_name(key))
        kept = before.engine if before is not None and (now is None or now.engine != before.engine) else None
        every = sorted(self.folder.glob(f"{key}-*.engine"))
        return tuple(path for path in every if (path.name == kept) == previous)

    def _record(self, name: str) -> EngineRecord | None:
        """Return the record of a file; None: there is none that can be read."""
        try:
            return _read_record(self.folder / name)
        except (OSError, ValueError):
            return None

    def _judged(self, name: str, record: EngineRecord, here: Here | None) -> tuple[State, str]:
        fault = _record_fault(name, record) or _file_fault(self.folder / record.engine, record)
        if fault:
            return "corrupt", f"the engine {fault}"
        stale = here.fault(record.key) if here else None
        if stale is not None:
            return "stale", stale
        if record.failed is not None:
            return "failed", f"it failed its self-test: {record.failed}"
        return "good", "its hash is right"

    def _strangers(self, claimed: set[Path]) -> Iterator[Entry]:
        for path in sorted(self.folder.iterdir()):
            if path in claimed or (_TIMING.fullmatch(path.name) and not path.is_symlink()) or _is_being_written(path):
                continue
            if _OURS.fullmatch(path.name) and path.is_file() and not path.is_symlink():
                yield Entry(path.name, "corrupt", "left by a build that did not finish", None, (path,))
            else:
                yield Entry(path.name, "foreign", "not of this program; left alone", None, (path,))


def _current_name(key: str) -> str:
    return f"{key}.json"


def _previous_name(key: str) -> str:
    return f"{key}{PREVIOUS}"


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
