"""The one door to cryptography: Ed25519 (RFC 8032) keys, their PEM files and signatures; no policy in it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from engines.errors import RuntimeUnavailableError, SignatureError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

PEM_LIMIT_BYTES = 1 << 14


def key_id(public: bytes) -> str:
    """Return what names a public key, 32 raw bytes: their SHA-256, 64 hexadecimal digits."""
    return hashlib.sha256(public).hexdigest()


def new_pair(passphrase: bytes | None) -> tuple[bytes, bytes]:
    """Make a key; return the PEM of its private half (PKCS 8, encrypted with ``passphrase``) and of its public half."""
    _need()
    from cryptography.hazmat.primitives import serialization as forms
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    lock = forms.BestAvailableEncryption(passphrase) if passphrase else forms.NoEncryption()
    private = key.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, lock)
    return private, _public_pem(key.public_key())


def public_from_pem(pem: bytes) -> bytes:
    """Return the 32 raw bytes of the public key in a PEM file.

    Raises
    ------
    SignatureError
        It holds no Ed25519 public key.
    """
    _need()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    what, cure = "The public key cannot be used", "name the public PEM file that echogfr-convert keys new wrote"
    try:
        key = load_pem_public_key(pem)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SignatureError(what, "the file is no PEM of a public key", cure) from error
    if not isinstance(key, Ed25519PublicKey):
        raise SignatureError(what, "it is a key of another kind than Ed25519", cure)
    return key.public_bytes_raw()


def public_to_pem(public: bytes) -> bytes:
    """Return the PEM of a public key of 32 raw bytes."""
    _need()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    return _public_pem(Ed25519PublicKey.from_public_bytes(public))


def sign(pem: bytes, passphrase: bytes | None, message: bytes) -> bytes:
    """Return the signature, 64 bytes, of a message with the private key in a PEM file; raises as ``public_of``."""
    return _private(pem, passphrase).sign(message)


def public_of(pem: bytes, passphrase: bytes | None) -> bytes:
    """Return the 32 raw bytes of the public half of the private key in a PEM file.

    Raises
    ------
    SignatureError
        It holds no Ed25519 private key, or the passphrase is missing or wrong.
    """
    return _private(pem, passphrase).public_key().public_bytes_raw()


def is_encrypted(pem: bytes) -> bool:
    """Tell whether a private key asks for a passphrase."""
    return b"-----BEGIN ENCRYPTED PRIVATE KEY-----" in pem


def holds(public: bytes, signature: bytes, message: bytes) -> bool:
    """Tell whether ``signature`` is of ``message`` by the key of 32 raw bytes."""
    _need()
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _private(pem: bytes, passphrase: bytes | None) -> Ed25519PrivateKey:
    _need()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    what, cure = "The private key cannot be used", "name the private PEM file that echogfr-convert keys new wrote"
    try:
        key = load_pem_private_key(pem, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        if is_encrypted(pem):
            raise SignatureError(what, "its passphrase is missing or wrong", "give the right passphrase") from error
        raise SignatureError(what, "the file is no PEM of a private key", cure) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SignatureError(what, "it is a key of another kind than Ed25519", cure)
    return key


def _public_pem(key: Ed25519PublicKey) -> bytes:
    from cryptography.hazmat.primitives import serialization as forms

    return key.public_bytes(forms.Encoding.PEM, forms.PublicFormat.SubjectPublicKeyInfo)


def _need() -> None:
    try:
        import cryptography.hazmat.primitives.asymmetric.ed25519  # noqa: F401
    except ImportError as error:
        what, cure = "Signatures can neither be made nor checked", "pip install echogfr"
        raise RuntimeUnavailableError(what, "cryptography is not installed", cure) from error
