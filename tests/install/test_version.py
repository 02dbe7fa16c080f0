"""Which version sources have: by git's tags, and where there are none, no git, or only an archive."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
from itertools import pairwise
from pathlib import Path

import pytest

from engines.version import checkout_version, installed_version, program_version

from .scripts import ROOT, git, script

SCRIPT = "packaging/version.py"
version = script("version")

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository of one commit, with the script and what an archive is marked with."""
    folder = tmp_path / "checkout"
    (folder / "packaging").mkdir(parents=True)
    for name in (SCRIPT, "packaging/archived.txt", ".gitattributes"):
        shutil.copy(ROOT / name, folder / name)
    (folder / "pyproject.toml").touch()
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    return folder


def commit(folder: Path) -> None:
    git(folder, "commit", "-q", "--allow-empty", "-m", "more")


def told(folder: Path, *words: str, **variables: str) -> str:
    command = [sys.executable, folder / SCRIPT, *words]
    done = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def node(folder: Path) -> str:
    return git(folder, "rev-parse", "--short=9", "HEAD")


def test_without_a_tag_commits_count_towards_the_upcoming_release(checkout: Path) -> None:
    assert told(checkout) == f"{version.UPCOMING}.dev1+g{node(checkout)}"
    commit(checkout)
    assert told(checkout) == f"{version.UPCOMING}.dev2+g{node(checkout)}"


def test_a_tagged_commit_is_that_release_and_the_next_ones_count_from_it(checkout: Path) -> None:
    git(checkout, "tag", "v7.2.3")
    assert told(checkout) == told(checkout, "--debian") == "7.2.3"
    commit(checkout)
    assert told(checkout) == f"7.2.4.dev1+g{node(checkout)}"
    git(checkout, "tag", "v7.3.0rc1", "-m", "annotated")
    assert told(checkout) == "7.3.0rc1"
    commit(checkout)
    assert told(checkout) == f"7.3.0rc2.dev1+g{node(checkout)}"


def test_other_tags_are_no_versions(checkout: Path) -> None:
    git(checkout, "tag", "demo-for-ward-7")
    assert told(checkout).startswith(f"{version.UPCOMING}.dev1+g")


def test_a_tag_that_looks_like_a_release_and_is_none_is_one_sentence(checkout: Path) -> None:
    git(checkout, "tag", "v1.2.3-final")
    done = subprocess.run([sys.executable, checkout / SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("The version cannot be told, because the tag 'v1.2.3-final' is no release: ")
    assert done.stderr.count("\n") == 1


def test_a_changed_file_shows_and_is_never_a_release(checkout: Path) -> None:
    git(checkout, "tag", "v7.2.3")
    (checkout / "pyproject.toml").write_text("# changed")
    assert told(checkout) == f"7.2.4.dev0+g{node(checkout)}.dirty"


def test_a_shallow_clone_counts_nothing_and_still_names_its_commit(checkout: Path, tmp_path: Path) -> None:
    commit(checkout)
    git(tmp_path, "clone", "-q", "--depth", "1", checkout.as_uri(), "shallow")
    assert told(tmp_path / "shallow") == f"{version.UPCOMING}.dev0+g{node(checkout)}"


def test_an_archive_of_a_commit_knows_what_it_is(checkout: Path, tmp_path: Path) -> None:
    assert unpacked(checkout, tmp_path / "untagged") == f"{version.UPCOMING}.dev0+g{node(checkout)}"
    git(checkout, "tag", "v7.2.3")
    assert unpacked(checkout, tmp_path / "tagged") == "7.2.3"
    commit(checkout)
    assert unpacked(checkout, tmp_path / "later") == f"7.2.4.dev1+g{node(checkout)}"
    assert told(tmp_path / "later", "--epoch") == "1700000000"


def unpacked(checkout: Path, folder: Path) -> str:
    """Return the version of an archive of the checkout, unpacked inside a repository that is another's."""
    folder.mkdir()
    git(checkout, "archive", "-o", str(folder / "archive.tar"), "HEAD")
    with tarfile.open(folder / "archive.tar") as archive:
        archive.extractall(folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    git(folder.parent, "init", "-q")
    return told(folder)


def test_a_source_distribution_has_the_version_it_was_made_with(checkout: Path) -> None:
    shutil.rmtree(checkout / ".git")
    (checkout / "PKG-INFO").write_text("Metadata-Version: 2.4\nName: echogfr\nVersion: 3.2.1.dev4+gabc\n\nVersion: 9\n")
    assert told(checkout) == "3.2.1.dev4+gabc"


def test_a_copy_of_the_files_without_git_says_that_it_does_not_know(checkout: Path, tmp_path: Path) -> None:
    shutil.rmtree(checkout / ".git")
    assert told(checkout) == told(checkout, PATH=str(tmp_path)) == f"{version.UPCOMING}.dev0+unknown"
    assert told(checkout, "--debian") == f"{version.UPCOMING}~dev0+unknown"


def test_the_variables_of_a_hook_do_not_lead_to_another_repository(checkout: Path) -> None:
    assert told(checkout, GIT_DIR=str(ROOT / ".git")) == told(checkout)


def test_the_time_of_the_build_is_that_of_the_last_commit_or_what_is_asked_for(checkout: Path) -> None:
    assert told(checkout, "--epoch") == "1700000000"
    assert told(checkout, "--epoch", SOURCE_DATE_EPOCH="86400") == "86400"


def test_versions_always_rise_for_debian_and_for_pip(checkout: Path) -> None:
    """From the first commit over candidates and releases, as they would be built one after the other."""
    from packaging.version import Version  # of the standard tools, not the script

    steps = [None, "v7.1.0rc1", None, None, "v7.1.0rc2", "v7.1.0", None, None, "v7.1.1", None, "v7.2.0rc1", "v7.2.0"]
    python, debian = [told(checkout)], [told(checkout, "--debian")]
    for tag in steps:
        commit(checkout)
        if tag:
            git(checkout, "tag", tag)
        python.append(told(checkout))
        debian.append(told(checkout, "--debian"))
    for before, after in pairwise(python):
        assert Version(before) < Version(after)
    assert all(re.fullmatch(r"[0-9][A-Za-z0-9.+~]*", one) for one in debian)
    if shutil.which("dpkg") is None:
        pytest.skip("dpkg is not installed: Debian's order was not asked for")
    for before, after in pairwise(debian):
        assert subprocess.run(["dpkg", "--compare-versions", before, "lt", after], check=False).returncode == 0, after


def test_the_upcoming_release_comes_after_the_last_tag() -> None:
    """It is raised in the first commit after a release: a clone without tags would be older than that release."""
    upcoming = version.released(version.UPCOMING)
    tag = version.git(ROOT, "describe", "--tags", "--abbrev=0", "--match", version.TAGS)
    if tag:
        last = version.released(tag)
        here = version.git(ROOT, "describe", "--tags", "--exact-match", "--match", version.TAGS) == tag
        assert upcoming.numbers > last.numbers or (upcoming.numbers == last.numbers and (here or last.candidate))


def test_an_unknown_question_is_answered_with_the_usage() -> None:
    done = subprocess.run([sys.executable, ROOT / SCRIPT, "--help"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "Usage: python packaging/version.py [--debian | --epoch]\n")


def test_a_checkout_says_the_commit_that_runs_and_not_the_day_it_was_installed() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    assert program_version() == version.version(ROOT)


def test_what_lies_beside_installed_packages_is_no_checkout(tmp_path: Path) -> None:
    """Another distribution has a packaging/version.py of its own."""
    (tmp_path / "packaging").mkdir()
    (tmp_path / "packaging" / "version.py").write_text("raise SystemExit(1)")
    assert checkout_version(tmp_path) is None
    assert installed_version("echogfr")
