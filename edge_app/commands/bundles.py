"""``echogfr bundle``: imported bundles, two slots for each id."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engines.errors import UsageError

if TYPE_CHECKING:
    from edge_app.bundles.shelf import Installed
    from engines.trust import Policy, TrustStore

app = typer.Typer(help="Import bundles, choose among them, and go back.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(metavar="ID", help="The bundle's id, as the list shows it.")]


@app.command("import")
def take(
    path: Annotated[Path | None, typer.Argument(help="A bundle's folder, or a zip archive of one.")] = None,
    usb: Annotated[bool, typer.Option("--usb", help="Take the one bundle on removable media.")] = False,
) -> None:
    """Verify and test a bundle and install it; the one before it is kept for a rollback."""
    from edge_app.bundles import media
    from edge_app.bundles.receive import Terms, receive
    from edge_app.bundles.shelf import Shelf
    from edge_app.progress import byte_progress
    from edge_app.settings import load_settings

    if usb == (path is not None):
        cure = "name a folder or a zip archive, or add --usb"
        raise UsageError("No bundle can be imported", "exactly one of PATH and --usb is wanted", cure)
    under = media.places()
    source = media.only_bundle(under) if path is None else path
    policy: Policy = "require" if media.is_removable(source, under) else "warn"
    terms = Terms(load_settings().signatures or policy)
    try:
        with byte_progress() as moved:
            done = receive(source, Shelf(), terms, moved)
    except KeyboardInterrupt:
        typer.echo("Cancelled: the imported bundles are as they were.", err=True)
        raise
    manifest = done.manifest
    begin = "Imported" if done.new else "Nothing to do, it is current already"
    mark = " SYNTHETIC" if manifest.synthetic else ""
    typer.echo(f"{begin}: {manifest.bundle_id} {manifest.version}{mark}, {done.verdict.told}.")
    if done.new:
        typer.echo(f"Its self-test passed. echogfr bundle use {manifest.bundle_id} makes it the app's own.")


@app.command("list")
def show() -> None:
    """List the imported bundles, and what their signatures are worth."""
    from edge_app.bundles.shelf import Shelf
    from engines.trust import TrustStore

    shelf, store = Shelf(), TrustStore()
    entries = shelf.entries()
    for entry in entries:
        for line in _lines(entry, store):
            typer.echo(line)
    if not entries:
        typer.echo(f"No bundle was imported; they would lie in {shelf.folder}.")
    if not any(entry.chosen for entry in entries):
        typer.echo("The app takes the synthetic stand-in that ships with it.")


@app.command()
def use(
    bundle: Annotated[str | None, typer.Argument(metavar="ID", help="The bundle's id.")] = None,
    shipped: Annotated[bool, typer.Option("--shipped", help="The stand-in that ships with the app.")] = False,
) -> None:
    """Choose what the app takes where no bundle is named."""
    from edge_app.bundles.shelf import Shelf
    from engines.localizer import open_reader

    if shipped == (bundle is not None):
        raise UsageError("No bundle can be chosen", "exactly one of ID and --shipped is wanted", "name one")
    shelf = Shelf()
    current = None if bundle is None else shelf.current(bundle)
    if current is not None:
        open_reader(current)
    shelf.use(bundle)
    typer.echo(f"The app takes {bundle or 'the synthetic stand-in that ships with it'} from its next start on.")


@app.command()
def rollback(bundle: Id) -> None:
    """Go back to the bundle before; the same again goes forward."""
    from edge_app.bundles.shelf import Shelf
    from engines.bundle import open_bundle

    shelf = Shelf()
    found = shelf.find(bundle)
    if found is not None and found.previous is not None:
        open_bundle(found.previous)  # a damaged one would leave the app with none
    manifest = open_bundle(shelf.rollback(bundle)).manifest
    typer.echo(f"Current is {manifest.bundle_id} {manifest.version} from the app's next start on.")


@app.command()
def remove(bundle: Id) -> None:
    """Remove a bundle, both slots of it; not while a running app uses it."""
    from edge_app.bundles.shelf import Shelf

    Shelf().remove(bundle)
    typer.echo(f"Removed: {bundle}.")


def _lines(entry: Installed, store: TrustStore) -> list[str]:
    if entry.fault is not None:
        return [f"{entry.bundle_id}  {entry.fault}"]
    lines = [f"{entry.bundle_id}{'  chosen' if entry.chosen else ''}"]
    for slot, path in (("current", entry.current), ("previous", entry.previous)):
        if path is not None:
            lines.append(f"  {slot}: {_told(path, store)}")
    return lines


def _told(path: Path, store: TrustStore) -> str:
    from engines.bundle import open_bundle
    from engines.errors import EchoGFRError
    from engines.trust import judge_bundle

    try:
        bundle = open_bundle(path)
    except EchoGFRError as error:
        return error.because
    mark = " SYNTHETIC" if bundle.manifest.synthetic else ""
    return f"{bundle.manifest.version}{mark}, {bundle.sha256[:12]}, {judge_bundle(bundle, store).told}"
