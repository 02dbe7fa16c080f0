"""What an environment holds: each distribution, under which licence, and other people's work inside its wheel.

For ``licences.py`` and ``sbom.py``. Reads metadata and files, and imports nothing of the environment: it may be that of
another Python, or lie in a root of another system. Anything unknown or incompatible ends with one sentence.
"""

from __future__ import annotations

import fnmatch
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

from license_expression import ExpressionError, LicenseWithExceptionSymbol, Licensing, get_spdx_licensing

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HERE = Path(__file__).resolve().parent
NOTICES = HERE / "notices"
LICENCE_FILE = re.compile(r"licen[cs]e|copying|notice|authors|patents", re.IGNORECASE)
CODE = (".py", ".pyc", ".pyi", ".so")
VAGUE = "OSI Approved"


class RefusedError(SystemExit):
    """What is inside may not be passed on, or nobody knows whether it may."""


@dataclass(frozen=True)
class Part:
    """Other people's work inside a wheel; ``accepted``: why it ships although it is incompatible."""

    name: str
    licence: str
    files: tuple[Path, ...]
    notices: tuple[Path, ...]
    accepted: str


@dataclass(frozen=True)
class Inside:
    """One distribution of the environment; ``because``: what its licence was read from."""

    name: str
    version: str
    licence: str
    because: str
    texts: tuple[tuple[str, Path], ...]  # name in the folder of licences, file
    parts: tuple[Part, ...]
    found: Distribution


@cache
def table() -> dict[str, Any]:
    """Return licences.toml."""
    return tomllib.loads((HERE / "licences.toml").read_text(encoding="utf-8"))


@cache
def identifiers() -> Licensing:
    """Return all that SPDX knows, which takes half a second to make."""
    return get_spdx_licensing()


def everything(environment: Path, without: Sequence[str] = ()) -> list[Inside]:
    """Return all distributions below the environment but ``without``, by name; refuse what may not be passed on."""
    left_out = {plain(name) for name in without}
    found = {plain(one.name): one for folder in packages(environment) for one in distributions(path=[str(folder)])}
    inside = [described(one) for name, one in sorted(found.items()) if name not in left_out]
    if not inside:
        raise RefusedError(
            f"Nothing can be told, because {environment} holds no distributions: name a virtual environment."
        )
    return inside


def packages(environment: Path) -> list[Path]:
    """Return the folders of a virtual environment, or of a plain folder, that hold distributions."""
    below = sorted(environment.glob("lib/python3*/site-packages"))
    return below or [environment]


def plain(name: str) -> str:
    """Return a distribution's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def described(found: Distribution) -> Inside:
    """Return what is known of a distribution."""
    name, version = found.name, found.version
    licence, because = licence_of(found)
    demand(f"{name} {version}", licence, "")
    texts = tuple(licence_files(found)) or standard_text(name, licence)
    return Inside(name, version, licence, because, texts, tuple(parts_of(found)), found)


def licence_of(found: Distribution) -> tuple[str, str]:
    """Return a distribution's licence as SPDX writes it, and what says so."""
    for name, stated in table()["stated"].items():
        if plain(name) == plain(found.name):
            return stated["licence"], stated["because"]
    if expression := found.metadata.get("License-Expression"):
        return spdx(expression, found.name), "License-Expression of its metadata"
    said = {known(words) for words in told(found)}
    if len(said) != 1 or None in said:
        raise RefusedError(
            f"{found.name} {found.version} may not be shipped, because its metadata names no single licence "
            f"({', '.join(sorted(set(told(found)))) or 'it says nothing'}): read its licence file and state it in "
            "packaging/licences.toml."
        )
    return str(said.pop()), "licence in its metadata"


def told(found: Distribution) -> Iterator[str]:
    """Yield what older metadata says of the licence: the field, when it is no full text, and the classifiers."""
    field = (found.metadata.get("License") or "").strip()
    if field and "\n" not in field:
        yield field
    for classifier in found.metadata.get_all("Classifier") or []:
        if classifier.startswith("License ::") and (words := classifier.split(" :: ")[-1]) != VAGUE:
            yield words


def known(words: str) -> str | None:
    """Return the SPDX form of what metadata says; None: it could be one or another."""
    if mapped := table()["words"].get(words):
        return str(mapped)
    try:
        return spdx(words, "")
    except RefusedError:
        return None


def spdx(expression: str, whose: str) -> str:
    """Return an expression in SPDX's spelling."""
    try:
        return str(identifiers().parse(expression, validate=True))
    except ExpressionError:
        raise RefusedError(
            f"{whose} may not be shipped, because its licence {expression!r} is no SPDX expression: "
            "read its licence file and state it in packaging/licences.toml."
        ) from None


def joined(said: Sequence[str]) -> str:
    """Return what another bill of materials says of a licence as one SPDX expression; "" where it is none."""
    try:
        return spdx(" AND ".join(f"({words})" if len(said) > 1 else words for words in said), "") if said else ""
    except RefusedError:
        return ""


def demand(what: str, licence: str, accepted: str) -> None:
    """Refuse what is incompatible with the GPL, unless it was accepted with a reason."""
    if not (compatible(licence) or accepted):
        raise RefusedError(
            f"{what} may not be shipped, because its licence {licence} is not compatible with GPL-3.0-or-later: "
            "leave it out, or add the licence to packaging/licences.toml if that is wrong."
        )


def compatible(licence: str) -> bool:
    """Tell whether work under the expression may be part of a whole under the GPL, version 3."""
    return _fits(identifiers().parse(licence))


def _fits(node: Any) -> bool:  # noqa: ANN401 - a node of the library's tree, of several unrelated classes
    if isinstance(node, LicenseWithExceptionSymbol):
        return _fits(node.license_symbol)  # an exception permits more, never less
    if hasattr(node, "args") and node.args:
        return (all if node.operator.strip() == "AND" else any)(_fits(one) for one in node.args)
    return str(node) in table()["compatible"]


def licence_files(found: Distribution) -> Iterator[tuple[str, Path]]:
    """Yield the licences, notices and lists of authors that a distribution brings, with a name for each."""
    for file in found.files or []:
        path = Path(str(found.locate_file(file)))
        if LICENCE_FILE.search(file.name) and path.suffix not in CODE and path.is_file():
            name = "/".join(part for part in file.parts if part != ".." and not part.endswith(".dist-info"))
            yield name.removeprefix("licenses/"), path


def standard_text(name: str, licence: str) -> tuple[tuple[str, Path], ...]:
    """Return the full text of a licence for a distribution that brings none."""
    text = table()["texts"].get(licence)
    if text is None:
        raise RefusedError(
            f"{name} may not be shipped, because it brings no licence file and packaging/notices has no text of "
            f"{licence}: add it there and to packaging/licences.toml."
        )
    return ((Path(text).name, NOTICES / text),)


def parts_of(found: Distribution) -> Iterator[Part]:
    """Yield other people's work inside a wheel; refuse a library that no part names."""
    listed = [part for part in table()["part"] if plain(part["inside"]) == plain(found.name)]
    libraries = sorted(bundled(found))
    for part in listed:
        files = tuple(path for path in libraries if names(part, path))
        accepted = part.get("accepted", "")
        if part.get("files") and not files:
            continue  # this wheel, or this release, does without
        demand(f"{part['name']} inside {found.name} {found.version}", part["licence"], accepted)
        yield Part(part["name"], part["licence"], files, tuple(NOTICES / n for n in part.get("notices", ())), accepted)
    if unknown := [path.name for path in libraries if not any(names(part, path) for part in listed)]:
        raise RefusedError(
            f"{found.name} {found.version} may not be shipped, because the licence of a library inside it is not known "
            f"({', '.join(unknown)}): find it out and add a part to packaging/licences.toml."
        )


def bundled(found: Distribution) -> Iterator[Path]:
    """Yield the shared libraries that a wheel brings in a folder of its own: NAME.libs, or Qt's lib."""
    for file in found.files or []:
        folder = file.parts[-2] if len(file.parts) > 1 else ""
        if ".so" in file.name and (folder.endswith(".libs") or file.match("Qt6/lib/*")):
            path = Path(str(found.locate_file(file)))
            if path.is_file():
                yield path


def names(part: dict[str, Any], library: Path) -> bool:
    """Tell whether a part names a library: libNAME-HASH.so.1 or libNAME.so.1."""
    stem = re.sub(r"\.so(\.\d+)*\w?$", "", library.name)  # libssl-81259c47.so.1.1.1k
    stem = re.sub(r"(-[0-9a-f]{8}|-r0|[.-]\d+(\.\d+)+|-)+$", "", stem)
    return any(fnmatch.fnmatchcase(stem, pattern) for pattern in part.get("files", ()))
