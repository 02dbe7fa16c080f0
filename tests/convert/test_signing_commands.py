"""``keys new``, ``sign`` and ``pack``: one key pair, one signature, one archive, and nothing of them half written."""

from __future__ import annotations

import json
import os
import shutil
import stat
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from convert.cli import inspect
from convert.commands.signing import PASSPHRASE_VARIABLE, register
from engines.bundle import open_bundle
from engines.trust import TRUST_VARIABLE, TrustStore, judge_bundle

from .tensorrt_makers import ROOT

SHIPPED = ROOT / "edge_app" / "bundles" / "synthetic-standin"
PLAIN = {"COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"}


@pytest.fixture
def run():
    app = typer.Typer()
    register(app)
    app.command()(inspect)
    return lambda *words, **env: CliRunner().invoke(app, [*map(str, words)], env={**PLAIN, **env})


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return shutil.copytree(SHIPPED, tmp_path / "bundle")


@pytest.fixture
def key(run, tmp_path: Path) -> Path:
    done = run("keys", "new", "--out", tmp_path / "keys", "--name", "Ward 7")
    assert done.exit_code == 0, done.output
    return tmp_path / "keys" / "Ward 7.private.pem"


def test_a_bundle_is_signed_and_inspect_says_by_whom(run, bundle: Path, key: Path, tmp_path: Path) -> None:
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    env = {TRUST_VARIABLE: str(tmp_path / "trust")}
    assert "unsigned" in run("inspect", bundle, **env).stdout
    done = run("sign", bundle, "--key", key)
    assert done.exit_code == 0, done.output
    assert "by Ward 7, id " in done.stdout
    assert "signed by an unknown key (calls itself Ward 7" in run("inspect", bundle, **env).stdout
    TrustStore(tmp_path / "trust").add(key.with_name("Ward 7.public.pem"))
    assert "signed by Ward 7 on 20" in run("inspect", bundle, **env).stdout
    raw = json.loads((bundle / "manifest.sig").read_text())
    (bundle / "manifest.sig").write_text(json.dumps({**raw, "signer": "B"}))
    assert "signature wrong" in run("inspect", bundle, **env).stdout
    assert run("sign", bundle, "--key", key, "--name", "Night shift").exit_code == 0  # signed again: replaced
    assert judge_bundle(open_bundle(bundle), TrustStore(tmp_path / "trust")).state == "trusted"


def test_an_encrypted_key_asks_for_its_passphrase(run, bundle: Path, tmp_path: Path) -> None:
    env = {PASSPHRASE_VARIABLE: "three words"}
    assert run("keys", "new", "--out", tmp_path, "--name", "k", "--passphrase", **env).exit_code == 0
    key = tmp_path / "k.private.pem"
    assert b"ENCRYPTED" in key.read_bytes()
    wrong = run("sign", bundle, "--key", key, **{PASSPHRASE_VARIABLE: "four words"})
    assert (wrong.exit_code, wrong.stderr.count("\n")) == (2, 1)
    assert "passphrase is missing or wrong" in wrong.stderr
    assert not (bundle / "manifest.sig").exists()
    assert run("sign", bundle, "--key", key, **env).exit_code == 0


def test_a_key_is_never_replaced(run, key: Path) -> None:
    before = {path.name: path.read_bytes() for path in key.parent.iterdir()}
    key.unlink()  # the public half alone is as precious
    done = run("keys", "new", "--out", key.parent, "--name", "Ward 7")
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert "Ward 7.public.pem exists" in done.stderr
    left = {path.name: path.read_bytes() for path in key.parent.iterdir()}
    assert left == {"Ward 7.public.pem": before["Ward 7.public.pem"]}
    key.write_bytes(before[key.name])
    key.with_name("Ward 7.public.pem").unlink()
    assert run("keys", "new", "--out", key.parent, "--name", "Ward 7").exit_code == 2
    assert {path.name: path.read_bytes() for path in key.parent.iterdir()} == {key.name: before[key.name]}


@pytest.mark.skipif(os.name != "posix", reason="rights of files are of Unix")
def test_a_key_that_others_may_read_does_not_sign(run, bundle: Path, key: Path) -> None:
    key.chmod(0o640)
    done = run("sign", bundle, "--key", key)
    assert done.exit_code == 2
    assert "others may read it: chmod 600" in done.stderr


def test_a_damaged_bundle_is_not_signed(run, bundle: Path, key: Path) -> None:
    (bundle / "card.md").write_bytes(b"changed")
    done = run("sign", bundle, "--key", key)
    assert done.exit_code == 2
    assert not (bundle / "manifest.sig").exists()


@pytest.mark.parametrize("name", ["", ".x", "../x", "a/b", "x" * 65])
def test_what_is_no_name_makes_no_key(run, tmp_path: Path, name: str) -> None:
    assert run("keys", "new", "--out", tmp_path / "k", "--name", name).exit_code == 2
    assert not (tmp_path / "k").exists()


def test_a_bundle_is_packed_or_nothing_is_written(run, bundle: Path, tmp_path: Path) -> None:
    done = run("pack", bundle, "--out", tmp_path / "b.zip")
    assert done.exit_code == 0, done.output
    assert "MB)" in done.stdout
    refused = run("pack", bundle, "--out", tmp_path / "none" / "b.zip")
    assert refused.exit_code == 2
    assert "cannot be written" in refused.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.zip", "bundle"]
