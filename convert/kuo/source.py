"""Reads a folder of published models into an ensemble; all that is wrong is said in one sentence."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from convert.checkpoint import DefectError, file_sha256
from convert.egfr_heads import EGFR_HEADS
from convert.graph.parts import DeepHead, Ensemble, Member, Trees, Trunk
from convert.kuo import member
from convert.kuo.boosters import SUFFIXES, flipped, load_trees
from convert.kuo.checkpoint import load_checkpoint
from convert.kuo.layout import PUBLISHED_LAYOUT, Layout
from convert.origin import SourceFile
from convert.progress import Progress
from engines.errors import UsageError

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # the released code: ImageNet normalisation, RGB
MOST_MEMBERS = 10
SHOWN = 12  # defects in one sentence; the rest is counted
Part = TypeVar("Part")


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """What was read: the ensemble, and the files that it is of."""

    ensemble: Ensemble
    files: tuple[SourceFile, ...]


@dataclass(frozen=True, slots=True)
class Request:
    """Which members to read, and how."""

    folder: Path
    members: int | None  # None: all that are there
    flip_polarity: bool = False
    layout: Layout = PUBLISHED_LAYOUT


def read_source(request: Request, progress: Progress) -> Source:
    """Read and check every file of the members asked for.

    Raises
    ------
    UsageError
        One sentence with all defects of all files.
    """
    members: list[Member] = []
    files = read_members(request, lambda index, member: members.append(member), progress)
    return Source(ensemble_of(tuple(members), request.layout), files)


def read_members(request: Request, take: Callable[[int, Member], None], progress: Progress) -> tuple[SourceFile, ...]:
    """Read and check every file, hand each member to ``take`` and let go of it: ten are 1.8 GB. Return the files.

    Raises
    ------
    UsageError
        One sentence with all defects of all files; members without any were taken before.
    """
    count = _count(request)
    reading = _Reading(request)
    for index in range(count):
        progress("reading models", index, count)
        found = reading.member(index)
        if found is not None:
            take(index, found)
    progress("reading models", count, count)
    if reading.defects:
        raise _refused(request.folder, reading.defects)
    return tuple(reading.files)


def ensemble_of(members: tuple[Member, ...], layout: Layout) -> Ensemble:
    """Return members as the model that they are of."""
    return Ensemble(members, EGFR_HEADS, layout.size, layout.size, MEAN, STD)


class _Reading:
    """Collects defects and hashes over all files."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._seen: dict[str, str] = {}  # hash to the first file that has it
        self.defects: list[str] = []
        self.files: list[SourceFile] = []

    def member(self, index: int) -> Member | None:
        """Read both files of one member; None if either has a defect."""
        network = self._attempt((f"model_{index}.pkl",), self._network)
        trees = self._attempt(tuple(f"xgb_{index}{suffix}" for suffix in SUFFIXES), self._trees)
        if network is None or trees is None:
            return None
        trunk, head = network
        return Member(trunk, (head, trees))

    def _network(self, path: Path) -> tuple[Trunk, DeepHead]:
        state = load_checkpoint(path, self._request.layout)
        return member.trunk(state, self._request.layout), member.head(state)

    def _trees(self, path: Path) -> Trees:
        trees = load_trees(path, self._request.layout.features)
        return flipped(trees) if self._request.flip_polarity else trees

    def _attempt(self, names: tuple[str, ...], read: Callable[[Path], Part]) -> Part | None:
        found = [name for name in names if (self._request.folder / name).is_file()]
        if len(found) != 1:
            also = f" (or {', '.join(names[1:])})" if names[1:] else ""
            self.defects.append(f"{' and '.join(found)} are there at once" if found else f"{names[0]}{also} is missing")
            return None
        path = self._request.folder / found[0]
        try:
            self._note(path)
            return read(path)
        except DefectError as error:
            self.defects.append(f"{path.name} {error}")
        except OSError as error:
            self.defects.append(f"{path.name} cannot be read ({error.strerror})")
        return None

    def _note(self, path: Path) -> None:
        sha256 = file_sha256(path)
        self.files.append(SourceFile(path.name, sha256))
        first = self._seen.setdefault(sha256, path.name)
        if first != path.name:
            raise DefectError(f"is the same file as {first}")


def _count(request: Request) -> int:
    folder = request.folder
    if not folder.is_dir():
        raise UsageError(f"The models in {folder} cannot be read", "there is no such folder", "name another")
    found = [re.fullmatch(r"(?:model|xgb)_(\d+)\..*", path.name) for path in folder.iterdir()]
    numbers = [int(match.group(1)) for match in found if match]
    if not numbers:
        raise _refused(folder, ["there is no model_0.pkl"])
    count = max(numbers) + 1 if request.members is None else request.members
    if not 1 <= count <= MOST_MEMBERS:
        raise UsageError(
            f"The models in {folder} cannot be read", f"{count} members were asked for", f"use 1 to {MOST_MEMBERS}"
        )
    return count


def _refused(folder: Path, defects: list[str]) -> UsageError:
    more = f"; and {len(defects) - SHOWN} more" if len(defects) > SHOWN else ""
    cure = "copy the published files again, or choose fewer with --members"
    return UsageError(f"The models in {folder} cannot be read", "; ".join(defects[:SHOWN]) + more, cure)
