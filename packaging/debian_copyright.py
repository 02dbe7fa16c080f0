"""Writes debian/copyright of the package (DEP-5): EchoGFR, and everything else that is inside, with its licence.

Run in an environment with packaging/distribution/tools.txt: ``python packaging/debian_copyright.py ENVIRONMENT FILE
[--without NAME ...] --shipped FOLDER --root ROOT``; the arguments are those of licences.py, whose texts are shipped in
/usr/share/doc/echogfr/licences.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from inside import Inside
from licences import asked, parser
from root_libraries import Package

PLACE = "usr/lib/echogfr/_internal"
TEXTS = "/usr/share/doc/echogfr/licences"
HOLDER = re.compile(r"^[^\w\n]*(?:copyright\s+)(?:\(c\)|©|\d)[^\n]*", re.IGNORECASE | re.MULTILINE)
HEAD = f"""Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: EchoGFR
Comment: EchoGFR is passed on together with the work of others, which is listed
 below. The whole is under the GNU General Public License, version 3. Full texts
 and notices are in {TEXTS},
 the list of all parts, as CycloneDX, is in /usr/share/doc/echogfr/sbom.cdx.json.

Files: *
Copyright: 2026 The EchoGFR developers
License: GPL-3.0-or-later

"""


def main() -> int:
    """Run the command line."""
    arguments = parser().parse_args()
    inside, packages = asked(arguments)
    others = [one for one in inside if one.name != "echogfr"]
    licences = {*(one.licence for one in others), *(part.licence for one in others for part in one.parts)}
    text = HEAD + "".join(stanza(one) for one in others) + "".join(of_system(one) for one in packages)
    arguments.out.write_text(text + "".join(terms(licences | {"GPL-3.0-or-later"})), encoding="utf-8")
    print(f"{arguments.out}: {len(others)} distributions and {len(packages)} packages of the system")
    return 0


def stanza(one: Inside) -> str:
    """Return what DEP-5 says of a distribution and of other people's work inside it."""
    texts = [*(path for _, path in one.texts), *(path for part in one.parts for path in part.notices)]
    own = [path for path in texts if path.parent.name != "texts"]  # a licence's own text is its author's
    parts = "".join(f"\n Inside it: {part.name} ({part.licence})." for part in one.parts)
    comment = f"Comment: {one.name} {one.version}; {TEXTS}/{one.name}{parts}\n"
    named = " ".join(sorted(places(one)))
    return f"Files: {named}\nCopyright: {holders(one.name, own)}\nLicense: {one.licence}\n{comment}\n"


def places(one: Inside) -> set[str]:
    """Return the files of a distribution, as patterns."""
    tops = {file.parts[0] for file in one.found.files or [] if file.parts[0] not in ("..", "__pycache__")}
    return {f"{PLACE}/{top.partition(' ')[0]}{'*' if '.' not in top else ''}" for top in tops}


def holders(name: str, texts: Iterable[Path]) -> str:
    """Return whose copyright the texts say it is, each once; the texts themselves have all of it."""
    found = dict.fromkeys(line for path in texts for line in said(path))
    return "\n ".join(list(found)[:12]) or f"the authors of {name}"


def said(text: Path) -> Iterator[str]:
    """Yield the lines of a licence that name a holder."""
    for line in HOLDER.findall(text.read_text(encoding="utf-8", errors="replace")):
        plain = " ".join(line.strip(" \t#*/.;-").split())
        if "[yyyy]" not in plain and "<year>" not in plain:
            yield plain[:200]


def of_system(one: Package) -> str:
    """Return what DEP-5 says of a Debian package that is inside."""
    files = " ".join(sorted({f"{PLACE}/*{path.name}" for path in one.files}))
    told = f"Comment: {one.name} {one.version}, of the source {one.source} {one.source_version}"
    where = f"{TEXTS}/system/{one.name}/copyright"
    return f"Files: {files}\nCopyright: see {where}\nLicense: as-{one.source}\n See {where}.\n{told}\n\n"


def terms(licences: set[str]) -> Iterator[str]:
    """Yield a paragraph for each licence."""
    for licence in sorted(licences):
        common = "\n The GPL 3 is also in /usr/share/common-licenses/GPL-3." if "GPL-3" in licence else ""
        yield f"License: {licence}\n The full text is with each work in {TEXTS}.{common}\n\n"


if __name__ == "__main__":
    sys.exit(main())
