"""Writes model card and parity report of a bundle of published weights."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from importlib.resources import files

import jinja2

from convert.kuo.crops import Crops
from convert.kuo.polarity import Polarity
from convert.labels import band_label
from convert.manifests import Material
from convert.origin import SourceFile
from convert.plan import LIMITS
from convert.statistics import Agreement
from engines.bundle import Bundle
from engines.manifest import IntervalSpec, ParityRow

TEXTS = {"report.html": "kuo_report.html.j2", "card.md": "kuo_card.md.j2"}


@dataclass(frozen=True, slots=True)
class Local:
    """Agreement with the eGFR of local patients, one crop each: r with its 95 % interval, and Bland-Altman."""

    r: tuple[float, float, float]
    agreement: Agreement


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """All that was measured on the calibration crops."""

    parity: tuple[ParityRow, ...]
    interval: IntervalSpec
    bands: tuple[int, ...]  # patients behind each band of the interval
    local: Local | None  # None: too few labels
    polarity: Polarity
    flipped: bool
    crops: Crops
    files: tuple[SourceFile, ...]


def write_texts(bundle: Bundle, findings: Findings, material: Material) -> None:
    """Write ``card.md``, ``report.html`` and ``report.json``."""
    names = _names(bundle, findings, material)
    for name, template in TEXTS.items():
        (bundle.path / name).write_text(_template(template).render(**names), encoding="utf-8")
    (bundle.path / "report.json").write_text(_json(bundle, findings), encoding="utf-8")


def _names(bundle: Bundle, findings: Findings, material: Material) -> dict[str, object]:
    manifest, interval = bundle.manifest, findings.interval
    labels = [band_label(index, interval.edges) for index in range(len(interval.low))]
    return {
        "manifest": manifest,
        "created": manifest.created.strftime("%Y-%m-%d %H:%M UTC"),
        "findings": findings,
        "patients": len(set(findings.crops.patients.tolist())),
        "labelled": int(findings.crops.labelled.sum()),
        "auc": bool(findings.crops.labelled[findings.crops.held].all()),
        "held": int(findings.crops.held.sum()),
        "parameters": material.parameters,
        "limits": [(precision, limit) for precision, limit in LIMITS.items() if precision != "fp32"],
        "bands": list(zip(labels, findings.bands, interval.low, interval.high, strict=True)),
    }


def _json(bundle: Bundle, findings: Findings) -> str:
    manifest, polarity = bundle.manifest, findings.polarity
    report = {
        "bundle_id": manifest.bundle_id,
        "version": manifest.version,
        "title": manifest.title,
        "created": manifest.created.isoformat(),
        "synthetic": manifest.synthetic,
        "crops": len(findings.crops),
        "auc_measured": bool(findings.crops.labelled[findings.crops.held].all()),
        "parity_on_crops_that_calibrated": not findings.crops.apart,
        "parity": [row.model_dump() for row in findings.parity],
        "interval": findings.interval.model_dump(),
        "local": asdict(findings.local) if findings.local else None,
        "polarity": {**asdict(polarity), "flipped": findings.flipped},
        "source": {file.name: file.sha256 for file in findings.files},
        "tools": manifest.tools,
    }
    return json.dumps(report, indent=2) + "\n"


def _template(name: str) -> jinja2.Template:
    text = (files("convert") / "templates" / name).read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=name.endswith(".html.j2"), undefined=jinja2.StrictUndefined)
    return environment.from_string(text)
