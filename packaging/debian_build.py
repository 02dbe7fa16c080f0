"""Builds dist/echogfr_VERSION_ARCHITECTURE.deb in a clean Debian root: nothing of this machine's libraries is in it.

Run: ``python packaging/debian_build.py`` (``make deb``), as root; packaging/debian_root.py says which root. First what
pip installs is fetched, with a network, and cached; then the package is built without one. The folder ``debian`` of the
package is packaging/debian.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from email.utils import formatdate
from pathlib import Path

from debian_root import CACHE, Kind, Root, base, end_in_order, fresh, wanted
from version import debian, epoch, version

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "packaging" / "debian"
DECIDES_WHEELS = (
    *("pyproject.toml", "packaging/constraints.txt"),
    *("packaging/frozen/requirements.txt", "packaging/distribution/tools.txt"),
)
EXTRAS = "dicom,igtl,triton"
SOURCE = "usr/src/echogfr"
FETCH = f"""
set -eu
python3 -m venv /tmp/fetch
cd /{SOURCE}
wheel="/tmp/fetch/bin/pip wheel --quiet --disable-pip-version-check --no-cache-dir --use-pep517 -w /wheels"
$wheel -c packaging/constraints.txt 'hatchling>=1.25' -r packaging/frozen/requirements.txt '.[{EXTRAS}]'
$wheel -r packaging/distribution/tools.txt
rm -rf /wheels/echogfr-*.whl /tmp/fetch
"""


def main() -> int:
    """Build; return the exit code."""
    end_in_order()
    began = time.monotonic()
    kind = wanted(build_packages((FOLDER / "control").read_text(encoding="utf-8")))
    base(kind)
    with fresh(kind) as root:
        tree = lay_out(root.path / SOURCE)
        wheels = fetch(root, kind)
        print("Building the package, without a network (some minutes) ...", flush=True)
        options = {"WHEELS": "/wheels", "SOURCE_DATE_EPOCH": epoch(), "DEB_BUILD_OPTIONS": wished()}
        build = f"cd /{SOURCE} && dpkg-buildpackage -b -us -uc"
        root.run(["sh", "-c", build], binds={wheels: "/wheels"}, env=options)
        package = take(tree.parent)
    print(f"{package}: {package.stat().st_size / 1e6:.0f} MB, after {time.monotonic() - began:.0f} s")
    return 0


def build_packages(control: str) -> list[str]:
    """Return the names of what the package is built with; ``build-essential`` goes without saying."""
    field = re.search(r"^Build-Depends:(.*?)(?=^\S)", control, re.MULTILINE | re.DOTALL)
    names = [part.split()[0] for part in (field[1] if field else "").split(",") if part.strip()]
    return ["build-essential", *("debhelper" if name == "debhelper-compat" else name for name in names)]


def lay_out(tree: Path) -> Path:
    """Copy the sources of this checkout or source distribution, number them, and put ``debian`` in its place."""
    for name in sources():
        target = tree / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target)
    number = version()
    # As in a source distribution, so that what is built in here, where there is no git, has the same number.
    (tree / "PKG-INFO").write_text(f"Metadata-Version: 2.4\nName: echogfr\nVersion: {number}\n", encoding="utf-8")
    shutil.copytree(FOLDER, tree / "debian")
    (tree / "debian" / "changelog").write_text(changelog(debian(number)), encoding="utf-8")
    return tree


def sources() -> list[str]:
    """Return the files of the project, relative to its folder."""
    told = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if told.returncode == 0:
        names = told.stdout.split("\0")
    else:
        names = [str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if "__pycache__" not in path.parts]
    return [name for name in names if name and (ROOT / name).is_file()]


def changelog(number: str) -> str:
    """Return the log that Debian wants: one entry, which names this version."""
    who = re.findall(r"^Maintainer: (.*)$", (FOLDER / "control").read_text(encoding="utf-8"), re.MULTILINE)[0]
    told = "  * What changed for its users: /usr/share/doc/echogfr/docs/CHANGELOG.md"
    return f"echogfr ({number}) unstable; urgency=medium\n\n{told}\n\n -- {who}  {formatdate(float(epoch()))}\n"


def fetch(root: Root, kind: Kind) -> Path:
    """Return the folder of all that pip will install, fetched with the Python of the root."""
    parts = [(ROOT / name).read_bytes() for name in DECIDES_WHEELS]
    key = hashlib.sha256(b"\0".join(parts)).hexdigest()[:10]
    folder = CACHE / f"wheels-{kind.archive.stem.rpartition('-')[0]}-{key}"
    if folder.exists():
        return folder
    print("Fetching what pip installs (a minute) ...", flush=True)
    draft = folder.with_name(f"{folder.name}.{os.getpid()}.part")
    draft.mkdir(parents=True)
    try:
        root.run(["sh", "-c", FETCH], network=True, binds={draft: "/wheels"})
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def wished() -> str:
    """Return the options of the build: those of the environment, and all processors."""
    return os.environ.get("DEB_BUILD_OPTIONS") or f"parallel={os.cpu_count() or 1}"


def take(place: Path) -> Path:
    """Move what was built into dist/ and return the package's path."""
    built = sorted(place.glob("echogfr_*.deb"))
    if len(built) != 1:
        sys.exit("The package cannot be taken, because the build left none: see its messages above.")
    target = ROOT / "dist" / built[0].name
    target.parent.mkdir(exist_ok=True)
    draft = target.with_name(f".{target.name}.part")
    shutil.copyfile(built[0], draft)
    draft.replace(target)
    return target


if __name__ == "__main__":
    sys.exit(main())
