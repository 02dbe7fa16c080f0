"""The offline kit: what is in it, and what its installer refuses before it touches anything.

Made here of small packages and a key of the test's own; `make kit-check` installs a real one in a clean root.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.install.scripts import script

NEEDED = ("gpg", "gpgv", "dpkg-deb", "apt-ftparchive", "apt-get", "sh")
missing = [tool for tool in NEEDED if shutil.which(tool) is None]
pytestmark = pytest.mark.skipif(bool(missing), reason=f"a kit is made with {', '.join(missing)}, which is not here")


def here() -> tuple[str, str]:
    """This machine as a kit names it: release and architecture."""
    names = re.findall(r"(?m)^VERSION_CODENAME=(.*)$", Path("/etc/os-release").read_text())
    architecture = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True)
    return names[0] if names else "none", architecture.stdout.strip()


@pytest.fixture(scope="module")
def offline_kit() -> ModuleType:
    return script("offline_kit")


@pytest.fixture(scope="module")
def gpg_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A keyring with one key, ``maker``, and one of a stranger."""
    home = Path(f"/tmp/kit-{os.getpid()}-{tmp_path_factory.mktemp('gnupg').name}")  # its sockets bear no long path
    home.mkdir(mode=0o700)
    for who in ("maker", "stranger"):
        gpg(home, "--passphrase", "", "--quick-generate-key", who, "ed25519", "sign", "never")
    yield home
    subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=True)
    shutil.rmtree(home)


def gpg(home: Path, *arguments: str | Path) -> bytes:
    whole = ["gpg", "--homedir", home, "--batch", "--yes", "--quiet", "--no-auto-check-trustdb", *arguments]
    return subprocess.run(whole, capture_output=True, check=True).stdout


def package(folder: Path, name: str, version: str, architecture: str, depends: str = "") -> Path:
    tree = folder / f"{name}-tree"
    (tree / "DEBIAN").mkdir(parents=True)
    fields = {"Package": name, "Version": version, "Architecture": architecture, "Maintainer": "A <a@b.c>"}
    fields |= {"Depends": depends} if depends else {}
    fields |= {"Description": "for a test"}
    (tree / "DEBIAN" / "control").write_text("".join(f"{key}: {text}\n" for key, text in fields.items()))
    target = folder / f"{name}_{version}_{architecture}.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tree, target], check=True, capture_output=True)
    shutil.rmtree(tree)
    return target


Make = Callable[..., Path]


@pytest.fixture
def make(offline_kit: ModuleType, gpg_home: Path, tmp_path: Path) -> Make:
    """Make a kit for this machine, or as it is told."""

    def build(
        *, suite: str | None = None, architecture: str | None = None, signed: bool = True, **more: object
    ) -> Path:
        there = here()
        debs = tmp_path / "debs"
        debs.mkdir()
        app = package(debs, "echogfr", "1.2.3", architecture or there[1], "echogfr-test-library")
        library = package(debs, "echogfr-test-library", "1:7.0", "all").rename(
            debs / "echogfr-test-library_1%3a7.0_all.deb"
        )
        signer = offline_kit.Signer("maker", ("--homedir", str(gpg_home))) if signed else None
        plan = offline_kit.Plan(app, (library,), suite or there[0], signer=signer, **more)
        kit: Path = offline_kit.assemble(plan, tmp_path / "a stick")
        return kit

    return build


def install(kit: Path, *options: str) -> tuple[int, str, str]:
    done = subprocess.run(
        ["sh", kit / "install.sh", *options], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    return done.returncode, done.stdout, done.stderr


def maker(home: Path, who: str = "maker") -> str:
    found = re.search(r"^fpr:+([0-9A-F]{40,}):", gpg(home, "--with-colons", "--list-keys", who).decode(), re.MULTILINE)
    assert found is not None
    return found[1]


def test_a_kit_that_came_as_it_was_made_is_whole(make: Make, gpg_home: Path) -> None:
    kit = make()
    code, out, err = install(kit, "--check", "--signer", maker(gpg_home))
    assert (code, err) == (0, "")
    assert "The kit is whole and is for this computer: EchoGFR 1.2.3" in out
    assert " ".join(maker(gpg_home)[at : at + 4] for at in range(0, 40, 4)) in (kit / "INSTALL.txt").read_text()


def test_apt_itself_verifies_and_resolves_what_is_in_it(make: Make, tmp_path: Path) -> None:
    """As the installer asks it, on a system without a single package: nothing that is depended on is missing."""
    kit = make()
    work = tmp_path / "apt"
    for name in ("lists/partial", "cache/archives/partial"):
        (work / name).mkdir(parents=True)
    (work / "nothing-installed").touch()
    shutil.copy(kit / "keys" / "kit-signing-key.gpg", work / "key.gpg")
    (work / "repository").symlink_to(kit / "repository")
    (work / "sources.list").write_text(f"deb [signed-by={work}/key.gpg] file:{work}/repository ./\n")
    options = {
        "Dir::Etc::SourceList": work / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Lists": work / "lists",
        "Dir::State::status": work / "nothing-installed",
        "Dir::Cache": work / "cache",
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
    }
    apt = ["apt-get", "-q", *(word for name, value in options.items() for word in ("-o", f"{name}={value}"))]
    updated = subprocess.run([*apt, "update"], capture_output=True, text=True, check=False)
    assert (updated.returncode, "W:" in updated.stderr) == (0, False), updated.stderr
    done = subprocess.run([*apt, "-s", "install", "echogfr"], capture_output=True, text=True, check=False)
    assert "Inst echogfr-test-library (1:7.0" in done.stdout, done.stderr
    assert "Inst echogfr (1.2.3" in done.stdout


def test_everything_in_it_is_listed_and_nothing_of_a_machine_is(make: Make, tmp_path: Path) -> None:
    model, key = tmp_path / "model.zip", tmp_path / "Ward 7.public.pem"
    model.write_bytes(b"a model")
    key.write_bytes(b"a key")
    kit = make(bundles=(model,), public_keys=(key,))
    listed = {line.split("  ", 1)[1] for line in (kit / "SHA256SUMS").read_text().splitlines()}
    there = {str(path.relative_to(kit)) for path in kit.rglob("*") if path.is_file()}
    assert there - listed == {"SHA256SUMS", "SHA256SUMS.sig"}
    assert {"bundles/model.zip", "keys/Ward 7.public.pem", "INSTALL.txt", "install.sh", "PACKAGES.txt"} <= listed
    text = (kit / "INSTALL.txt").read_text()
    assert 'echogfr trust add "keys/Ward 7.public.pem"' in text
    assert 'echogfr bundle import "bundles/model.zip"' in text
    assert "@" not in text
    assert "echogfr-test-library 1:7.0 from echogfr-test-library" in (kit / "PACKAGES.txt").read_text()
    for path in (kit / "INSTALL.txt", kit / "install.sh", kit / "PACKAGES.txt", *kit.glob("repository/*elease")):
        assert str(tmp_path) not in path.read_text()


def changed(kit: Path) -> None:
    path = next(kit.glob("repository/echogfr_*.deb"))
    path.write_bytes(path.read_bytes() + b"x")


def lost(kit: Path) -> None:
    next(kit.glob("repository/echogfr-test-library_*.deb")).unlink()


def sums_changed(kit: Path) -> None:
    (kit / "SHA256SUMS").write_bytes((kit / "SHA256SUMS").read_bytes() + b"\n")


def sums_lost(kit: Path) -> None:
    (kit / "SHA256SUMS").unlink()


def signature_lost(kit: Path) -> None:
    (kit / "SHA256SUMS.sig").unlink()


def signature_torn(kit: Path) -> None:
    (kit / "SHA256SUMS.sig").write_bytes(b"\x88")


def key_lost(kit: Path) -> None:
    (kit / "keys" / "kit-signing-key.gpg").unlink()


@pytest.mark.parametrize(
    ("spoil", "because"),
    [
        (changed, "repository/echogfr_1.2.3_{0}.deb is not the file that was put into the kit: copy the kit again"),
        (lost, "repository/echogfr-test-library_1_7.0_all.deb is missing from the kit: copy the kit again"),
        (sums_changed, "SHA256SUMS was changed after it was signed: copy the kit again"),
        (sums_lost, "SHA256SUMS is missing from the kit"),
        (signature_lost, "SHA256SUMS.sig is missing from the kit"),
        (signature_torn, "the signature of the kit cannot be read"),
        (key_lost, "keys/kit-signing-key.gpg is missing from the kit"),
    ],
)
def test_a_kit_that_was_spoilt_is_refused_in_one_sentence(
    spoil: Callable[[Path], None], because: str, make: Make, gpg_home: Path
) -> None:
    kit = make()
    spoil(kit)
    assert_refused(install(kit, "--signer", maker(gpg_home)), because.format(here()[1]))


def assert_refused(result: tuple[int, str, str], because: str) -> None:
    code, _, err = result
    assert code == 1
    assert err.startswith("EchoGFR was not installed, because ")
    assert because in err
    assert err.count("\n") == 1


def test_a_signature_by_a_key_that_is_not_in_it_is_refused(make: Make, gpg_home: Path) -> None:
    kit = make()
    sums = kit / "SHA256SUMS"
    gpg(gpg_home, "--local-user", "stranger", "--output", f"{sums}.sig", "--detach-sign", sums)
    assert_refused(install(kit, "--signer", maker(gpg_home)), "by another key than the one that lies in it")


def test_a_kit_made_anew_by_a_stranger_is_told_by_the_fingerprint_alone(make: Make, gpg_home: Path) -> None:
    kit = make()
    sums, key = kit / "SHA256SUMS", kit / "keys" / "kit-signing-key.gpg"
    before = subprocess.run(["sha256sum", "keys/kit-signing-key.gpg"], cwd=kit, capture_output=True, check=True).stdout
    key.write_bytes(gpg(gpg_home, "--export", "stranger"))
    after = subprocess.run(["sha256sum", "keys/kit-signing-key.gpg"], cwd=kit, capture_output=True, check=True).stdout
    sums.write_bytes(sums.read_bytes().replace(before, after))
    gpg(gpg_home, "--local-user", "stranger", "--output", f"{sums}.sig", "--detach-sign", sums)
    assert install(kit, "--check", "--signer", maker(gpg_home, "stranger"))[0] == 0  # whole in itself
    because = f"was signed by {maker(gpg_home, 'stranger')} and not by {maker(gpg_home)}"
    assert_refused(install(kit, "--signer", maker(gpg_home)), because)


def test_where_nobody_can_compare_the_fingerprint_has_to_be_given(make: Make) -> None:
    assert_refused(install(make()), "nobody is there to compare the fingerprint of the key")


def test_a_kit_for_another_release_or_machine_is_refused(make: Make, gpg_home: Path, tmp_path: Path) -> None:
    kit = make(suite="otherland")
    assert_refused(install(kit, "--signer", maker(gpg_home)), "the kit is for otherland, and this computer runs ")
    shutil.rmtree(tmp_path / "debs")
    other = "arm64" if here()[1] != "arm64" else "amd64"
    kit = make(architecture=other)
    assert_refused(install(kit, "--signer", maker(gpg_home)), f"the kit is for {other}, and this computer is ")


def test_an_unsigned_kit_says_so_and_is_not_installed_by_accident(make: Make) -> None:
    kit = make(signed=False)
    assert "THIS KIT IS UNSIGNED" in (kit / "INSTALL.txt").read_text()
    assert_refused(install(kit), "this kit is UNSIGNED, so nobody stands for it")
    assert install(kit, "--check", "--unsigned")[0] == 0
    changed(kit)
    assert_refused(install(kit, "--unsigned"), "is not the file that was put into the kit")


def test_a_kit_is_never_made_unsigned_by_accident(offline_kit: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KIT_KEY", "KIT_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "argv", ["offline_kit.py"])
    with pytest.raises(SystemExit, match=r"^The kit cannot be made, because nobody signs it: give --key ID or .*\.$"):
        offline_kit.arguments()


@pytest.mark.parametrize("armour", [True, False])
def test_a_key_file_signs_and_leaves_nothing_with_gpg(
    armour: bool, offline_kit: ModuleType, gpg_home: Path, tmp_path: Path
) -> None:
    key_file = tmp_path / "maker.secret"
    key_file.write_bytes(gpg(gpg_home, *(["--armor"] if armour else []), "--export-secret-keys", "maker"))
    (tmp_path / "text").write_text("signed\n")
    with offline_kit.signing(None, key_file) as signer:
        signer.sign("--detach-sign", tmp_path / "text", tmp_path / "text.sig")
        assert offline_kit.fingerprint(signer) == maker(gpg_home)
        place = Path(signer.options[1])
    assert not place.exists()
    gpg(gpg_home, "--verify", tmp_path / "text.sig", tmp_path / "text")


def test_what_cannot_sign_is_one_sentence_and_leaves_no_kit(
    offline_kit: ModuleType, make: Make, gpg_home: Path, tmp_path: Path
) -> None:
    (tmp_path / "no key").write_text("no key\n")
    with pytest.raises(SystemExit, match="no key holds no secret key: name the file of one"):
        with offline_kit.signing(None, tmp_path / "no key"):
            pass
    nobody = offline_kit.Signer("nobody", ("--homedir", str(gpg_home)))
    debs = tmp_path / "debs"
    debs.mkdir()
    plan = offline_kit.Plan(package(debs, "echogfr", "1.2.3", "all"), (), "here", signer=nobody)
    with pytest.raises(SystemExit, match=r"^The kit cannot be signed, because gpg says: .*: name a key .*\.$"):
        offline_kit.assemble(plan, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
