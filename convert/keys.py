"""Files of keys: a private half that nobody else may read, and never one key in the place of another."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from engines import _cryptography
from engines.errors import SignatureError
from engines.signature import KeyName

PRIVATE, PUBLIC = ".private.pem", ".public.pem"


def write_pair(folder: Path, name: str, passphrase: bytes | None) -> tuple[Path, Path, str]:
    """Make a key and write both halves; returns their paths and the key's id.

    Raises
    ------
    SignatureError
        The name is none, a key of this name is there already, or the folder cannot be written.
    """
    what = f"The key {name} cannot be written"
    try:
        TypeAdapter(KeyName).validate_python(name)
    except ValidationError as error:
        raise SignatureError(what, "that is no name", "use up to 64 letters, digits, spaces and . _ -") from error
    private, public = folder / f"{name}{PRIVATE}", folder / f"{name}{PUBLIC}"
    pem, public_pem = _cryptography.new_pair(passphrase)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write_new(public, public_pem, 0o644)
        try:
            _write_new(private, pem, 0o600)
        except BaseException:  # Ctrl-C too: a public half alone is of no use
            public.unlink()
            raise
    except FileExistsError as error:
        raise SignatureError(
            what, f"{error.filename2 or error.filename} exists", "choose another --name, or keep that key"
        ) from error
    except OSError as error:
        raise SignatureError(what, f"{folder} cannot be written ({error.strerror})", "choose another folder") from error
    return private, public, _cryptography.key_id(_cryptography.public_from_pem(public_pem))


def read_private(path: Path) -> bytes:
    """Return the bytes of a private key's file.

    Raises
    ------
    SignatureError
        It cannot be read, or others may read it.
    """
    what = f"The private key {path} cannot be used"
    try:
        with path.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            pem = stream.read(_cryptography.PEM_LIMIT_BYTES)
    except OSError as error:
        raise SignatureError(what, f"it cannot be read ({error.strerror})", "name a PEM file") from error
    if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        raise SignatureError(what, "others may read it", f"chmod 600 {path}")
    return pem


def signer_of(path: Path) -> str:
    """Return the name in the name of a private key's file."""
    return path.name.removesuffix(".pem").removesuffix(".private")


def _write_new(path: Path, data: bytes, mode: int) -> None:
    """Write a file at once or not at all; one that is there is never replaced (``FileExistsError``)."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.link(draft, path)  # unlike a rename it fails where a file is
    finally:
        draft.unlink(missing_ok=True)
