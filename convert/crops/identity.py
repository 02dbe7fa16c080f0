"""What makes two calibration sets the same: pixels, and which crops belong to one patient. Names and order do not."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from convert.crops.sample import Sample


def canonical(samples: Sequence[Sample], height: int, width: int) -> tuple[list[int], str]:
    """Return the places of samples in an order that rests on pixels and grouping alone, and their common SHA-256.

    Each crop is the SHA-256 of its pixels; each patient that of the sorted crops; the set that of its size and
    the sorted patients. So files may be renamed, moved and reordered, and patients renamed, without any change;
    a changed pixel, a crop more or less or one that moved to another patient changes it. Labels and scanners are
    not covered.
    """
    crops: dict[str, list[str]] = {}
    for item in samples:
        crops.setdefault(item.facts.patient, []).append(item.digest)
    patients = {name: _sha256(*sorted(digests)) for name, digests in crops.items()}
    keys = [(patients[item.facts.patient], item.digest) for item in samples]
    order = sorted(range(len(samples)), key=keys.__getitem__)
    return order, _sha256(f"echogfr crops {height} x {width}", *sorted(patients.values()))


def renamed(samples: Sequence[Sample]) -> list[str]:
    """Return p0001 and so on for the patient of each sample, in the order in which patients appear."""
    names: dict[str, str] = {}
    return [names.setdefault(item.facts.patient, f"p{len(names) + 1:04d}") for item in samples]


def _sha256(*lines: str) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
