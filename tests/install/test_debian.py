"""The Debian package's own files: what they name is there, and its scripts do to a computer what they should."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from zipfile import ZipFile

import pytest
from typer.main import get_command

from convert.cli import app as convert
from edge_app.bundles import SHIPPED
from edge_app.bundles.shelf import Shelf
from edge_app.cli import app
from edge_app.log import log_folder
from edge_app.settings import layouts_file, settings_file
from engines.addon import user_folder
from engines.bundle import open_bundle
from engines.pack import pack
from engines.store import store_folder
from engines.trust import trust_folder

from .scripts import PACKAGING, script

DEBIAN = PACKAGING / "debian"
COMMANDS = {"echogfr": get_command(app), "echogfr-convert": get_command(convert)}
ENTRIES = ("echogfr.desktop", "echogfr-bundle.desktop")
MIME = "{http://www.freedesktop.org/standards/shared-mime-info}"
needs_dpkg = pytest.mark.skipif(shutil.which("dpkg") is None, reason="dpkg is not here: versions cannot be compared")


def tool(name: str) -> str:
    """The path of a checking tool; the test is skipped, aloud, where it is not installed."""
    return shutil.which(name) or pytest.skip(f"{name} is not installed here")


def understood(words: list[str]) -> bool:
    """Whether the command line takes these words: its commands and options are there."""
    command: Any = COMMANDS[Path(words[0]).name]
    for word in words[1:]:
        if word.startswith("-"):
            if word not in [name for one in command.params for name in one.opts]:
                return False
        elif hasattr(command, "commands"):
            if word not in command.commands:
                return False
            command = command.commands[word]
    return True


def entry(name: str) -> configparser.ConfigParser:
    read = configparser.ConfigParser(interpolation=None)
    read.optionxform = str  # type: ignore[assignment,method-assign]
    read.read(DEBIAN / name, encoding="utf-8")
    return read


def simulated(name: str, folder: Path, *arguments: str, **changed: str) -> subprocess.CompletedProcess[str]:
    """Run a maintainer script as dpkg does, with places of this computer changed to others."""
    text = (DEBIAN / f"echogfr.{name}").read_text()
    for place, other in changed.items():
        original = {"passwd": "/etc/passwd", "programs": "/usr/lib/echogfr", "udev": "/run/udev/control"}[place]
        assert original in text
        text = text.replace(original, other)
    copy = folder / name
    copy.write_text(text)
    return subprocess.run(["sh", copy, *arguments], capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize("name", ENTRIES)
def test_a_desktop_entry_is_valid(name: str) -> None:
    done = subprocess.run([tool("desktop-file-validate"), DEBIAN / name], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_menu_starts_the_app_with_options_that_it_has() -> None:
    read = entry("echogfr.desktop")
    for section in read.sections():
        assert understood(shlex.split(read[section]["Exec"])), section
    assert not understood(["echogfr", "run", "--full-screen"])  # or this test could not fail


def test_a_bundle_is_imported_by_a_command_that_is_there() -> None:
    line = next(line for line in (DEBIAN / "import-bundle").read_text().splitlines() if line.startswith("echogfr "))
    assert understood([word for word in shlex.split(line) if word != "$@"])
    where = entry("echogfr-bundle.desktop")["Desktop Entry"]["Exec"].split()[0]
    assert f"debian/import-bundle {where.rpartition('/')[0].lstrip('/')}" in (DEBIAN / "echogfr.install").read_text()


def matches(match: ElementTree.Element, raw: bytes) -> bool:
    """Whether bytes are what a magic rule of shared-mime-info describes."""
    start, _, end = match.attrib["offset"].partition(":")
    value = match.attrib["value"].encode().decode("unicode_escape").encode("latin-1")
    found = raw.find(value, int(start), int(end or start) + len(value))
    return found >= 0 and all(matches(one, raw) for one in match.findall(f"{MIME}match"))


def test_a_packed_bundle_is_known_by_its_first_bytes_and_no_other_archive_is(tmp_path: Path) -> None:
    kind = ElementTree.parse(DEBIAN / "echogfr.sharedmimeinfo").getroot()[0]
    assert kind.attrib["type"] in entry("echogfr-bundle.desktop")["Desktop Entry"]["MimeType"].split(";")
    rule = kind.find(f"{MIME}magic/{MIME}match")
    assert rule is not None
    pack(open_bundle(SHIPPED), tmp_path / "model.zip", lambda done, total: None)
    with ZipFile(tmp_path / "other.zip", "w") as other:
        other.writestr("manifest.json", '{"name": "an app of a browser"}')
    assert matches(rule, (tmp_path / "model.zip").read_bytes()[:8192])
    assert not matches(rule, (tmp_path / "other.zip").read_bytes())


def test_metainfo_is_valid_and_names_the_entry_of_the_menu() -> None:
    read = ElementTree.parse(DEBIAN / "echogfr.metainfo.xml").getroot()
    assert (DEBIAN / (read.findtext("launchable") or "")).is_file()
    assert {one.text for one in read.findall("provides/binary")} == set(COMMANDS)
    validate = [tool("appstreamcli"), "validate", "--no-net", DEBIAN / "echogfr.metainfo.xml"]
    done = subprocess.run(validate, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_kiosk_is_started_with_options_that_the_app_has_and_a_stop_is_no_failure() -> None:
    lines = (DEBIAN / "echogfr-kiosk.service").read_text().splitlines()
    settings = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    assert understood(shlex.split(settings["ExecStart"]))
    assert {"130", "143"} <= set(settings["SuccessExitStatus"].split())  # what the app returns on SIGINT and SIGTERM
    assert settings["Restart"] == "on-failure"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("man")
    script("manpages").main(folder)
    return folder


def leaves(command: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    for name, one in command.commands.items():
        words = f"{before} {name}".strip()
        yield from leaves(one, words) if hasattr(one, "commands") else [(words, one)]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_man_page_tells_every_command_and_option_and_no_other(name: str, pages: Path) -> None:
    text = (pages / f"{name}.1").read_text().replace("\\-", "-")
    commands = dict(leaves(COMMANDS[name]))
    assert [words for words in commands if f'.SS "{words}' not in text] == []
    real = {option for one in (*commands.values(), COMMANDS[name]) for param in one.params for option in param.opts}
    named = set(re.findall(r"\\fB(-[-\w]+)\\fR", text))
    assert named == {option for option in real if option.startswith("-")} - {"-h", "--help"}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_man_page_is_set_without_a_warning(name: str, pages: Path) -> None:
    command = [tool("man"), "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", pages / f"{name}.1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Path]:
    """Where the app keeps what is a person's, below a home."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "ECHOGFR_ENGINES"):
        monkeypatch.delenv(name, raising=False)
    for name in ("ECHOGFR_LOGS", "ECHOGFR_TRUST", "ECHOGFR_BUNDLES"):
        monkeypatch.delenv(name, raising=False)
    data = [Shelf().folder, user_folder()]
    found = [settings_file(), layouts_file(), trust_folder(), *data, store_folder(), log_folder()]
    return [path.relative_to(tmp_path) for path in found]


def test_the_man_page_names_the_places_that_the_app_uses(places: list[Path], pages: Path) -> None:
    text = (pages / "echogfr.1").read_text()
    assert re.findall(r"\.I ~/(\S+)", text) == [str(place) for place in places]


def test_the_purge_looks_where_the_app_keeps_what_is_a_persons(places: list[Path]) -> None:
    looked = re.findall(r"'(\.[\w/.]+echogfr):", (DEBIAN / "echogfr.postrm").read_text())
    assert {str(Path(*place.parts[: place.parts.index("echogfr") + 1])) for place in places} == set(looked)


@pytest.mark.parametrize("name", ["preinst", "postinst", "prerm", "postrm"])
def test_a_maintainer_script_can_be_read_and_needs_no_network(name: str) -> None:
    path = DEBIAN / f"echogfr.{name}"
    assert subprocess.run(["sh", "-n", path], check=False).returncode == 0
    assert not re.search(r"\b(curl|wget|apt|apt-get|pip|nc)\b", path.read_text())


@needs_dpkg
@pytest.mark.parametrize(
    ("there", "new"), [("1.2.0", "1.1.9"), ("1.0", "1.0~rc1"), ("0.1.0", "0.1.0~dev7+gabc"), ("1.0+b", "1.0")]
)
def test_an_older_version_over_a_newer_one_is_refused_in_one_sentence(tmp_path: Path, there: str, new: str) -> None:
    done = simulated("preinst", tmp_path, "upgrade", there, new)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1 and f"EchoGFR {new} is not installed over {there}, because" in done.stderr


@needs_dpkg
@pytest.mark.parametrize(
    "arguments",
    [("install",), ("install", "1.2.0", "1.1.0"), ("upgrade", "1.0", "1.1"), ("upgrade", "1.0", "1.0")],
    ids=["new", "after it was removed", "newer", "the same"],
)
def test_any_other_installation_goes_on(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = simulated("preinst", tmp_path, *arguments)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("action", ["upgrade", "remove"])
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="dpkg is of Linux")
def test_the_files_are_not_taken_from_an_app_that_runs(tmp_path: Path, action: str) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    shutil.copy(shutil.which("sleep") or "", programs / "echogfr")
    with subprocess.Popen([programs / "echogfr", "30"]) as running:
        time.sleep(0.2)  # until it is the program, not yet its copy of this process
        done = simulated("prerm", tmp_path, action, "2.0", programs=str(programs))
        again = simulated("prerm", tmp_path, "failed-upgrade", "1.0", programs=str(programs))
        running.kill()
    assert done.returncode == 1 and f"it is running (process {running.pid})" in done.stderr
    assert (again.returncode, again.stderr) == (1, "")  # one sentence, though dpkg asks both versions
    assert simulated("prerm", tmp_path, action, "2.0", programs=str(programs)).returncode == 0


def test_a_purge_lists_what_is_a_persons_and_deletes_nothing(tmp_path: Path) -> None:
    home, program_home = tmp_path / "homes" / "ada", tmp_path / "homes" / "daemon"
    for place in (home / ".config/echogfr", home / ".local/share/echogfr", program_home / ".config/echogfr"):
        place.mkdir(parents=True)
        (place / "kept").write_text("x")
    (tmp_path / "passwd").write_text(
        f"root:x:0:0:root:{tmp_path}/none:/bin/sh\ndaemon:x:1:1::{program_home}:/bin/false\nada:x:1000:1000::{home}:/bin/sh\n"
    )
    done = simulated("postrm", tmp_path, "purge", passwd=str(tmp_path / "passwd"), programs=str(tmp_path / "gone"))
    assert done.returncode == 0 and done.stderr == ""
    listed = [line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")]
    assert listed == [str(home / ".config/echogfr"), str(home / ".local/share/echogfr")]
    assert "Patient records" in done.stdout
    assert len(list(tmp_path.rglob("kept"))) == 3


@pytest.mark.parametrize(
    "action", ["remove", "upgrade", "abort-upgrade", "abort-install", "failed-upgrade", "disappear"]
)
def test_nothing_is_said_or_done_where_nothing_is_purged(tmp_path: Path, action: str) -> None:
    done = simulated("postrm", tmp_path, action, "1.0")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_devices_are_opened_to_who_sits_there_and_to_a_group_never_to_the_world() -> None:
    lines = [line for line in (DEBIAN / "echogfr.udev").read_text().splitlines() if line and not line.startswith("#")]
    given = [line for line in lines if "MODE=" in line]
    assert given and all('MODE="0660"' in line and 'TAG+="uaccess"' in line for line in given)
    assert all(re.search(r'GROUP="(video|plugdev)"', line) for line in given)
    assert all("idVendor" in line and "idProduct" in line for line in given if "hidraw" in line)
    assert not any('"input"' in line for line in lines)  # whoever reads it reads every password that is typed
    priority = re.search(r"dh_installudev --priority=(\d+)", (DEBIAN / "rules").read_text())
    assert priority is not None and int(priority[1]) < 73  # where uaccess is acted upon


def test_the_root_of_the_build_has_what_the_package_says_it_is_built_with() -> None:
    packages = script("debian_build").build_packages((DEBIAN / "control").read_text())
    assert {"build-essential", "debhelper", "python3-venv", "libxcb-cursor0"} <= set(packages)
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9+.-]+", name) for name in packages)


def test_the_drawing_of_the_icon_needs_nothing_that_some_desktops_cannot_draw() -> None:
    drawn = {one.tag.rpartition("}")[2] for one in ElementTree.parse(DEBIAN / "echogfr.svg").getroot().iter()}
    assert drawn <= {"svg", "defs", "linearGradient", "stop", "rect", "path", "g"}
