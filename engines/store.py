"""Keeps the engines that were built here, each with a record of what it was built from, by what and for what.

An engine is named after its contents and the record names the engine, so that replacing the record is
the one step that makes an engine valid: a build that is killed at any moment leaves the store as it was. The good
engine that a rebuild replaces is kept beside it, one a key: where the new one fails, there is a way back.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import platformdirs
from pydantic import ValidationError

from engines.engine_files import (
    PREVIOUS,
    EngineFiles,
    current_name,
    file_fault,
    is_ours,
    previous_name,
    read_record,
)
from engines.engine_record import EngineKey, EngineRecord, EngineTarget, record_fault
from engines.errors import EchoGFRError
from engines.gpu import Gpu
from engines.libraries import RuntimeName

STORE_VARIABLE = "ECHOGFR_ENGINES"
_AGAIN = "build it again with `echogfr-convert build --again`"

State = Literal["good", "failed", "corrupt", "stale", "foreign"]


class EngineError(EchoGFRError):
    """An engine cannot be built, kept or found."""


class EngineFailedError(EngineError):
    """There was an engine and it is of no use: it failed its self-test here, or was changed."""


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

    @property
    def _files(self) -> EngineFiles:
        return EngineFiles(self.folder)

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
        return self._files.draft()

    def put(self, draft: Path, record: EngineRecord) -> Path:
        """Take a finished draft in under its record and return the engine's path.

        A good older one of this key becomes the previous one; what was the previous one until then goes.

        Raises
        ------
        EngineError
            The draft is not what the record says.
        """
        fault = file_fault(draft, record)
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
            self._files.write(previous_name(record.key.name), current.record)
        self._files.write(current_name(record.key.name), record)
        self._files.tidy(record.key.name)
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
        current, previous = self._at(current_name(key)), self._at(previous_name(key))
        what = f"There is no way back from the engine {key}"
        if previous is None or previous.record is None or self._files.is_left_over(previous_name(key)):
            raise EngineError(what, "none was kept before it", _AGAIN)
        if previous.state != "good":
            raise EngineError(what, previous.reason, _AGAIN)
        self._files.write(current_name(key), previous.record)  # from here on it is valid, whatever happens
        if current is not None and current.state == "good" and current.record is not None:
            self._files.write(previous_name(key), current.record)
        else:
            (self.folder / previous_name(key)).unlink()
        self._files.tidy(key)
        return previous.record

    def find(self, key: EngineKey) -> Entry | None:
        """Return the engine of this key with its hash verified (``state`` good or corrupt); None: there is none."""
        return self._at(current_name(key.name))

    def of(self, artifact_sha256: str, here: Here) -> list[Entry]:
        """Return the engines of one artifact with their hashes verified, newest first; previous ones come last."""
        found = []
        for path in self._files.records():
            record = self._files.read(path.name)  # None: nobody can tell whose it was; ``entries`` shows it
            if record is not None and record.key.artifact_sha256 == artifact_sha256:
                found.append((not path.name.endswith(PREVIOUS), record.created, self._entry(path, here)))
        return [entry for *_, entry in sorted(found, key=lambda one: one[:2], reverse=True)]

    def unreadable(self) -> bool:
        """Tell whether there is a record of this program that cannot be read."""
        return self._files.unreadable()

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
        for name in (current_name(record.key.name), previous_name(record.key.name)):
            there = self._files.read(name)
            if there is not None and there.sha256 == record.sha256:
                self._files.write(name, there.model_copy(update={"failed": why}))

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
        paths = [path for path in self._files.records() if not self._files.is_left_over(path.name)]
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
            self._files.promote(entry.name)
        if everything:
            self._files.drop_timings()
        return removed

    def _key_of(self, name: str) -> str:
        """Return the one key that begins so."""
        found = sorted(key for key in self._files.keys() if name and key.startswith(name))
        if len(found) != 1:
            because = f"{len(found)} engines here have a name that begins so"
            raise EngineError(f"The engine '{name}' cannot be found", because, "see echogfr-convert engines list")
        return found[0]

    def _at(self, name: str) -> Entry | None:
        path = self.folder / name
        return self._entry(path, None) if path.is_file() else None

    def _entry(self, path: Path, here: Here | None) -> Entry:
        if not is_ours(path) or path.is_symlink():
            return Entry(path.name, "foreign", "no record of this program", None, (path,))
        name, previous = path.name.partition(".")[0], path.name.endswith(PREVIOUS)
        files = (*self._files.engines(name, previous), path)
        try:
            record = read_record(path)
        except (OSError, ValueError) as error:
            told = f"its record cannot be read ({_first_line(error)})"
            return Entry(name, "corrupt", told, None, files, previous)
        state, reason = self._judged(name, record, here)
        return Entry(name, state, reason, record, files, previous)

    def _judged(self, name: str, record: EngineRecord, here: Here | None) -> tuple[State, str]:
        fault = record_fault(name, record) or file_fault(self.folder / record.engine, record)
        if fault:
            return "corrupt", f"the engine {fault}"
        stale = here.fault(record.key) if here else None
        if stale is not None:
            return "stale", stale
        if record.failed is not None:
            return "failed", f"it failed its self-test: {record.failed}"
        return "good", "its hash is right"

    def _strangers(self, claimed: set[Path]) -> Iterator[Entry]:
        for path in self._files.others(claimed):
            if is_ours(path) and path.is_file() and not path.is_symlink():
                yield Entry(path.name, "corrupt", "left by a build that did not finish", None, (path,))
            else:
                yield Entry(path.name, "foreign", "not of this program; left alone", None, (path,))


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc'])) or 'file'}: {first['msg']}"
    return str(error).splitlines()[0]
