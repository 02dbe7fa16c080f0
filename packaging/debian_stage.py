"""What a check of the package stands on: a repository in a folder, a later number of the same package, a display."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from debian_build import FOLDER, ROOT, build_packages
from debian_root import CACHE, Root, fresh, wanted

OFFLINE = "/offline"  # where the repository is seen in a root
SCREEN = ("xvfb", "xdotool", "scrot", "openbox")
SOCKETS = "/tmp/.X11-unix"  # where X keeps its sockets
DISPLAY = ":77"


def require(good: bool, otherwise: str) -> None:
    """End with a sentence where something is not as it should be."""
    if not good:
        sys.exit(f"The package is not as it should be: {otherwise}.")


def wait_for(done: Callable[[], bool], seconds: float, otherwise: str) -> float:
    """Wait until ``done`` and return how long that was; end with a sentence where it takes longer than ``seconds``."""
    began = time.monotonic()
    while not done():
        require(time.monotonic() - began < seconds, f"{otherwise} within {seconds:g} s")
        time.sleep(0.1)
    return time.monotonic() - began


def newest() -> Path:
    """Return the package that was built last."""
    built = sorted((ROOT / "dist").glob("echogfr_*.deb"), key=lambda path: path.stat().st_mtime)
    return built[-1] if built else sys.exit("Nothing can be checked, because dist/ holds no package: run make deb.")


def field(package: Path, name: str) -> str:
    """Return a field of a package."""
    return of_here(["dpkg-deb", "--field", str(package), name]).strip()


def of_here(argv: Sequence[str]) -> str:
    """Run a command of this machine that must work, and return what it says."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else sys.exit(f"'{' '.join(argv)}' failed: {done.stderr.strip()}")


def dependencies(package: Path) -> Path:
    """Return a folder of all that the package needs beyond a minimal root; fetched where it is not cached."""
    kind = wanted()
    key = hashlib.sha256(f"{field(package, 'Depends')}\n{kind.archive.name}".encode()).hexdigest()[:10]
    folder = CACHE / f"debs-{kind.suite}-{key}"
    if folder.exists():
        return folder
    print("Fetching what it depends on ...", flush=True)
    install = "apt-get install -qq -y --no-install-recommends --download-only"
    with fresh(kind) as root, tempfile.TemporaryDirectory(dir=CACHE) as place:
        script = f"apt-get update -qq && {install} {OFFLINE}/{package.name}"
        root.run(["sh", "-c", script], network=True, binds={package.parent: OFFLINE}, quiet=True)
        draft = Path(place) / "debs"
        draft.mkdir()
        for deb in others(root.path / "var/cache/apt/archives"):
            shutil.move(deb, draft / deb.name)
        draft.rename(folder)
    return folder


def others(folder: Path) -> list[Path]:
    """Return the packages in a folder that are not EchoGFR itself."""
    return [deb for deb in sorted(folder.glob("*.deb")) if not deb.name.startswith("echogfr")]


@contextmanager
def repository(debs: Path) -> Iterator[Path]:
    """Give a folder that apt takes as a repository: the packages, and their list."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        folder.chmod(0o755)
        for deb in others(debs):
            shutil.copyfile(deb, folder / deb.name)
        tools = wanted(build_packages((FOLDER / "control").read_text(encoding="utf-8")))
        with fresh(tools) as root:
            listing = f"cd {OFFLINE} && dpkg-scanpackages --multiversion . > Packages"
            root.run(["sh", "-c", listing], binds={folder: OFFLINE}, quiet=True)
        yield folder


@contextmanager
def renumbered(package: Path, suffix: str) -> Iterator[Path]:
    """Give the same package under a later number: an upgrade is told from an installation by nothing else."""
    with tempfile.TemporaryDirectory() as place:
        tree = Path(place) / "tree"
        of_here(["dpkg-deb", "--raw-extract", str(package), str(tree)])
        control, number = tree / "DEBIAN" / "control", field(package, "Version")
        text = control.read_text(encoding="utf-8")
        control.write_text(text.replace(f"Version: {number}\n", f"Version: {number}{suffix}\n"), encoding="utf-8")
        newer = Path(place) / f"echogfr_{number}{suffix}_{field(package, 'Architecture')}.deb"
        of_here(["dpkg-deb", "-Zgzip", "-z1", "--root-owner-group", "--build", str(tree), str(newer)])
        shutil.rmtree(tree)
        yield newer


class Screen:
    """A virtual display with a window manager in a root of its own: the root of the app gets nothing of it."""

    def __init__(self, root: Root, sockets: Path, pictures: Path) -> None:
        self._root, self.sockets, self._pictures = root, sockets, pictures

    def do(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run a script on the display; pictures go to /pictures."""
        binds = {self.sockets: SOCKETS, self._pictures: "/pictures"}
        return self._root.run(["sh", "-c", script], binds=binds, env={"DISPLAY": DISPLAY}, quiet=True, check=False)

    def picture(self, name: str) -> Path:
        """Take a picture of the whole screen and return its path."""
        done = self.do(f"scrot --overwrite /pictures/{name}")
        require(done.returncode == 0, f"no picture of the screen could be taken: {done.stderr.strip()}")
        return self._pictures / name

    def press(self, key: str) -> None:
        """Press a key in the window of the app."""
        done = self.do(f"xdotool search --onlyvisible --name EchoGFR windowactivate --sync key {key}")
        require(done.returncode == 0, f"there is no window of the app to press {key} in: {done.stderr.strip()}")


@contextmanager
def display(pictures: Path) -> Iterator[Screen]:
    """Give a display that lasts as long as this."""
    with fresh(wanted(SCREEN)) as root, tempfile.TemporaryDirectory() as place:
        sockets = Path(place)
        sockets.chmod(0o1777)
        script = f"Xvfb {DISPLAY} -screen 0 1280x800x24 -ac -nolisten tcp & sleep 2; DISPLAY={DISPLAY} exec openbox"
        whole = root.command(["sh", "-c", script], binds={sockets: SOCKETS})
        with subprocess.Popen(whole, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
            try:
                wait_for(lambda: any(sockets.iterdir()), 30, "the virtual display did not start")
                time.sleep(3)  # until the window manager is there
                yield Screen(root, sockets, pictures)
            finally:
                server.kill()
