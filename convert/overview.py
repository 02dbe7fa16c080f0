"""Shows a bundle to a person: what it is, what is inside, what was proven, what its limits are."""

from __future__ import annotations

from collections.abc import Iterable

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from convert.labels import band_label
from engines.bundle import Bundle
from engines.manifest import BundleManifest, ParityRow

MIB = 1024 * 1024


def overview(bundle: Bundle) -> RenderableType:
    """Return everything about an opened bundle, for the terminal."""
    manifest = bundle.manifest
    parts: list[RenderableType] = [_head(bundle)]
    if manifest.synthetic:
        parts.append(Panel("SYNTHETIC: its numbers mean nothing for any patient", style="bold yellow"))
    parts += [_artifacts(manifest), parity_table(manifest.parity), _interval(manifest), _facts(manifest)]
    parts.append(Text("Limits", style="bold"))
    parts += [Text(f"  - {sentence}") for sentence in manifest.limits]
    return Group(*parts)


def parity_table(rows: Iterable[ParityRow]) -> Group:
    """Return the rows of the parity comparison with their verdicts, and below them each reason in full."""
    rows = tuple(rows)
    title = "Difference of the eGFR from fp32 on held-out crops, mL/min/1.73 m2"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("artifact", "95 %", "99 %", "max", "flips/far", "max dP", "dAUC", "maps", "verdict"):
        table.add_column(name, justify="left" if name in ("artifact", "verdict") else "right", no_wrap=True)
    for row in rows:
        table.add_row(
            row.precision if row.family == "any" else f"{row.precision} {row.family}",
            *(f"{value:.2f}" for value in (row.egfr_p95, row.egfr_p99, row.egfr_max)),
            f"{row.category_flips}/{row.category_flips_far}",
            f"{row.p_max:.3f}",
            f"{row.auc_change:+.3f}",
            f"{row.cam_correlation:.3f}",
            "passed" if row.passed else "FAILED",
        )
    reasons = [Text(f"{row.precision} ({row.family}): {'; '.join(row.reasons)}") for row in rows if not row.passed]
    return Group(table, *reasons)


def _head(bundle: Bundle) -> Text:
    manifest = bundle.manifest
    made = manifest.created.strftime("%Y-%m-%d %H:%M UTC")
    text = Text(manifest.title, style="bold")
    text.append(f"\n{manifest.bundle_id} {manifest.version}, made {made}, manifest {bundle.sha256[:16]}", style="")
    size = sum(path.stat().st_size for path in bundle.path.iterdir())
    text.append(f"\n{size / MIB:.1f} MiB in all, every file verified", style="")
    return text


def _artifacts(manifest: BundleManifest) -> Table:
    table = Table(title="Artifacts", title_justify="left")
    for name in ("file", "precision", "for", "MiB", "SHA-256"):
        table.add_column(name, justify="right" if name == "MiB" else "left")
    for item in manifest.artifacts:
        table.add_row(item.file, item.precision, item.family, f"{item.size_bytes / MIB:.2f}", item.sha256[:16])
    return table


def _interval(manifest: BundleManifest) -> Table:
    spec = manifest.interval
    table = Table(title=f"{100 * spec.level:.0f} % interval: {spec.basis}", title_justify="left")
    table.add_column("predicted eGFR")
    table.add_column("truth minus prediction", justify="right")
    for index, (low, high) in enumerate(zip(spec.low, spec.high, strict=True)):
        table.add_row(band_label(index, spec.edges), f"{low:+.1f} to {high:+.1f}")
    return table


def _facts(manifest: BundleManifest) -> Table:
    spec = manifest.input
    rows = {
        "members": str(manifest.members),
        "reads": f"uint8 (N, {spec.height}, {spec.width}, 3) RGB, {spec.crop_mode} crop x {spec.crop_factor:g}",
        "answers": ", ".join(f"{output.name} {output.shape}" for output in manifest.outputs),
        "domain": f"distance up to {manifest.domain.limit:g}; {manifest.domain.basis}",
        "trained on": f"{manifest.training.data}, {manifest.training.patients} patients",
        "made again by": manifest.training.reproduce,
        "tools": ", ".join(f"{name} {value}" for name, value in manifest.tools.items()),
    }
    table = Table(show_header=False, box=None)
    for name, value in rows.items():
        table.add_row(Text(name, style="bold"), value)
    return table
