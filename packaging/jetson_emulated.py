"""Builds the package of a Jetson without JetPack in an emulated 64-bit Arm root, installs it in a fresh one, starts it.

    python3 packaging/jetson_emulated.py [--keep]     as root; about an hour, most of it pip's and dpkg's

Says how far it came. What JetPack brings (TensorRT, CUDA, its OpenCV, pycuda, the GPU) is not there, and an emulated
processor is far too slow to be timed. Needs mmdebstrap and qemu-user-static; SUITE and MIRROR as in debian_root.py.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from debian_build import FOLDER, ROOT, build_packages, lay_out
from debian_root import CACHE, Root, remove, require_tools, wanted

EMULATOR = Path("/proc/sys/fs/binfmt_misc/qemu-aarch64")
SOURCE = "usr/src/echogfr"
USER = "nurse"
LIMITS_S = {"version": 300, "doctor": 900, "run": 500}
SMALL = ("--source", "phantom:size=640x480,fps=5,cycle=2/2/20")  # more is too much for an emulated processor


def main() -> int:
    """Build, install and start; return the exit code."""
    require_tools()
    if not EMULATOR.exists():
        sys.exit(
            "Nothing can be emulated, because the kernel does not know qemu-aarch64: "
            "apt-get install qemu-user-static, and mount binfmt_misc."
        )
    place = Path(tempfile.mkdtemp(prefix="arm-", dir=CACHE))
    try:
        package = built(place / "build")
        print(f"{package}: {package.stat().st_size / 1e6:.0f} MB", flush=True)
        started(place / "run", package)
    finally:
        if "--keep" not in sys.argv[1:]:
            for folder in place.iterdir():
                remove(folder)
            shutil.rmtree(place)
    return 0


def make(folder: Path, packages: list[str]) -> Root:
    """Return a new root with those packages."""
    kind = wanted()
    include = [f"--include={','.join(packages)}"] if packages else []
    command = ["mmdebstrap", "--quiet", "--architectures=arm64", "--variant=minbase", "--mode=root", *include]
    print(f"Making an emulated {kind.suite} root with {len(packages)} packages beyond the minimum ...", flush=True)
    done = subprocess.run([*command, kind.suite, folder, *kind.lines], check=False)
    if done.returncode:
        sys.exit("The root cannot be made, because mmdebstrap failed: see its message above.")
    return Root(folder)


def built(folder: Path) -> Path:
    """Build the package as on a Jetson; return it."""
    names = build_packages((FOLDER / "control").read_text(encoding="utf-8"))
    root = make(folder, [*names, "ca-certificates"])
    lay_out(root.path / SOURCE)
    command = f"cd /{SOURCE} && python3 packaging/jetson_build.py --without-jetpack"
    root.run(["sh", "-c", command], network=True, env={"PIP_NO_CACHE_DIR": "1"})
    package = next((root.path / SOURCE / "dist").glob("echogfr_*_arm64.deb"))
    target = ROOT / "dist" / package.name
    target.parent.mkdir(exist_ok=True)
    shutil.copyfile(package, target)
    return target


def started(folder: Path, package: Path) -> None:
    """Install it where nothing of its building is left, and start it as a person; say how far that came."""
    root = make(folder, [])
    shutil.copyfile(package, root.path / "package.deb")
    install = "apt-get -qq update && apt-get -qq -y --no-install-recommends install /package.deb && useradd -m"
    root.run(["sh", "-c", f"{install} {USER}"], network=True)
    for name, limit in LIMITS_S.items():
        words = [name, *SMALL, "--offscreen-seconds", str(limit - 300)] if name == "run" else [name]
        began = time.monotonic()
        typed = f"cd && timeout {limit} echogfr {' '.join(words)}"
        done = root.run(["sh", "-c", typed], user=USER, quiet=True, check=False)
        print("".join(f"    {line}\n" for line in (done.stdout + done.stderr).splitlines()[-40:]), end="")
        print(f"echogfr {name}: exit code {done.returncode} after {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    os.environ.pop("PIP_FIND_LINKS", None)
    sys.exit(main())
