"""Builds dist/echogfr_VERSION_arm64.deb on a Jetson, or in a 64-bit Arm root of the same release.

    python3 packaging/jetson_build.py [--without-jetpack] [--without-pycuda] [--wheels FOLDER]

The system's own Python, TensorRT and CUDA are used, and nothing of them is copied: the package depends on the JetPack
packages that they came from. All else lies in a private environment, made by packaging/jetson_stage.py. Entry, icon,
man pages, unit, rules of udev and scripts are those of packaging/debian. Only the standard library is needed.

``--without-jetpack``: where there is none, to see that all else builds and starts; such a package runs on the CPU alone
and is no package for a Jetson. ``--without-pycuda``: cuda-python's wheel in its place, which needs no compiler.
``--wheels``: what pip would download, where there is no network.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from debian_build import ROOT, lay_out, take
from jetson_stage import JetPack, end, find_jetpack
from version import epoch

JETSON = ROOT / "packaging" / "jetson"
ABOUT = re.compile(r" The package holds the app,.*?(?=\n\S|\Z)", re.DOTALL)
TOLD = """\
 This package is for NVIDIA Jetson: it uses JetPack's own TensorRT and CUDA and
 the system's Python, and brings all other libraries in a private folder."""
TOLD_WITHOUT = """\
 This package was built WITHOUT JetPack: it runs on the CPU alone, and is there
 to see that it builds and starts on 64-bit Arm."""


def main() -> int:
    """Build; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--without-jetpack", action="store_true")
    parser.add_argument("--without-pycuda", action="store_true")
    parser.add_argument("--wheels", type=Path, metavar="FOLDER")
    asked = parser.parse_args()
    began = time.monotonic()
    check_machine()
    jetpack = find_jetpack(asked.without_jetpack, need_headers=not asked.without_pycuda)
    with tempfile.TemporaryDirectory(prefix="echogfr-") as place:
        tree = lay_out(Path(place) / "echogfr")
        overlay(tree / "debian", jetpack)
        build(tree, options(asked), f"--no-index --find-links {asked.wheels.resolve()}" if asked.wheels else "")
        package = take(tree.parent)
    print(f"{package}: {package.stat().st_size / 1e6:.0f} MB, after {time.monotonic() - began:.0f} s")
    return 0


def check_machine() -> None:
    """End with one sentence where this is no machine to build it on."""
    what = "The package of a Jetson cannot be built"
    done = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=False)
    if done.stdout.strip() != "arm64":
        end(what, f"this system is {done.stdout.strip() or 'no Debian'} and not arm64", "run this on the Jetson itself")
    for tool, package in (("dpkg-buildpackage", "dpkg-dev"), ("dh", "debhelper")):
        if shutil.which(tool) is None:
            end(what, f"{tool} is not installed", f"apt-get install {package}")


def overlay(debian: Path, jetpack: JetPack | None) -> None:
    """Make the folder of a Jetson's package out of the one that all packages share."""
    shutil.copy(JETSON / "rules", debian / "rules")
    (debian / "rules").chmod(0o755)
    control = (debian / "control").read_text(encoding="utf-8")
    (debian / "control").write_text(jetson_control(control, jetpack is not None), encoding="utf-8")


def jetson_control(control: str, with_jetpack: bool) -> str:
    """Return the control file with the dependencies that are found while building, and a description that is true."""
    depends = control.replace("Architecture: any", "Architecture: arm64").replace(
        " ${misc:Depends},\n", " ${misc:Depends},\n ${jetson:Depends},\n"
    )
    depends = depends.replace(" libglib2.0-0,\n", " libglib2.0-0,\n libice6,\n libsm6,\n")  # of Qt 6.7's xcb
    told, count = ABOUT.subn(TOLD if with_jetpack else TOLD_WITHOUT, depends)
    if count != 1 or "${jetson:Depends}" not in told or "Architecture: arm64" not in told:
        end("The package of a Jetson cannot be built", "packaging/debian/control has changed", "adapt jetson_build.py")
    return told


def options(asked: argparse.Namespace) -> str:
    """Return what packaging/jetson_stage.py is called with."""
    given = ["--without-jetpack"] if asked.without_jetpack else []
    given += ["--without-pycuda"] if asked.without_pycuda else []
    given += [f"--wheels {asked.wheels.resolve()}"] if asked.wheels else []
    return " ".join(given)


def build(tree: Path, stage_options: str, pip_options: str) -> None:
    """Run Debian's own tool; what it misses is one sentence."""
    missing = subprocess.run(["dpkg-checkbuilddeps"], cwd=tree, capture_output=True, text=True, check=False)
    if missing.returncode:
        names = re.sub(r"\s*\([^)]*\)", "", missing.stderr.rpartition(":")[2]).split()
        names = ["debhelper" if name == "debhelper-compat" else name for name in names]
        end("The package cannot be built", f"{len(names)} packages are missing", f"apt-get install {' '.join(names)}")
    environment = {
        **os.environ,
        "STAGE_OPTIONS": stage_options,
        "PIP_OPTIONS": pip_options,
        "SOURCE_DATE_EPOCH": epoch(),
    }
    done = subprocess.run(["dpkg-buildpackage", "-b", "-us", "-uc"], cwd=tree, env=environment, check=False)
    if done.returncode:
        end("The package was not built", "dpkg-buildpackage failed", "see its messages above")


if __name__ == "__main__":
    sys.exit(main())
