"""Bundles on removable media: where such media are mounted, and what lies in their top two levels."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from engines.bundle import parse_manifest
from engines.consistency import MANIFEST_NAME
from engines.errors import EchoGFRError, UsageError
from engines.parcel import open_parcel

MEDIA_VARIABLE = "ECHOGFR_MEDIA"
ENDINGS = (".zip", ".echogfr")  # of archives of bundles; the second one is opened by the desktop
ENTRIES_LIMIT = 2000  # looked at; a stick full of pictures is not searched to its end


@dataclass(frozen=True, slots=True)
class Found:
    """A bundle on a medium, as it describes itself; nothing of it is verified yet."""

    path: Path
    title: str


def places() -> tuple[Path, ...]:
    """Return the folders under which each medium has one: ``ECHOGFR_MEDIA``, or where desktops mount them."""
    named = os.environ.get(MEDIA_VARIABLE)
    if named is not None:
        return tuple(Path(part) for part in named.split(os.pathsep) if part)
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a user without a name
        return ()
    return (Path("/media") / user, Path("/run/media") / user)


def is_removable(path: Path, under: Sequence[Path]) -> bool:
    """Tell whether a path lies on a removable medium."""
    real = path.resolve()
    return any(real.is_relative_to(place.resolve()) for place in under)


def find_bundles(under: Sequence[Path]) -> list[Found]:
    """Return the bundles in the top two levels of every medium; what is none is passed over."""
    found = []
    for count, path in enumerate(_candidates(under)):
        if count >= ENTRIES_LIMIT:
            break
        told = _look(path)
        if told is not None:
            found.append(told)
    return found


def only_bundle(under: Sequence[Path]) -> Path:
    """Return the one bundle that lies on the media.

    Raises
    ------
    UsageError
        There is none, or more than one: the sentence names them.
    """
    what = "No bundle can be taken from the removable media"
    found = find_bundles(under)
    if not found:
        where = " and ".join(map(str, under)) or "no place"
        raise UsageError(what, f"none lies in the top two levels of what is mounted in {where}", "name its path")
    if len(found) > 1:
        names = "; ".join(f"{each.path} ({each.title})" for each in found)
        raise UsageError(what, f"there are {len(found)}: {names}", "name the path of one")
    return found[0].path


def _candidates(under: Sequence[Path]) -> Iterator[Path]:
    for place in under:
        for medium in _folders(place):
            for path in _listed(medium):
                yield path
                if path.is_dir() and not path.is_symlink() and not (path / MANIFEST_NAME).is_file():
                    yield from _listed(path)


def _look(path: Path) -> Found | None:
    is_folder = path.is_dir() and (path / MANIFEST_NAME).is_file()
    if path.is_symlink() or not (is_folder or (path.suffix.lower() in ENDINGS and path.is_file())):
        return None
    try:
        with open_parcel(path) as parcel:
            manifest = parse_manifest(path, parcel.manifest())
    except EchoGFRError:
        return None if not is_folder else Found(path, "cannot be read")
    return Found(path, f"{manifest.bundle_id} {manifest.version}")


def _folders(place: Path) -> list[Path]:
    return [path for path in _listed(place) if path.is_dir() and not path.is_symlink()]


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError:
        return []
