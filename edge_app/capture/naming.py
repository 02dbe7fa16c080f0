"""What of a source's name may be shown: user names, passwords and tokens never."""

from __future__ import annotations

import re

MASK = "***"
_CREDENTIALS = re.compile(r"(?<=//)[^/?#\s]*@")
_QUERY = re.compile(r"\?\S*")
_PROPERTY = re.compile(
    r"\b((?:[a-z]+-)?(?:user|id|pw|passwd|password|passphrase|token|secret|key)\s*=\s*)(\"[^\"]*\"|\S+)"
)


def shown(address: str) -> str:
    """Return an address, or a pipeline with addresses, that may be written on a screen, into a report or a log.

    What stands before an ``@``, behind a ``?`` and in a property named like a password is masked.
    """
    masked = _PROPERTY.sub(rf"\g<1>{MASK}", _CREDENTIALS.sub(f"{MASK}@", address))
    return _QUERY.sub(f"?{MASK}", masked) if "://" in masked else masked


def host_of(address: str) -> str:
    """Return who is asked, for a title: ``host:port`` without anything else."""
    rest = shown(address).partition("://")[2]
    return re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[2] or "this computer"
