"""Installs the package in a fresh root without a network, and does with it what a hospital will: the whole of its life.

Run: ``python packaging/debian_check.py [PACKAGE.deb] [--debs FOLDER] [--out FOLDER]`` (``make deb-check``), as root.
PACKAGE: the newest in dist/. FOLDER holds every package it depends on; without it they are fetched and cached. Pictures
of the screen go to --out. Ends with one sentence where anything is not as it should be; prints what it measured.
"""

from __future__ import annotations

import argparse
import configparser
import hashlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from debian_build import ROOT
from debian_root import Root, end_in_order, fresh, wanted
from debian_stage import (
    DISPLAY,
    OFFLINE,
    SOCKETS,
    Screen,
    dependencies,
    display,
    newest,
    renumbered,
    repository,
    require,
    wait_for,
)
from frozen.check import memory_below

USER = "clinician"
HOME = f"home/{USER}"
LATER = "+later1"
COMPILERS = "cc gcc g++ c++ clang tcc as ld make nvcc cpp rustc go"
PYTHONS = "python python3 python3.10 python3.11 python3.12 python3.13 pypy3 pip pip3"
# What people make of the app, and must find again after an upgrade and after a purge.
KEPT = {
    ".config/echogfr/settings.toml": 'source = "phantom:look=philips,egfr=52,seed=4"\n',
    ".config/echogfr/layouts.json": "{}\n",
    ".cache/echogfr/engines/0123456789abcdef.engine": "an engine that took ten minutes\n",
    ".local/share/echogfr/records/records.sqlite": "a patient's record\n",
}
LOG = f"{HOME}/.local/state/echogfr/log/echogfr.log"
SHIPPED = "/usr/lib/echogfr/_internal/edge_app/bundles/synthetic-standin"
# Runs a command, then tells of what it left behind.
WATCHED = """
"$@"; code=$?; sleep 1
for process in /proc/[0-9]*; do
    case "$(readlink $process/exe)" in /usr/lib/echogfr/*) echo "left behind: $process";; esac
done
exit $code
"""


def main() -> int:
    """Run the check; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", nargs="?", type=Path)
    parser.add_argument("--debs", type=Path, help="a folder with all that it depends on")
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "deb-check", help="for pictures of the screen")
    asked = parser.parse_args()
    end_in_order()
    package = (asked.package or newest()).resolve()
    asked.out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        debs = stack.enter_context(repository((asked.debs or dependencies(package)).resolve()))
        newer = stack.enter_context(renumbered(package, LATER))
        root = stack.enter_context(fresh(wanted()))
        well_made(package)
        install(root, package, newer, debs)
        nothing_else(root)
        papers(root)
        people(root)
        screen = stack.enter_context(display(asked.out.resolve()))
        shown(root, screen, desktop_command(root), "desktop.png", "key q", 0)
        shown(root, screen, kiosk_command(root), "kiosk.png", "SIGTERM", 143)
        lifetime(root, package, newer)
    print("All of it is as it should be.")
    return 0


def install(root: Root, package: Path, newer: Path, debs: Path) -> None:
    """Install the package by apt, as its guide says, from nothing but the folder."""
    (root.path / "etc/apt/sources.list").write_text(f"deb [trusted=yes] file:{OFFLINE} ./\n", encoding="utf-8")
    root.run(["useradd", "--create-home", USER])
    for deb in (package, newer):
        shutil.copyfile(deb, root.path / "opt" / deb.name)
    print(f"Installing {package.name} and {len(list(debs.glob('*.deb')))} others without a network ...", flush=True)
    began = time.monotonic()
    script = f"apt-get update -qq && cd /opt && apt-get install -qq -y ./{package.name}"
    root.run(["sh", "-c", script], binds={debs: OFFLINE}, quiet=True)
    megabytes = int(root.run(["dpkg-query", "-W", "-f", "${Installed-Size}", "echogfr"], quiet=True).stdout) / 1024
    took = time.monotonic() - began
    print(f"  package {package.stat().st_size / 1e6:.0f} MB, installed {megabytes:.0f} MB, after {took:.0f} s")


def well_made(package: Path) -> None:
    """See what Debian's own reviewer of packages says."""
    if shutil.which("lintian") is None:
        return print("lintian is not installed here: its review is skipped", flush=True)
    # The review of its own rights is of no interest: the check is run as root.
    done = subprocess.run(["lintian", "--allow-root", str(package)], capture_output=True, text=True, check=False)
    said = [line for line in done.stdout.splitlines() if line[:2] in ("E:", "W:")]
    require(not said, "lintian says " + "; ".join(said))
    print("lintian: no error and no warning", flush=True)


def papers(root: Root) -> None:
    """See that the licences and the list of parts are there, with what is from the system."""
    folder = root.path / "usr/share/doc/echogfr"
    parts = json.loads((folder / "sbom.cdx.json").read_text(encoding="utf-8"))["components"]
    debian = [f"{one['name']} {one['version']}" for one in parts if one.get("purl", "").startswith("pkg:deb/")]
    texts = [path for path in (folder / "licences").rglob("*") if path.is_file()]
    require(bool(debian) and len(texts) > 100 and (folder / "copyright").is_file(), "licences or list of parts miss")
    print(f"  {len(texts)} texts of licences; {len(parts)} parts, of Debian {', '.join(debian)}", flush=True)


def nothing_else(root: Root) -> None:
    """See that no compiler and no Python came with it."""
    search = f"for name in {COMPILERS} {PYTHONS}; do command -v $name || :; done; ls /usr/bin | grep python || :"
    found = root.run(["sh", "-c", search], quiet=True).stdout.split()
    require(not found, f"the root holds {', '.join(found)}")
    print("  no compiler and no Python in the root", flush=True)


def people(root: Root) -> None:
    """Put what a person has made of the app into a home, and import a bundle."""
    for name, text in KEPT.items():
        path = root.path / HOME / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    root.run(["chown", "-R", f"{USER}:", f"/{HOME}"])
    said = root.run(["/usr/libexec/echogfr/import-bundle", SHIPPED], user=USER, quiet=True).stdout
    require("Its self-test passed" in said, f"a bundle could not be imported: {said}")


def desktop_command(root: Root) -> list[str]:
    """Return what the entry of the menu runs."""
    entry = configparser.ConfigParser(interpolation=None)
    entry.read(root.path / "usr/share/applications/echogfr.desktop", encoding="utf-8")
    return [word for word in shlex.split(entry["Desktop Entry"]["Exec"]) if not word.startswith("%")]


def kiosk_command(root: Root) -> list[str]:
    """Return what the unit of the kiosk runs."""
    unit = (root.path / "usr/lib/systemd/user/echogfr-kiosk.service").read_text(encoding="utf-8")
    return shlex.split(next(line for line in unit.splitlines() if line.startswith("ExecStart=")).partition("=")[2])


def shown(root: Root, screen: Screen, argv: list[str], picture: str, ending: str, expected: int) -> None:
    """Start the window on the display until its first reading, take a picture, and close it."""
    (root.path / LOG).unlink(missing_ok=True)
    env = {"DISPLAY": DISPLAY, "XDG_RUNTIME_DIR": "/tmp"}
    whole = root.command(["sh", "-c", WATCHED, "watched", *argv], user=USER, binds={screen.sockets: SOCKETS}, env=env)
    print(f"'{' '.join(argv)}' on a virtual display ...", flush=True)
    with subprocess.Popen(whole, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as child:
        try:
            first = wait_for(lambda: has_read(root, child), 120, "no reading came")
            time.sleep(2)
            megabytes = memory_below(child.pid) / 1e6
            path = screen.picture(picture)
            close(root, screen, ending)
            told = wait_for(lambda: child.poll() is not None, 15, f"it did not close on {ending}")
            said = (child.stdout.read() if child.stdout else "").strip()
        finally:
            child.kill()
    require(child.returncode == expected and not said, f"it ended with {child.returncode} and said '{said}'")
    print(f"  first reading after {first:.1f} s, memory {megabytes:.0f} MB, closed by {ending} after {told:.1f} s")
    print(f"  picture: {path}", flush=True)


def has_read(root: Root, child: subprocess.Popen[str]) -> bool:
    """Tell whether the first number was shown; end where the app ended before."""
    if child.poll() is not None:
        require(False, f"the app ended at once: {child.stdout.read() if child.stdout else ''}")
    log = root.path / LOG
    return log.exists() and "first number shown" in log.read_text(encoding="utf-8")


def close(root: Root, screen: Screen, ending: str) -> None:
    """Close the window as a person does, or as systemd does."""
    if ending.startswith("key "):
        return screen.press(ending.partition(" ")[2])
    program = (root.path / "usr/lib/echogfr/echogfr").stat()
    running = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and runs(entry, program)]
    os.kill(min(running), signal.Signals[ending])


def runs(process: Path, program: os.stat_result) -> bool:
    """Tell whether a process runs that very file."""
    try:
        return os.path.samestat((process / "exe").stat(), program)
    except OSError:
        return False


def lifetime(root: Root, package: Path, newer: Path) -> None:
    """Upgrade, try to go back, and purge; nothing of a person's may change on the way."""
    before = digest(root)
    print("An upgrade while the app runs ...", flush=True)
    said = refused(root, f"runuser -u {USER} -- echogfr run --offscreen-seconds 25 > /tmp/run.txt & sleep 10", newer)
    require(said.count("EchoGFR is not replaced or removed, because it is running") == 1, f"it said {said!r}")
    require("mL/min" in (root.path / "tmp/run.txt").read_text(encoding="utf-8"), "the running app stopped reading")
    print("The upgrade ...", flush=True)
    root.run(["apt-get", "install", "-qq", "-y", f"/opt/{newer.name}"], quiet=True)
    require(number(root).endswith(LATER), f"the version is {number(root)}")
    as_before(root, before)
    print("The way back ...", flush=True)
    said = refused(root, ":", package)
    require(said.count("because an older version may not read what a newer one wrote") == 1, f"it said {said!r}")
    require(number(root).endswith(LATER), f"the version is {number(root)}")
    as_before(root, before)
    print("Purged:", flush=True)
    said = root.run(["apt-get", "purge", "-qq", "-y", "echogfr"], quiet=True).stdout
    print(
        "\n".join(
            line for line in said.splitlines() if "EchoGFR" in line or line.startswith("  /") or "records" in line
        )
    )
    require(
        all(f"/{HOME}/{name}".rpartition("/")[0].split("/echogfr")[0] in said for name in KEPT), "it lists too little"
    )
    require(digest(root) == before, "the purge changed what is a person's")
    require(not left(root), f"it left {', '.join(left(root))}")


def refused(root: Root, first: str, package: Path) -> str:
    """Do something, try to install a package that must be refused, and return what was said."""
    install = f"apt-get install -qq -y --allow-downgrades /opt/{package.name}"
    done = root.run(["sh", "-c", f"{first}; {install}; code=$?; wait; exit $code"], quiet=True, check=False)
    require(done.returncode != 0, f"{package.name} was not refused")
    said = done.stdout + done.stderr
    sentence = next((line for line in said.splitlines() if line.startswith("EchoGFR ")), "")
    print(f"  refused: {sentence}", flush=True)
    return said


def as_before(root: Root, before: str) -> None:
    """See that the app is whole and that nothing of a person's was touched."""
    done = root.run(["echogfr", "version"], user=USER, quiet=True, check=False)
    require(done.returncode == 0 and "EchoGFR" in done.stdout, f"the app does not start: {done.stderr}")
    listed = root.run(["echogfr", "bundle", "list"], user=USER, quiet=True).stdout
    require("synthetic-standin" in listed, f"the imported bundle is gone: {listed}")
    require(digest(root) == before, "what is a person's was changed")
    print("  settings, bundles, engines and records are as they were; the app starts", flush=True)


def number(root: Root) -> str:
    """Return the version that is installed, and whole."""
    return root.run(["dpkg-query", "-W", "-f", "${db:Status-Abbrev}${Version}", "echogfr"], quiet=True).stdout


def digest(root: Root) -> str:
    """Return one hash over all that is a person's, but for the log."""
    whole = hashlib.sha256()
    for path in sorted((root.path / HOME).rglob("*")):
        if path.is_file() and "state" not in path.parts and ".lock" not in path.name:
            whole.update(f"{path}\0".encode() + path.read_bytes())
    return whole.hexdigest()


def left(root: Root) -> list[str]:
    """Return what has the name of the app outside of homes and of what the check itself put there."""
    elsewhere = " -o ".join(f"-path /{name}" for name in ("proc", "home", "opt", "tmp"))
    search = f"find / -xdev \\( {elsewhere} \\) -prune -o -iname '*echogfr*' -print"
    return root.run(["sh", "-c", search], quiet=True).stdout.split()


if __name__ == "__main__":
    sys.exit(main())
