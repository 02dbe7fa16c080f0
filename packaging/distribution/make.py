"""Makes wheel and source distribution, the wheel from the source distribution, and compares what is in them.

Run: ``python packaging/distribution/make.py FOLDER [--write]`` with the tools of ``tools.txt``; no network is used.
The wheel's files are those of ``wheel.txt`` (--write writes it anew: look at the difference before it is committed);
the source distribution's are those that git knows, but for ``sdist-without.txt``. The same commit gives the same bytes.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
WHEEL, WITHOUT = HERE / "wheel.txt", HERE / "sdist-without.txt"

sys.path.append(str(HERE.parent))
from version import epoch, git  # noqa: E402 - a script beside this folder


def main(out: Path, write: bool) -> int:
    """Make both in ``out``; return the exit code."""
    wheel, sdist = made(ROOT, out)
    if write:
        WHEEL.write_text("".join(f"{name}\n" for name in in_wheel(wheel)), encoding="utf-8")
    wrong = compared("wheel", in_wheel(wheel), listed(WHEEL), "make dist-list, and look at what git then shows")
    if known := tracked(ROOT):
        wrong += compared(
            "source distribution", in_sdist(sdist), [*known, "PKG-INFO"], "commit or delete it, or see tool.hatch"
        )
    else:
        print("The source distribution's files were not compared: this is no git checkout.")
    for path in (wheel, sdist):
        print(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path}  {path.stat().st_size / 1e6:.1f} MB")
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


def made(root: Path, out: Path) -> tuple[Path, Path]:
    """Return the wheel and the source distribution of ``root``, freshly made in ``out``."""
    for old in [*out.glob("echogfr-*.whl"), *out.glob("echogfr-*.tar.gz")]:
        old.unlink()
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(root)]
    done = subprocess.run(
        command, env=os.environ | {"SOURCE_DATE_EPOCH": epoch(root)}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"No distribution was made, because the build failed:\n{done.stdout}{done.stderr}")
    return next(out.glob("echogfr-*.whl")), next(out.glob("echogfr-*.tar.gz"))


def in_wheel(path: Path) -> list[str]:
    """Return the names of a wheel's files, without the version in its own folder."""
    with zipfile.ZipFile(path) as wheel:
        return sorted(re.sub(r"^echogfr-[^/]+\.dist-info/", "echogfr.dist-info/", name) for name in wheel.namelist())


def in_sdist(path: Path) -> list[str]:
    """Return the names of a source distribution's files, below its folder."""
    with tarfile.open(path) as archive:
        return sorted(member.name.partition("/")[2] for member in archive.getmembers() if not member.isdir())


def tracked(root: Path) -> list[str]:
    """Return what a source distribution should hold: all that git knows but what is named; [] without git."""
    return sorted(set(git(root, "ls-files").splitlines()) - set(listed(WITHOUT)))


def listed(path: Path) -> list[str]:
    """Return the lines of a list, without remarks."""
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]


def compared(what: str, found: list[str], wanted: list[str], cure: str) -> list[str]:
    """Return one line for each file that is too many or missing."""
    extra = [f"The {what} holds {name}, which is not expected: {cure}." for name in sorted(set(found) - set(wanted))]
    return extra + [f"The {what} lacks {name}: {cure}." for name in sorted(set(wanted) - set(found))]


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), "--write" in sys.argv[2:]))
