"""``echogfr trust``: whose signatures this machine believes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engines.errors import UsageError

app = typer.Typer(help="Say whose signed bundles this machine believes.", no_args_is_help=True)


@app.command()
def add(
    key: Annotated[Path, typer.Argument(metavar="KEY.pem", help="A public key.")],
    name: Annotated[str | None, typer.Option(help="What to call it here.", show_default="the file's name")] = None,
) -> None:
    """Trust a public key. Get it by a way that you trust: whoever has its private half can sign for you."""
    from engines.trust import TrustStore

    added = TrustStore().add(key, name)
    typer.echo(f"Trusted: {added.name}, id {added.id[:32]}. Compare this id with the signer.")


@app.command("list")
def show() -> None:
    """List the trusted keys, and those that were revoked."""
    from engines.trust import TrustStore

    store = TrustStore()
    for key in store.keys():
        typer.echo(f"{key.name}  {key.id[:32]}")
    for name, reason in store.faults():
        typer.echo(f"{name}  cannot be used: {reason}")
    for revoked in store.revocations():
        typer.echo(f"{revoked.name}  {revoked.key[:32]}  {revoked.told}")
    if not store.keys() and not store.faults():
        typer.echo(f"No key is trusted; they would lie in {store.folder}.")


@app.command()
def remove(key: Annotated[str, typer.Argument(metavar="NAME|KEY.pem", help="Its name here, or its file.")]) -> None:
    """Trust a key no longer."""
    from engines.trust import TrustStore

    store = TrustStore()
    name = store.name_of(Path(key)) if key.endswith(".pem") else key
    if name is None:
        raise UsageError(f"The key {key} cannot be removed", "it is not trusted here", "see echogfr trust list")
    store.remove(name)
    typer.echo(f"No longer trusted: {name}.")


@app.command()
def revoke(
    key: Annotated[str, typer.Argument(metavar="NAME|KEY.pem", help="Its name here, or a file of any public key.")],
    reason: Annotated[str, typer.Option(help="Why, as the refusals will say it.")],
) -> None:
    """Believe a key no more, for good: what it signed is refused, whatever the name and the policy (but off)."""
    from engines.trust import TrustStore

    revoked = TrustStore().revoke(Path(key) if key.endswith(".pem") else key, reason)
    typer.echo(f"{revoked.name} ({revoked.key[:32]}) is {revoked.told}. What it signed is refused here.")
