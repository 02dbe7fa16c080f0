"""Wheel and source distribution: what is in them, that pip installs them, and that each build is the same."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from .scripts import PACKAGING, ROOT, script, tool

COMMIT_TIME = "1700000000"
MAKE = "packaging/distribution/make.py"
version = script("version")


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The project's files in two folders, of different people at different times; neither is a checkout."""
    names = version.git(ROOT, "ls-files").splitlines()
    if not names:
        pytest.skip("not a git checkout: the list of project files is not known")
    folders = tmp_path_factory.mktemp("one") / "echogfr", tmp_path_factory.mktemp("another") / "of" / "another name"
    for folder, mode, when in zip(folders, (0o644, 0o600), (1_600_000_000, 1_750_000_000), strict=True):
        for name in names:
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target)
            target.chmod(mode)
            os.utime(target, (when, when))
    return folders


@pytest.fixture(scope="module")
def built(copies: tuple[Path, Path]) -> tuple[Path, Path]:
    """Wheel and source distribution of the first copy."""
    return made(copies[0], SOURCE_DATE_EPOCH=COMMIT_TIME)


def made(folder: Path, **variables: str) -> tuple[Path, Path]:
    """Make both in ``folder``, as ``make dist`` does."""
    (folder / "dist").mkdir()
    done = tool(folder / MAKE, folder / "dist", **variables)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    [wheel], [sdist] = (folder / "dist").glob("*.whl"), (folder / "dist").glob("*.tar.gz")
    return wheel, sdist


def unpacked(sdist: Path, folder: Path) -> Path:
    """Unpack a source distribution as pip does; return its folder."""
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    [inside] = folder.iterdir()
    return inside


def test_two_builds_in_two_folders_are_the_same_bytes(
    copies: tuple[Path, Path], built: tuple[Path, Path], tmp_path: Path
) -> None:
    for first, second in zip(built, made(copies[1], SOURCE_DATE_EPOCH=COMMIT_TIME), strict=True):
        assert first.name == second.name
        assert first.read_bytes() == second.read_bytes(), first.name


def test_the_source_distribution_alone_makes_the_same_again(built: tuple[Path, Path], tmp_path: Path) -> None:
    """Its files carry the time of the commit: nothing has to be told."""
    for first, second in zip(built, made(unpacked(built[1], tmp_path)), strict=True):
        assert first.read_bytes() == second.read_bytes(), first.name


def test_the_wheel_holds_what_is_listed(built: tuple[Path, Path]) -> None:
    listed = (PACKAGING / "distribution" / "wheel.txt").read_text().splitlines()
    with zipfile.ZipFile(built[0]) as wheel:
        found = [re.sub(r"^echogfr-[^/]*\.dist-info", "echogfr.dist-info", name) for name in wheel.namelist()]
    assert sorted(found) == listed, "make dist-list writes the list anew"
    assert "edge_app/bundles/synthetic-standin/fp32.onnx" in found
    assert [
        name for name in found if name.split("/")[0] not in {"engines", "convert", "edge_app", "echogfr.dist-info"}
    ] == []


def test_the_source_distribution_holds_what_git_knows(built: tuple[Path, Path]) -> None:
    without = {line for line in (PACKAGING / "distribution" / "sdist-without.txt").read_text().splitlines() if line}
    with tarfile.open(built[1]) as archive:
        found = {member.name.partition("/")[2] for member in archive.getmembers()}
    assert found == set(version.git(ROOT, "ls-files").splitlines()) - without | {"PKG-INFO"}
    assert ".ci/run" not in found


@pytest.mark.parametrize(
    ("change", "told"), [("appears", "holds engines/left.txt, which"), ("vanishes", "lacks engines/py.t")]
)
def test_a_file_that_appears_or_vanishes_is_noticed(
    built: tuple[Path, Path], tmp_path: Path, change: str, told: str
) -> None:
    folder = unpacked(built[1], tmp_path)
    (folder / "engines/left.txt").touch() if change == "appears" else (folder / "engines/py.typed").unlink()
    (folder / "dist").mkdir()
    done = tool(folder / MAKE, folder / "dist")
    assert done.returncode == 1
    assert f"The wheel {told}" in done.stderr
    assert "make dist-list" in done.stderr


def test_a_build_that_fails_is_told_and_leaves_no_old_one(built: tuple[Path, Path], tmp_path: Path) -> None:
    folder = unpacked(built[1], tmp_path)
    (folder / "dist").mkdir()
    (folder / "dist/echogfr-0.0.1.tar.gz").touch()
    (folder / "README.md").unlink()
    done = tool(folder / MAKE, folder / "dist")
    assert done.returncode == 1
    assert done.stderr.startswith("No distribution was made, because the build failed:")
    assert list((folder / "dist").iterdir()) == []


def test_pip_installs_the_wheel_and_its_commands_run_elsewhere(built: tuple[Path, Path], tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps"]
    subprocess.run([*pip, "--target", tmp_path / "site", built[0]], check=True, capture_output=True)
    plain = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    plain |= {"PYTHONPATH": str(tmp_path / "site"), "HOME": str(tmp_path)}
    for command, words, said in [
        ("echogfr", ["version"], f"EchoGFR {version.UPCOMING}.dev0+unknown"),
        ("echogfr", ["analyze", "phantom:frames=300"], " with a reading\n"),
        ("echogfr-convert", ["--help"], "Usage"),
    ]:
        done = subprocess.run(
            [tmp_path / "site/bin" / command, *words],
            cwd=tmp_path,
            env=plain,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert said in done.stdout
