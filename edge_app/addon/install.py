"""Puts an add-on in its place, takes it away, and brings back the one before it.

``slots.json`` names the folders that count; replacing it is the one step that changes anything, so whatever fails or is
killed before leaves the add-on as it was. Folders that it does not name are swept by the next change.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from pathlib import Path

from pydantic import ValidationError

from edge_app.addon.archive import check_contents, opened, unpack
from edge_app.addon.folder import Advance, Found, WheelPath, checksums, look_into
from edge_app.addon.known import AddOnError
from edge_app.addon.needs import check_needs
from engines.addon import (
    SLOTS_NAME,
    InstalledWheel,
    Slot,
    Slots,
    activate,
    addon_homes,
    deactivate,
    read_slots,
    this_python,
    use_file,
)
from engines.errors import UsageError
from engines.locks import lock_file

_SLOT_PREFIX = "slot-"
_SPARE_BYTES = 64 << 20


def install_addon(folder: Path, advance: Advance) -> tuple[Slot, Found]:
    """Verify the wheels of a folder and make them the current add-on; the one before it is kept.

    ``advance`` is called with bytes done and in all: reading, then writing. The add-on is on the path afterwards.

    Raises
    ------
    AddOnError
        The wheels cannot be used here, or the disk cannot take them; nothing has changed.
    UsageError
        Another process changes the add-on now.
    """
    deactivate()  # what an older add-on brings is no library of the app's own
    found = look_into(folder)
    abouts, room = _examined(found.wheels)
    check_needs(abouts)
    home = addon_homes()[0]
    with _locked(home), _disk(home):
        _check_room(home, room)
        sums = checksums(folder, found.wheels, advance)
        slot = _laid(home, found.wheels, room, advance)
        wheels = tuple(InstalledWheel(name=w.name, version=str(w.version), sha256=sums[w.path]) for w in found.wheels)
        current = Slot(folder=slot.name, made_for=this_python(), wheels=wheels)
        before = _known(home)
        _write(home, Slots(current=current, previous=None if before is None else before.current))
        _sweep(home)
    activate()
    return current, found


def remove_addon() -> Path:
    """Take the add-on away, and the one before it; returns the folder where they were.

    Raises
    ------
    UsageError
        There is none, or a running EchoGFR uses it.
    """
    deactivate()
    home = _home("removed")
    with _locked(home), _disk(home):
        if any(_is_used(slot) for slot in _slots(home)):
            raise UsageError("The GPU add-on cannot be removed", "a running EchoGFR uses it", "close it first")
        (home / SLOTS_NAME).unlink()  # first: from here on there is none
        _sweep(home)
    return home


def restore_addon() -> Slot:
    """Change the current add-on and the one before it; once more changes them back.

    Raises
    ------
    UsageError
        There is none before it.
    """
    deactivate()
    home = _home("restored")
    with _locked(home), _disk(home):
        slots = _known(home)
        if slots is None or slots.previous is None or not (home / slots.previous.folder).is_dir():
            raise UsageError("The GPU add-on cannot be restored", "none was there before it", "install the one wanted")
        _write(home, Slots(current=slots.previous, previous=slots.current))
    activate()
    return slots.previous


def _home(done: str) -> Path:
    home = addon_homes()[0]
    if not (home / SLOTS_NAME).is_file():
        others = [str(other) for other in addon_homes()[1:] if (other / SLOTS_NAME).is_file()]
        because = f"the one in {others[0]} is the system's" if others else f"there is none in {home}"
        cure = "do it as root" if others else "see `echogfr doctor`"
        raise UsageError(f"The GPU add-on cannot be {done}", because, cure)
    return home


def _examined(wheels: tuple[WheelPath, ...]) -> tuple[dict[WheelPath, Message], int]:
    """Return what each wheel says of itself, and the bytes of all when unpacked."""
    abouts, room = {}, 0
    for wheel in wheels:
        with opened(wheel) as source:
            abouts[wheel] = check_contents(wheel, source)
            room += source.unpacked_bytes
    return abouts, room


def _check_room(home: Path, needed: int) -> None:
    free = shutil.disk_usage(home).free
    if free < needed + _SPARE_BYTES:
        because = f"it takes {needed / 1e6:.0f} MB, and the disk of {home} has {free / 1e6:.0f} MB left"
        raise AddOnError(because, "make room there")


def _laid(home: Path, wheels: tuple[WheelPath, ...], room: int, advance: Advance) -> Path:
    """Unpack everything into a new folder; where that fails, nothing of it is left."""
    slot = Path(tempfile.mkdtemp(prefix=_SLOT_PREFIX, dir=home))
    done = 0

    def written(more: int) -> None:
        nonlocal done
        done += more
        advance(done, room)

    try:
        for wheel in wheels:
            unpack(wheel, slot, written)
        _open_to_readers(slot)
        use_file(slot).touch()
        _flush(slot)
    except BaseException:  # also Ctrl-C: a half-made add-on is of no use to anyone
        shutil.rmtree(slot, ignore_errors=True)
        use_file(slot).unlink(missing_ok=True)
        raise
    return slot


def _open_to_readers(slot: Path) -> None:
    """Let everybody read what root installs, whatever the umask; a user's own is private by the folder above."""
    for path in (slot, *slot.rglob("*")):
        path.chmod(path.stat().st_mode | (0o755 if path.is_dir() else 0o644))


def _flush(slot: Path) -> None:
    """Have the disk keep it before it counts: a full disk shows here at the latest."""
    for path in slot.rglob("*"):
        if path.is_file():
            with path.open("rb") as stream:
                os.fsync(stream.fileno())


@contextmanager
def _locked(home: Path) -> Iterator[None]:
    """Let nobody else change the add-on meanwhile, and sweep what killed processes left."""
    what = "The GPU add-on cannot be changed"
    try:
        home.mkdir(parents=True, exist_ok=True)
        lock = (home / ".lock").open("ab")
    except OSError as error:
        because = f"{home} cannot be written ({error.strerror})"
        raise UsageError(what, because, "check its rights") from error
    with lock:
        if not lock_file(lock, shared=False):
            raise UsageError(what, "another process changes it now", "wait until it has ended")
        _sweep(home)
        yield


@contextmanager
def _disk(home: Path) -> Iterator[None]:
    """Turn what the disk says into one sentence."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        because = f"the disk of {home} is full" if full else f"the disk refuses ({error.strerror or error})"
        raise AddOnError(because, "make room there" if full else f"check {error.filename or home}") from error


def _known(home: Path) -> Slots | None:
    """Return what counts; None: nothing, or what cannot be read and is replaced."""
    try:
        return read_slots(home)
    except (OSError, ValidationError):
        return None


def _write(home: Path, slots: Slots) -> None:
    draft = home / f".{SLOTS_NAME}.part"  # one name for all: the folder is locked
    with draft.open("wb") as stream:
        stream.write(slots.model_dump_json(indent=1).encode() + b"\n")
        stream.flush()
        os.fsync(stream.fileno())
    draft.chmod(0o644)
    os.replace(draft, home / SLOTS_NAME)


def _slots(home: Path) -> list[Path]:
    return [path for path in home.glob(f"{_SLOT_PREFIX}*") if path.is_dir()]


def _is_used(slot: Path) -> bool:
    try:
        with use_file(slot).open("rb+") as mark:
            return not lock_file(mark, shared=False)
    except OSError:
        return False


def _sweep(home: Path) -> None:
    """Remove folders that count no more, but not while a program uses them."""
    slots = _known(home)
    if slots is None and (home / SLOTS_NAME).is_file():
        return  # which of them count is not known
    kept = set() if slots is None else {slots.current.folder, slots.previous.folder if slots.previous else ""}
    for slot in _slots(home):
        if slot.name not in kept and not _is_used(slot):
            shutil.rmtree(slot, ignore_errors=True)
            use_file(slot).unlink(missing_ok=True)
