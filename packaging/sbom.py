"""Writes the software bill of materials of what ships: CycloneDX 1.6, JSON, checked against its schema.

Run: ``python packaging/sbom.py ENVIRONMENT FILE [--without NAME ...] [--shipped FOLDER --root ROOT]``; the arguments
are those of licences.py. The same contents give the same bytes: the time is SOURCE_DATE_EPOCH (or the last commit's),
everything is sorted, and the serial number is made from the contents.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense, LicenseExpression
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from inside import Inside, Part, RefusedError, joined, plain
from licences import asked, parser
from packageurl import PackageURL
from packaging.requirements import InvalidRequirement, Requirement
from root_libraries import Package, digest
from version import epoch

PROGRAM = "echogfr"
SCHEMA = SchemaVersion.V1_6
NO_SERIAL = UUID(int=0)
INSTALLERS = ("INSTALLER", "RECORD", "REQUESTED", "direct_url.json")  # say how it was installed, not what it is


def main() -> int:
    """Run the command line."""
    arguments = parser().parse_args()
    inside, packages = asked(arguments)
    text = written(inside, packages, datetime.fromtimestamp(int(epoch()), timezone.utc))
    fresh = arguments.out.with_name(arguments.out.name + ".new")
    fresh.write_text(text, encoding="utf-8")
    fresh.rename(arguments.out)
    print(f"{arguments.out}: {len(inside)} distributions, {len(packages)} packages of the system")
    return 0


def written(inside: list[Inside], packages: list[Package], when: datetime) -> str:
    """Return the bill as JSON; its serial number follows from all the rest."""
    bom = bill(inside, packages)
    bom.metadata.timestamp = when
    bom.serial_number = NO_SERIAL
    bom.serial_number = uuid5(NAMESPACE_URL, rendered(bom))
    text = rendered(bom)
    if errors := JsonStrictValidator(SCHEMA).validate_str(text):
        raise RefusedError(f"The bill of materials was not written, because its schema refuses it: {errors}")
    return text


def rendered(bom: Bom) -> str:
    """Return a bill as sorted JSON."""
    told = json.loads(make_outputter(bom, OutputFormat.JSON, SCHEMA).output_as_string())
    return json.dumps(told, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def bill(inside: list[Inside], packages: list[Package]) -> Bom:
    """Return the bill: the program, what it needs, and what that needs."""
    components = {plain(one.name): distribution(one) for one in inside}
    program = components.pop(PROGRAM, None)
    if program is None:
        raise RefusedError("The bill of materials was not written, because the environment does not hold EchoGFR.")
    program.type = ComponentType.APPLICATION
    system = [system_package(one) for one in packages]
    bom = Bom(components=[*components.values(), *system])
    bom.metadata.component = program
    known = {**components, PROGRAM: program}
    for one in inside:
        needed = [known[name] for name in needs(one) if name in known and name != plain(one.name)]
        bom.register_dependency(known[plain(one.name)], [*needed, *(system if plain(one.name) == PROGRAM else [])])
    return bom


def needs(one: Inside) -> Iterator[str]:
    """Yield what a distribution requires; of EchoGFR its extras too, of others what they need in any case."""
    for line in one.found.requires or []:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue  # a line of old metadata: what it names is in the bill, only not as a need
        if plain(one.name) == PROGRAM or "extra" not in str(requirement.marker or ""):
            yield plain(requirement.name)


def distribution(one: Inside) -> Component:
    """Return a distribution with other people's work inside it."""
    purl = PackageURL("pypi", None, plain(one.name), one.version)
    within = [part_of(purl, part) for part in one.parts] + list(told_by_itself(one, purl))
    return Component(
        type=ComponentType.LIBRARY,
        name=one.name,
        version=one.version,
        purl=purl,
        bom_ref=str(purl),
        licenses=[LicenseExpression(one.licence)],
        properties=[Property(name="echogfr:files-sha256", value=contents(one))],
        components={str(component.bom_ref): component for component in within}.values(),
    )


def contents(one: Inside) -> str:
    """Return one SHA-256 for all files that a distribution recorded, wherever it is installed."""
    lines = [
        f"{file.as_posix()} {file.hash.mode} {file.hash.value}"
        for file in one.found.files or []
        if file.hash and file.suffix != ".pyc" and file.name not in INSTALLERS and ".." not in file.parts
    ]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def part_of(purl: PackageURL, part: Part) -> Component:
    """Return other people's work inside a wheel."""
    told = [Property(name="echogfr:not-compatible-accepted", value=part.accepted)] if part.accepted else []
    return Component(
        type=ComponentType.LIBRARY,
        name=part.name,
        bom_ref=f"{purl}#{part.name}",
        licenses=[LicenseExpression(part.licence)],
        properties=told,
        components=files(f"{purl}#{part.name}", part.files),
    )


def told_by_itself(one: Inside, purl: PackageURL) -> Iterator[Component]:
    """Yield what a wheel's own bill of materials says is inside it."""
    for file in sorted(one.found.files or []):
        if file.suffix == ".json" and len(file.parts) > 2 and file.parts[-2] == "sboms":
            told = json.loads(Path(str(one.found.locate_file(file))).read_text(encoding="utf-8"))
            own = {plain(one.name), plain(f"{one.name}-{one.version}")}
            yield from (
                copied(entry, f"{purl}#{file.name}:{entry['name']}@{entry.get('version', '')}")
                for entry in told.get("components", [])
                if plain(entry["name"]) not in own
            )


def copied(entry: dict[str, Any], reference: str) -> Component:
    """Return a component as another bill of materials describes it."""
    said = [one.get("expression") or one["license"].get("id") for one in entry.get("licenses") or []]
    spelled = joined([words for words in said if words])
    purl = entry.get("purl")
    return Component(
        type=ComponentType.LIBRARY,
        name=entry["name"],
        version=entry.get("version"),
        purl=PackageURL.from_string(purl) if purl else None,
        bom_ref=reference,
        licenses=[LicenseExpression(spelled)] if spelled else [],
    )


def system_package(one: Package) -> Component:
    """Return a Debian package of which libraries ship."""
    name = one.system.partition("-")[0]
    purl = PackageURL("deb", name, one.name, one.version, {"arch": one.architecture, "distro": one.system})
    return Component(
        type=ComponentType.LIBRARY,
        name=one.name,
        version=one.version,
        purl=purl,
        bom_ref=str(purl),
        licenses=[DisjunctiveLicense(name=f"see /usr/share/doc/{one.name}/copyright")],
        properties=[
            Property(name="echogfr:source-package", value=one.source),
            Property(name="echogfr:source-version", value=one.source_version),
        ],
        components=files(str(purl), one.files),
    )


def files(owner: str, paths: Sequence[Path]) -> Iterable[Component]:
    """Return shared libraries as files with their hashes."""
    return [
        Component(
            type=ComponentType.FILE,
            name=path.name,
            bom_ref=f"{owner}/{path.name}",
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest(path))],
        )
        for path in {path.name: path for path in paths}.values()
    ]


if __name__ == "__main__":
    sys.exit(main())
