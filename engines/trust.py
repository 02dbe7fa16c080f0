"""Whom this machine trusts: public keys in a folder, and the verdict on a bundle's signature."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import platformdirs

from engines import _cryptography
from engines.bundle import Bundle
from engines.consistency import MANIFEST_NAME
from engines.errors import RuntimeUnavailableError, SignatureError
from engines.revocation import Revocation, read_revocations, write_revocation
from engines.signature import Signature, parse_signature, read_signature

TRUST_VARIABLE = "ECHOGFR_TRUST"
Policy = Literal["require", "warn", "off"]
State = Literal["trusted", "unknown", "unsigned", "wrong", "revoked", "unchecked"]
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9 ._-]{0,62}[A-Za-z0-9_-])?")
_ANOTHER = "get the bundle again from who signed it"
CURES: Final[dict[State, str]] = {
    "unknown": "get the signer's public key by a way you trust, and echogfr trust add KEY.pem",
    "unsigned": "ask for a signed bundle, or sign it with echogfr-convert sign",
    "wrong": _ANOTHER,
    "revoked": "get the bundle signed by another key",
    "unchecked": "pip install echogfr",
}


def trust_folder() -> Path:
    """Return where trusted keys lie: ``ECHOGFR_TRUST``, or a folder of the user's configuration."""
    named = os.environ.get(TRUST_VARIABLE)
    return Path(named) if named else platformdirs.user_config_path("echogfr", appauthor=False) / "trust"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a signature is worth here; ``told`` is a clause: "signed by NAME"."""

    state: State
    told: str

    def refuses(self, policy: Policy) -> bool:
        """Tell whether a bundle may not be used: a wrong signature or a revoked key at every policy but off."""
        return policy != "off" and (
            self.state in ("wrong", "revoked") or (policy == "require" and self.state != "trusted")
        )


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A public key, 32 raw bytes, under the name that this machine's operator gave it."""

    name: str
    public: bytes

    @property
    def id(self) -> str:
        """Its SHA-256."""
        return _cryptography.key_id(self.public)


class TrustStore:
    """A folder with one ``NAME.pem`` for each trusted public key."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or trust_folder()

    def keys(self) -> tuple[TrustedKey, ...]:
        """Return all keys by name; a file that holds none is in ``faults``."""
        return tuple(key for _, key in self._read() if isinstance(key, TrustedKey))

    def faults(self) -> tuple[tuple[str, str], ...]:
        """Return name and reason of every PEM file that cannot be used."""
        return tuple((name, key) for name, key in self._read() if isinstance(key, str))

    def add(self, pem: Path, name: str | None = None) -> TrustedKey:
        """Trust the public key in a PEM file, under ``name`` or that of the file.

        Raises
        ------
        SignatureError
            It holds no Ed25519 public key or a revoked one, the name is taken by another or is none, or the folder
            cannot be written.
        """
        public = _cryptography.public_from_pem(_read_pem(pem))
        key = TrustedKey(name or pem.name.removesuffix(".pem").removesuffix(".public"), public)
        what = f"The key {key.name} cannot be trusted"
        if not _NAME.fullmatch(key.name):
            raise SignatureError(what, "that is no name", "use --name with up to 64 letters, digits, spaces and . _ -")
        revoked = self.revocation(key.id)
        if revoked is not None:
            raise SignatureError(what, f"it was {revoked.told}", "ask the signer for a new key")
        for known in self.keys():
            if known.public == public and known.name != key.name:
                raise SignatureError(what, f"it is trusted already, as {known.name}", "remove that name first")
            if known.name == key.name and known.public != public:
                raise SignatureError(what, "another key has this name", "choose another --name")
        try:
            self._write(key)
        except OSError as error:
            because = f"{self.folder} cannot be written ({error.strerror})"
            raise SignatureError(what, because, "check its rights") from error
        return key

    def remove(self, name: str) -> None:
        """Trust the key of this name no longer.

        Raises
        ------
        SignatureError
            There is none.
        """
        path = self.folder / f"{name}.pem"
        if not _NAME.fullmatch(name) or not path.is_file():
            there = ", ".join(key.name for key in self.keys()) or "none"
            raise SignatureError(f"The key '{name}' cannot be removed", f"trusted are {there}", "name one of these")
        path.unlink()

    def revoke(self, key: str | Path, reason: str) -> Revocation:
        """Believe a key no more, for good: what it signed is refused, by whatever name it comes.

        ``key``: the name of a trusted one, or a PEM file of any.

        Raises
        ------
        SignatureError
            There is no such key, or no reason, or the folder cannot be written.
        """
        known = self._key(key)
        revoked = write_revocation(self.folder, known.id, known.name, reason)  # from here on it is refused
        for trusted in self.keys():
            if trusted.public == known.public:
                self.remove(trusted.name)
        return revoked

    def revocations(self) -> tuple[Revocation, ...]:
        """Return the keys that are believed no more."""
        return read_revocations(self.folder)

    def revocation(self, key: str) -> Revocation | None:
        """Return that of a key by its id; None: it was not revoked."""
        return next((revoked for revoked in self.revocations() if revoked.key == key), None)

    def _key(self, key: str | Path) -> TrustedKey:
        if isinstance(key, Path):
            name = key.name.removesuffix(".pem").removesuffix(".public")
            return TrustedKey(name, _cryptography.public_from_pem(_read_pem(key)))
        found = next((known for known in self.keys() if known.name == key), None)
        if found is None:
            there = ", ".join(known.name for known in self.keys()) or "none"
            raise SignatureError(f"The key '{key}' cannot be revoked", f"trusted are {there}", "name one, or its file")
        return found

    def name_of(self, pem: Path) -> str | None:
        """Return under which name the public key in a PEM file is trusted; None: it is not."""
        public = _cryptography.public_from_pem(_read_pem(pem))
        return next((key.name for key in self.keys() if key.public == public), None)

    def _write(self, key: TrustedKey) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = self.folder / f".{key.name}.{os.getpid()}.part"
        try:
            draft.write_bytes(_cryptography.public_to_pem(key.public))
            os.replace(draft, self.folder / f"{key.name}.pem")
        finally:
            draft.unlink(missing_ok=True)

    def _read(self) -> list[tuple[str, TrustedKey | str]]:
        found: list[tuple[str, TrustedKey | str]] = []
        for path in sorted(self.folder.glob("*.pem")) if self.folder.is_dir() else ():
            try:
                found.append((path.stem, TrustedKey(path.stem, _cryptography.public_from_pem(_read_pem(path)))))
            except SignatureError as error:
                found.append((path.stem, error.because))
        return found


def judge(manifest: bytes, signature: bytes | None, store: TrustStore) -> Verdict:
    """Return the verdict on the bytes of a manifest and of its ``manifest.sig`` (None: there is none)."""
    if signature is None:
        return Verdict("unsigned", "unsigned")
    try:
        return _judge(manifest, parse_signature(signature), store)
    except RuntimeUnavailableError as error:
        return Verdict("unchecked", f"signature not checked ({error.because})")
    except SignatureError as error:
        return Verdict("wrong", f"signature wrong ({error.because})")


def judge_bundle(bundle: Bundle, store: TrustStore) -> Verdict:
    """Return the verdict on an opened bundle; its manifest is that which was verified."""
    try:
        signature = read_signature(bundle.path)
    except SignatureError as error:
        return Verdict("wrong", f"signature wrong ({error.because})")
    return judge(bundle.manifest_bytes(), signature, store)


def admit(bundle: Bundle, policy: Policy, store: TrustStore) -> Verdict:
    """Return the verdict on an opened bundle, and insist on what the policy asks for.

    Raises
    ------
    SignatureError
        The policy refuses it.
    """
    verdict = judge_bundle(bundle, store)
    insist(verdict, policy, f"The bundle {bundle.path} is not used")
    return verdict


def insist(verdict: Verdict, policy: Policy, what: str) -> None:
    """Raise ``SignatureError`` where the policy refuses; ``what`` begins its sentence."""
    if verdict.refuses(policy):
        because = verdict.told if verdict.state != "unsigned" else f"{MANIFEST_NAME} is unsigned and must be signed"
        raise SignatureError(what, because, CURES.get(verdict.state, _ANOTHER))


def _judge(manifest: bytes, signature: Signature, store: TrustStore) -> Verdict:
    revoked = store.revocation(signature.key)
    if revoked is not None:
        return Verdict("revoked", f"signed by a key that is believed no more ({revoked.name}, {revoked.told})")
    key = next((key for key in store.keys() if key.id == signature.key), None)
    if key is None:
        claimed = f"calls itself {signature.signer}, id {signature.key[:12]}"
        return Verdict("unknown", f"signed by an unknown key ({claimed})")
    if not _cryptography.holds(key.public, bytes.fromhex(signature.signature), signature.message(manifest)):
        return Verdict("wrong", f"signature wrong (it is not {key.name}'s of this manifest)")
    return Verdict("trusted", f"signed by {key.name} on {signature.signed[:10]}")


def _read_pem(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(_cryptography.PEM_LIMIT_BYTES)
    except OSError as error:
        because = f"{path} cannot be read ({error.strerror})"
        raise SignatureError("The key cannot be used", because, "name a PEM file") from error
