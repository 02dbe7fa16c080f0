"""Writes model card and parity report of a bundle that was proven on the crops of a hospital."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from convert import plots
from convert.crops import Crops
from convert.labels import band_label, decimals
from convert.manifests import Material
from convert.origin import Observation, Origin
from convert.parity import label
from convert.parity_table import limit_sentences, lines
from convert.templating import template
from convert.trade import Trade
from engines.bundle import Bundle
from engines.manifest import HeadSpec, IntervalSpec, ParityRow, ProbabilityHead, RegressionHead

TEXTS = {"report.html": "crop_report.html.j2", "card.md": "crop_card.md.j2"}


@dataclass(frozen=True, slots=True)
class Calibrated:
    """The interval of one regression, or None; ``patients`` behind each band; ``error``: what is published of it."""

    head: RegressionHead
    spec: IntervalSpec | None
    patients: tuple[int, ...]
    error: str = ""

    @property
    def bands(self) -> list[tuple[str, int, str, str]]:
        """Label, patients and both ends of each band, as they are written."""
        if self.spec is None:
            return []
        digits, edges = decimals(self.head.resolution), self.spec.edges
        ends = zip(self.patients, self.spec.low, self.spec.high, strict=True)
        return [
            (band_label(index, edges), count, f"{low:+.{digits}f}", f"{high:+.{digits}f}")
            for index, (count, low, high) in enumerate(ends)
        ]


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """All that was measured on the calibration crops."""

    parity: tuple[ParityRow, ...]
    observations: tuple[Observation, ...]
    calibrated: tuple[Calibrated, ...]  # one a regression
    origin: Origin
    crops: Crops


def write_texts(bundle: Bundle, findings: Findings, material: Material) -> None:
    """Write ``card.md``, ``report.html`` and ``report.json``."""
    names = _names(bundle, findings, material)
    for name, source in TEXTS.items():
        (bundle.path / name).write_text(template(source).render(**names), encoding="utf-8")
    (bundle.path / "report.json").write_text(_json(bundle, findings, material.trades), encoding="utf-8")


def _names(bundle: Bundle, findings: Findings, material: Material) -> dict[str, object]:
    manifest, crops = bundle.manifest, findings.crops
    seen = {item.key for item in findings.observations}
    return {
        "manifest": manifest,
        "created": manifest.created.strftime("%Y-%m-%d %H:%M UTC"),
        "crops": len(crops),
        "patients": crops.counts.patients,
        "scanners": _scanners(crops),
        "known": _known(manifest.heads, crops),
        "crops_sha256": crops.sha256,
        "remarks": crops.remarks,
        "simulated": manifest.limits[0] if crops.simulated else "",
        "held": int(crops.held.sum()),
        "apart": crops.apart,
        "parity": list(lines(findings.parity, {head.name: label(head) for head in manifest.heads})),
        "limits": limit_sentences(),
        "observations": findings.observations,
        "unknown": " and ".join(label(head) for head in manifest.heads if head.name not in seen),
        "calibrated": findings.calibrated,
        "files": findings.origin.files,
        "parameters": material.parameters,
        "answers": [_answer(head) for head in manifest.heads],
        "material": material,
        "trades": [(trade, plots.trade(trade)) for trade in material.trades],
        "mapped": any(head.map is not None for head in manifest.heads),
    }


def _json(bundle: Bundle, findings: Findings, trades: Sequence[Trade]) -> str:
    manifest, crops = bundle.manifest, findings.crops
    report = {
        "bundle_id": manifest.bundle_id,
        "version": manifest.version,
        "title": manifest.title,
        "created": manifest.created.isoformat(),
        "synthetic": manifest.synthetic,
        "crops": {
            "count": len(crops),
            "patients": crops.counts.patients,
            "remarks": crops.remarks,
            "sha256": crops.sha256,
            "simulated": crops.simulated,
            "known": {name: int(np.isfinite(values).sum()) for name, values in crops.truth.items()},
            "parity_on_crops_that_calibrated": not crops.apart,
        },
        "parity": [row.model_dump() for row in findings.parity],
        "sensitivity": [asdict(trade) for trade in trades],
        "intervals": {item.head.name: item.spec.model_dump() if item.spec else None for item in findings.calibrated},
        "observations": {item.key: item.numbers for item in findings.observations},
        "source": {file.name: file.sha256 for file in findings.origin.files},
        "tools": manifest.tools,
    }
    return json.dumps(report, indent=2) + "\n"


def _answer(head: HeadSpec) -> str:
    """Return what one answer is, for the card."""
    mapped = "with a map" if head.map else "without a map"
    if isinstance(head, RegressionHead):
        return f"{head.title}, {head.unit}, {mapped}"
    if isinstance(head, ProbabilityHead):
        return f"{head.title}: probability of {head.event}, {mapped}"
    return f"{head.title}: probabilities of {', '.join(head.grades)}, {mapped}"


def _scanners(crops: Crops) -> str:
    """Return the scanners with their crops, where one is known."""
    if not any(crops.scanners.tolist()):
        return ""
    return f" ({', '.join(f'{share.crops} by {share.name}' for share in crops.counts.by_scanner)})"


def _known(heads: tuple[HeadSpec, ...], crops: Crops) -> str:
    """Return of how many crops the truth is known, by head."""
    counts = [(head, int(crops.labelled(head.name).sum())) for head in heads]
    told = [f"{_thing(head)} of {count}" for head, count in counts if count]
    return f"known: {', '.join(told)}" if told else "no value of them is known"


def _thing(head: HeadSpec) -> str:
    return head.event if isinstance(head, ProbabilityHead) else label(head)
