"""Writes a folder of results at once or not at all: into a temporary sibling, then renamed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engines.errors import UsageError

MARK = "evaluation.json"  # a folder with it is ours to replace


def check_target(target: Path, force: bool) -> None:
    """Refuse a target early, before any picture is read.

    Raises
    ------
    UsageError
        It exists and ``force`` is off, it is no evaluation, or its parent folder is missing.
    """
    what = f"The evaluation cannot be written to {target}"
    if not target.parent.is_dir():
        raise UsageError(what, f"the folder {target.parent} does not exist", "create it")
    if not target.exists():
        return
    if not force:
        raise UsageError(what, "it exists already", "choose another name or add --force")
    if not target.is_dir() or (any(target.iterdir()) and not (target / MARK).is_file()):
        raise UsageError(what, "what lies there is no evaluation and would be lost", "choose another name")


@contextmanager
def all_or_nothing(target: Path, force: bool) -> Iterator[Path]:
    """Yield an empty sibling of ``target``; on a clean exit it takes its place, else ``target`` is as it was.

    Raises
    ------
    UsageError
        See ``check_target``.
    """
    check_target(target, force)
    try:
        draft = Path(tempfile.mkdtemp(prefix=f".{target.name}.draft-", dir=target.parent))
    except OSError as error:
        what, because = f"The evaluation cannot be written to {target}", error.strerror or "the folder is closed"
        raise UsageError(what, because, "choose a folder that can be written") from error
    try:
        new, old = draft / "new", draft / "old"
        new.mkdir()  # not the 0700 of mkdtemp: results are read by others
        yield new
        if target.exists():  # a folder cannot be replaced by a folder in one step
            os.replace(target, old)
        try:
            os.replace(new, target)
        except OSError:
            if old.exists():
                os.replace(old, target)
            raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
