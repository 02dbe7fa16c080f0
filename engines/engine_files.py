"""The files of an engine store: how they are named, which belong together, and how they are read and written."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from engines.engine_record import EngineRecord

DRAFT_PREFIX = ".draft-"
PREVIOUS = ".previous.json"
RECORD_LIMIT_BYTES = 1 << 20
_OURS = re.compile(
    rf"[0-9a-f]{{24}}(-[0-9a-f]{{16}}\.engine|\.json|{re.escape(PREVIOUS)})"
    rf"|{re.escape(DRAFT_PREFIX)}(?P<process>[0-9]+)-.+"
)
_TIMING = re.compile(r"timing-[0-9a-f]{24}\.cache")


def current_name(key: str) -> str:
    """Return the name of the record of the engine that is used."""
    return f"{key}.json"


def previous_name(key: str) -> str:
    """Return the name of the record of the engine before it."""
    return f"{key}{PREVIOUS}"


def is_ours(path: Path) -> bool:
    """Tell whether this program gave a file its name."""
    return _OURS.fullmatch(path.name) is not None


def read_record(path: Path) -> EngineRecord:
    """Read a record; raises ``OSError``, or ``ValueError`` where it is none."""
    if path.stat().st_size > RECORD_LIMIT_BYTES:
        raise ValueError("larger than 1 MiB")
    return EngineRecord.model_validate_json(path.read_bytes())


def file_fault(path: Path, record: EngineRecord) -> str | None:
    """Return what is wrong with the file of an engine, which is read and hashed; None: nothing."""
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


@dataclass(frozen=True, slots=True)
class EngineFiles:
    """The folder of a store. Of each key there are a current and a previous record, and an engine that each names."""

    folder: Path

    def draft(self) -> Path:
        """Return the name of a new empty file, named after this process."""
        handle, name = tempfile.mkstemp(prefix=f"{DRAFT_PREFIX}{os.getpid()}-", dir=self.folder)
        os.close(handle)
        return Path(name)

    def write(self, name: str, record: EngineRecord) -> None:
        """Write a record at once or not at all."""
        draft = self.draft()
        try:
            draft.write_bytes(record.model_dump_json(indent=2).encode() + b"\n")
            draft.chmod(0o644)
            os.replace(draft, self.folder / name)
        finally:
            draft.unlink(missing_ok=True)

    def read(self, name: str) -> EngineRecord | None:
        """Return a record; None: there is none that can be read."""
        try:
            return read_record(self.folder / name)
        except (OSError, ValueError):
            return None

    def records(self) -> list[Path]:
        """Return all that looks like a record, whoever made it."""
        return sorted(self.folder.glob("*.json"))

    def unreadable(self) -> bool:
        """Tell whether there is a record of this program that cannot be read."""
        return any(_is_unreadable(path) for path in self.records() if is_ours(path))

    def keys(self) -> set[str]:
        """Return the keys of which there is a record."""
        return {path.name.partition(".")[0] for path in self.records() if is_ours(path)}

    def engines(self, key: str, previous: bool) -> tuple[Path, ...]:
        """Return the files that go with a record: what the previous one alone names, all others with the current."""
        before, now = self.read(previous_name(key)), self.read(current_name(key))
        kept = before.engine if before is not None and (now is None or now.engine != before.engine) else None
        every = sorted(self.folder.glob(f"{key}-*.engine"))
        return tuple(path for path in every if (path.name == kept) == previous)

    def is_left_over(self, name: str) -> bool:
        """Tell whether a previous record names the current engine: what a kill between two steps leaves."""
        if not name.endswith(PREVIOUS):
            return False
        now, before = self.read(current_name(name.partition(".")[0])), self.read(name)
        return now is not None and before is not None and now.engine == before.engine

    def tidy(self, key: str) -> None:
        """Remove engines of a key that no record names any more, and a previous record that says the same."""
        current, previous = self.read(current_name(key)), self.read(previous_name(key))
        if current is not None and previous is not None and current.engine == previous.engine:
            (self.folder / previous_name(key)).unlink(missing_ok=True)
        named = {record.engine for record in (current, previous) if record is not None}
        for path in self.folder.glob(f"{key}-*.engine"):
            if path.name not in named:
                path.unlink(missing_ok=True)

    def promote(self, key: str) -> None:
        """Make the previous engine the current one, where that was removed."""
        previous = self.folder / previous_name(key)
        if previous.is_file() and not (self.folder / current_name(key)).exists():
            os.replace(previous, self.folder / current_name(key))

    def drop_timings(self) -> None:
        """Remove what builds remembered of how long kernels take."""
        for path in self.folder.glob("timing-*.cache"):
            path.unlink(missing_ok=True)

    def others(self, claimed: set[Path]) -> Iterator[Path]:
        """Yield what no record claims; neither caches of timings nor what a process is writing."""
        for path in sorted(self.folder.iterdir()):
            is_timing = _TIMING.fullmatch(path.name) and not path.is_symlink()
            if path not in claimed and not is_timing and not _is_being_written(path):
                yield path


def _is_being_written(path: Path) -> bool:
    """Tell whether a draft belongs to a process that runs."""
    found = _OURS.fullmatch(path.name)
    process = found.group("process") if found else None
    return process is not None and Path(f"/proc/{process}").exists()


def _is_unreadable(path: Path) -> bool:
    try:
        read_record(path)
    except (OSError, ValueError):
        return path.exists()
    return False
