"""The version of EchoGFR: asked of git's tags, or of what an archive or a source distribution says of itself.

Run: ``python packaging/version.py [--debian | --epoch]``. The standard library is all it needs, so that the wheel, the
frozen app and the .deb are numbered by one hand, on a Jetson without a network too.

A tag ``v1.2.3`` or ``v1.2.3rc1`` is that version. Every later commit counts up towards the next one:
``1.2.4.dev7+gabc123def`` is 7 commits after ``v1.2.3``; ``.dirty`` at its end: files were changed after the commit.
Before the first tag, and in a clone without tags, the count is of all commits, towards UPCOMING.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

UPCOMING = "0.1.0"
"""The next release. Raised after each one; a clone without tags knows no other."""

TAGS = "v[0-9]*.[0-9]*.[0-9]*"
HASH_DIGITS = 9
ROOT = Path(__file__).resolve().parents[1]


class Release(NamedTuple):
    """A released number: 1.2.3, or its second candidate 1.2.3rc2 (candidate 0: none)."""

    numbers: tuple[int, int, int]
    candidate: int = 0

    def __str__(self) -> str:
        """Return it as PEP 440 writes it."""
        return ".".join(map(str, self.numbers)) + (f"rc{self.candidate}" if self.candidate else "")

    def following(self) -> Release:
        """Return what commits after it count towards: the next candidate, or the next patch; UPCOMING if later."""
        upcoming = released(UPCOMING)
        if upcoming.numbers > self.numbers:
            return upcoming
        if self.candidate:
            return Release(self.numbers, self.candidate + 1)
        return Release((self.numbers[0], self.numbers[1], self.numbers[2] + 1))


def released(text: str) -> Release:
    """Return the release that a tag or a plain number names; end with a sentence where it names none."""
    parts = re.fullmatch(r"v?(\d+)\.(\d+)\.(\d+)(?:rc([1-9]\d*))?", text)
    if parts is None:
        raise SystemExit(
            f"The version cannot be told, because the tag {text!r} is no release: "
            "name it like v1.2.3 or v1.2.3rc1, or delete it."
        )
    major, minor, patch, candidate = (int(part or 0) for part in parts.groups())
    return Release((major, minor, patch), candidate)


def version(root: Path = ROOT) -> str:
    """Return the version of the sources in ``root``, as PEP 440 writes it."""
    return from_distribution(root) or from_git(root) or from_archive(root) or f"{UPCOMING}.dev0+unknown"


def from_distribution(root: Path) -> str:
    """Return what a source distribution was named when it was made; "" where this is none."""
    try:
        lines = (root / "PKG-INFO").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(": ")[2] for line in lines if line.startswith("Version: ")), "")


def from_git(root: Path) -> str:
    """Return what the tags and the commits say; "" where git is not there or ``root`` is no checkout of its own."""
    top = git(root, "rev-parse", "--show-toplevel")
    if not top or not Path(top).samefile(root):
        return ""
    node = git(root, "rev-parse", f"--short={HASH_DIGITS}", "HEAD")
    if not node:
        return ""
    dirty = bool(git(root, "status", "--porcelain", "--untracked-files=no"))
    told = git(root, "describe", "--tags", "--long", "--match", TAGS)
    if told:
        tag, count, _ = told.rsplit("-", 2)
        return numbered(tag, int(count), node, dirty)
    whole = git(root, "rev-parse", "--is-shallow-repository") == "false"
    return numbered("", int(git(root, "rev-list", "--count", "HEAD")) if whole else 0, node, dirty)


def from_archive(root: Path) -> str:
    """Return what git wrote into an archive of one commit (.gitattributes); "" where this is none."""
    told = archived(root)
    if not told:
        return ""
    node, _, described = told
    parts = re.fullmatch(r"(v.+)-(\d+)-g[0-9a-f]+", described)
    tag, count = (parts[1], int(parts[2])) if parts else (described, 0)
    return numbered(tag if tag.startswith("v") else "", count, node[:HASH_DIGITS], dirty=False)


def archived(root: Path) -> tuple[str, str, str] | None:
    """Return hash, seconds since 1970 and description of an archive's commit; None: git filled nothing in."""
    try:
        node, seconds, described = (root / "packaging" / "archived.txt").read_text(encoding="utf-8").split("\n")[:3]
    except (OSError, ValueError):
        return None
    return None if "$" in node else (node, seconds, described)


def numbered(tag: str, count: int, node: str, dirty: bool) -> str:
    """Return the version ``count`` commits after ``tag`` ("": there is no tag)."""
    if tag and not count and not dirty:
        return str(released(tag))
    towards = released(tag).following() if tag else released(UPCOMING)
    return f"{towards}.dev{count}+g{node}{'.dirty' if dirty else ''}"


def debian(pep440: str) -> str:
    """Return the same as Debian writes it: what comes before a release sorts before it."""
    return re.sub(r"(?<=\d)rc(?=\d)", "~rc", pep440).replace(".dev", "~dev")


def epoch(root: Path = ROOT) -> str:
    """Return the seconds since 1970 of the last commit, for SOURCE_DATE_EPOCH: the environment's if it is set."""
    if told := os.environ.get("SOURCE_DATE_EPOCH"):
        return told
    if (root / "PKG-INFO").is_file():  # a source distribution: its files carry the time of the commit
        return str(int((root / "PKG-INFO").stat().st_mtime))
    archive = archived(root)
    return git(root, "log", "-1", "--format=%ct") or (archive[1] if archive else "1580601600")  # hatchling's own


def git(root: Path, *words: str) -> str:
    """Return what git says; "" where it is not there or refuses."""
    # The variables of a hook lead to another repository.
    plain = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    plain["GIT_OPTIONAL_LOCKS"] = "0"  # who asks for a version changes nothing
    try:
        done = subprocess.run(["git", "-C", root, *words], capture_output=True, text=True, env=plain, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def main(words: list[str]) -> int:
    """Print what is asked for; return the exit code."""
    answers = {(): version, ("--debian",): lambda: debian(version()), ("--epoch",): epoch}
    answer = answers.get(tuple(words))
    if answer is None:
        print("Usage: python packaging/version.py [--debian | --epoch]", file=sys.stderr)
        return 2
    print(answer())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
