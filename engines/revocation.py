"""Keys that are believed no more: one small file for each, ``ID.revoked`` beside the trusted keys."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engines.errors import SignatureError

SUFFIX = ".revoked"
LIMIT_BYTES = 4096
_ID = re.compile(r"[0-9a-f]{64}")


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(max_length=64)]
    reason: Annotated[str, Field(min_length=1, max_length=200)]
    revoked: datetime


@dataclass(frozen=True, slots=True)
class Revocation:
    """That a key is believed no more; ``told`` is a clause: "revoked on DATE: REASON"."""

    key: str  # its id, the SHA-256 of the public key
    name: str  # that it had here
    told: str


def read_revocations(folder: Path) -> tuple[Revocation, ...]:
    """Return the revoked keys of a folder; a file that cannot be read still revokes the key that it is named after."""
    paths = sorted(folder.glob(f"*{SUFFIX}")) if folder.is_dir() else []
    return tuple(_read(path) for path in paths if _ID.fullmatch(path.name.removesuffix(SUFFIX)))


def write_revocation(folder: Path, key: str, name: str, reason: str) -> Revocation:
    """Revoke a key for good; the first reason stays.

    Raises
    ------
    SignatureError
        The reason is empty or longer than 200 characters, or the folder cannot be written.
    """
    what, path = f"The key {name} cannot be revoked", folder / f"{key}{SUFFIX}"
    try:
        record = _Record(name=name[:64], reason=" ".join(reason.split()), revoked=datetime.now(timezone.utc))
    except ValidationError as error:
        raise SignatureError(what, "a reason has 1 to 200 characters", "give another --reason") from error
    draft = folder / f".{key}.{os.getpid()}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            draft.write_text(record.model_dump_json() + "\n", encoding="utf-8")
            os.replace(draft, path)
    except OSError as error:
        raise SignatureError(what, f"{folder} cannot be written ({error.strerror})", "check its rights") from error
    finally:
        draft.unlink(missing_ok=True)
    return _read(path)


def _read(path: Path) -> Revocation:
    key = path.name.removesuffix(SUFFIX)
    try:
        with path.open("rb") as stream:
            record = _Record.model_validate_json(stream.read(LIMIT_BYTES))
    except (OSError, ValidationError):
        return Revocation(key, key[:12], "revoked, for a reason that cannot be read")
    return Revocation(key, record.name, f"revoked on {record.revoked:%Y-%m-%d}: {record.reason}")
