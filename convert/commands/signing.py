"""Commands ``keys new``, ``sign`` and ``pack``: a bundle that travels, and says who it is from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from convert.terminal import bars, boundary, out

PASSPHRASE_VARIABLE = "ECHOGFR_KEY_PASSPHRASE"
keys = typer.Typer(help="Keys that sign bundles.", no_args_is_help=True)

Bundle = Annotated[Path, typer.Argument(help="A bundle: the folder that holds manifest.json.")]


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.add_typer(keys, name="keys")
    app.command()(sign)
    app.command()(pack)


@keys.callback()
def group() -> None:
    """Keys that sign bundles."""


@keys.command()
def new(
    folder: Annotated[Path, typer.Option("--out", help="Folder that both halves are written to.")],
    name: Annotated[str, typer.Option("--name", help="Who signs with it.")],
    passphrase: Annotated[bool, typer.Option("--passphrase", help="Encrypt the private half.")] = False,
) -> None:
    """Make an Ed25519 key: NAME.private.pem, which stays with you, and NAME.public.pem, for those who trust you."""
    with boundary("Cancelled: nothing was written."):
        from convert.keys import write_pair

        private, public, key_id = write_pair(folder, name, _new_passphrase() if passphrase else None)
        _say(f"Written: {private} (keep it secret) and {public} (give it away), id {key_id[:32]}.")


def sign(
    bundle: Bundle,
    key: Annotated[Path, typer.Option("--key", help="The private PEM file.")],
    name: Annotated[str | None, typer.Option(help="Who signs.", show_default="the key's file name")] = None,
) -> None:
    """Sign a bundle: write manifest.sig beside its manifest, after verifying every file."""
    with boundary("Cancelled: the bundle is as it was."):
        from convert.keys import read_private, signer_of
        from engines._cryptography import is_encrypted
        from engines.bundle import open_bundle
        from engines.signature import sign as signed
        from engines.signature import write_signature

        opened, pem = open_bundle(bundle), read_private(key)
        passphrase = _known_passphrase() if is_encrypted(pem) else None
        signature = signed(opened.manifest_bytes(), pem, passphrase, name or signer_of(key))
        path = write_signature(bundle, signature)
        _say(f"Signed: {path} by {signature.signer}, id {signature.key[:32]}.")


def pack(
    bundle: Bundle,
    target: Annotated[Path, typer.Option("--out", help="The zip archive.")],
) -> None:
    """Write a bundle, and its signature, to one zip archive; the same bundle gives the same bytes."""
    with boundary("Cancelled: nothing was written."):
        from engines.bundle import open_bundle
        from engines.pack import pack as packed

        opened = open_bundle(bundle)
        with bars() as progress:
            packed(opened, target, lambda done, total: progress("Packing", done, total))
        _say(f"Written: {target} ({target.stat().st_size / 1e6:.1f} MB).")


def _new_passphrase() -> bytes:
    return _from_environment() or typer.prompt("Passphrase", hide_input=True, confirmation_prompt=True).encode()


def _known_passphrase() -> bytes:
    return _from_environment() or typer.prompt("Passphrase", hide_input=True).encode()


def _from_environment() -> bytes | None:
    return os.environ.get(PASSPHRASE_VARIABLE, "").encode() or None


def _say(text: str) -> None:
    out.print(text, soft_wrap=True, markup=False, highlight=False)
