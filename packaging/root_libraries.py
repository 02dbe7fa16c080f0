"""Shared libraries that ship but come from no wheel: which Debian package of the build root each is from.

A library is known by its content, not by its name: its bytes are compared with the file of the package in the root.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from inside import Inside, RefusedError


@dataclass(frozen=True)
class Package:
    """One Debian package of which something ships; ``system``: such as debian-12."""

    name: str
    version: str
    architecture: str
    source: str
    source_version: str
    system: str
    copyright: Path
    files: tuple[Path, ...]


def packages_of(shipped: Path, root: Path, inside: list[Inside]) -> list[Package]:
    """Return the packages of ``root`` that libraries below ``shipped`` come from, by name; refuse other libraries."""
    own = {digest(path) for one in inside for path in libraries(one)}
    owners = owned(root)
    found: dict[str, list[Path]] = {}
    unknown = []
    for path in sorted(shipped.rglob("*.so*")):
        if path.is_symlink() or not path.is_file() or (content := digest(path)) in own:
            continue
        owner = next((name for name, file in owners.get(path.name, ()) if digest(file) == content), None)
        if owner is None:
            unknown.append(path.name)
        else:
            found.setdefault(owner, []).append(path)
    if unknown:
        raise RefusedError(
            f"{shipped} may not be shipped, because no wheel and no package of {root} brings {', '.join(unknown)}: "
            "build it in a clean root, of which all packages are known."
        )
    status = fields_of(root)
    return [package(root, name, status[name], files) for name, files in sorted(found.items())]


def libraries(one: Inside) -> Iterator[Path]:
    """Yield every shared library and extension module of a distribution."""
    for file in one.found.files or []:
        if ".so" in file.name and (path := Path(str(one.found.locate_file(file)))).is_file():
            yield path


def owned(root: Path) -> dict[str, list[tuple[str, Path]]]:
    """Return, for each file name of a library in the root, the packages that list it and where it is."""
    owners: dict[str, list[tuple[str, Path]]] = {}
    for listing in sorted((root / "var/lib/dpkg/info").glob("*.list")):
        for line in listing.read_text(encoding="utf-8").splitlines():
            path = root / line.lstrip("/")
            if ".so" in path.name and path.is_file():
                owners.setdefault(path.name, []).append((listing.stem.partition(":")[0], path))
    return owners


def fields_of(root: Path) -> dict[str, dict[str, str]]:
    """Return the fields of every package that is installed in the root."""
    try:
        text = (root / "var/lib/dpkg/status").read_text(encoding="utf-8")
    except OSError as error:
        raise RefusedError(
            f"The libraries of the root cannot be told, because {error.filename} cannot be read: name a Debian root."
        ) from None
    packages = {}
    for paragraph in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and line[0] != " ")
        if fields:
            packages[fields["Package"]] = fields
    return packages


def package(root: Path, name: str, fields: dict[str, str], files: list[Path]) -> Package:
    """Return one package; its source is itself where the fields name no other."""
    source, _, version = fields.get("Source", name).partition(" ")
    copyright_file = root / "usr/share/doc" / name / "copyright"
    if not copyright_file.is_file():
        raise RefusedError(
            f"{name} may not be shipped, because {copyright_file} is not there: "
            "keep /usr/share/doc/*/copyright when the root is made."
        )
    return Package(
        name=name,
        version=fields["Version"],
        architecture=fields["Architecture"],
        source=source,
        source_version=version.strip("()") or fields["Version"],
        system=system(root),
        copyright=copyright_file,
        files=tuple(files),
    )


def system(root: Path) -> str:
    """Return the system of the root, such as debian-12."""
    lines = (root / "etc/os-release").read_text(encoding="utf-8").splitlines()
    told = {key: value.strip('"') for key, _, value in (line.partition("=") for line in lines)}
    return f"{told.get('ID', 'linux')}-{told.get('VERSION_ID', '')}".rstrip("-")


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        summed = hashlib.sha256()
        for block in iter(lambda: file.read(1 << 20), b""):
            summed.update(block)
    return summed.hexdigest()
