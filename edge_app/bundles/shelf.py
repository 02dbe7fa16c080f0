"""Installed bundles: two slots for each id, the current one and the one before it.

``ID/slots.json`` names the folders that count; replacing it is the one step that changes anything, so a process that
is killed at any moment leaves the shelf as it was or as it was to be. Folders that it does not name are swept later.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge_app.bundles.locks import SLOTS_NAME, is_used, use_file
from engines.errors import UsageError
from engines.locks import lock_file

SHELF_VARIABLE = "ECHOGFR_BUNDLES"
DRAFT_PREFIX = ".draft-"
_CHOSEN = "chosen"
_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")

SlotName = Annotated[str, Field(pattern=r"^[0-9a-f]{16}-[a-z0-9_]{8}$")]


class Slots(BaseModel):
    """Which folders of a bundle id count."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    current: SlotName
    previous: SlotName | None = None


@dataclass(frozen=True, slots=True)
class Installed:
    """One id on the shelf; ``chosen``: what the app takes where no bundle is named. ``fault``: why it is of no use."""

    bundle_id: str
    current: Path | None
    previous: Path | None
    chosen: bool
    fault: str | None = None


class Shelf:
    """The folder of installed bundles; without one: ``ECHOGFR_BUNDLES``, or the user's data folder."""

    def __init__(self, folder: Path | None = None) -> None:
        named = os.environ.get(SHELF_VARIABLE)
        own = platformdirs.user_data_path("echogfr", appauthor=False) / "bundles"
        self.folder = folder or (Path(named) if named else own)

    def entries(self) -> list[Installed]:
        """Return everything that is installed, by id; a damaged one with its reason."""
        if not self.folder.is_dir():
            return []
        found = (path for path in sorted(self.folder.iterdir()) if _ID.fullmatch(path.name) and path.is_dir())
        return [entry for path in found if (entry := self.find(path.name)) is not None]

    def find(self, bundle_id: str) -> Installed | None:
        """Return what is installed under an id; None: nothing."""
        if not _ID.fullmatch(bundle_id) or not (self.folder / bundle_id / SLOTS_NAME).is_file():
            return None
        home, chosen = self.folder / bundle_id, self.chosen() == bundle_id
        try:
            slots = Slots.model_validate_json((home / SLOTS_NAME).read_bytes())
        except (OSError, ValidationError):
            return Installed(bundle_id, None, None, chosen, f"{home / SLOTS_NAME} cannot be read")
        previous = None if slots.previous is None else home / slots.previous
        return Installed(bundle_id, home / slots.current, previous, chosen)

    def current(self, bundle_id: str) -> Path | None:
        """Return the folder of the current bundle of an id; None: there is none."""
        found = self.find(bundle_id)
        return None if found is None else found.current

    def chosen(self) -> str | None:
        """Return the id that the app takes where none is named; None: the bundle that ships with it."""
        with suppress(OSError, UnicodeDecodeError):
            name = (self.folder / _CHOSEN).read_text(encoding="ascii").strip()
            return name if _ID.fullmatch(name) else None
        return None

    def use(self, bundle_id: str | None) -> None:
        """Take an installed bundle where none is named; None: the one that ships with the app.

        Raises
        ------
        UsageError
            It is not installed.
        """
        with self.locked():
            if bundle_id is None:
                (self.folder / _CHOSEN).unlink(missing_ok=True)
                return
            self._known(bundle_id)
            self._write(self.folder / _CHOSEN, f"{bundle_id}\n".encode())

    def put(self, draft: Path, bundle_id: str, sha256: str, before: Path | None) -> Path:
        """Make a finished draft the current bundle of its id, and ``before``, one of its slots, the previous.

        Under ``locked``.
        """
        home = self.folder / bundle_id
        home.mkdir(exist_ok=True)
        name = f"{sha256[:16]}-{draft.name[-8:]}"
        os.replace(draft, home / name)
        self.write_slots(bundle_id, Slots(current=name, previous=None if before is None else before.name))
        self._sweep_id(home)
        return home / name

    def rollback(self, bundle_id: str) -> Path:
        """Change the current and the previous bundle of an id; returns the folder that is current now.

        Raises
        ------
        UsageError
            It is not installed, or there is no previous one.
        """
        with self.locked():
            found = self._known(bundle_id)
            if found.current is None or found.previous is None or not found.previous.is_dir():
                because = found.fault or "no bundle was there before it"
                raise UsageError(f"{bundle_id} cannot be rolled back", because, "import the bundle that is wanted")
            self.write_slots(bundle_id, Slots(current=found.previous.name, previous=found.current.name))
            return found.previous

    def remove(self, bundle_id: str) -> None:
        """Remove both slots of an id.

        Raises
        ------
        UsageError
            It is not installed, or a running app uses it.
        """
        with self.locked():
            self._known(bundle_id)
            home = self.folder / bundle_id
            if any(is_used(path) for path in home.iterdir() if path.is_dir()):
                raise UsageError(f"{bundle_id} cannot be removed", "a running app uses it", "close the app first")
            if self.chosen() == bundle_id:
                (self.folder / _CHOSEN).unlink(missing_ok=True)
            (home / SLOTS_NAME).unlink()  # first: from here on it is not installed
            shutil.rmtree(home, ignore_errors=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Let nobody else change the shelf meanwhile, and sweep what killed processes left.

        Raises
        ------
        UsageError
            Another process changes it now, or the folder cannot be written.
        """
        what = "The installed bundles cannot be changed"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / ".lock").open("ab")
        except OSError as error:
            because = f"{self.folder} cannot be written ({error.strerror})"
            raise UsageError(what, because, "check its rights") from error
        with lock:
            if not lock_file(lock, shared=False):
                raise UsageError(what, "another process changes them now", "wait until it has ended")
            self._sweep()
            yield

    def draft(self) -> Path:
        """Return a new empty folder on the shelf's disk. Under ``locked``."""
        return Path(tempfile.mkdtemp(prefix=DRAFT_PREFIX, dir=self.folder))

    def write_slots(self, bundle_id: str, slots: Slots) -> None:
        """Say which folders count: at once or not at all."""
        self._write(self.folder / bundle_id / SLOTS_NAME, slots.model_dump_json().encode() + b"\n")

    def _known(self, bundle_id: str) -> Installed:
        found = self.find(bundle_id)
        if found is None:
            there = ", ".join(entry.bundle_id for entry in self.entries()) or "none"
            raise UsageError(f"'{bundle_id}' is not there", f"installed are {there}", "name one of these, or import it")
        return found

    def _write(self, path: Path, data: bytes) -> None:
        draft = path.with_name(f".{path.name}.part")  # one name for all: the shelf is locked
        with draft.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(draft, path)

    def _sweep(self) -> None:
        for left in self.folder.glob(f"{DRAFT_PREFIX}*"):
            shutil.rmtree(left, ignore_errors=True)
        for home in self.folder.iterdir():
            if _ID.fullmatch(home.name) and home.is_dir():
                self._sweep_id(home)

    def _sweep_id(self, home: Path) -> None:
        """Remove folders that count no more, but not while an app uses them."""
        found = self.find(home.name)
        if found is not None and found.fault is not None:
            return  # which of them count is not known
        kept = set() if found is None else {found.current, found.previous}
        for path in home.iterdir():
            if path.is_dir() and path not in kept and not is_used(path):
                shutil.rmtree(path, ignore_errors=True)
                use_file(path).unlink(missing_ok=True)
