"""Writes a bundle at once or not at all: into a temporary sibling, verified there, then renamed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from convert.folder import Kind, all_or_nothing
from engines.bundle import open_bundle
from engines.consistency import MANIFEST_NAME
from engines.manifest import BundleManifest, FileRef

BUNDLE = Kind("bundle", MANIFEST_NAME)


@contextmanager
def draft(target: Path, force: bool) -> Iterator[Path]:
    """Yield an empty sibling folder of ``target``; on a clean exit verify it as a bundle and put it in place.

    Raises
    ------
    UsageError
        See ``convert.folder.all_or_nothing``.
    BundleError
        What was written is not a valid bundle.
    """
    with all_or_nothing(target, force, BUNDLE) as folder:
        yield folder
        open_bundle(folder)


def refer(folder: Path, name: str) -> FileRef:
    """Return the reference to a written file of the draft."""
    digest = hashlib.sha256()
    with (folder / name).open("rb") as stream:
        while chunk := stream.read(1 << 20):  # an artifact may have 2 GB
            digest.update(chunk)
    return FileRef(file=name, sha256=digest.hexdigest(), size_bytes=(folder / name).stat().st_size)


def write_manifest(folder: Path, manifest: BundleManifest) -> None:
    """Write ``manifest.json``: the last file of a draft."""
    (folder / MANIFEST_NAME).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
