"""Whether a manifest, valid field by field, also makes sense as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from engines.kdigo import UNIT
from engines.manifest import (
    Artifact,
    BundleManifest,
    FileRef,
    GradesHead,
    HeadSpec,
    IntervalSpec,
    OutputSpec,
    RegressionHead,
)

MANIFEST_NAME = "manifest.json"
LOCAL = ("kidney", "poles")  # what the outputs of a localizer mean
SIGNATURE_NAME = "manifest.sig"  # detached, so that it is the one file that no manifest lists


def listed_files(manifest: BundleManifest) -> tuple[FileRef, ...]:
    """Return every file that a manifest names, in its order."""
    others = (manifest.golden, manifest.domain, manifest.card, manifest.report, manifest.report_json)
    return (*manifest.artifacts, *others)


def contradictions(manifest: BundleManifest) -> Iterator[str]:
    """Yield each contradiction of a manifest as a clause of a sentence; nothing if it makes sense."""
    yield from _files(manifest)
    yield from _outputs(manifest)
    yield from _role(manifest)
    yield from _heads(manifest)
    yield from _artifacts(manifest)
    yield from _tolerances(manifest)
    yield from _parity(manifest)


def _files(manifest: BundleManifest) -> Iterator[str]:
    names = [ref.file for ref in listed_files(manifest)]
    for name in _repeated(names):
        yield f"{name} is listed twice"
    if MANIFEST_NAME in names:
        yield f"{MANIFEST_NAME} lists itself"
    if SIGNATURE_NAME in names:
        yield f"{MANIFEST_NAME} lists {SIGNATURE_NAME}, which is made of it"


def _outputs(manifest: BundleManifest) -> Iterator[str]:
    for name in _repeated([output.name for output in manifest.outputs]):
        yield f"two outputs are named {name}"
    if [output.meaning for output in manifest.outputs].count("features") > 1:
        yield "two outputs mean features"
    named = {name for head in manifest.heads for name in (head.output, head.map)}
    for output in manifest.outputs:
        if output.meaning not in ("features", *LOCAL) and output.name not in named:
            yield f"no head names the output {output.name}"
        if any(length < 1 for length in output.shape) or (output.meaning == "features" and len(output.shape) != 1):
            yield f"the output {output.name} has the shape {output.shape}, which {output.meaning} cannot have"


def _role(manifest: BundleManifest) -> Iterator[str]:
    """Hold against each role what it must have: heads and a crop, or the sector and the maps of the poles."""
    local = [output for output in manifest.outputs if output.meaning in LOCAL]
    if manifest.role == "reader":
        if not manifest.heads:
            yield "it is a reader without a head"
        if local or manifest.input.crop_mode == "sector":
            yield "it is a reader and has the input or an output of a localizer"
        return
    if manifest.heads or manifest.members != 1 or manifest.input.crop_mode != "sector":
        yield "it is a localizer and has heads, several members or another input than the sector"
    if manifest.input.height != manifest.input.width:
        yield "it is a localizer and its input is no square"
    if [output.meaning for output in manifest.outputs] != list(LOCAL):
        yield "it is a localizer and its outputs are not kidney and poles"
    elif (2, *local[0].shape) != local[1].shape or len(set(local[0].shape)) != 1:
        yield "it is a localizer and its maps are not squares of one size"


def _heads(manifest: BundleManifest) -> Iterator[str]:
    for name in _repeated([head.name for head in manifest.heads]):
        yield f"two heads are named {name}"
    for name in _repeated([head.output for head in manifest.heads]):
        yield f"two heads name the output {name}"
    quantities = [head.quantity for head in manifest.heads if not isinstance(head, GradesHead)]
    for quantity in ("egfr", "egfr_below_60"):
        if quantities.count(quantity) > 1:
            yield f"two heads give the quantity {quantity}"
    if manifest.egfr is not None and manifest.heads[0] != manifest.egfr:
        yield f"the head {manifest.egfr.name} gives an eGFR but is not the first, which is the main one"
    outputs = {output.name: output for output in manifest.outputs}
    for head in manifest.heads:
        yield from _tensors(head, outputs, manifest.members)
        if isinstance(head, RegressionHead):
            yield from _regression(head, outputs)


def _tensors(head: HeadSpec, outputs: dict[str, OutputSpec], members: int) -> Iterator[str]:
    grades = (len(head.grades),) if isinstance(head, GradesHead) else ()
    meaning = "grade_members" if grades else "members"
    output = outputs.get(head.output)
    if output is None or output.meaning != meaning:
        yield f"the head {head.name} needs an output {head.output} that means {meaning}"
    elif output.shape != (members, *grades):
        yield f"the output {output.name} has the shape {output.shape} instead of {(members, *grades)}"
    if head.map is None:
        return
    found = outputs.get(head.map)
    if found is None or found.meaning != "map":
        yield f"the head {head.name} needs an output {head.map} that means map"
    elif len(found.shape) != 2 + len(grades) or found.shape[: len(grades)] != grades:
        wanted = ", ".join([*map(str, grades), "h", "w"])
        yield f"the output {found.name} has the shape {found.shape} instead of ({wanted})"


def _regression(head: RegressionHead, outputs: dict[str, OutputSpec]) -> Iterator[str]:
    output = outputs.get(head.output)
    if output is not None and output.unit != head.unit:
        yield f"the head {head.name} is in {head.unit} and its output in {output.unit or 'no unit'}"
    if not _rise(head.boundaries):
        yield f"the boundaries of the head {head.name} do not rise"
    if (head.boundaries or head.categories) and len(head.categories) != len(head.boundaries) + 1:
        yield f"the head {head.name} has not one category more than boundaries"
    if head.quantity == "egfr":
        yield from _egfr(head)
    if head.interval is not None:
        yield from _interval(head.name, head.interval)


def _egfr(head: RegressionHead) -> Iterator[str]:
    if head.unit != UNIT:
        yield f"the head {head.name} gives an eGFR in {head.unit} instead of {UNIT}"
    if head.boundaries or head.categories:
        yield f"the head {head.name} gives an eGFR and has categories of its own beside KDIGO's"
    if head.lowest is None or head.lowest < 0:
        yield f"the head {head.name} lets an eGFR be negative"


def _interval(head: str, interval: IntervalSpec) -> Iterator[str]:
    if not len(interval.low) == len(interval.high) == len(interval.edges) + 1:
        yield f"the interval of the head {head} has not one band more than edges"
    if not _rise(interval.edges):
        yield f"the edges of the interval's bands do not rise in the head {head}"
    if any(low > high for low, high in zip(interval.low, interval.high, strict=False)):
        yield f"an interval's lower end lies above its upper end in the head {head}"


def _artifacts(manifest: BundleManifest) -> Iterator[str]:
    groups: dict[tuple[str, str], list[Artifact]] = {}
    for artifact in manifest.artifacts:
        groups.setdefault((artifact.precision, artifact.family), []).append(artifact)
    for (precision, family), group in groups.items():
        members = [artifact.member for artifact in group if artifact.member is not None]
        if not members and len(group) > 1:
            yield f"there are two artifacts at {precision} for {family}"
        elif members and len(members) < len(group):
            yield f"there are a fused artifact and single members at {precision} for {family}"
        elif members and sorted(members) != list(range(manifest.members)):
            told = f"{', '.join(map(str, sorted(members)))} of 0 to {manifest.members - 1}"
            yield f"there are artifacts of the members {told} at {precision} for {family}"
    if any(artifact.member is not None for artifact in manifest.artifacts):
        yield from _shared_features(manifest)


def _shared_features(manifest: BundleManifest) -> Iterator[str]:
    for output in manifest.outputs:
        if output.meaning == "features" and output.shape and output.shape[0] % manifest.members:
            yield f"the {output.shape[0]} features of {output.name} cannot be those of {manifest.members} members"


def _tolerances(manifest: BundleManifest) -> Iterator[str]:
    needed = dict.fromkeys(name for head in manifest.heads for name in (head.output, head.map) if name is not None)
    needed |= dict.fromkeys(output.name for output in manifest.outputs if output.meaning in LOCAL)
    known = {output.name for output in manifest.outputs}
    for precision in dict.fromkeys(artifact.precision for artifact in manifest.artifacts):
        given = manifest.golden.tolerance.get(precision, {})
        if missing := [name for name in needed if name not in given]:
            yield f"the golden vectors have no tolerance for {precision} of {', '.join(missing)}"
        if strange := sorted(set(given) - known):
            yield f"the golden vectors have a tolerance for {', '.join(strange)}, which is no output"


def _parity(manifest: BundleManifest) -> Iterator[str]:
    names = {head.name for head in manifest.heads} if manifest.role == "reader" else {"poles"}
    for row in manifest.parity:
        if {head.head for head in row.heads} != names:
            yield f"the parity of {row.precision} for {row.family} is not that of the heads {', '.join(sorted(names))}"


def _rise(numbers: Sequence[float]) -> bool:
    return all(left < right for left, right in pairwise(numbers))


def _repeated(names: Sequence[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})
