"""The signature of a bundle: ``manifest.sig`` beside the manifest, which stands for every file by its hash.

What is signed is a prefix of this format's own, key id, signer and time, and the exact bytes of ``manifest.json``:
a signature made for anything else is never one of a bundle, and no field of the file can be changed after it.
"""

from __future__ import annotations

import os
import stat
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engines import _cryptography
from engines.consistency import SIGNATURE_NAME
from engines.errors import SignatureError
from engines.manifest import Sha256

FORMAT: Final = "echogfr-bundle-signature-1"
SIGNATURE_LIMIT_BYTES = 1 << 14

# The name of a key or a signer; also a file's name, so no folders and nothing hidden.
KeyName = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9 ._-]{0,62}[A-Za-z0-9_-])?$")]


class Signature(BaseModel):
    """The contents of ``manifest.sig``; ``signer`` is what the signer calls itself, and proves nothing alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["echogfr-bundle-signature-1"]
    key: Sha256  # of the raw public key
    signer: KeyName
    signed: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$")]
    signature: Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]  # 64 bytes

    def message(self, manifest: bytes) -> bytes:
        """Return the bytes that are signed."""
        return _message(self.key, self.signer, self.signed, manifest)


def sign(manifest: bytes, private_pem: bytes, passphrase: bytes | None, signer: str) -> Signature:
    """Sign the bytes of a manifest.

    Raises
    ------
    SignatureError
        The key cannot be used, or the signer's name is none.
    """
    key = _cryptography.key_id(_cryptography.public_of(private_pem, passphrase))
    signed = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    made = _cryptography.sign(private_pem, passphrase, _message(key, signer, signed, manifest))
    try:
        return Signature(format=FORMAT, key=key, signer=signer, signed=signed, signature=made.hex())
    except ValidationError as error:
        cure = "use up to 64 letters, digits, spaces and . _ -"
        raise SignatureError("The bundle cannot be signed", f"'{signer}' is no name", cure) from error


def parse_signature(raw: bytes) -> Signature:
    """Return the signature in the bytes of a ``manifest.sig``.

    Raises
    ------
    SignatureError
        They are not of this format.
    """
    try:
        return Signature.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        told = f"{'.'.join(map(str, first['loc'])) or 'file'}: {first['msg']}"
        raise SignatureError("The signature cannot be read", told, "sign the bundle again") from error


def read_signature(folder: Path) -> bytes | None:
    """Return the bytes of a bundle's ``manifest.sig``; None: there is none.

    Raises
    ------
    SignatureError
        It is no plain file, cannot be read, or is larger than 16 KiB.
    """
    path = folder / SIGNATURE_NAME
    what, cure = "The signature cannot be read", "copy the bundle again, or sign it again"
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise SignatureError(what, f"{SIGNATURE_NAME} is not a regular file", cure)
        with path.open("rb") as stream:
            raw = stream.read(SIGNATURE_LIMIT_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SignatureError(what, f"{SIGNATURE_NAME} cannot be read ({error.strerror})", cure) from error
    if len(raw) > SIGNATURE_LIMIT_BYTES:
        raise SignatureError(what, f"{SIGNATURE_NAME} is larger than 16 KiB", cure)
    return raw


def write_signature(folder: Path, signature: Signature) -> Path:
    """Write ``manifest.sig`` at once or not at all; returns its path.

    The draft lies beside the bundle: a stranger inside, left by a killed process, would spoil it.
    """
    folder = folder.resolve()
    draft = folder.parent / f".{folder.name}.{SIGNATURE_NAME}.{os.getpid()}.part"
    try:
        draft.write_text(signature.model_dump_json(indent=2) + "\n", encoding="utf-8")
        os.replace(draft, folder / SIGNATURE_NAME)
    except OSError as error:
        because = f"{folder} cannot be written ({error.strerror})"
        raise SignatureError(
            "The bundle cannot be signed", because, "copy it to a place that can be written"
        ) from error
    finally:
        draft.unlink(missing_ok=True)
    return folder / SIGNATURE_NAME


def _message(key: str, signer: str, signed: str, manifest: bytes) -> bytes:
    head = "\n".join((FORMAT, key, signer, signed))  # none of them can hold a line feed
    return head.encode() + b"\n\0" + manifest
