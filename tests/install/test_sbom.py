"""The bill of materials: valid, complete, and the same bytes for the same contents."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from .scripts import PACKAGING, installed, tool
from .test_licences import MIT, debian_root

PROGRAM = ("License-Expression: GPL-3.0-or-later", "Requires-Dist: one>=1", 'Requires-Dist: av; extra == "video"')


def environment(folder: Path) -> Path:
    """Write an environment that holds EchoGFR and three more."""
    installed(folder, "echogfr", *PROGRAM, echogfr__LICENSE="text")
    installed(folder, "one", *MIT, "Requires-Dist: Two_B", "Requires-Dist: absent", one__LICENSE="text")
    sbom = {"components": [{"name": "openssl", "version": "4.0", "purl": "pkg:generic/openssl@4.0"}]}
    installed(
        folder, "two-b", *MIT, **{"two__LICENSE": "text", "two_b-1.0.dist-info__sboms__own.json": json.dumps(sbom)}
    )
    files = {"av.libs__libx264-d6533a8d.so.165": "x"}
    installed(folder, "av", "License-Expression: BSD-3-Clause", av__LICENSE="text", **files)
    return folder


def text(environment: Path, out: Path, *words: str | Path, when: str = "86400") -> str:
    done = tool(PACKAGING / "sbom.py", environment, out, *words, SOURCE_DATE_EPOCH=when)
    assert done.returncode == 0, done.stderr
    return out.read_text()


def by_name(components: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in components}


def test_it_names_what_ships_with_licences_hashes_and_what_needs_what(tmp_path: Path) -> None:
    told = json.loads(text(environment(tmp_path / "env"), tmp_path / "bill.json"))
    assert (told["bomFormat"], told["specVersion"]) == ("CycloneDX", "1.6")
    assert told["metadata"]["timestamp"] == "1970-01-02T00:00:00+00:00"
    program = told["metadata"]["component"]
    assert (program["purl"], program["type"]) == ("pkg:pypi/echogfr@1.0", "application")
    components = by_name(told["components"])
    assert sorted(components) == ["av", "one", "two-b"]
    assert components["one"]["licenses"] == [{"expression": "MIT"}]
    [x264] = components["av"]["components"]
    assert (x264["name"], x264["licenses"]) == ("x264", [{"expression": "GPL-2.0-or-later"}])
    [library] = x264["components"]
    assert library["name"] == "libx264-d6533a8d.so.165"
    assert library["hashes"][0]["content"] == "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    assert components["two-b"]["components"][0]["purl"] == "pkg:generic/openssl@4.0"
    needs = {one["ref"]: one.get("dependsOn", []) for one in told["dependencies"]}
    assert needs["pkg:pypi/echogfr@1.0"] == ["pkg:pypi/av@1.0", "pkg:pypi/one@1.0"]
    assert needs["pkg:pypi/one@1.0"] == ["pkg:pypi/two-b@1.0"]


def test_the_same_contents_are_the_same_bytes_wherever_they_are_installed(tmp_path: Path) -> None:
    first = text(environment(tmp_path / "here"), tmp_path / "first.json")
    other = environment(tmp_path / "elsewhere")
    (other / "lib/python3.11/site-packages/one-1.0.dist-info/INSTALLER").write_text("another")
    assert text(other, tmp_path / "second.json") == first
    serial = json.loads(first)["serialNumber"]
    assert json.loads(text(other, tmp_path / "third.json", when="90000"))["serialNumber"] != serial


def test_another_file_is_another_bill(tmp_path: Path) -> None:
    first = json.loads(text(environment(tmp_path / "here"), tmp_path / "first.json"))
    shutil.rmtree(tmp_path / "here")
    other = environment(tmp_path / "here")
    (other / "lib/python3.11/site-packages/av.libs/libx264-d6533a8d.so.165").write_text("changed")
    assert json.loads(text(other, tmp_path / "second.json"))["serialNumber"] != first["serialNumber"]


def test_libraries_of_the_build_root_are_named_with_their_source(tmp_path: Path) -> None:
    root = debian_root(tmp_path / "root")
    (tmp_path / "frozen").mkdir()
    shutil.copy(root / "usr/lib/libthing.so.1", tmp_path / "frozen/libthing.so.1")
    words = ("--shipped", tmp_path / "frozen", "--root", root)
    thing = by_name(json.loads(text(environment(tmp_path / "env"), tmp_path / "bill.json", *words))["components"])[
        "libthing1"
    ]
    assert thing["version"] == "1:2.0-3+b1"
    assert thing["purl"] == "pkg:deb/debian/libthing1@1:2.0-3%2Bb1?arch=amd64&distro=debian-12"
    told = {one["name"]: one["value"] for one in thing["properties"]}
    assert told == {"echogfr:source-package": "thing", "echogfr:source-version": "1:2.0-3"}
    assert thing["components"][0]["name"] == "libthing.so.1"


def test_an_environment_without_the_program_is_refused(tmp_path: Path) -> None:
    installed(tmp_path / "env", "one", *MIT, one__LICENSE="text")
    done = tool(PACKAGING / "sbom.py", tmp_path / "env", tmp_path / "bill.json", SOURCE_DATE_EPOCH="0")
    assert done.returncode == 1
    assert "does not hold EchoGFR" in done.stderr
    assert list(tmp_path.glob("bill*")) == []


def test_what_may_not_ship_is_in_no_bill(tmp_path: Path) -> None:
    installed(environment(tmp_path / "env"), "secret", "License: Proprietary")
    done = tool(PACKAGING / "sbom.py", tmp_path / "env", tmp_path / "bill.json", SOURCE_DATE_EPOCH="0")
    assert done.stderr.startswith("secret 1.0 may not be shipped, because its metadata names no single licence")
    assert list(tmp_path.glob("bill*")) == []
