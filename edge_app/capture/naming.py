"""What of a source's name may be shown: user names, passwords and tokens never."""

from __future__ import annotations

import re

MASK = "***"
_CREDENTIALS = re.compile(r"(?<=//)[^/?#\s]*@")
_QUERY = re.compile(r"\?.*", re.DOTALL)


def shown(address: str) -> str:
    """Return a network address that may be written on a screen, into a report or into a log.

    What stands before an ``@`` and what stands behind a ``?`` is masked: either may hold a secret.
    """
    masked = _CREDENTIALS.sub(f"{MASK}@", address)
    return _QUERY.sub(f"?{MASK}", masked) if "://" in masked else masked


def host_of(address: str) -> str:
    """Return who is asked, for a title: ``host:port`` without anything else."""
    rest = shown(address).partition("://")[2]
    return re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[2] or "this computer"
