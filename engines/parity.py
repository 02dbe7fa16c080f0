"""Whether the parity of an artifact with fp32 was measured and passed: what did not pass is never run."""

from __future__ import annotations

from engines.manifest import Artifact, BundleManifest


def parity_fault(manifest: BundleManifest, artifact: Artifact) -> str | None:
    """Return why an artifact may not run; None: its parity passed, or it is what the others are compared with."""
    if artifact.precision == "fp32":
        return None
    for row in manifest.parity:
        if (row.precision, row.family) == (artifact.precision, artifact.family):
            return None if row.passed else f"its parity with fp32 failed ({', '.join(row.reasons) or 'no reason'})"
    return "its parity with fp32 was never measured"
