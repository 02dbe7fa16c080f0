"""What builds and checks the Debian package: which root is asked for, and what the package says of what is inside."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from .scripts import PACKAGING, installed, script, tool

root = script("debian_root")
build = script("debian_build")
needs_dpkg = pytest.mark.skipif(shutil.which("dpkg") is None, reason="dpkg is not here: versions cannot be checked")


@pytest.fixture(autouse=True)
def nothing_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SUITE", "MIRROR", "COMPONENTS", "KEYRING", "PIP_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)


def test_suite_mirror_components_and_keyring_are_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "SUITE": "noble",
        "MIRROR": "http://m/u",
        "COMPONENTS": "main universe",
        "KEYRING": "k",
    }.items():
        monkeypatch.setenv(name, value)
    kind = root.wanted(["python3"])
    assert (kind.suite, kind.lines, kind.keyring) == ("noble", ("deb http://m/u noble main universe",), "k")
    monkeypatch.setenv("MIRROR", "http://m/other")
    assert root.wanted(["python3"]).archive != kind.archive  # from elsewhere it is another root
    assert root.wanted([]).archive != root.wanted(["python3"]).archive


def test_a_suite_that_this_machine_does_not_know_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUITE", "no-such-suite")
    monkeypatch.setattr(root, "lines_of_apt", lambda suite, components: [])
    with pytest.raises(SystemExit, match=r"No no-such-suite root can be made, because .* give its MIRROR"):
        root.wanted()


def test_updates_and_security_fixes_of_the_suite_are_taken_and_those_of_others_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = """Debian|http://m/d/|bookworm|main
Debian|http://m/d/|bookworm-updates|main
Debian|http://m/s/|bookworm-security|main
Debian|http://m/d/|bookworm-backports|main
Debian|http://m/d/|bookworm|non-free
Debian|http://m/d/|trixie|main
Another|http://elsewhere/|bookworm|main
"""
    done = subprocess.CompletedProcess([], 0, told, "")
    monkeypatch.setattr(root.subprocess, "run", lambda *_, **__: done)
    assert root.lines_of_apt("bookworm", ["main"]) == [
        "deb http://m/d/ bookworm main",
        "deb http://m/d/ bookworm-updates main",
        "deb http://m/s/ bookworm-security main",
    ]


def test_a_command_in_a_root_has_no_network_and_nothing_of_this_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://an-index")
    monkeypatch.setenv("SECRET_OF_THIS_MACHINE", "1")
    offline = root.Root(Path("/r")).command(["true"])
    online = root.Root(Path("/r")).command(["true"], network=True)
    assert "--net" in offline and "--net" not in online
    assert "PIP_INDEX_URL=http://an-index" in online and "PIP_INDEX_URL=http://an-index" not in offline
    assert not any("SECRET" in word for word in (*offline, *online))


def test_a_root_is_not_deleted_through_a_mount(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "system" / "proc").mkdir(parents=True)
    mounts = f"1 0 0:1 / / rw - ext4 d rw\n2 1 0:2 / {tmp_path}/system/proc rw - proc proc rw\n"
    monkeypatch.setattr(Path, "read_text", lambda self, **_: mounts)
    with pytest.raises(SystemExit, match="system/proc is mounted in it: unmount that first"):
        root.remove(tmp_path / "system")
    assert (tmp_path / "system" / "proc").is_dir()
    monkeypatch.setattr(Path, "read_text", lambda self, **_: mounts.splitlines()[0])
    root.remove(tmp_path / "system")
    assert not (tmp_path / "system").exists()


@needs_dpkg
def test_the_changelog_names_a_version_that_debian_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    first, *_ = build.changelog(build.debian(build.version())).splitlines()
    number = re.fullmatch(r"echogfr \((\S+)\) unstable; urgency=medium", first)
    assert number is not None
    assert subprocess.run(["dpkg", "--validate-version", number[1]], check=False).returncode == 0


def test_the_copyright_names_each_work_its_files_its_licence_and_whose_it_is(tmp_path: Path) -> None:
    texts = {
        "one__LICENSE": "/*****\n * MIT License\n */\n\n * Copyright (c) 2020 A. Uthor\n",
        "one__code.py": "x = 1\n",
    }
    installed(tmp_path / "env", "one", "License-Expression: MIT", **texts)
    installed(tmp_path / "env", "two", "License: Apache 2.0")
    done = tool(PACKAGING / "debian_copyright.py", tmp_path / "env", tmp_path / "copyright", "--without", "two")
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "copyright").read_text()
    assert text.startswith("Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n")
    paragraphs = [paragraph for paragraph in text.split("\n\n") if paragraph.startswith("Files:")]
    assert "License: GPL-3.0-or-later" in paragraphs[0]
    assert paragraphs[1].splitlines()[:3] == [
        "Files: usr/lib/echogfr/_internal/one* usr/lib/echogfr/_internal/one-1.0.dist-info",
        "Copyright: Copyright (c) 2020 A. Uthor",
        "License: MIT",
    ]
    assert len(paragraphs) == 2 and "\nLicense: MIT\n The full text" in text
