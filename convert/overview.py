"""Shows a bundle to a person: what it is, what is inside, what was proven, what its limits are."""

from __future__ import annotations

from collections.abc import Iterable

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from convert.labels import band_label, decimals
from convert.parity_table import Line, lines
from engines.bundle import Bundle
from engines.manifest import BundleManifest, HeadSpec, ParityRow, ProbabilityHead, RegressionHead
from engines.trust import TrustStore, judge_bundle

MIB = 1024 * 1024


def overview(bundle: Bundle) -> RenderableType:
    """Return everything about an opened bundle, for the terminal."""
    manifest = bundle.manifest
    parts: list[RenderableType] = [_head(bundle)]
    if manifest.synthetic:
        parts.append(Panel("SYNTHETIC: its numbers mean nothing for any patient", style="bold yellow"))
    parts += [_answers(manifest), _artifacts(manifest), parity_table(manifest.parity)]
    parts += [_interval(head) for head in manifest.heads if isinstance(head, RegressionHead)]
    parts += [_facts(manifest), Text("Limits", style="bold")]
    parts += [Text(f"  - {sentence}") for sentence in manifest.limits]
    return Group(*parts)


def parity_table(rows: Iterable[ParityRow]) -> Group:
    """Return one table a head, within 80 columns, the verdicts in the first; below them each reason in full."""
    rows = tuple(rows)
    found = [by_head for _, by_head in lines(rows)]
    verdicts = ["passed" if row.passed else "FAILED" for row in rows]
    tables = [
        _parity_of(by_artifact, verdicts if index == 0 else None)
        for index, by_artifact in enumerate(zip(*found, strict=True))
    ]
    reasons = [Text(f"{row.precision} ({row.family}): {'; '.join(row.reasons)}") for row in rows if not row.passed]
    return Group(Text("|Difference| from fp32 on held-out crops; flips: all/far from a boundary"), *tables, *reasons)


def _parity_of(by_artifact: tuple[Line, ...], verdicts: list[str] | None) -> Table:
    first = by_artifact[0]
    columns = {
        "artifact": [line.artifact for line in by_artifact],
        "50 %": [line.p50 for line in by_artifact],
        "95 %": [line.p95 for line in by_artifact],
        "99 %": [line.p99 for line in by_artifact],
        "max": [line.largest for line in by_artifact],
        "flips": [f"{line.flips}/{line.far}" for line in by_artifact],
        "AUC (95 % CI)": [line.auc for line in by_artifact],
        "maps": [line.maps for line in by_artifact],
        "verdict": verdicts or [],
    }
    shown = {name: cells for name, cells in columns.items() if any(cells)}
    unit = f", {first.unit}" if first.unit else ""
    table = Table(title=f"{first.head}{unit}", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in shown:
        table.add_column(name, justify="left" if name in ("artifact", "verdict") else "right", no_wrap=True)
    for cells in zip(*shown.values(), strict=True):
        table.add_row(*cells)
    return table


def _head(bundle: Bundle) -> Text:
    manifest = bundle.manifest
    made = manifest.created.strftime("%Y-%m-%d %H:%M UTC")
    text = Text(manifest.title, style="bold")
    text.append(f"\n{manifest.bundle_id} {manifest.version}, made {made}, manifest {bundle.sha256[:16]}", style="")
    size = sum(path.stat().st_size for path in bundle.path.iterdir())
    text.append(f"\n{size / MIB:.1f} MiB in all, every file verified", style="")
    verdict = judge_bundle(bundle, TrustStore())
    text.append(f"\n{verdict.told}", style="red" if verdict.state in ("wrong", "revoked") else "")
    return text


def _answers(manifest: BundleManifest) -> Table:
    table = Table(title="Answers, the main one first", title_justify="left")
    for name in ("answer", "title", "what", "map"):
        table.add_column(name)
    for head in manifest.heads:
        table.add_row(head.name, head.title, _what(head), "yes" if head.map else "no")
    return table


def _what(head: HeadSpec) -> str:
    if isinstance(head, RegressionHead):
        return head.unit
    if isinstance(head, ProbabilityHead):
        return f"probability of: {head.event}; cut {head.cut:g}"
    return f"probabilities of: {', '.join(head.grades)}"


def _artifacts(manifest: BundleManifest) -> Table:
    table = Table(title="Artifacts", title_justify="left")
    for name in ("file", "precision", "for", "member", "MiB", "SHA-256"):
        table.add_column(name, justify="right" if name == "MiB" else "left")
    for item in manifest.artifacts:
        member = "all" if item.member is None else str(item.member)
        size = f"{item.size_bytes / MIB:.2f}"
        table.add_row(item.file, item.precision, item.family, member, size, item.sha256[:16])
    return table


def _interval(head: RegressionHead) -> RenderableType:
    spec = head.interval
    if spec is None:
        return Text(f"{head.title}: not calibrated, so there is no interval.\n")
    digits = decimals(head.resolution)
    title = f"{head.title}, {100 * spec.level:.0f} % interval: {spec.basis}"
    table = Table(title=title, title_justify="left")
    table.add_column(f"predicted, {head.unit}")
    table.add_column("truth minus prediction", justify="right")
    for index, (low, high) in enumerate(zip(spec.low, spec.high, strict=True)):
        table.add_row(band_label(index, spec.edges), f"{low:+.{digits}f} to {high:+.{digits}f}")
    return table


def _facts(manifest: BundleManifest) -> Table:
    spec = manifest.input
    patients = manifest.training.patients or "an unknown number of"
    rows = {
        "members": str(manifest.members),
        "reads": f"uint8 (N, {spec.height}, {spec.width}, 3) RGB, {spec.crop_mode} crop x {spec.crop_factor:g}",
        "outputs": ", ".join(f"{output.name} {output.shape}" for output in manifest.outputs),
        "domain": f"distance up to {manifest.domain.limit:g}; {manifest.domain.basis}",
        "made as": manifest.training.recipe,
        "trained on": f"{manifest.training.data.rstrip('.')}, {patients} patients",
        "made again by": manifest.training.reproduce,
        "tools": ", ".join(f"{name} {value}" for name, value in manifest.tools.items()),
    }
    table = Table(show_header=False, box=None)
    for name, value in rows.items():
        table.add_row(Text(name, style="bold"), value)
    return table
