"""Writes a bundle at once or not at all: into a temporary sibling, verified there, then renamed."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engines.bundle import open_bundle
from engines.consistency import MANIFEST_NAME
from engines.errors import UsageError
from engines.manifest import BundleManifest, FileRef


def check_target(target: Path, force: bool) -> None:
    """Refuse a target that exists, early: before hours of work.

    Raises
    ------
    UsageError
        It exists and ``force`` is off, it is no bundle, or its parent folder is missing.
    """
    what = f"The bundle cannot be written to {target}"
    if not target.parent.is_dir():
        raise UsageError(what, f"the folder {target.parent} does not exist", "create it")
    if not target.exists():
        return
    if not force:
        raise UsageError(what, "it exists already", "choose another name or add --force")
    if not target.is_dir() or (any(target.iterdir()) and not (target / MANIFEST_NAME).is_file()):
        raise UsageError(what, "what lies there is not a bundle and would be lost", "choose another name")


@contextmanager
def draft(target: Path, force: bool) -> Iterator[Path]:
    """Yield an empty sibling folder of ``target``; on a clean exit verify it as a bundle and put it in place.

    After any error, Ctrl-C included, the sibling is removed and ``target`` is as it was. What a killed
    process left behind is removed by the next draft of the same target.

    Raises
    ------
    UsageError
        See ``check_target``.
    BundleError
        What was written is not a valid bundle.
    """
    check_target(target, force)
    for stale in target.parent.glob(f"{_prefix(target)}*"):
        shutil.rmtree(stale)
    folder = Path(tempfile.mkdtemp(prefix=_prefix(target), dir=target.parent))
    try:
        yield folder
        open_bundle(folder)
        folder.chmod(0o755)  # mkdtemp gives 0700; a bundle is read by whoever runs the app
        _put_in_place(folder, target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def refer(folder: Path, name: str) -> FileRef:
    """Return the reference to a written file of the draft."""
    data = (folder / name).read_bytes()
    return FileRef(file=name, sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))


def write_manifest(folder: Path, manifest: BundleManifest) -> None:
    """Write ``manifest.json``: the last file of a draft."""
    (folder / MANIFEST_NAME).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _prefix(target: Path) -> str:
    return f".{target.name}.draft-"


def _put_in_place(folder: Path, target: Path) -> None:
    """Rename; a folder cannot be replaced by a folder in one step, so an old bundle is set aside first."""
    if not target.exists():
        os.replace(folder, target)
        return
    aside = Path(tempfile.mkdtemp(prefix=_prefix(target), dir=target.parent)) / "old"
    os.replace(target, aside)
    try:
        os.replace(folder, target)
    except OSError:
        os.replace(aside, target)
        raise
    finally:
        shutil.rmtree(aside.parent, ignore_errors=True)
