"""Makes the private environment of a Jetson's package: the system's Python, JetPack's own libraries, all else vendored.

    python3 packaging/jetson_stage.py FOLDER SUBSTVARS [--without-jetpack] [--without-pycuda] [--wheels FOLDER]

FOLDER becomes /usr/lib/echogfr: ``venv`` and the two programs. SUBSTVARS gets the packages of JetPack that are used, by
the names and versions that this very system knows them by. Called by packaging/jetson/rules.

The environment does not see the system's packages (no --system-site-packages): of those, only the folders named in
``LINKED`` are there, each as a link to where JetPack put it. What else somebody installs on the system changes nothing.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from jetson_qt import trim

ROOT = Path(__file__).resolve().parents[1]
INSTALLED = Path("/usr/lib/echogfr")
EXTRAS = "dicom,igtl,triton"
RELEASES = {"36": "6", "38": "7", "39": "7"}  # of L4T, as nvidia-l4t-core is numbered, and of JetPack
CUDA = Path("usr/local/cuda")
NEW_GLIBC = (2, 39)
# A module, the versions that EchoGFR goes with (pyproject.toml), and what is done where it is of another.
LINKED = {"tensorrt": ((10, 3), (12,)), "cv2": ((4, 9), (6,))}
LIBRARIES = "usr/lib/aarch64-linux-gnu"
DRIVER = (f"{LIBRARIES}/nvidia/libcuda.so.1", f"{LIBRARIES}/tegra/libcuda.so.1", f"{LIBRARIES}/libcuda.so.1")

CUDA_PYTHON = {"6": "cuda-bindings>=12.6,<13", "7": "cuda-bindings>=13,<14"}
PROGRAMS = {"echogfr": "edge_app.start", "echogfr-convert": "convert.start"}
PROGRAM = """\
#!{python} -I
# The private Python of EchoGFR, which hears of no other package of this system and of no PYTHONPATH.
from multiprocessing import freeze_support

if __name__ == "__main__":
    freeze_support()
    from {module} import main

    main()
"""
WHAT = "The package of a Jetson cannot be built"


@dataclass(frozen=True)
class Part:
    """A file or folder of JetPack, and the package that it is from."""

    path: Path
    package: str
    version: str

    @property
    def numbers(self) -> tuple[int, ...]:
        """The version without the packager's part, to be compared."""
        found = re.match(r"(?:\d+:)?(\d+(?:\.\d+)*)", self.version)
        return tuple(int(number) for number in found[1].split(".")) if found else ()

    def within(self, bounds: tuple[tuple[int, ...], tuple[int, ...]]) -> bool:
        """Tell whether the version is one that EchoGFR goes with."""
        return bounds[0] <= self.numbers < bounds[1]


@dataclass(frozen=True)
class JetPack:
    """What is here of JetPack: its release, the modules that are linked, the driver, and what is to be said of it."""

    release: str
    tensorrt: Part
    driver: Part
    opencv: Part | None
    note: str

    @property
    def depends(self) -> tuple[str, ...]:
        """The packages that it is from, as a package depends on them."""
        parts = (self.tensorrt, self.driver, *([self.opencv] if self.opencv else []))
        return (*sorted({f"{part.package} (>= {part.version})" for part in parts}), f"{self.tensorrt.package} (<< 12~)")


def end(what: str, because: str, cure: str) -> NoReturn:
    """End the program with one sentence."""
    sys.exit(f"{what}, because {because}: {cure}.")


def main() -> int:
    """Stage; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("substvars", type=Path)
    parser.add_argument("--without-jetpack", action="store_true")
    parser.add_argument("--without-pycuda", action="store_true")
    parser.add_argument("--wheels", type=Path)
    asked = parser.parse_args()
    jetpack = find_jetpack(asked.without_jetpack, need_headers=not asked.without_pycuda)
    environment = Environment(asked.folder.resolve() / "venv", ROOT / "build" / "jetson", asked.wheels)
    environment.make()
    environment.install(f"{ROOT}[{EXTRAS}]")
    if jetpack is None:
        print("pycuda is SKIPPED, and all of JetPack: this package runs on the CPU alone.", flush=True)
    else:
        environment.link(jetpack)
        environment.cuda_layer(jetpack, pycuda=not asked.without_pycuda)
    environment.tidy()
    for name, module in PROGRAMS.items():
        program = asked.folder / name
        program.write_text(PROGRAM.format(python=INSTALLED / "venv" / "bin" / "python3", module=module))
        program.chmod(0o755)
    asked.substvars.write_text(f"jetson:Depends={', '.join(depends(jetpack))}\n", encoding="utf-8")
    return 0


def find_jetpack(without: bool, need_headers: bool, root: Path = Path("/")) -> JetPack | None:
    """Return what of JetPack is below ``root``; None where it is to be built without.

    Ends the program where it is not there, or of a release that EchoGFR is not made for.
    """
    if without:
        return None
    l4t = version_of("nvidia-l4t-core", root)
    if l4t is None:
        end(WHAT, "this is no Jetson: nvidia-l4t-core is not installed", "run it there, or give --without-jetpack")
    release = RELEASES.get(l4t.split(".")[0])
    if release is None:
        end(WHAT, f"L4T {l4t} is of no JetPack that it is made for", "install JetPack 6 or 7")
    tensorrt, opencv = (module(name, root) for name in ("tensorrt", "cv2"))
    if tensorrt is None:
        end(WHAT, "JetPack's TensorRT is not installed for Python", "apt-get install python3-libnvinfer")
    if not tensorrt.within(LINKED["tensorrt"]):
        end(WHAT, f"EchoGFR goes with TensorRT 10.3 to 11, and here is {tensorrt.version}", "install another JetPack")
    driver = next((part for name in DRIVER if (part := part_of(root / name, root))), None)
    if driver is None:
        end(WHAT, "libcuda.so.1 is not installed", "apt-get install nvidia-l4t-cuda")
    if need_headers and not (root / CUDA / "include" / "cuda.h").is_file():
        because = f"pycuda is compiled, and /{CUDA}/include/cuda.h is missing"
        end(WHAT, because, "apt-get install nvidia-jetpack, or give --without-pycuda")
    return JetPack(release, tensorrt, driver, *chosen(opencv))


def chosen(opencv: Part | None) -> tuple[Part | None, str]:
    """Return JetPack's OpenCV where EchoGFR goes with it, and what is to be said."""
    if opencv is None:
        return None, "JetPack's OpenCV is not installed for Python: EchoGFR brings its own."
    if not opencv.within(LINKED["cv2"]):
        told = f"{opencv.package} {opencv.version} is older than 4.9 or of a release not known yet"
        return None, f"JetPack's OpenCV is not used, as {told}: EchoGFR brings its own."
    return opencv, f"JetPack's OpenCV is used: {opencv.package} {opencv.version}."


def module(name: str, root: Path) -> Part | None:
    """Return a module of the system's Python that came from a package."""
    number = f"{sys.version_info.major}.{sys.version_info.minor}"
    places = (f"usr/lib/python{number}/dist-packages", "usr/lib/python3/dist-packages")
    return next((part for place in places if (part := part_of(root / place / name, root))), None)


def part_of(path: Path, root: Path) -> Part | None:
    """Return a file or folder with the package that it is from; None: it is not there, or of no package."""
    if not path.exists():
        return None
    inside = f"/{path.relative_to(root)}"
    done = dpkg_query(root, "--search", inside)
    package = done.split(":")[0].split(",")[0].strip()
    version = version_of(package, root) if package else None
    return None if version is None else Part(Path(inside), package, version)


def version_of(package: str, root: Path) -> str | None:
    """Return the version of an installed package; None: it is not installed."""
    told = dpkg_query(root, "--show", "--showformat=${db:Status-Status} ${Version}", package)
    return told.removeprefix("installed ") if told.startswith("installed ") else None


def dpkg_query(root: Path, *arguments: str) -> str:
    """Ask the list of packages of a system; empty where it does not know."""
    command = ["dpkg-query", f"--admindir={root / 'var' / 'lib' / 'dpkg'}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def depends(jetpack: JetPack | None) -> tuple[str, ...]:
    """Return what the package depends on beside libraries of the system: this very Python, and JetPack."""
    major, minor = sys.version_info[:2]
    python = (f"python3 (>= {major}.{minor})", f"python3 (<< {major}.{minor + 1})")
    return python if jetpack is None else (*python, *jetpack.depends)


class Environment:
    """A virtual environment in the place where the package is made, filled by a pip of another one.

    ``tools``: a folder for that other one; ``wheels``: what pip installs from where there is no network.
    """

    def __init__(self, folder: Path, tools: Path, wheels: Path | None = None) -> None:
        self._folder, self._tools, self._wheels = folder, tools, wheels
        self._pins = tools / "constraints.txt"

    def make(self) -> None:
        """Make both; the one that is shipped has no pip, and a copy of Python by which its processes can be told."""
        run(["python3", "-m", "venv", self._tools])
        run(["python3", "-m", "venv", "--copies", "--without-pip", self._folder])
        self._pins.write_text(constraints(platform.libc_ver()[1]), encoding="utf-8")

    def install(self, *what: str, build: dict[str, str] | None = None) -> None:
        """Install as pip would do it in the environment itself."""
        offline = ["--no-index", "--find-links", str(self._wheels)] if self._wheels else []
        options = ["--quiet", "--disable-pip-version-check", "--no-warn-script-location", "--use-pep517"]
        command = [self._tools / "bin" / "pip", "install", *options, *offline, "--ignore-installed", "-c", self._pins]
        run([*command, "--prefix", self._folder, *what], build)

    def link(self, jetpack: JetPack) -> None:
        """Link JetPack's modules, and nothing else of the system's packages, into the environment."""
        print(f"JetPack {jetpack.release}, TensorRT {jetpack.tensorrt.version}. {jetpack.note}", flush=True)
        packages = self.packages
        if jetpack.opencv is not None:
            for path in (packages / "cv2", *packages.glob("opencv_python_headless*")):
                shutil.rmtree(path)
            (packages / "cv2").symlink_to(jetpack.opencv.path)
        for path in sorted(jetpack.tensorrt.path.parent.glob("tensorrt*")):
            (packages / path.name).symlink_to(path)  # with its metadata, and the parts that it imports

    def cuda_layer(self, jetpack: JetPack, pycuda: bool) -> None:
        """Install what reaches the GPU's memory: pycuda, compiled here with JetPack's CUDA, or cuda-python's wheel."""
        if not pycuda:
            print("pycuda is left out as asked: cuda-python serves in its place.", flush=True)
            self.install(CUDA_PYTHON[jetpack.release])
            return
        print("Compiling pycuda (some minutes) ...", flush=True)
        cuda = Path("/") / CUDA
        stubs = cuda / "lib64" / "stubs"
        self.install(
            "pycuda>=2024.1",
            build={
                "PATH": f"{cuda / 'bin'}:{os.environ['PATH']}",
                "CUDA_ROOT": str(cuda),
                "CPATH": str(cuda / "include"),
                "LIBRARY_PATH": f"{stubs}:{cuda / 'lib64'}:/{LIBRARIES}/nvidia",
            },
        )

    @property
    def packages(self) -> Path:
        """Where its modules lie."""
        return self._folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"

    def tidy(self) -> None:
        """Leave of ``bin`` Python alone: the other programs name a place that is no more when it is installed.

        And of Qt what the app uses.
        """
        for path in (self._folder / "bin").iterdir():
            if not path.name.startswith("python"):
                path.unlink()
        trim(self.packages / "PyQt6")
        for path in (self._folder / "include", self._folder / "share"):
            shutil.rmtree(path, ignore_errors=True)
        run([self._folder / "bin" / "python3", "-m", "compileall", "-q", "-j", "0", self.packages])


def constraints(libc: str) -> str:
    """Return the pins of the project, those of an older C library in the place of what cannot be had there."""
    pins = (ROOT / "packaging" / "constraints.txt").read_text(encoding="utf-8")
    if tuple(int(part) for part in libc.split(".")[:2]) >= NEW_GLIBC:
        return pins
    older = (ROOT / "packaging" / "jetson" / "pins-glibc-2.35.txt").read_text(encoding="utf-8")
    named = {name_of(line) for line in older.splitlines()}
    return "\n".join([*(line for line in pins.splitlines() if name_of(line) not in named), older])


def name_of(line: str) -> str:
    """Return the name that a line pins; comments have one that nothing else has."""
    return re.split(r"[=\s;]", line, maxsplit=1)[0].lower() or line


def run(command: list[str | Path], environment: dict[str, str] | None = None) -> None:
    """Run a command; one that fails ends the program with a sentence."""
    done = subprocess.run(command, env={**os.environ, **(environment or {})}, check=False)
    if done.returncode:
        end(WHAT, f"'{' '.join(map(str, command))[:200]}' failed", "see its messages above")


if __name__ == "__main__":
    sys.exit(main())
