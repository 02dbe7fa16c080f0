"""Writes a folder at once or not at all: into a temporary sibling, then renamed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from convert.scratch import scratch
from engines.errors import UsageError


@dataclass(frozen=True, slots=True)
class Kind:
    """What is written: its word in sentences, and the file by which a folder is known as ours to replace."""

    word: str
    mark: str


def check_target(target: Path, force: bool, kind: Kind) -> None:
    """Refuse a target early: before hours of work.

    Raises
    ------
    UsageError
        It exists and ``force`` is off, it is not of this kind, or its parent folder is missing.
    """
    what = f"The {kind.word} cannot be written to {target}"
    if not target.parent.is_dir():
        raise UsageError(what, f"the folder {target.parent} does not exist", "create it")
    if not target.exists():
        return
    if not force:
        raise UsageError(what, "it exists already", "choose another name or add --force")
    if not target.is_dir() or (any(target.iterdir()) and not (target / kind.mark).is_file()):
        raise UsageError(what, f"what lies there is no {kind.word} and would be lost", "choose another name")


@contextmanager
def all_or_nothing(target: Path, force: bool, kind: Kind) -> Iterator[Path]:
    """Yield an empty sibling of ``target``; on a clean exit it takes its place.

    After any error, Ctrl-C included, the sibling is removed and ``target`` is as it was. What a killed
    process left behind is removed by the next draft of the same target.

    Raises
    ------
    UsageError
        See ``check_target`` and ``convert.scratch``.
    """
    check_target(target, force, kind)
    with scratch(target, "draft", f"The {kind.word} cannot be written to {target}") as draft:
        new = draft / "new"
        new.mkdir()  # not the 0700 of mkdtemp: others read the results
        yield new
        _put_in_place(new, target, aside=draft / "old")


def _put_in_place(new: Path, target: Path, aside: Path) -> None:
    """Rename; a folder cannot be replaced by a folder in one step, so an old one is set aside first."""
    if target.exists():
        os.replace(target, aside)
    try:
        os.replace(new, target)
    except OSError:
        if aside.exists():
            os.replace(aside, target)
        raise
