"""A clean Debian or Ubuntu root, in which the package is built, installed and looked at: nothing of this machine's.

    python packaging/debian_root.py base [PACKAGE ...]                  make and cache a minimal root; print its archive
    python packaging/debian_root.py unpack FOLDER [PACKAGE ...]         a fresh copy of it
    python packaging/debian_root.py run FOLDER [--network] [--user NAME] [--bind HERE:THERE] -- COMMAND ...
    python packaging/debian_root.py remove FOLDER

From the environment: SUITE (this machine's release), MIRROR (where this machine's apt gets that suite), COMPONENTS
(main; an Ubuntu root needs "main universe") and KEYRING (this machine's). Needs root, mmdebstrap and Linux.

A command runs in namespaces of its own: its /proc and whatever it left running are gone with it, however it ends, and
nothing of it is ever mounted where others could copy or delete it. Without ``network`` there is loopback and no more.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CACHE = Path(__file__).resolve().parents[1] / ".cache" / "debian"
OLD_S = 14 * 86400
PASSED_ON = ("http_proxy", "https_proxy", "no_proxy", "PIP_CERT", "PIP_INDEX_URL", "PIP_DEFAULT_TIMEOUT")
OF_THE_NETWORK = ("/etc/resolv.conf", "/etc/hosts", "/etc/ssl/certs/ca-certificates.crt")
MMDEBSTRAP = ("mmdebstrap", "--quiet", "--variant=minbase", "--mode=root")
BARE = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
# $1 the root, $2 its user, then pairs "-b HERE THERE", then "--" and the command. Mounts are seen by this shell alone.
ENTER = """
set -eu
root=$1 user=$2; shift 2
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 pts "$root/dev/pts"
while [ "$1" = -b ]; do
    if [ -d "$2" ]; then mkdir -p "$root$3"; else mkdir -p "$(dirname "$root$3")"; [ -e "$root$3" ] || : > "$root$3"; fi
    mount --bind "$2" "$root$3"; shift 3
done
shift
ip link set lo up 2>/dev/null || :
[ "$user" = root ] || set -- runuser -u "$user" -- "$@"
exec chroot "$root" "$@"
"""


@dataclass(frozen=True, slots=True)
class Kind:
    """Which root: the suite, the lines of apt it is made from, and what it holds beyond the minimum."""

    suite: str
    lines: tuple[str, ...]
    packages: tuple[str, ...] = ()
    keyring: str | None = None

    @property
    def archive(self) -> Path:
        """Where it is cached."""
        told = "\n".join((*self.lines, *sorted(self.packages)))
        return CACHE / f"{self.suite}-{platform.machine()}-{hashlib.sha256(told.encode()).hexdigest()[:10]}.tar"


@dataclass(frozen=True, slots=True)
class Root:
    """A folder that holds a system."""

    path: Path

    def command(
        self,
        argv: Sequence[str],
        *,
        network: bool = False,
        user: str = "root",
        binds: Mapping[Path, str] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> list[str]:
        """Return the command line that runs ``argv`` in here; ``binds``: folders or files of outside, and their place.

        It is ended, with all that it started, when the process that it is given to is killed.
        """
        own = {**BARE, "HOME": "/root" if user == "root" else f"/home/{user}", **(env or {})}
        bound = {str(here): there for here, there in (binds or {}).items()}
        if network:
            own |= {name: os.environ[name] for name in PASSED_ON if name in os.environ}
            bound |= {name: name for name in OF_THE_NETWORK if Path(name).exists()}
        spaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--uts", "--ipc"]
        mounts = [word for here, there in bound.items() for word in ("-b", here, there)]
        inside = ["env", "-i", *(f"{name}={value}" for name, value in own.items()), *argv]
        offline = [] if network else ["--net"]
        return [*spaces, *offline, "--", "sh", "-c", ENTER, "enter", str(self.path), user, *mounts, "--", *inside]

    def run(
        self,
        argv: Sequence[str],
        *,
        network: bool = False,
        user: str = "root",
        binds: Mapping[Path, str] | None = None,
        env: Mapping[str, str] | None = None,
        quiet: bool = False,
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in here; ``quiet``: keep what it says. With ``check``, a failure ends the program."""
        whole = self.command(argv, network=network, user=user, binds=binds, env=env)
        streams = subprocess.PIPE if quiet else None
        done = subprocess.run(whole, stdout=streams, stderr=streams, text=True, check=False)
        if check and done.returncode:
            said = "".join(part or "" for part in (done.stdout, done.stderr))
            sys.exit(f"{said}'{' '.join(argv)[:300]}' failed in the root with exit code {done.returncode}.")
        return done


def wanted(packages: Sequence[str] = ()) -> Kind:
    """Return the kind of root that the environment asks for."""
    suite = os.environ.get("SUITE") or release()
    components = (os.environ.get("COMPONENTS") or "main").split()
    mirror = os.environ.get("MIRROR")
    lines = [f"deb {mirror} {suite} {' '.join(components)}"] if mirror else lines_of_apt(suite, components)
    if not lines:
        sys.exit(f"No {suite} root can be made, because this machine's apt does not know that suite: give its MIRROR.")
    return Kind(suite, tuple(lines), tuple(packages), os.environ.get("KEYRING"))


def release() -> str:
    """Return the codename of this machine's release."""
    return platform.freedesktop_os_release().get("VERSION_CODENAME", "")


def lines_of_apt(suite: str, components: Sequence[str]) -> list[str]:
    """Return where this machine's apt gets a suite, its updates and its security fixes."""
    form = "$(ORIGIN)|$(REPO_URI)|$(CODENAME)|$(COMPONENT)"
    told = subprocess.run(
        ["apt-get", "indextargets", "--format", form, "Created-By: Packages"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    found = [line.split("|") for line in told.splitlines()]
    return list(
        dict.fromkeys(
            f"deb {uri} {codename} {component}"
            for origin, uri, codename, component in found
            if origin in ("Debian", "Ubuntu") and component in components
            if codename == suite or codename in (f"{suite}-updates", f"{suite}-security")
        )
    )


def base(kind: Kind) -> Path:
    """Return the archive of a minimal root with those packages; it is made where it is not cached (half a minute)."""
    archive = kind.archive
    if archive.exists():
        if time.time() - archive.stat().st_mtime > OLD_S:
            print(f"The cached {archive.name} is older than two weeks: delete it to have newer packages.", flush=True)
        return archive
    require_tools()
    print(f"Making a {kind.suite} root with {len(kind.packages)} packages beyond the minimum ...", flush=True)
    CACHE.mkdir(parents=True, exist_ok=True)
    draft = archive.with_suffix(f".{os.getpid()}.part.tar")
    keyring = [f"--keyring={kind.keyring}"] if kind.keyring else []
    include = [f"--include={','.join(kind.packages)}"] if kind.packages else []
    try:
        done = subprocess.run([*MMDEBSTRAP, *keyring, *include, kind.suite, str(draft), *kind.lines], check=False)
        if done.returncode:
            sys.exit(f"The {kind.suite} root cannot be made, because mmdebstrap failed: see its message above.")
        draft.replace(archive)
    finally:
        draft.unlink(missing_ok=True)
    return archive


def require_tools() -> None:
    """End with one sentence where roots cannot be made here."""
    missing = [tool for tool in ("mmdebstrap", "unshare", "chroot", "apt-get") if shutil.which(tool) is None]
    if missing:
        sys.exit(f"No root can be made here, because {', '.join(missing)} is missing: apt-get install mmdebstrap.")
    if os.geteuid():
        sys.exit("No root can be made here, because that needs the rights of root: run it with sudo.")


def end_in_order() -> None:
    """Let SIGTERM end this program as an error would: its roots are deleted, and what runs in them is ended."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))


def unpack(archive: Path, folder: Path) -> Root:
    """Return a fresh root in a folder that does not exist yet."""
    require_tools()
    folder.mkdir(parents=True, mode=0o755)
    folder.chmod(0o755)  # it becomes /, which everybody enters
    done = subprocess.run(["tar", "-C", str(folder), "--numeric-owner", "--xattrs", "-xpf", str(archive)], check=False)
    if done.returncode:
        sys.exit(f"{archive} cannot be unpacked to {folder}, because tar failed: see its message above.")
    return Root(folder)


def remove(folder: Path) -> None:
    """Delete a root, but never through something that is mounted in it."""
    inside = f"{folder.resolve()}/"
    mounted = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()]
    within = [place for place in mounted if place.startswith(inside)]
    if within:
        sys.exit(f"{folder} is not deleted, because {within[0]} is mounted in it: unmount that first.")
    shutil.rmtree(folder)


@contextmanager
def fresh(kind: Kind) -> Iterator[Root]:
    """Give a root that is gone afterwards, however that comes."""
    archive = base(kind)
    place = Path(tempfile.mkdtemp(prefix="root-", dir=CACHE))
    try:
        yield unpack(archive, place / "root")
    finally:
        remove(place)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("base").add_argument("packages", nargs="*")
    for verb in ("unpack", "run", "remove"):
        verbs.add_parser(verb).add_argument("folder", type=Path)
    verbs.choices["unpack"].add_argument("packages", nargs="*")
    run = verbs.choices["run"]
    run.add_argument("--network", action="store_true")
    run.add_argument("--user", default="root")
    run.add_argument("--bind", action="append", default=[], metavar="HERE:THERE")
    run.add_argument("argv", nargs="+")
    asked = parser.parse_args()
    if asked.verb == "base":
        print(base(wanted(asked.packages)))
    elif asked.verb == "unpack":
        unpack(base(wanted(asked.packages)), asked.folder)
    elif asked.verb == "remove":
        remove(asked.folder)
    else:
        pairs = [pair.rpartition(":") for pair in asked.bind]
        binds = {Path(here).resolve(): there for here, _, there in pairs}
        done = Root(asked.folder.resolve()).run(
            asked.argv, network=asked.network, user=asked.user, binds=binds, check=False
        )
        sys.exit(done.returncode)


if __name__ == "__main__":
    main()
