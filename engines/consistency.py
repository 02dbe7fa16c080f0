"""Whether a manifest, valid field by field, also makes sense as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from engines.manifest import BundleManifest, FileRef, Meaning

MANIFEST_NAME = "manifest.json"
REQUIRED: tuple[Meaning, ...] = ("egfr_members", "p_egfr_below_60_members", "features")


def listed_files(manifest: BundleManifest) -> tuple[FileRef, ...]:
    """Return every file that a manifest names, in its order."""
    others = (manifest.golden, manifest.domain, manifest.card, manifest.report, manifest.report_json)
    return (*manifest.artifacts, *others)


def contradictions(manifest: BundleManifest) -> Iterator[str]:
    """Yield each contradiction of a manifest as a clause of a sentence; nothing if it makes sense."""
    yield from _files(manifest)
    yield from _outputs(manifest)
    yield from _precisions(manifest)
    yield from _interval(manifest)


def _files(manifest: BundleManifest) -> Iterator[str]:
    names = [ref.file for ref in listed_files(manifest)]
    for name in _repeated(names):
        yield f"{name} is listed twice"
    if MANIFEST_NAME in names:
        yield f"{MANIFEST_NAME} lists itself"


def _outputs(manifest: BundleManifest) -> Iterator[str]:
    for name in _repeated([output.name for output in manifest.outputs]):
        yield f"two outputs are named {name}"
    meanings = [output.meaning for output in manifest.outputs]
    for meaning in _repeated(meanings):
        yield f"two outputs mean {meaning}"
    for meaning in REQUIRED:
        if meaning not in meanings:
            yield f"no output means {meaning}"
    for output in manifest.outputs:
        if output.meaning.endswith("_members") and output.shape != (manifest.members,):
            yield f"the output {output.name} has the shape {output.shape} for {manifest.members} members"
        wanted = {"features": 1, "cam": 2}.get(output.meaning, len(output.shape))
        if len(output.shape) != wanted or any(length < 1 for length in output.shape):
            yield f"the output {output.name} has the shape {output.shape}, which {output.meaning} cannot have"


def _precisions(manifest: BundleManifest) -> Iterator[str]:
    for pair in _repeated([f"{a.precision} for {a.family}" for a in manifest.artifacts]):
        yield f"there are two artifacts at {pair}"
    for precision in dict.fromkeys(a.precision for a in manifest.artifacts):
        if not {"egfr_members", "p_egfr_below_60_members"} <= manifest.golden.tolerance.get(precision, {}).keys():
            yield f"the golden vectors have no tolerance for {precision}"


def _interval(manifest: BundleManifest) -> Iterator[str]:
    interval = manifest.interval
    if not len(interval.low) == len(interval.high) == len(interval.edges) + 1:
        yield "the interval has not one band more than edges"
    if any(left >= right for left, right in pairwise(interval.edges)):
        yield "the edges of the interval's bands do not rise"
    if any(low > high for low, high in zip(interval.low, interval.high, strict=False)):
        yield "an interval's lower end lies above its upper end"


def _repeated(names: Sequence[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})
