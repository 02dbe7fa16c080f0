"""Bundles of the app: the one that ships with it, and those that were imported."""

from __future__ import annotations

from pathlib import Path

from edge_app.bundles.shelf import Shelf
from engines.bundle import Bundle
from engines.trust import Policy, TrustStore, Verdict, admit

SHIPPED = Path(__file__).resolve().parent / "synthetic-standin"
SHIPPED_LOCALIZER = SHIPPED.with_name("synthetic-localizer")


def bundle_path(asked: Path | str | None, shelf: Shelf | None = None) -> Path:
    """Return the bundle's directory: of a path, of the id of an imported bundle, or of None.

    None is the imported bundle that ``echogfr bundle use`` named, or else the synthetic stand-in that ships with the
    app. A directory of that name wins over an id. It is not opened here: ``engines.bundle.open_bundle`` says what is
    wrong with it.
    """
    shelf = shelf or Shelf()
    if asked is None:
        chosen = shelf.chosen()
        return SHIPPED if chosen is None else shelf.current(chosen) or shelf.folder / chosen
    path = Path(asked).expanduser()
    return path if path.is_dir() or len(path.parts) != 1 else shelf.current(path.name) or path


def admit_bundle(bundle: Bundle, policy: Policy | None) -> Verdict:
    """Return the verdict on a bundle's signature; None is ``warn``. The shipped one came with the program.

    Raises
    ------
    SignatureError
        The policy refuses it.
    """
    if bundle.path.resolve() in (SHIPPED, SHIPPED_LOCALIZER):
        return Verdict("trusted", "came with the program")
    return admit(bundle, policy or "warn", TrustStore())
