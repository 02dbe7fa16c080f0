"""Reads all files of weights that a recipe names; all that is wrong is said in one sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from convert.checkpoint import DefectError, file_sha256
from convert.graph.parts import Ensemble, LinearHead, Member, Whole
from convert.graph.trunks import map_size
from convert.origin import SourceFile
from convert.sources.meaning import part, spec
from convert.sources.network import Network
from convert.sources.recipe import Head, Recipe
from convert.sources.repvgg import read_repvgg
from convert.sources.torchvision_model import read_torchvision
from convert.sources.unknown_onnx import read_onnx
from engines.errors import UsageError
from engines.manifest import HeadSpec

READERS: dict[str, Callable[[Path, Recipe], Network]] = {
    "torchvision": read_torchvision,
    "repvgg": read_repvgg,
    "onnx": read_onnx,
}


@dataclass(frozen=True, slots=True, eq=False)
class Collected:
    """One file of weights as a model of one member, with the original that it is held against."""

    file: SourceFile
    network: Network
    ensemble: Ensemble

    @property
    def heads(self) -> tuple[HeadSpec, ...]:
        """What the answers mean."""
        return self.ensemble.heads


def check_files(recipe: Recipe, folder: Path) -> tuple[SourceFile, ...]:
    """Return the files of weights, relative to ``folder``, with their hashes.

    Raises
    ------
    UsageError
        One is missing, cannot be read or is there twice under two names; all are named.
    """
    found: dict[str, str] = {}
    files, defects = [], []
    for name in recipe.source.weights:
        try:
            sha256 = file_sha256(folder / name)
        except OSError as error:
            defects.append(f"{name} cannot be read ({error.strerror})")
            continue
        except ValueError:  # a NUL in it
            defects.append(f"{name!r} is no name of a file")
            continue
        files.append(SourceFile(Path(name).name, sha256))
        first = found.setdefault(sha256, name)
        if first != name:
            defects.append(f"{name} is the same file as {first}")
    if defects:
        raise refused("; ".join(defects))
    return tuple(files)


def read_each(recipe: Recipe, folder: Path, files: tuple[SourceFile, ...]) -> Iterator[Collected]:
    """Yield every member, one after the other.

    Raises
    ------
    UsageError
        Of every file that is wrong, what is wrong with it: in one sentence, after the last.
    """
    defects: list[str] = []
    first: tuple[object, ...] | None = None
    for name, file in zip(recipe.source.weights, files, strict=True):
        try:
            network = READERS[recipe.source.family](folder / name, recipe)
            collected = Collected(file, network, _ensemble(recipe, network))
            form = _form(collected.ensemble)
            first = first or form
            if form != first:
                raise DefectError(f"gives features and maps of other sizes than {recipe.source.weights[0]}")
        except DefectError as error:
            defects.append(f"{name} {error}")
            continue
        if not defects:
            yield collected
    if defects:
        raise refused("; ".join(defects))


def refused(because: str) -> UsageError:
    """Return the one sentence about weights."""
    return UsageError("The weights cannot be converted", because, "correct the recipe, or name other files")


def _ensemble(recipe: Recipe, network: Network) -> Ensemble:
    parts = tuple(part(head, _layer(head, network)) for head in recipe.heads)
    pooled = not isinstance(network.trunk, Whole)
    given = recipe.input
    return Ensemble(
        members=(Member(network.trunk, parts),),
        heads=tuple(spec(head, pooled) for head in recipe.heads),
        height=given.height,
        width=given.width,
        mean=given.mean,
        std=given.std,
        divisor=given.divisor,
        channels=given.channels,
    )


def _layer(head: Head, network: Network) -> LinearHead:
    """Return the last layer that a head reads, after checking that the two go together."""
    name = head.output or next(iter(network.endings))
    ending = network.endings[name]
    count = len(ending.layer.bias)
    told = f"{count} answer{'s' if count > 1 else ''}"
    if head.columns is None and count != head.width:
        raise DefectError(f"gives {told} where the head {head.name} reads {head.width}, so name its columns")
    if head.columns is not None and max(head.columns) >= count:
        raise DefectError(f"gives {told} where the head {head.name} reads column {max(head.columns)}")
    if ending.activation != "identity" and ending.activation != head.activation:
        raise DefectError(f"ends with a {ending.activation}, which does not go with the head {head.name}")
    if ending.activation == "softmax" and count != head.width:
        raise DefectError(f"ends with a softmax over {count} answers, of which the head {head.name} reads {head.width}")
    return ending.layer


def _form(ensemble: Ensemble) -> tuple[object, ...]:
    member = ensemble.members[0]
    size = None if isinstance(member.trunk, Whole) else map_size(member.trunk, ensemble.height, ensemble.width)
    return type(member.trunk), member.features, size
