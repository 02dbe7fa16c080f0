"""Installs from a kit as its INSTALL.txt says, in a fresh root without a network; first from kits that were spoilt.

Run: ``python packaging/offline_kit_check.py [KIT]`` (``make kit-check``), as root; without KIT, the newest in dist/.
Ends with 1 where a step did not do what INSTALL.txt promises. GPU_WHEELS in the environment names a folder of wheels of
a GPU add-on, which is then installed, used and removed there, too.
"""

from __future__ import annotations

import hashlib
import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from debian_root import CACHE, Root, fresh, wanted

ROOT = Path(__file__).resolve().parents[1]
STICK = "/media/nurse/MY STICK"
USER = "nurse"
SECONDS = (20, 90)  # as INSTALL.txt has it; then once more, for a computer that is busy with other things
ANSWERS = (("Type yes or no: ", "yes\n"), ("Do you want to continue? [Y/n] ", "y\n"))
REFUSED = "EchoGFR was not installed, because "


def main() -> int:
    """Check a kit; return the exit code."""
    kit = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else newest()
    began = time.monotonic()
    with fresh(wanted()) as root:
        root.run(["useradd", "--create-home", USER])
        before = state_of_apt(root)
        for name, spoil, because in FAULTS:
            refused(root, kit, name, spoil, because)
        installed(root, kit)
        check(state_of_apt(root) == before, "the computer's own list of packages and places is as it was")
        again(root, kit)
        used(root)
        imported(root, kit)
        if os.environ.get("GPU_WHEELS"):
            with_addon(root, Path(os.environ["GPU_WHEELS"]).resolve())
    image = kit.with_name(f"{kit.name}.iso")
    if image.is_file():
        read_back(image, kit)
    print(f"All of {kit.name} is as INSTALL.txt says, after {time.monotonic() - began:.0f} s.")
    return 0


def newest() -> Path:
    """Return the kit that was made last."""
    kits = sorted((ROOT / "dist").glob("echogfr-kit-*/"), key=lambda path: path.stat().st_mtime)
    if not kits:
        sys.exit("No kit can be checked, because there is none in dist/: make one with `make kit`, or name its folder.")
    return kits[-1].resolve()


def check(good: bool, what: str) -> None:
    """Say what was seen; what is not so ends the program."""
    print(f"  {'yes' if good else 'NO '}  {what}", flush=True)
    if not good:
        sys.exit(1)


def state_of_apt(root: Root) -> str:
    """Return a hash of what apt knows of the world: its settings, its sources, and the lists that it fetched."""
    told = hashlib.sha256()
    for place in ("etc/apt", "var/lib/apt/lists"):
        for path in sorted((root.path / place).rglob("*")):
            told.update(str(path).encode() + (path.read_bytes() if path.is_file() else b""))
    return told.hexdigest()


def unsigned(kit: Path) -> bool:
    """Tell whether nobody signed the kit."""
    return not (kit / "SHA256SUMS.sig").exists()


def signer(kit: Path) -> str:
    """Return the fingerprint that the kit's own key has."""
    told = subprocess.run(
        ["gpg", "--with-colons", "--show-keys", kit / "keys" / "kit-signing-key.gpg"], capture_output=True, check=True
    ).stdout.decode()
    found = re.search(r"^fpr:+([0-9A-F]{40,}):", told, re.MULTILINE)
    return found[1] if found else ""


# What can have happened to a kit on its way. Each is given a copy to spoil, and the root.
def changed_package(copy: Path, root: Root) -> None:
    """Change one bit of the program."""
    path = sorted((copy / "repository").glob("echogfr_*.deb"))[0]
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    rewritten(path, bytes(raw))


def lost_package(copy: Path, root: Root) -> None:
    """Lose a dependency."""
    sorted((copy / "repository").glob("lib*.deb"))[0].unlink()


def changed_sums(copy: Path, root: Root) -> None:
    """Change a digit of the checksums."""
    path = copy / "SHA256SUMS"
    rewritten(path, path.read_bytes().replace(b"0", b"1", 1))


def lost_signature(copy: Path, root: Root) -> None:
    """Lose the signature."""
    (copy / "SHA256SUMS.sig").unlink()


def signed_by_another(copy: Path, root: Root) -> None:
    """Sign the checksums anew, by a key that is not in the kit."""
    with stranger() as gpg:
        gpg("--output", str(copy / "new.sig"), "--detach-sign", str(copy / "SHA256SUMS"))
        rewritten(copy / "SHA256SUMS.sig", (copy / "new.sig").read_bytes())


def key_of_another(copy: Path, root: Root) -> None:
    """Make the key and the signature anew, as somebody else could: only the fingerprint tells."""
    with stranger() as gpg:
        gpg("--output", str(copy / "new.gpg"), "--export")
        rewritten(copy / "keys" / "kit-signing-key.gpg", (copy / "new.gpg").read_bytes())
        gpg("--output", str(copy / "new.sig"), "--detach-sign", str(copy / "SHA256SUMS"))
        rewritten(copy / "SHA256SUMS.sig", (copy / "new.sig").read_bytes())


def another_release(copy: Path, root: Root) -> None:
    """Make another computer of it; the kit is good."""
    path = root.path / "usr" / "lib" / "os-release"
    path.write_text(re.sub(r"(?m)^(VERSION_CODENAME)=.*$", r"\1=otherland", path.read_text(encoding="utf-8")))


FAULTS: tuple[tuple[str, Callable[[Path, Root], None], str], ...] = (
    ("a package was changed", changed_package, "is not the file that was put into the kit: copy the kit again"),
    ("a package is missing", lost_package, "is missing from the kit: copy the kit again"),
    ("the checksums were changed", changed_sums, "SHA256SUMS was changed after it was signed"),
    ("the signature is missing", lost_signature, "SHA256SUMS.sig is missing from the kit"),
    ("another key signed it", signed_by_another, "was signed by another key than the one that lies in it"),
    ("another made all of it", key_of_another, "and not by "),
    ("the computer runs another release", another_release, "and this computer runs otherland: get the kit for it"),
)


@contextmanager
def stranger() -> Iterator[Callable[..., None]]:
    """Give gpg with a new key that nobody knows."""
    with tempfile.TemporaryDirectory() as home:

        def gpg(*arguments: str) -> None:
            subprocess.run(
                ["gpg", "--homedir", home, "--batch", "--yes", "--quiet", "--passphrase", "", *arguments],
                check=True,
                capture_output=True,
            )

        gpg("--quick-generate-key", "stranger", "ed25519", "sign", "never")
        try:
            yield gpg
        finally:
            subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], capture_output=True, check=False)


def rewritten(path: Path, data: bytes) -> None:
    """Replace a file of a copy, which is one with the kit's own until then."""
    path.unlink()
    path.write_bytes(data)


def refused(root: Root, kit: Path, name: str, spoil: Callable[[Path, Root], None], because: str) -> None:
    """Spoil a copy and see that it is refused in one sentence, with nothing installed."""
    release = root.path / "usr" / "lib" / "os-release"
    before = release.read_text(encoding="utf-8")
    place = Path(tempfile.mkdtemp(prefix="kit-", dir=CACHE))
    try:
        copy = place / kit.name
        shutil.copytree(kit, copy, copy_function=os.link)
        if unsigned(kit) and name not in ("a package was changed", "a package is missing"):
            return
        spoil(copy, root)
        who = ["--unsigned"] if unsigned(kit) else ["--signer", signer(kit)]
        done = root.run(
            ["sh", f"{STICK}/{kit.name}/install.sh", "--yes", *who], binds={place: STICK}, quiet=True, check=False
        )
    finally:
        shutil.rmtree(place)
        release.write_text(before, encoding="utf-8")
    good = done.returncode == 1 and done.stderr.startswith(REFUSED) and done.stderr.count("\n") == 1
    check(good and because in done.stderr and not is_installed(root), f"{name}: {done.stderr.strip()}")


def is_installed(root: Root) -> bool:
    """Tell whether dpkg has the program."""
    return root.run(["dpkg-query", "-W", "echogfr"], quiet=True, check=False).returncode == 0


def installed(root: Root, kit: Path) -> None:
    """Do steps 1 to 3 word for word, at a terminal, as root."""
    text = (kit / "INSTALL.txt").read_text(encoding="utf-8")
    lines = [line.strip() for line in text.splitlines() if line.startswith("       ")]
    steps = [line for line in lines if "install.sh" in line]
    check(len(steps) == 2, f"INSTALL.txt has the steps: {'; '.join(steps)}")
    typed = " && ".join(["cd '" + f"{STICK}/{kit.name}'", *(step.removeprefix("sudo ") for step in steps)])
    began = time.monotonic()
    code, said = at_terminal(root.command(["sh", "-c", typed], binds={kit.parent: STICK}))
    print("".join(f"      {line}\n" for line in said.splitlines()[-12:]), end="")
    check(code == 0 and is_installed(root), f"installed, without a network, after {time.monotonic() - began:.0f} s")


def at_terminal(command: list[str]) -> tuple[int, str]:
    """Run a command at a terminal and answer what it asks; return its exit code and what it said."""
    here, there = pty.openpty()
    said, asked = "", 0
    with subprocess.Popen(command, stdin=there, stdout=there, stderr=there, close_fds=True) as child:
        os.close(there)
        while True:
            try:
                chunk = os.read(here, 4096)
            except OSError:  # the other end was closed: the command has ended
                break
            if not chunk:
                break
            said += chunk.decode(errors="replace")
            for question, answer in ANSWERS:
                if said[asked:].endswith(question):
                    asked = len(said)
                    os.write(here, answer.encode())
        os.close(here)
        return child.wait(), said


def again(root: Root, kit: Path) -> None:
    """Install a second time, where there is nothing to do."""
    who = ["--unsigned"] if unsigned(kit) else ["--signer", signer(kit)]
    done = root.run(
        ["sh", f"{STICK}/{kit.name}/install.sh", "--yes", *who], binds={kit.parent: STICK}, quiet=True, check=False
    )
    check(done.returncode == 0, "a second install changes nothing and fails at nothing")


def used(root: Root) -> None:
    """Do steps 4 and 5 as the person who will use it."""
    done = root.run(["echogfr", "doctor"], user=USER, quiet=True, check=False)
    print("".join(f"      {line}\n" for line in done.stdout.splitlines()), end="")
    check(done.returncode == 0, "echogfr doctor finds all that is needed")
    for seconds in SECONDS:
        began = time.monotonic()
        typed = f"cd && echogfr run --offscreen-seconds {seconds}"
        done = root.run(["sh", "-c", typed], user=USER, quiet=True, check=False)
        said = (done.stdout + done.stderr).strip()
        first = next((line.strip() for line in said.splitlines() if "mL/min" in line), "")
        if first:
            break
        print(f"      echogfr run: no number within {seconds} s: {said.splitlines()[-1] if said else 'nothing said'}")
    told = first or said
    check(done.returncode == 0 and bool(first), f"echogfr run, after {time.monotonic() - began:.0f} s: {told}")


def imported(root: Root, kit: Path) -> None:
    """Do step 6, where the kit has keys or models."""
    text = (kit / "INSTALL.txt").read_text(encoding="utf-8")
    for line in re.findall(r"(?m)^ {7}(echogfr (?:trust|bundle) .*)$", text):
        typed = f"cd '{STICK}/{kit.name}' && {line}"
        done = root.run(["sh", "-c", typed], user=USER, binds={kit.parent: STICK}, quiet=True, check=False)
        check(done.returncode == 0, f"{line}: {(done.stdout + done.stderr).strip()}")


def with_addon(root: Root, wheels: Path) -> None:
    """Install the GPU add-on for everybody, see that a person's doctor finds it, and take it away."""
    began = time.monotonic()
    done = root.run(
        ["echogfr", "doctor", "--install-gpu", "/wheels"], binds={wheels: "/wheels"}, quiet=True, check=False
    )
    said = next((line for line in done.stdout.splitlines() if line.startswith("GPU add-on installed")), done.stderr)
    check(done.returncode == 0, f"root, after {time.monotonic() - began:.0f} s with the check: {said.strip()}")
    told = root.run(["echogfr", "version"], user=USER, quiet=True).stdout
    for name in ("tensorrt-rtx", "onnxruntime-cuda"):
        print("".join(f"      {line}\n" for line in told.splitlines() if line.startswith(f"runtime {name}:")), end="")
    found = root.run(["echogfr", "doctor"], user=USER, quiet=True, check=False).stdout
    check("/var/lib/echogfr/gpu" in "".join(found.split()), "a person's doctor finds the add-on of everybody")
    built_ahead(root, told)
    done = root.run(["echogfr", "doctor", "--remove-gpu"], user=USER, quiet=True, check=False)
    check(done.returncode == 2, f"a person does not remove it: {done.stderr.strip()}")
    done = root.run(["echogfr", "doctor", "--remove-gpu"], quiet=True, check=False)
    left = sorted((root.path / "var/lib/echogfr/gpu").glob("slot-*"))
    check(done.returncode == 0 and not left, "root does")


def built_ahead(root: Root, told: str) -> None:
    """Build an engine ahead of time, where the add-on has what does it without a GPU: NVIDIA's library really runs."""
    if "runtime tensorrt-rtx: absent, the TensorRT for RTX library is not installed" in told:
        return
    bundle = next((root.path / "usr/lib/echogfr").rglob("synthetic-standin/manifest.json")).parent
    inside = f"/{bundle.relative_to(root.path)}"
    typed = ["echogfr-convert", "build", inside, "--runtime", "tensorrt-rtx", "--compute-capability", "8.6"]
    done = root.run(typed, user=USER, quiet=True, check=False)
    line = next((line for line in done.stdout.splitlines() if line.startswith("Built in")), done.stderr.strip())
    check(done.returncode == 0, f"{' '.join(typed[:2])}: {line}")


def read_back(image: Path, kit: Path) -> None:
    """See that the disc holds what the folder holds."""
    with tempfile.TemporaryDirectory(dir=CACHE) as place:
        command = ["xorriso", "-osirrox", "on", "-indev", image, "-extract", f"/{kit.name}", f"{place}/kit"]
        subprocess.run(command, capture_output=True, check=True)
        done = subprocess.run(
            ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=f"{place}/kit", check=False
        )
        subprocess.run(["chmod", "-R", "u+w", place], check=True)
    check(done.returncode == 0, f"{image.name} holds the same files, {image.stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    sys.exit(main())
