"""Writes the licences of everything inside an environment into a folder; refuses what may not be passed on.

Run: ``python packaging/licences.py ENVIRONMENT FOLDER [--without NAME ...] [--shipped FOLDER --root ROOT]``.
ENVIRONMENT is a virtual environment, of any Python; --without names what is in it and not shipped. --shipped is the
frozen folder, whose libraries that are from no wheel come from the Debian root in which it was made.
FOLDER gets SUMMARY.md and a folder for each distribution and package, and is not there before.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from inside import Inside, RefusedError, everything
from root_libraries import Package, packages_of

HEAD = """# Licences of what is inside

EchoGFR is free software under the GNU General Public License, version 3 or later. It is passed on together with
the work of others below. With PyQt6 inside (GPL-3.0-only), the whole is passed on under version 3.

"""


def main() -> int:
    """Run the command line."""
    arguments = parser().parse_args()
    inside, packages = asked(arguments)
    write(inside, packages, arguments.out)
    print(f"{arguments.out}: licences of {len(inside)} distributions and {len(packages)} packages of the system")
    for where, part in ((one.name, part) for one in inside for part in one.parts if part.accepted):
        print(f"Not compatible, accepted: {part.name} ({part.licence}) inside {where}: {part.accepted}")
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the arguments that this script and sbom.py have in common."""
    shared = argparse.ArgumentParser()
    shared.add_argument("environment", type=Path)
    shared.add_argument("out", type=Path)
    shared.add_argument("--without", nargs="*", default=[], metavar="NAME")
    shared.add_argument("--shipped", type=Path, metavar="FOLDER")
    shared.add_argument("--root", type=Path, metavar="ROOT")
    return shared


def asked(arguments: argparse.Namespace) -> tuple[list[Inside], list[Package]]:
    """Return what the arguments name."""
    if (arguments.shipped is None) != (arguments.root is None):
        raise RefusedError("Nothing was written, because --shipped and --root go together: name both.")
    inside = everything(arguments.environment, arguments.without)
    return inside, [] if arguments.root is None else packages_of(arguments.shipped, arguments.root, inside)


def write(inside: list[Inside], packages: list[Package], folder: Path) -> None:
    """Write the folder whole, or not at all."""
    if folder.exists():
        raise RefusedError(f"Nothing was written, because {folder} exists: delete it or name another folder.")
    fresh = folder.with_name(folder.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    for one in inside:
        notices = [(f"inside/{path.name}", path) for part in one.parts for path in part.notices]
        for name, source in [*one.texts, *notices]:
            copy(source, fresh / one.name / name)
    for package in packages:
        copy(package.copyright, fresh / "system" / package.name / "copyright")
    (fresh / "SUMMARY.md").write_text(summary(inside, packages), encoding="utf-8")
    fresh.rename(folder)


def copy(source: Path, target: Path) -> None:
    """Copy one text, readable by all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(0o644)


def summary(inside: list[Inside], packages: list[Package]) -> str:
    """Return the page: by licence, then each with what is inside it."""
    page = HEAD + "| licence | distributions |\n|---|---|\n"
    for licence in sorted({one.licence for one in inside}):
        page += f"| {licence} | {listed(one for one in inside if one.licence == licence)} |\n"
    page += "\n## Work of others inside these\n\n| inside | work | licence |\n|---|---|---|\n"
    for one in inside:
        page += "".join(f"| {one.name} | {part.name} | {part.licence} |\n" for part in one.parts)
    accepted = [(one, part) for one in inside for part in one.parts if part.accepted]
    if accepted:
        page += "\n## Not compatible with the GPL, and inside all the same\n\n"
        page += "".join(
            f"- {part.name} ({part.licence}) inside {one.name}: {part.accepted}.\n" for one, part in accepted
        )
    if packages:
        page += (
            "\n## Libraries of the system\n\nTheir terms: system/NAME/copyright.\n\n| package | source |\n|---|---|\n"
        )
        page += "".join(f"| {one.name} {one.version} | {one.source} {one.source_version} |\n" for one in packages)
    return page


def listed(some: Iterable[Inside]) -> str:
    """Return names with versions, in a row."""
    return ", ".join(f"{one.name} {one.version}" for one in some)


if __name__ == "__main__":
    sys.exit(main())
