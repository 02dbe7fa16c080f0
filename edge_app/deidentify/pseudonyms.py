"""Pseudonyms: what stands in place of identifiers; the same key gives the same, and without it nothing leads back."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from edge_app.atomic import explained, replacing
from engines.errors import UsageError

KEY_BYTES = 32
MOST_DAYS = 3650  # dates are moved back by 1 to so many days
UID_BITS = 122  # of a UUID, which is what a UID under 2.25 is made of (DICOM PS3.5 B.2)


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """Replaces identifiers by an HMAC-SHA256 under ``key``, which is drawn anew for each run unless kept in a file."""

    key: bytes = field(default_factory=lambda: secrets.token_bytes(KEY_BYTES), repr=False)

    def uid(self, original: str) -> str:
        """Return a DICOM UID of up to 44 characters."""
        return f"2.25.{(1 << 127) | self._number('uid', original) % (1 << UID_BITS)}"

    def patient(self, original: str) -> str:
        """Return an id of 12 characters for a patient."""
        return f"P-{self._number('patient', original) % 16**10:010X}"

    def days(self, patient: str) -> int:
        """Return by how many days the dates of a patient are moved back."""
        return 1 + self._number("days", patient) % MOST_DAYS

    def _number(self, kind: str, original: str) -> int:
        digest = hmac.new(self.key, f"{kind}\0{original}".encode(), hashlib.sha256).digest()
        return int.from_bytes(digest, "big")


def kept_in(path: Path) -> Pseudonyms:
    """Return the pseudonyms under the key in a file, which is made where it is not there, for its owner alone.

    Raises
    ------
    UsageError
        The file cannot be read or written, or holds no key.
    """
    what = f"The key file {path} cannot be used"
    if not path.exists():
        with replacing(path) as unfinished, explained(path):
            unfinished.touch(mode=0o600)
            unfinished.write_text(secrets.token_hex(KEY_BYTES) + "\n", encoding="ascii")
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except (OSError, ValueError) as error:
        because = (error.strerror or "it cannot be read") if isinstance(error, OSError) else "it holds no key"
        raise UsageError(what, because.lower(), "name a file that does not exist yet: it will be made") from error
    if len(key) != KEY_BYTES:
        raise UsageError(what, "its key has not 64 hexadecimal digits", "name a file that does not exist yet")
    return Pseudonyms(key)
