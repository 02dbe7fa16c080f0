"""``echogfr bundle`` and ``trust``: whatever goes wrong, the bundle that worked before still does."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from edge_app import cli
from edge_app.bundles import SHIPPED, SHIPPED_LOCALIZER, bundle_path, receive
from edge_app.bundles.locks import in_use
from edge_app.bundles.receive import Terms
from edge_app.bundles.shelf import Shelf
from engines import _cryptography
from engines.bundle import open_bundle
from engines.errors import EchoGFRError, SignatureError, UsageError
from engines.pack import pack
from engines.signature import sign, write_signature
from engines.trust import TrustStore

from .engines.bundle_makers import BundlePlan, GraphPlan, write_bundle
from .engines.killing import command, environment, kill_at_random

Import = Callable[..., receive.Received]


def silent(done: int, total: int) -> None:
    """Nobody listens."""


def make(folder: Path, version: str = "1", **fields: object) -> Path:
    return write_bundle(folder / f"made-{version}", BundlePlan(changes={"version": version}, **fields))  # type: ignore[arg-type]


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "shelf")


@pytest.fixture
def take(shelf: Shelf, tmp_path: Path) -> Import:
    def run(path: Path, policy: str = "warn", moved: Callable[[int, int], None] = silent) -> receive.Received:
        return receive.receive(path, shelf, Terms(policy, TrustStore(tmp_path / "trust")), moved)  # type: ignore[arg-type]

    return run


def versions(shelf: Shelf) -> list[str | None]:
    """Of the one installed id: the current bundle's, and that of the one before."""
    (entry,) = shelf.entries()
    slots = (entry.current, entry.previous)
    return [None if path is None else open_bundle(path).manifest.version for path in slots]


def listing(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_two_slots_are_kept_and_changed_by_a_rollback(shelf: Shelf, take: Import, tmp_path: Path) -> None:
    for version in ("1", "2", "3"):
        assert take(make(tmp_path, version)).new
    assert versions(shelf) == ["3", "2"]
    home = shelf.folder / shelf.entries()[0].bundle_id
    assert sum(path.is_dir() for path in home.iterdir()) == 2
    shelf.rollback(home.name)
    assert versions(shelf) == ["2", "3"]
    shelf.rollback(home.name)
    assert versions(shelf) == ["3", "2"]


def test_the_same_bundle_again_changes_nothing_and_a_damaged_one_is_replaced(
    shelf: Shelf, take: Import, tmp_path: Path
) -> None:
    made = make(tmp_path)
    first = take(made)
    before = listing(shelf.folder)
    assert not take(made).new
    assert listing(shelf.folder) == before
    (first.path / "card.md").write_bytes(b"damaged")
    assert take(made).new
    assert versions(shelf) == ["1", None]  # the damaged one is no way back


def test_an_id_is_found_like_a_path_and_the_chosen_one_without_any(shelf: Shelf, take: Import, tmp_path: Path) -> None:
    done = take(make(tmp_path))
    name = done.manifest.bundle_id
    assert bundle_path(name, shelf) == bundle_path(Path(name), shelf) == done.path
    assert bundle_path(None, shelf) == SHIPPED
    shelf.use(name)
    assert bundle_path(None, shelf) == done.path
    shelf.remove(name)
    assert bundle_path(None, shelf) == SHIPPED
    assert bundle_path("never-imported", shelf) == Path("never-imported")


def test_a_bundle_that_fails_its_self_test_leaves_the_one_before(shelf: Shelf, take: Import, tmp_path: Path) -> None:
    take(make(tmp_path, "1"))
    before = listing(shelf.folder)
    bad = make(tmp_path, "2", graphs={("fp32", "any"): GraphPlan(gain=9.0)})
    with pytest.raises(EchoGFRError, match="failed its self-test here"):
        take(bad)
    assert listing(shelf.folder) == before
    assert versions(shelf) == ["1", None]


def test_cancelling_or_a_full_disk_leaves_the_one_before(
    shelf: Shelf, take: Import, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(make(tmp_path, "1"))
    before, new = listing(shelf.folder), make(tmp_path, "2")

    def cancel(done: int, total: int) -> None:
        if done > total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        take(new, moved=cancel)
    assert listing(shelf.folder) == before
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", _no_space)
        with pytest.raises(EchoGFRError, match="No space left on device"):
            take(new)
    assert listing(shelf.folder) == before
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=64 << 20))
        with pytest.raises(EchoGFRError, match=r"64 MiB are needed and 64 are free"):
            take(new)
    assert listing(shelf.folder) == before


def _no_space(handle: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_file_that_is_not_what_the_manifest_says_is_refused(shelf: Shelf, take: Import, tmp_path: Path) -> None:
    made = make(tmp_path)
    content = (made / "card.md").read_bytes()
    (made / "card.md").write_bytes(content[:-1] + b"!")  # the same size
    with pytest.raises(EchoGFRError, match="SHA-256 differs"):
        take(made)
    (made / "extra").write_bytes(b"")
    with pytest.raises(EchoGFRError, match="extra is not listed"):
        take(made)
    assert shelf.entries() == []


def test_a_wrong_signature_is_refused_unless_policy_is_off(shelf: Shelf, take: Import, tmp_path: Path) -> None:
    made, (private, public) = make(tmp_path), _cryptography.new_pair(None)
    (tmp_path / "s.pem").write_bytes(public)
    TrustStore(tmp_path / "trust").add(tmp_path / "s.pem")
    write_signature(made, sign(b"another manifest", private, None, "s"))
    for policy in ("warn", "require"):
        with pytest.raises(SignatureError, match="signature wrong"):
            take(made, policy)
    assert shelf.entries() == []
    assert take(made, "off").verdict.state == "wrong"


def test_nothing_is_removed_while_it_is_used(shelf: Shelf, take: Import, tmp_path: Path) -> None:
    first = take(make(tmp_path, "1"))
    name = first.manifest.bundle_id
    with in_use(first.path):
        with pytest.raises(UsageError, match="a running app uses it"):
            shelf.remove(name)
        take(make(tmp_path, "2"))
        take(make(tmp_path, "3"))  # now the first has no slot
        assert open_bundle(first.path).manifest.version == "1"
    take(make(tmp_path, "4"))
    assert not first.path.exists()
    shelf.remove(name)
    assert shelf.entries() == []


def test_two_processes_do_not_change_the_shelf_at_once(shelf: Shelf, take: Import, tmp_path: Path) -> None:
    made = make(tmp_path)
    with Shelf(shelf.folder).locked(), pytest.raises(UsageError, match="another process changes them now"):
        take(made)
    assert take(made).new


def test_damaged_slots_are_said_and_never_swept(shelf: Shelf, take: Import, tmp_path: Path) -> None:
    done = take(make(tmp_path))
    (done.path.parent / "slots.json").write_text("{}")
    (entry,) = shelf.entries()
    assert entry.fault is not None
    with shelf.locked():
        pass
    assert open_bundle(done.path).manifest.version == "1"
    assert take(make(tmp_path, "2")).new  # an import heals it
    assert versions(shelf) == ["2", None]


def test_killed_imports_leave_the_bundle_before_or_the_new_one(shelf: Shelf, take: Import, tmp_path: Path) -> None:
    take(make(tmp_path, "1"))
    pack(open_bundle(make(tmp_path, "2")), tmp_path / "new.zip", silent)
    env = environment(ECHOGFR_BUNDLES=shelf.folder, ECHOGFR_TRUST=tmp_path / "trust")
    words = command("edge_app.cli", ["bundle", "import", tmp_path / "new.zip"])
    kill_at_random(words, env, 3, 1.2, lambda: _expect(versions(shelf)[0] in ("1", "2")), seed=4)
    assert take(make(tmp_path, "3")).new
    assert listing(shelf.folder).count(".lock") == 1
    assert not [name for name in listing(shelf.folder) if "draft" in name or "part" in name]


def _expect(good: bool) -> None:
    assert good


# What a person types.


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def echogfr(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Done]]:
    """The command line in this process: one of its own for each word would take most of the time."""
    monkeypatch.chdir(tmp_path)
    for name in ("bundles", "trust", "media"):
        monkeypatch.setenv(f"ECHOGFR_{name.upper()}", str(tmp_path / ("shelf" if name == "bundles" else name)))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))

    def run(*words: str | Path, **more: str) -> Done:
        with monkeypatch.context() as patch, pytest.raises(SystemExit) as ended:
            patch.setattr(sys, "argv", ["echogfr", *map(str, words)])
            for name, value in more.items():
                patch.setenv(name, value)
            cli.main()
        said = capsys.readouterr()
        return Done(int(ended.value.code or 0), said.out, said.err)

    before = signal.getsignal(signal.SIGTERM)  # analyze changes it
    yield run
    signal.signal(signal.SIGTERM, before)


def test_a_bundle_on_a_stick_has_to_be_signed_by_a_trusted_key(echogfr, tmp_path: Path) -> None:
    stick = tmp_path / "media" / "STICK" / "models"
    stick.mkdir(parents=True)
    assert "none lies in the top two levels" in echogfr("bundle", "import", "--usb").stderr
    made, (private, public) = make(tmp_path), _cryptography.new_pair(None)
    pack(open_bundle(made), stick / "unsigned.zip", silent)
    refused = echogfr("bundle", "import", "--usb")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "is unsigned and must be signed" in refused.stderr
    assert echogfr("bundle", "import", stick / "unsigned.zip").returncode == 2  # by its path too
    write_signature(made, sign(open_bundle(made).manifest_bytes(), private, None, "Clinic"))
    pack(open_bundle(made), stick / "signed.echogfr", silent)
    several = echogfr("bundle", "import", "--usb")
    assert "there are 2" in several.stderr
    assert "signed.echogfr (" in several.stderr
    (stick / "unsigned.zip").unlink()
    assert "signed by an unknown key (calls itself Clinic" in echogfr("bundle", "import", "--usb").stderr
    (tmp_path / "Clinic.public.pem").write_bytes(public)
    assert "Trusted: Clinic, id " in echogfr("trust", "add", tmp_path / "Clinic.public.pem").stdout
    taken = echogfr("bundle", "import", "--usb")
    assert taken.returncode == 0, taken.stderr
    assert ", signed by Clinic on 20" in taken.stdout
    assert "signed by Clinic" in echogfr("bundle", "list").stdout
    assert "No longer trusted: Clinic." in echogfr("trust", "remove", tmp_path / "Clinic.public.pem").stdout
    assert "signed by an unknown key" in echogfr("bundle", "list").stdout
    revoked = echogfr("trust", "revoke", tmp_path / "Clinic.public.pem", "--reason", "stolen")
    assert "is revoked on 20" in revoked.stdout and "What it signed is refused here." in revoked.stdout
    assert ": stolen" in echogfr("trust", "list").stdout
    assert "believed no more" in echogfr("bundle", "list").stdout
    assert "believed no more" in echogfr("bundle", "import", stick / "signed.echogfr").stderr
    assert [path.name for path in (tmp_path / "shelf").glob(".draft*")] == []


def test_an_imported_localizer_proposes_and_is_not_chosen_to_read(echogfr, tmp_path: Path) -> None:
    assert echogfr("bundle", "import", SHIPPED_LOCALIZER).returncode == 0
    refused = echogfr("bundle", "use", "synthetic-localizer")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "give it with --localizer" in refused.stderr
    told = tmp_path / "told.jsonl"
    words = ("analyze", "phantom:cycle=live,size=960x720,fps=10", "--max-frames", "4", "--jsonl", told)
    assert echogfr(*words, "--localizer", "synthetic-localizer").returncode == 0
    frames = [json.loads(line) for line in told.read_text(encoding="utf-8").splitlines()][:-1]
    assert frames[-1]["proposal"]["localizer"] == "synthetic-localizer 1.0.0"
    assert [frame["refusal"]["code"] for frame in frames] == ["no_calipers"] * 4
    assert echogfr(*words, "--localizer", "off").returncode == 0
    assert "synthetic-localizer" not in told.read_text(encoding="utf-8")


def test_an_imported_bundle_is_chosen_shown_and_left_again(echogfr, tmp_path: Path) -> None:
    made = make(tmp_path)
    name = open_bundle(made).manifest.bundle_id
    taken = echogfr("bundle", "import", made)
    assert taken.returncode == 0, taken.stderr
    assert f"Imported: {name} 1" in taken.stdout
    assert "unsigned." in taken.stdout
    assert echogfr("bundle", "use", name).returncode == 0
    assert f"bundle {name} 1" in echogfr("version").stdout
    assert "chosen" in echogfr("bundle", "list").stdout
    asked = echogfr("analyze", "phantom:", "--bundle", name, "--max-frames", "1", "--json")
    summary = json.loads(asked.stdout)
    assert summary["bundle"]["id"] == name
    strict = echogfr("analyze", "phantom:", "--bundle", name, "--max-frames", "1", ECHOGFR_SIGNATURES="require")
    assert strict.returncode == 2
    assert "is unsigned and must be signed" in strict.stderr
    assert echogfr("bundle", "use", "--shipped").returncode == 0
    assert "bundle synthetic-standin" in echogfr("version", ECHOGFR_SIGNATURES="require").stdout
    assert echogfr("bundle", "remove", name).returncode == 0
    assert "No bundle was imported" in echogfr("bundle", "list").stdout


def test_ctrl_c_ends_an_import_with_a_word(echogfr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*given: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(receive, "receive", interrupted)
    done = echogfr("bundle", "import", make(tmp_path))
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "Cancelled: the imported bundles are as they were.\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["bundle", "import"], "exactly one of PATH and --usb"),
        (["bundle", "import", "none.zip"], "cannot be imported"),
        (["bundle", "use", "none"], "installed are none"),
        (["bundle", "use"], "exactly one of ID and --shipped"),
        (["bundle", "rollback", "none"], "installed are none"),
        (["bundle", "remove", "../x"], "installed are none"),
        (["trust", "add", "none.pem"], "cannot be read"),
        (["trust", "remove", "../x"], "trusted are none"),
    ],
)
def test_a_mistake_is_one_sentence_and_code_2(echogfr, words: list[str], told: str) -> None:
    done = echogfr(*words)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert told in done.stderr
