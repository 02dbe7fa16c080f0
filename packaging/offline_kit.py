"""Makes dist/echogfr-kit-VERSION/: all that a clinic without internet needs, signed, for one Debian or Ubuntu.

    python packaging/offline_kit.py (--key ID | --key-file FILE | --unsigned) [--deb FILE] [--bundle FILE]...
                                    [--public-key FILE]... [--iso]

The dependencies are resolved and fetched by apt in a clean root (packaging/debian_root.py, which has the variables that
say which), as for a computer on which nothing at all is installed; nothing of this machine is in the kit. Signing is
done by gpg with the key that is named: none is ever made here. A key file's passphrase is read from
ECHOGFR_KIT_PASSPHRASE, or asked for by gpg.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "packaging" / "kit"
DIST = ROOT / "dist"
PASSPHRASE = "ECHOGFR_KIT_PASSPHRASE"
TOOLS = {"gpg": "gnupg", "gpgv": "gpgv", "apt-ftparchive": "apt-utils", "dpkg-deb": "dpkg"}
RESOLVE = """
set -eu
apt-get -qq update
: > /tmp/nothing-installed
mkdir -p /tmp/debs/partial
apt-get -qq -y -o Dir::State::status=/tmp/nothing-installed -o Dir::Cache::archives=/tmp/debs \\
    -o APT::Install-Recommends=false -o APT::Sandbox::User=root --download-only install /package.deb
rm -rf /tmp/debs/partial /tmp/debs/lock
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """What goes into a kit. ``debs``: the dependencies; ``signer``: who signs it, None: nobody."""

    deb: Path
    debs: tuple[Path, ...]
    suite: str
    bundles: tuple[Path, ...] = ()
    public_keys: tuple[Path, ...] = ()
    signer: Signer | None = None


@dataclass(frozen=True, slots=True)
class Signer:
    """A key of gpg: its name, and the options that find it."""

    key: str
    options: tuple[str, ...] = ()

    def gpg(self, *arguments: str | Path) -> bytes:
        """Run gpg and return what it writes; ends the program with its message where it fails."""
        secret = os.environ.get(PASSPHRASE)
        unlock = ["--pinentry-mode", "loopback", "--passphrase-fd", "0"] if secret else []
        whole = ["gpg", "--batch", "--yes", "--quiet", *unlock, *self.options, *map(str, arguments)]
        done = subprocess.run(whole, input=(secret or "").encode(), capture_output=True, check=False)
        if done.returncode:
            end("The kit cannot be signed", f"gpg says: {said(done.stderr)}", "name a key that can sign with --key")
        return done.stdout

    def sign(self, how: str, source: Path, target: Path) -> None:
        """Sign a file: ``--detach-sign`` beside it, or ``--clearsign`` around it."""
        self.gpg("--local-user", self.key, "--digest-algo", "SHA512", "--output", target, how, source)

    def public(self) -> bytes:
        """Return the public key as a keyring for gpgv."""
        key = self.gpg("--export-options", "export-minimal", "--export", self.key)
        if not key:
            end("The kit cannot be signed", f"gpg has no key {self.key}", "name one that it has with --key")
        return key


def end(what: str, because: str, cure: str) -> None:
    """End the program with one sentence."""
    sys.exit(f"{what}, because {because}: {cure}.")


def said(message: bytes) -> str:
    """Return the last line of a message, without a full stop."""
    lines = message.decode(errors="replace").strip().splitlines()
    return lines[-1].rstrip(".") if lines else "nothing"


def main() -> int:
    """Make a kit as asked; return the exit code."""
    asked = arguments()
    require_tools(asked.iso)
    deb = asked.deb or newest()
    for path in (deb, *asked.bundle, *asked.public_key):
        if not path.is_file():
            end("The kit cannot be made", f"{path} is not a file", "name one that is there")
    with signing(asked.key, asked.key_file) as signer, tempfile.TemporaryDirectory() as place:
        from debian_root import wanted

        debs = resolve(deb, Path(place) / "debs")
        plan = Plan(deb, debs, wanted().suite, tuple(asked.bundle), tuple(asked.public_key), signer)
        folder = assemble(plan, DIST)
    told = f"{folder}: {sum(path.stat().st_size for path in files(folder)) / 1e6:.0f} MB, {len(debs) + 1} packages"
    print(told + (", UNSIGNED" if signer is None else ""))
    if asked.iso:
        print(write_iso(folder))
    return 0


def arguments() -> argparse.Namespace:
    """Read the command line and the environment."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deb", type=Path, metavar="FILE", help="the package; without it, the newest in dist/")
    parser.add_argument("--bundle", type=Path, metavar="FILE", action="append", default=[], help="packed, and signed")
    parser.add_argument("--public-key", type=Path, metavar="FILE", action="append", default=[], help="of a bundle")
    parser.add_argument("--iso", action="store_true", help="also write an image for a disc")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--key", metavar="ID", default=os.environ.get("KIT_KEY"), help="a key of gpg, or KIT_KEY")
    how.add_argument("--key-file", type=Path, metavar="FILE", default=os.environ.get("KIT_KEY_FILE"))
    how.add_argument("--unsigned", action="store_true", help="the kit will say so, and so will its installer")
    asked = parser.parse_args()
    if not (asked.key or asked.key_file or asked.unsigned):
        end(
            "The kit cannot be made", "nobody signs it", "give --key ID or --key-file FILE, or --unsigned if it must be"
        )
    if asked.unsigned:
        asked.key = asked.key_file = None
    return asked


def require_tools(iso: bool) -> None:
    """End with one sentence where a tool is missing."""
    wanted = {**TOOLS, **({"xorriso": "xorriso"} if iso else {})}
    missing = sorted({package for tool, package in wanted.items() if shutil.which(tool) is None})
    if missing:
        end("The kit cannot be made", f"{' and '.join(missing)} are missing", f"apt-get install {' '.join(missing)}")


def newest() -> Path:
    """Return the package that was built last."""
    built = sorted(DIST.glob("echogfr_*.deb"), key=lambda path: path.stat().st_mtime)
    if not built:
        end("The kit cannot be made", "there is no package in dist/", "build it with `make deb`, or give --deb FILE")
    return built[-1]


@contextmanager
def signing(key: str | None, key_file: Path | None) -> Iterator[Signer | None]:
    """Give who signs; a key of a file is known to gpg only as long as the block lasts."""
    if key_file is None:
        yield Signer(key) if key else None
        return
    with tempfile.TemporaryDirectory() as home:
        try:
            yield Signer(imported(Path(key_file), home), ("--homedir", home))
        finally:
            subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], capture_output=True, check=False)


def imported(key_file: Path, home: str) -> str:
    """Import a secret key; return its fingerprint."""
    done = subprocess.run(
        ["gpg", "--homedir", home, "--batch", "--quiet", "--status-fd", "1", "--import", key_file],
        capture_output=True,
        check=False,
    )
    found = re.search(rb"IMPORT_OK 1[67] ([0-9A-F]{40,})", done.stdout)
    if found is None:
        end("The kit cannot be signed", f"{key_file} holds no secret key", "name the file of one")
        raise AssertionError
    return found[1].decode()


def resolve(deb: Path, target: Path) -> tuple[Path, ...]:
    """Fetch all that the package depends on, as for a system without a single package; return the files."""
    from debian_root import fresh, wanted

    target.mkdir(parents=True)
    print("Resolving and fetching the dependencies in a clean root ...", flush=True)
    with fresh(wanted()) as root:
        shutil.copyfile(deb, root.path / "package.deb")
        root.run(["sh", "-c", RESOLVE], network=True, binds={target: "/tmp/debs"}, quiet=True)
    return tuple(sorted(target.glob("*.deb")))


def field(deb: Path, name: str) -> str:
    """Return a field of a package."""
    done = subprocess.run(["dpkg-deb", "-f", deb, name], capture_output=True, text=True, check=False)
    if done.returncode:
        end(f"{deb} cannot be used", "it is no Debian package", "build it with `make deb`")
    return done.stdout.strip()


def assemble(plan: Plan, where: Path) -> Path:
    """Lay out the kit beside its place and put it there when it is whole; return its folder."""
    version = field(plan.deb, "Version")
    folder = where / f"echogfr-kit-{version}"
    where.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=where))
    try:
        draft.chmod(0o755)
        lay_out(plan, draft, folder.name, version)
        shutil.rmtree(folder, ignore_errors=True)
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def lay_out(plan: Plan, draft: Path, name: str, version: str) -> None:
    """Write every file of the kit; the checksums come last, and their signature after them."""
    for source, place in (
        (plan.bundles, "bundles"),
        (plan.public_keys, "keys"),
        ((plan.deb, *plan.debs), "repository"),
    ):
        for path in source:
            (draft / place).mkdir(exist_ok=True)
            shutil.copyfile(path, draft / place / path.name.replace("%3a", ":").replace(":", "_"))
    index(plan, draft / "repository")
    (draft / "PACKAGES.txt").write_text(packages((draft / "repository" / "Packages").read_text()), encoding="utf-8")
    by = None
    if plan.signer is not None:
        (draft / "keys").mkdir(exist_ok=True)
        (draft / "keys" / "kit-signing-key.gpg").write_bytes(plan.signer.public())
        by = fingerprint(plan.signer)
    words = wording(plan, name, version, by)
    for text in ("INSTALL.txt", "install.sh"):
        (draft / text).write_text(filled((FOLDER / text).read_text(encoding="utf-8"), words), encoding="utf-8")
    (draft / "install.sh").chmod(0o755)
    lines = [f"{digest(path)}  {path.relative_to(draft)}\n" for path in files(draft)]
    (draft / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")
    if plan.signer is not None:
        plan.signer.sign("--detach-sign", draft / "SHA256SUMS", draft / "SHA256SUMS.sig")


def index(plan: Plan, repository: Path) -> None:
    """Make the folder what apt reads packages from."""
    (repository / "Packages").write_bytes(ftparchive(repository, "packages", "."))
    architecture = field(plan.deb, "Architecture")
    labels = {"Origin": "EchoGFR", "Label": "EchoGFR offline kit", "Codename": plan.suite, "Suite": plan.suite}
    labels |= {"Architectures": f"{architecture} all", "Description": "EchoGFR and all that it depends on"}
    options = [word for label, text in labels.items() for word in ("-o", f"APT::FTPArchive::Release::{label}={text}")]
    (repository / "Release").write_bytes(ftparchive(repository, *options, "release", "."))
    if plan.signer is not None:
        plan.signer.sign("--clearsign", repository / "Release", repository / "InRelease")


def ftparchive(folder: Path, *arguments: str) -> bytes:
    """Run apt-ftparchive in a folder; return what it writes."""
    whole = ["apt-ftparchive", "-o", "APT::FTPArchive::AlwaysStat=false", *arguments]
    done = subprocess.run(whole, cwd=folder, capture_output=True, check=False)
    if done.returncode:
        end("The kit cannot be made", f"apt-ftparchive says: {said(done.stderr)}", "see what it is given")
    return done.stdout


def packages(index_text: str) -> str:
    """Return a list of the packages that a person can read: name, version, and the source that it was built from."""
    rows = []
    for entry in index_text.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in entry.splitlines() if ": " in line and line[0] != " ")
        source = fields.get("Source", fields["Package"])
        rows.append(f"{fields['Package']} {fields['Version']} from {source}\n")
    head = "Packages of this kit. Debian and Ubuntu keep the sources of theirs; EchoGFR's are with its maker.\n\n"
    return head + "".join(sorted(rows))


def fingerprint(signer: Signer) -> str:
    """Return the fingerprint of a key, as gpgv will tell it."""
    told = signer.gpg("--with-colons", "--list-keys", signer.key).decode()
    found = re.search(r"^fpr:+([0-9A-F]{40,}):", told, re.MULTILINE)
    return found[1] if found else ""


def wording(plan: Plan, name: str, version: str, by: str | None) -> dict[str, str]:
    """Return what stands in the texts of this kit in place of ``@NAME@``."""
    return {
        "VERSION": version,
        "SUITE": plan.suite,
        "ARCHITECTURE": field(plan.deb, "Architecture"),
        "SIGNED": "no" if by is None else "yes",
        "KIT": name,
        "SIGNATURE": UNSIGNED
        if by is None
        else SIGNED.format(" ".join(by[at : at + 4] for at in range(0, len(by), 4))),
        "SIGNATURE_FILE": "" if by is None else "    SHA256SUMS.sig  its signature",
        "CHECK_OPTION": " --unsigned" if by is None else "",
        "INSTALL_OPTION": " --unsigned" if by is None else "",
        "BUNDLES": import_lines(plan),
    }


UNSIGNED = """\
THIS KIT IS UNSIGNED. Nobody stands for it: only its checksums can be
verified, and whoever changed a file could have changed them, too. Use it only
if you know where it was made and how it came to you."""
SIGNED = """\
The kit is signed. The fingerprint of the key must be

    {}

Do not believe it because it stands here: compare it with what the maker of
the kit gave you another way, on paper or by telephone. install.sh is part of
the kit, too; to trust nothing of it, type this first, with the maker's key
from elsewhere as KEY.gpg:

    gpgv --keyring ./KEY.gpg SHA256SUMS.sig SHA256SUMS
    sha256sum --check --quiet SHA256SUMS"""


def import_lines(plan: Plan) -> str:
    """Return the step in which keys and bundles of the kit are taken over."""
    if not (plan.bundles or plan.public_keys):
        return ""
    trusted = [f'       echogfr trust add "keys/{path.name}"' for path in plan.public_keys]
    taken = [f'       echogfr bundle import "bundles/{path.name}"' for path in plan.bundles]
    head = [
        "",
        "6. As the person who will use it, in the folder of the kit, say whose models",
        "   you trust, and take over those that are here:",
        "",
    ]
    return "\n".join([*head, *trusted, *taken, ""])


def filled(text: str, words: dict[str, str]) -> str:
    """Return a text with its words; one that is not known is a fault of ours."""
    return re.sub(r"@([A-Z_]+)@", lambda found: words[found[1]], text)


def files(folder: Path) -> list[Path]:
    """Return every file below, in order."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    told = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            told.update(chunk)
    return told.hexdigest()


def write_iso(folder: Path) -> Path:
    """Write the kit as an image for a disc; return its path."""
    image = folder.with_name(f"{folder.name}.iso")
    draft = image.with_suffix(".part")
    names = ["-R", "-J", "-joliet-long", "-V", "ECHOGFR_KIT", "-graft-points", f"{folder.name}={folder}"]
    command = ["xorriso", "-as", "mkisofs", "-quiet", "-o", str(draft), *names]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        draft.unlink(missing_ok=True)
        end("The image cannot be written", f"xorriso says: {said(done.stderr)}", "make room, or copy the folder")
    draft.replace(image)
    return image


if __name__ == "__main__":
    sys.exit(main())
