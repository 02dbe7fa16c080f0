"""Writes the artifacts of a bundle: one file a precision and family, or one a member, never all in memory at once."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import onnx

from convert.calibration import to_int8
from convert.members import save
from convert.merging import merge
from convert.plan import ArtifactKey
from convert.precision import to_fp16
from convert.progress import Progress
from convert.ranges import Ranges
from convert.write import refer
from engines.manifest import Artifact, HeadSpec


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """What artifacts are made of: fp32 graphs in ``files``, each of one member or one of all, and their ``ranges``.

    ``folder``: where the artifacts go; ``store``: where parts lie meanwhile; ``left``: units that stay in float.
    """

    files: Sequence[Path]
    ranges: Sequence[Ranges]
    heads: tuple[HeadSpec, ...]
    folder: Path
    store: Path
    separate: bool
    left: Mapping[ArtifactKey, frozenset[str]] = field(default_factory=dict)


def write_artifacts(parts: Parts, key: ArtifactKey, progress: Progress) -> tuple[Artifact, ...]:
    """Write one precision for one family and return its artifacts: one, or one a member.

    Raises
    ------
    UsageError
        A weight does not fit into FP16, or all members do not fit into one file.
    """
    precision, family = key
    stem = precision if family == "any" else f"{precision}-{family}"
    name = f"{stem}.onnx"
    if parts.separate:
        names = [f"{stem}-member{index:02d}.onnx" for index in range(len(parts.files))]
        _write_parts(parts, key, [parts.folder / name for name in names], progress)
        references = [refer(parts.folder, name) for name in names]
        return tuple(
            Artifact(**reference.model_dump(), precision=precision, family=family, member=index)
            for index, reference in enumerate(references)
        )
    if len(parts.files) == 1:
        _write_parts(parts, key, [parts.folder / name], progress)
    elif precision == "fp32":
        merge(parts.files, parts.heads, parts.folder / name, progress)
    else:
        typed = [parts.store / f"{stem}-{index}.onnx" for index in range(len(parts.files))]
        _write_parts(parts, key, typed, progress)
        merge(typed, parts.heads, parts.folder / name, progress)
        for path in typed:
            path.unlink()
    return (Artifact(**refer(parts.folder, name).model_dump(), precision=precision, family=family),)


def _write_parts(parts: Parts, key: ArtifactKey, targets: Sequence[Path], progress: Progress) -> None:
    """Write the graph in each file at another precision."""
    precision, family = key
    stage = f"making {precision}" if family == "any" else f"making {precision} for {family}"
    for index, target in enumerate(targets):
        progress(stage, index, len(targets))
        if precision == "fp32":
            shutil.copyfile(parts.files[index], target)
            continue
        model = onnx.load(parts.files[index])
        if precision == "fp16":
            save(to_fp16(model), target)
        else:
            save(to_int8(model, family, parts.ranges[index], parts.left.get(key, frozenset())), target)
    progress(stage, len(targets), len(targets))
