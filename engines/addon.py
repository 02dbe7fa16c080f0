"""The GPU add-on: NVIDIA's libraries in a private folder, put on the path before a program looks for runtimes.

Nothing is installed here (``edge_app.addon`` does that): this finds the folder and makes it importable. The libraries
of wheels find each other by themselves, as all wheels lie in the one folder, as pip would have laid them.
"""

from __future__ import annotations

import os
import platform
import re
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Annotated, Literal

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engines.locks import lock_file

ADDON_VARIABLE = "ECHOGFR_GPU_ADDON"
SYSTEM_FOLDER = Path("/var/lib/echogfr/gpu")
SLOTS_NAME = "slots.json"

SlotName = Annotated[str, Field(pattern=r"^slot-[a-z0-9_]{8}$")]


class InstalledWheel(BaseModel):
    """One wheel of an add-on: what it is and the SHA-256 of the file that it came from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Slot(BaseModel):
    """One add-on. ``made_for``: the Python and the machine that its wheels are for, as ``this_python`` says it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: SlotName
    made_for: str
    wheels: tuple[InstalledWheel, ...]

    @property
    def told(self) -> str:
        """The wheels and their versions, without those that are only parts of others."""
        parts = re.compile(r"nvidia-.*|cuda-pathfinder|tensorrt.*-(libs|bindings)")
        shown = [wheel for wheel in self.wheels if not parts.fullmatch(wheel.name)]
        return ", ".join(f"{wheel.name} {wheel.version}" for wheel in shown or self.wheels)


class Slots(BaseModel):
    """Which add-ons count: the current one, and the one before it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    current: Slot
    previous: Slot | None = None


@dataclass(frozen=True, slots=True)
class AddOn:
    """The add-on that is there. ``slots``: None where its record cannot be read; ``fault``: why it is not used."""

    home: Path
    slots: Slots | None
    fault: str = ""

    @property
    def folder(self) -> Path | None:
        """Where its modules are imported from."""
        return None if self.slots is None else self.home / self.slots.current.folder


@dataclass
class _Active:
    """What this process has put on its path, and the lock that keeps it from being removed meanwhile."""

    folder: Path | None = None
    marks: list[IO[bytes]] = field(default_factory=list)


_active = _Active()


def this_python() -> str:
    """Return the Python and the machine that compiled wheels must be for: ``cpython-311 on x86_64``."""
    return f"{sys.implementation.cache_tag} on {platform.machine()}"


def addon_homes() -> tuple[Path, ...]:
    """Return where add-ons may lie, first to last: ``ECHOGFR_GPU_ADDON`` alone, or the user's and the system's.

    The first is where one is installed. For root that is the system's: it is there for everybody, and root never
    imports what lies in the folder of a user.
    """
    named = os.environ.get(ADDON_VARIABLE)
    if named:
        return (Path(named),)
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        return (SYSTEM_FOLDER,)
    return (user_folder(), SYSTEM_FOLDER)


def user_folder() -> Path:
    """Return where a user's own lies."""
    return platformdirs.user_data_path("echogfr", appauthor=False) / "gpu"


def find_addon() -> AddOn | None:
    """Return the add-on that counts; None: there is none. One that is of no use here has its ``fault``."""
    home = next((home for home in addon_homes() if (home / SLOTS_NAME).is_file()), None)
    if home is None:
        return None
    try:
        slots = read_slots(home)
    except (OSError, ValidationError):
        return AddOn(home, None, f"{home / SLOTS_NAME} cannot be read")
    if not (home / slots.current.folder).is_dir():
        return AddOn(home, slots, f"{home / slots.current.folder} is missing")
    if slots.current.made_for != this_python():
        return AddOn(home, slots, f"it was made for {slots.current.made_for}, and this is {this_python()}")
    return AddOn(home, slots)


def read_slots(home: Path) -> Slots:
    """Return what a folder of add-ons says; raises ``OSError`` and ``ValidationError``."""
    return Slots.model_validate_json((home / SLOTS_NAME).read_bytes())


def use_file(folder: Path) -> Path:
    """Return the file beside an add-on by which its users hold it."""
    return folder.with_name(f".{folder.name}.use")


def activate() -> AddOn | None:
    """Put the add-on first on the path of this process, so that its ``onnxruntime`` comes before the app's own.

    Returns what was found. Nothing is raised and nothing imported: what is wrong with it is ``doctor``'s to say.
    """
    found = find_addon()
    if found is None or found.folder is None or found.fault or _active.folder == found.folder:
        return found
    deactivate()
    with suppress(OSError):  # a disk without locks: it is used all the same
        mark = use_file(found.folder).open("rb")
        lock_file(mark, shared=True)
        _active.marks.append(mark)
    sys.path.insert(0, str(found.folder))
    _active.folder = found.folder
    return found


def deactivate() -> None:
    """Take the add-on off the path and let go of it; what was imported from it stays imported."""
    if _active.folder is not None and str(_active.folder) in sys.path:
        sys.path.remove(str(_active.folder))
    for mark in _active.marks:
        mark.close()
    _active.folder = None
    _active.marks.clear()
