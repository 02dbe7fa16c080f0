"""Signatures: who signed is told apart from who is unknown, and a wrong one is never let through by accident."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from engines import _cryptography
from engines.bundle import open_bundle
from engines.errors import EchoGFRError, SignatureError
from engines.signature import FORMAT, parse_signature, read_signature, sign, write_signature
from engines.trust import Policy, TrustStore, Verdict, admit, judge, judge_bundle

from .bundle_makers import rewrite

# RFC 8032, section 7.1, test 3: the secret key behind the PKCS 8 header of RFC 8410, its public key, and a signature.
RFC_SECRET = "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7"
RFC_PUBLIC = "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"
RFC_SIGNATURE = (
    "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
    "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
)


@pytest.fixture(scope="module")
def pair() -> tuple[bytes, bytes]:
    return _cryptography.new_pair(None)


@pytest.fixture
def trust(tmp_path: Path, pair: tuple[bytes, bytes]) -> TrustStore:
    (tmp_path / "Ward 7.public.pem").write_bytes(pair[1])
    store = TrustStore(tmp_path / "trust")
    store.add(tmp_path / "Ward 7.public.pem")
    return store


@pytest.fixture
def signed(bundle_path: Path, pair: tuple[bytes, bytes]) -> Path:
    write_signature(bundle_path, sign(open_bundle(bundle_path).manifest_bytes(), pair[0], None, "Clinic"))
    return bundle_path


def state(folder: Path, store: TrustStore) -> str:
    return judge_bundle(open_bundle(folder), store).state


def test_the_door_signs_as_the_standard_says() -> None:
    import base64

    der = bytes.fromhex("302e020100300506032b657004220420" + RFC_SECRET)
    pem = b"-----BEGIN PRIVATE KEY-----\n" + base64.b64encode(der) + b"\n-----END PRIVATE KEY-----\n"
    assert _cryptography.public_of(pem, None).hex() == RFC_PUBLIC
    assert _cryptography.sign(pem, None, b"\xaf\x82").hex() == RFC_SIGNATURE
    assert _cryptography.holds(bytes.fromhex(RFC_PUBLIC), bytes.fromhex(RFC_SIGNATURE), b"\xaf\x82")
    assert not _cryptography.holds(bytes.fromhex(RFC_PUBLIC), bytes.fromhex(RFC_SIGNATURE), b"\xaf\x83")


def test_a_signed_bundle_opens_and_names_its_trusted_signer(signed: Path, trust: TrustStore) -> None:
    verdict = judge_bundle(open_bundle(signed), trust)
    assert verdict.state == "trusted"
    assert verdict.told.startswith("signed by Ward 7 on 20")  # the name given here, not what the signer calls itself


def test_signer_and_time_cannot_be_changed_after_signing(signed: Path, trust: TrustStore) -> None:
    raw = json.loads((signed / "manifest.sig").read_text())
    for change in ({"signer": "Another"}, {"signed": "2020-01-01T00:00:00Z"}, {"signature": "0" * 128}):
        (signed / "manifest.sig").write_text(json.dumps({**raw, **change}))
        assert state(signed, trust) == "wrong"


def test_a_signature_of_another_manifest_is_wrong(signed: Path, trust: TrustStore) -> None:
    rewrite(signed, title="Better than it was")
    assert state(signed, trust) == "wrong"


def test_a_signature_of_the_bare_manifest_is_none_of_a_bundle(
    signed: Path, trust: TrustStore, pair: tuple[bytes, bytes]
) -> None:
    raw = json.loads((signed / "manifest.sig").read_text())
    bare = _cryptography.sign(pair[0], None, (signed / "manifest.json").read_bytes()).hex()
    (signed / "manifest.sig").write_text(json.dumps({**raw, "signature": bare}))
    assert state(signed, trust) == "wrong"


@pytest.mark.parametrize("content", [b"", b"{}", b"null", b"\xff", b"x" * 20000, b'{"format": "%s"}' % FORMAT.encode()])
def test_a_damaged_signature_is_wrong_not_absent(signed: Path, trust: TrustStore, content: bytes) -> None:
    (signed / "manifest.sig").write_bytes(content)
    assert state(signed, trust) == "wrong"


def test_a_linked_signature_is_wrong(signed: Path, trust: TrustStore, tmp_path: Path) -> None:
    (signed / "manifest.sig").rename(tmp_path / "elsewhere")
    (signed / "manifest.sig").symlink_to(tmp_path / "elsewhere")
    assert state(signed, trust) == "wrong"


def test_a_key_that_nobody_added_is_unknown(signed: Path, tmp_path: Path) -> None:
    verdict = judge_bundle(open_bundle(signed), TrustStore(tmp_path / "none"))
    assert verdict.state == "unknown"
    assert "calls itself Clinic" in verdict.told


REFUSED: dict[tuple[str, Policy], bool] = {
    ("trusted", "require"): False, ("trusted", "warn"): False, ("trusted", "off"): False,
    ("unknown", "require"): True, ("unknown", "warn"): False, ("unknown", "off"): False,
    ("unsigned", "require"): True, ("unsigned", "warn"): False, ("unsigned", "off"): False,
    ("unchecked", "require"): True, ("unchecked", "warn"): False, ("unchecked", "off"): False,
    ("wrong", "require"): True, ("wrong", "warn"): True, ("wrong", "off"): False,
}  # fmt: skip


@pytest.mark.parametrize(("of", "policy"), list(REFUSED))
def test_the_policy_decides(of: str, policy: Policy) -> None:
    assert Verdict(of, "").refuses(policy) is REFUSED[of, policy]  # type: ignore[arg-type]


def test_what_the_policy_refuses_is_one_sentence_with_its_cure(bundle_path: Path, trust: TrustStore) -> None:
    with pytest.raises(SignatureError, match=r"is unsigned and must be signed: ask for a signed bundle"):
        admit(open_bundle(bundle_path), "require", trust)
    assert admit(open_bundle(bundle_path), "warn", trust).state == "unsigned"


def test_a_signature_listed_in_the_manifest_is_a_contradiction(bundle_path: Path) -> None:
    manifest = json.loads((bundle_path / "manifest.json").read_text())
    (bundle_path / "card.md").rename(bundle_path / "manifest.sig")
    rewrite(bundle_path, card={**manifest["card"], "file": "manifest.sig"})
    with pytest.raises(EchoGFRError, match=r"lists manifest\.sig, which is made of it"):
        open_bundle(bundle_path)


def test_signing_leaves_nothing_else_in_the_bundle_or_beside_it(signed: Path) -> None:
    assert [path.name for path in signed.parent.glob(".*")] == []
    assert read_signature(signed) is not None
    assert parse_signature((signed / "manifest.sig").read_bytes()).signer == "Clinic"


def test_keys_are_added_once_under_one_name_and_removed(tmp_path: Path, trust: TrustStore) -> None:
    first = tmp_path / "Ward 7.public.pem"
    assert trust.add(first).name == "Ward 7"  # again: no harm
    with pytest.raises(SignatureError, match="trusted already, as Ward 7"):
        trust.add(first, "B")
    (tmp_path / "other.pem").write_bytes(_cryptography.new_pair(None)[1])
    with pytest.raises(SignatureError, match="another key has this name"):
        trust.add(tmp_path / "other.pem", "Ward 7")
    for name in ("../x", ".hidden", "", "a/b"):
        with pytest.raises(SignatureError):
            trust.add(tmp_path / "other.pem", name or " ")
        with pytest.raises(SignatureError):
            trust.remove(name)
    assert trust.name_of(first) == "Ward 7"
    trust.remove("Ward 7")
    assert trust.keys() == ()
    assert list(trust.folder.iterdir()) == []


def test_what_is_no_public_key_is_said_and_never_trusted(tmp_path: Path, trust: TrustStore) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem = other.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    for content, told in ((pem, "another kind"), (_cryptography.new_pair(None)[0], "no PEM of a public"), (b"", "PEM")):
        (tmp_path / "k.pem").write_bytes(content)
        with pytest.raises(SignatureError, match=told):
            trust.add(tmp_path / "k.pem")
    (trust.folder / "stray.pem").write_bytes(b"stray")
    assert [name for name, _ in trust.faults()] == ["stray"]
    assert [key.name for key in trust.keys()] == ["Ward 7"]


def test_a_passphrase_locks_the_private_half() -> None:
    private, public = _cryptography.new_pair(b"three words")
    assert _cryptography.is_encrypted(private)
    signature = sign(b"{}", private, b"three words", "Clinic")
    assert signature.key == _cryptography.key_id(_cryptography.public_from_pem(public))
    for wrong in (None, b"", b"four words"):
        with pytest.raises(SignatureError, match="passphrase is missing or wrong"):
            sign(b"{}", private, wrong, "Clinic")


def test_a_name_with_a_line_feed_cannot_sign(pair: tuple[bytes, bytes]) -> None:
    with pytest.raises(SignatureError, match="is no name"):
        sign(b"{}", pair[0], None, "Clinic\n2020")


WITHOUT = """
import sys
sys.modules["cryptography"] = None
from pathlib import Path
from engines.trust import TrustStore, judge
raw = Path(sys.argv[1])
store = TrustStore(Path(sys.argv[2]))
verdict = judge((raw / "manifest.json").read_bytes(), (raw / "manifest.sig").read_bytes(), store)
print(verdict.state, verdict.told, verdict.refuses("require"), verdict.refuses("warn"))
"""


def test_without_the_library_a_signature_is_not_checked_and_said_so(signed: Path, trust: TrustStore) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(signed), str(trust.folder)], capture_output=True, text=True, check=False
    )
    told = "unchecked signature not checked (cryptography is not installed) True False\n"
    assert (done.stdout, done.stderr) == (told, "")


def test_an_unsigned_bundle_needs_no_library(bundle_path: Path, tmp_path: Path) -> None:
    assert judge(b"{}", None, TrustStore(tmp_path / "none")) == Verdict("unsigned", "unsigned")


def test_what_a_revoked_key_signed_is_refused_at_warn_and_at_require(
    signed: Path, trust: TrustStore, pair: tuple[bytes, bytes], tmp_path: Path
) -> None:
    revoked = trust.revoke("Ward 7", "stolen  from\na car")
    assert revoked.told.endswith(": stolen from a car")
    bundle = open_bundle(signed)
    assert judge_bundle(bundle, trust).state == "revoked"
    for policy in ("warn", "require"):
        with pytest.raises(SignatureError, match=r"believed no more \(Ward 7, revoked on .*: stolen from a car\)"):
            admit(bundle, policy, trust)
    assert "believed no more" in admit(bundle, "off", trust).told
    assert trust.keys() == ()
    with pytest.raises(SignatureError, match=r"it was revoked on .* ask the signer for a new key"):
        trust.add(tmp_path / "Ward 7.public.pem", "Another name")
    assert trust.revoke(tmp_path / "Ward 7.public.pem", "again") == revoked  # the first reason stays


def test_a_key_that_was_never_trusted_can_be_revoked_by_its_file(
    signed: Path, pair: tuple[bytes, bytes], tmp_path: Path
) -> None:
    store = TrustStore(tmp_path / "empty")
    (tmp_path / "x.public.pem").write_bytes(pair[1])
    assert state(signed, store) == "unknown"
    store.revoke(tmp_path / "x.public.pem", "stolen")
    assert state(signed, store) == "revoked"


def test_a_revocation_that_cannot_be_read_still_holds(signed: Path, trust: TrustStore) -> None:
    (path,) = (trust.folder / f"{trust.revoke('Ward 7', 'stolen').key}.revoked",)
    path.write_bytes(b"\xff{")
    assert state(signed, trust) == "revoked"
    assert trust.revocations()[0].told == "revoked, for a reason that cannot be read"


@pytest.mark.parametrize(
    ("key", "reason", "told"), [("Ward 8", "x", "trusted are Ward 7"), ("Ward 7", " ", "1 to 200")]
)
def test_a_revocation_that_cannot_be_made_changes_nothing(trust: TrustStore, key: str, reason: str, told: str) -> None:
    with pytest.raises(SignatureError, match=told):
        trust.revoke(key, reason)
    assert trust.revocations() == () and len(trust.keys()) == 1
