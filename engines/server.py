"""An inference server as the operator named it, and what a bundle is called there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from engines.errors import UsageError
from engines.manifest import BundleManifest, Precision

BUNDLE_SHA256: Final = "echogfr_bundle_sha256"  # parameters of a model's configuration, by which it is known
ARTIFACT_SHA256: Final = "echogfr_artifact_sha256"
_ADDRESS = re.compile(r"(?:(?P<scheme>grpcs?)://)?(?P<address>(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5})/?")
_HIGHEST_PORT = 65535


class Server(BaseModel):
    """Where the server is and how it is asked. Without TLS, pictures travel readable for anyone on the way."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    address: str  # HOST:PORT
    tls: bool = False
    ca: Path | None = None  # PEM, whose certificates are believed; None: the authorities that gRPC brings
    certificate: Path | None = None  # PEM of this client, where the server asks for one
    key: Path | None = None
    deadline_s: float = Field(default=2.0, gt=0, le=60)  # for one request with all its retries

    @property
    def where(self) -> str:
        """Return the address and whether it is encrypted, for a person."""
        return f"{self.address} ({'TLS' if self.tls else 'not encrypted'})"


def make_server(
    url: str,
    ca: Path | None = None,
    certificate: Path | None = None,
    key: Path | None = None,
    deadline_s: float = 2.0,
) -> Server:
    """Return the server of ``HOST:PORT``, ``grpc://HOST:PORT`` or, for TLS, ``grpcs://HOST:PORT``; a CA means TLS too.

    Raises
    ------
    UsageError
        The address is none, a file is not there, or a certificate is given without its key.
    """
    what = f"The server '{url}' cannot be used"
    found = _ADDRESS.fullmatch(url.strip())
    if found is None or not 0 < int(found["address"].rsplit(":", 1)[1]) <= _HIGHEST_PORT:
        raise UsageError(what, "that is no address with a port", "write HOST:PORT, or grpcs://HOST:PORT for TLS")
    if found["scheme"] == "grpc" and ca is not None:
        raise UsageError(what, "a CA is given, but grpc:// is not encrypted", "write grpcs://")
    if (certificate is None) != (key is None):
        raise UsageError(what, "a client's certificate and its key go together", "give both or neither")
    for path in (ca, certificate, key):
        if path is not None and not path.is_file():
            raise UsageError(what, f"there is no file {path}", "name a PEM file")
    tls = found["scheme"] == "grpcs" or ca is not None or certificate is not None
    return Server(address=found["address"], tls=tls, ca=ca, certificate=certificate, key=key, deadline_s=deadline_s)


def model_name(manifest: BundleManifest, precision: Precision) -> str:
    """Return what the whole model is called on a server."""
    return f"{manifest.bundle_id}-{precision}"


def member_name(manifest: BundleManifest, precision: Precision, member: int) -> str:
    """Return what one member, left as a separate artifact, is called on a server."""
    return f"{model_name(manifest, precision)}-member{member}"


def part_name(output: str, member: int) -> str:
    """Return what an output of one member is called among those of all."""
    return f"{output}-member{member}"
