"""Files: what of a folder is copied, in which order, and under which names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge_app.capture.dicom import looks_like_dicom
from edge_app.capture.folder import natural_order
from edge_app.capture.video import is_still
from edge_app.deidentify.plan import DeidentifyPlan, Names
from edge_app.deidentify.report import Kind
from engines.errors import UsageError

ENDINGS: dict[Kind, str] = {"dicom": ".dcm", "still": ".png", "video": ".mp4", "other": ""}
VIDEOS = frozenset(
    ".mp4 .m4v .mov .mkv .webm .avi .mpg .mpeg .ts .m2ts .mts .wmv .asf .flv .dv .gif .ogv .mxf .3gp".split()
)
REPORT = "report.json"


@dataclass(frozen=True, slots=True)
class Job:
    """One original and its copy; ``number`` counts from 1."""

    number: int
    kind: Kind
    original: Path
    copy: Path


def jobs(plan: DeidentifyPlan) -> tuple[list[Job], Path | None]:
    """Return what is to be done, and the folder of the copies, None where one file goes to a file's name.

    Raises
    ------
    UsageError
        There is nothing to copy, or it would go over or into the originals.
    """
    source, out = plan.source.resolve(), plan.out.resolve()
    what = f"{plan.source} cannot be deidentified"
    if not source.exists():
        raise UsageError(what, "there is no such file or folder", "check the path")
    if source.is_file() and out.suffix and not out.is_dir():
        return [_single(source, out, what)], None
    _refuse_in_place(source, out, what)
    if out.is_dir() and any(out.iterdir()):
        raise UsageError(f"{plan.out} cannot be written", "the folder is not empty", "name a new folder")
    originals = _originals(source) if source.is_dir() else [source]
    if not originals:
        raise UsageError(what, "the folder holds no file", "choose another")
    return [_job(number, path, (source, out), plan.names) for number, path in enumerate(originals, 1)], out


def kind_of(path: Path, *, only: bool = False) -> Kind:
    """Return what a file is; ``only``: it was named by itself, and whatever is no picture may be a video."""
    if looks_like_dicom(path):
        return "dicom"
    if is_still(path):
        return "still"
    return "video" if only or path.suffix.lower() in VIDEOS else "other"


def _single(source: Path, out: Path, what: str) -> Job:
    kind = kind_of(source, only=True)
    if out == source:
        raise UsageError(what, "the copy would replace the original", "choose another name")
    if out.exists():
        raise UsageError(f"{out} cannot be written", "there is such a file already", "choose another name")
    if out.suffix.lower() != ENDINGS[kind]:
        cure = f"give a name that ends in {ENDINGS[kind]}, or a folder"
        raise UsageError(f"{out} cannot be written", f"the copy of a {kind} is no {out.suffix} file", cure)
    return Job(1, kind, source, out)


def _refuse_in_place(source: Path, out: Path, what: str) -> None:
    folder = source if source.is_dir() else source.parent
    if out == folder or (source.is_dir() and folder in out.parents):
        raise UsageError(what, "the copies would lie among the originals", "choose a folder outside of it")
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} cannot be written", "it is a file", "name a folder that does not exist yet")


def _originals(folder: Path) -> list[Path]:
    found = [path for path in folder.rglob("*") if path.is_file() and not _hidden(path.relative_to(folder))]
    return sorted(found, key=lambda path: natural_order(str(path.relative_to(folder))))


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _job(number: int, path: Path, places: tuple[Path, Path], names: Names) -> Job:
    source, out = places
    kind = kind_of(path, only=source.is_file())
    if names == "number":
        return Job(number, kind, path, out / f"{number:04d}{ENDINGS[kind]}")
    relative = path.relative_to(source) if source.is_dir() else Path(path.name)
    # With its whole name: a clip and a still of one stem must not take each other's place.
    return Job(number, kind, path, out / relative.with_name(f"{relative.name}{ENDINGS[kind]}"))
