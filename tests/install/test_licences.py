"""What may ship: every licence is known and compatible, and its text is in the folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from .scripts import PACKAGING, installed, tool

MIT = ("License-Expression: MIT",)


def licences(environment: Path, out: Path, *words: str | Path) -> str:
    """Return what the script prints; what it refuses begins with "refused: "."""
    done = tool(PACKAGING / "licences.py", environment, out, *words)
    assert "Traceback" not in done.stderr
    return done.stdout if done.returncode == 0 else f"refused: {done.stderr}"


def test_the_folder_holds_each_licence_and_a_summary_by_licence(tmp_path: Path) -> None:
    installed(tmp_path / "env", "one", *MIT, one__LICENSE="text of one", **{"one-1.0.dist-info__AUTHORS": "A. Uthor"})
    installed(tmp_path / "env", "two", "License: Apache 2.0")
    assert licences(tmp_path / "env", tmp_path / "out").startswith(f"{tmp_path / 'out'}: licences of 2 distributions")
    assert (tmp_path / "out/one/one/LICENSE").read_text() == "text of one"
    assert (tmp_path / "out/one/AUTHORS").read_text() == "A. Uthor"
    assert "Apache License" in (tmp_path / "out/two/Apache-2.0.txt").read_text()
    summary = (tmp_path / "out/SUMMARY.md").read_text()
    assert "| MIT | one 1.0 |" in summary
    assert "| Apache-2.0 | two 1.0 |" in summary


@pytest.mark.parametrize(
    ("metadata", "because"),
    [
        ((), "its metadata names no single licence (it says nothing)"),
        (("License: BSD",), "its metadata names no single licence (BSD)"),
        (("License: MIT", "Classifier: License :: OSI Approved :: Apache Software License"), "no single licence"),
        (("License: MIT", "Classifier: License :: Other/Proprietary License"), "no single licence"),
        (("License-Expression: Free-as-in-Beer",), "its licence 'Free-as-in-Beer' is no SPDX expression"),
        (("License-Expression: GPL-2.0-only",), "its licence GPL-2.0-only is not compatible with GPL-3.0-or-later"),
        (("License-Expression: MIT AND CDDL-1.0",), "MIT AND CDDL-1.0 is not compatible"),
        (("License-Expression: ISC",), "it brings no licence file"),
    ],
)
def test_what_is_unknown_or_incompatible_is_refused_in_one_sentence(
    tmp_path: Path, metadata: tuple[str, ...], because: str
) -> None:
    installed(tmp_path / "env", "other", *metadata)
    told = licences(tmp_path / "env", tmp_path / "out")
    assert told.startswith("refused: other")
    assert because in told
    assert told.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "expression", ["MIT OR GPL-2.0-only", "GPL-2.0-or-later WITH Classpath-exception-2.0", "(MIT AND Zlib) OR CDDL-1.0"]
)
def test_one_way_that_is_compatible_is_enough(tmp_path: Path, expression: str) -> None:
    installed(tmp_path / "env", "other", f"License-Expression: {expression}", other__LICENSE="text")
    assert "refused" not in licences(tmp_path / "env", tmp_path / "out")


def test_a_library_inside_a_wheel_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    files = {"av.libs__libx264-d6533a8d.so.165": "x", "av.libs__libnewcodec-0a1b2c3d.so.1": "y"}
    installed(tmp_path / "env", "av", *MIT, av__LICENSE="text", **files)
    told = licences(tmp_path / "env", tmp_path / "out")
    assert "the licence of a library inside it is not known (libnewcodec-0a1b2c3d.so.1)" in told


def test_what_is_inside_a_wheel_is_listed_with_its_notices(tmp_path: Path) -> None:
    files = {"av.libs__libx264-d6533a8d.so.165": "x"}
    installed(tmp_path / "env", "av", *MIT, av__LICENSE="text", **files)
    assert "refused" not in licences(tmp_path / "env", tmp_path / "out")
    assert "| av | x264 | GPL-2.0-or-later |" in (tmp_path / "out/SUMMARY.md").read_text()
    assert "FFmpeg" not in (tmp_path / "out/SUMMARY.md").read_text(), "this wheel has none"
    assert (tmp_path / "out/av/inside/x264.txt").is_file()
    assert "GNU GENERAL PUBLIC LICENSE" in (tmp_path / "out/av/inside/GPL-2.0.txt").read_text()


def test_what_is_accepted_although_it_is_not_compatible_is_said_with_its_reason(tmp_path: Path) -> None:
    files = {"opencv_python_headless.libs__libssl-81259c47.so.1.1.1k": "x"}
    installed(tmp_path / "env", "opencv-python-headless", "License: Apache 2.0", cv2__LICENSE="text", **files)
    told = licences(tmp_path / "env", tmp_path / "out")
    assert "Not compatible, accepted: OpenSSL 1.1.1 (OpenSSL) inside opencv-python-headless: linked by" in told
    assert "- OpenSSL 1.1.1 (OpenSSL) inside opencv-python-headless: " in (tmp_path / "out/SUMMARY.md").read_text()


def test_what_is_not_shipped_is_left_out(tmp_path: Path) -> None:
    installed(tmp_path / "env", "one", *MIT, one__LICENSE="text")
    installed(tmp_path / "env", "Some_Tool", "License: secret")
    assert "refused" not in licences(tmp_path / "env", tmp_path / "out", "--without", "some-tool")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["SUMMARY.md", "one"]


def test_nothing_is_written_over(tmp_path: Path) -> None:
    installed(tmp_path / "env", "one", *MIT, one__LICENSE="text")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").touch()
    assert f"because {tmp_path / 'out'} exists" in licences(tmp_path / "env", tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == [tmp_path / "out/mine"]


def test_an_environment_of_nothing_is_refused(tmp_path: Path) -> None:
    assert "holds no distributions" in licences(tmp_path, tmp_path / "out")


def debian_root(folder: Path) -> Path:
    """Write a root in which one package owns one library; return the root."""
    for path, text in {
        "var/lib/dpkg/info/libthing1:amd64.list": "/.\n/usr/lib/libthing.so.1\n/usr/lib/libthing.so.1.0\n",
        "var/lib/dpkg/status": "Package: libthing1\nArchitecture: amd64\nSource: thing (1:2.0-3)\nVersion: 1:2.0-3+b1\n"
        "Description: a thing\n with more: words\n\nPackage: other\nArchitecture: all\nVersion: 1\n",
        "usr/lib/libthing.so.1.0": "thing",
        "usr/share/doc/libthing1/copyright": "as is",
        "etc/os-release": 'ID=debian\nVERSION_ID="12"\n',
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    (folder / "usr/lib/libthing.so.1").symlink_to("libthing.so.1.0")
    return folder


def test_libraries_of_the_build_root_bring_their_terms(tmp_path: Path) -> None:
    root = debian_root(tmp_path / "root")
    site = installed(tmp_path / "env", "one", *MIT, **{"one__LICENSE": "text", "one__fast.so": "fast"})
    (tmp_path / "frozen").mkdir()
    shutil.copy(root / "usr/lib/libthing.so.1", tmp_path / "frozen/libthing.so.1")
    shutil.copy(site / "one/fast.so", tmp_path / "frozen/fast.so")
    frozen = ("--shipped", tmp_path / "frozen", "--root", root)
    assert "1 packages of the system" in licences(tmp_path / "env", tmp_path / "out", *frozen)
    assert (tmp_path / "out/system/libthing1/copyright").read_text() == "as is"
    assert "| libthing1 1:2.0-3+b1 | thing 1:2.0-3 |" in (tmp_path / "out/SUMMARY.md").read_text()


def test_a_library_from_nowhere_is_refused(tmp_path: Path) -> None:
    root = debian_root(tmp_path / "root")
    installed(tmp_path / "env", "one", *MIT, one__LICENSE="text")
    (tmp_path / "frozen").mkdir()
    (tmp_path / "frozen/libthing.so.1").write_text("thing of the build host")
    told = licences(tmp_path / "env", tmp_path / "out", "--shipped", tmp_path / "frozen", "--root", root)
    assert f"no wheel and no package of {root} brings libthing.so.1" in told
    assert "name both" in licences(tmp_path / "env", tmp_path / "out", "--root", root)
