"""Proves a bundle, and where INT8 alone exceeds its limits leaves layers in float and proves it again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import onnx

from convert.artifacts import Parts, write_artifacts
from convert.manifests import Material, provisional
from convert.parity import ParityError
from convert.plan import ArtifactKey, BuildPlan
from convert.progress import Progress
from convert.sensitivity import Case, further, search, units_of
from convert.trade import Trade
from engines.bundle import Bundle
from engines.manifest import Artifact, BundleManifest, ParityRow

Prover = Callable[[BuildPlan, Material, Bundle, Progress], BundleManifest]
Written = Mapping[ArtifactKey, tuple[Artifact, ...]]
PROOFS = 4  # the first without any layer left in float


def bundle_of(plan: BuildPlan, material: Material, folder: Path, written: Written) -> Bundle:
    """Return what lies in ``folder`` as a bundle that can be run, and not more."""
    artifacts = tuple(artifact for group in written.values() for artifact in group)
    return Bundle(folder, provisional(plan, material, artifacts), "0" * 64)


@dataclass(frozen=True, slots=True, eq=False)
class Settling:
    """Who proves, and by which plan."""

    plan: BuildPlan
    prove: Prover
    progress: Progress

    def settle(
        self,
        material: Material,
        parts: Parts,
        written: Written,
        trades: Mapping[ArtifactKey, Trade] | None = None,
        attempt: int = 1,
    ) -> BundleManifest:
        """Return the manifest of the bundle as it passed; ``trades``: what was left in float already.

        Raises
        ------
        ParityError
            It did not, in at most four attempts; with what was tried.
        """
        before = dict(trades or {})
        material = replace(material, trades=tuple(before.values()))
        try:
            return self.prove(self.plan, material, bundle_of(self.plan, material, parts.folder, written), self.progress)
        except ParityError as error:
            failed = {(row.precision, row.family): row for row in error.rows if not row.passed}
            if not self.plan.sensitivity or any(precision != "int8" for precision, _ in failed):
                raise
            after = before | {key: self._more(before.get(key), material, parts, row) for key, row in failed.items()}
            if attempt == PROOFS or any(after[key].exhausted for key in failed):
                raise ParityError(error.failed, error.rows, error.answers, tuple(after.values())) from error
            measured = {key: found for key, found in error.answers.items() if key not in failed}
        parts = replace(parts, left={key: units_of(trade.left) for key, trade in after.items()})
        anew = {key: write_artifacts(parts, key, self.progress) for key in failed}
        return self.settle(replace(material, measured=measured), parts, {**written, **anew}, after, attempt + 1)

    def _more(self, trade: Trade | None, material: Material, parts: Parts, row: ParityRow) -> Trade:
        """Look for layers to leave in float, or leave more than before."""
        if trade is not None:
            return further(trade)
        model = onnx.load(parts.files[0])
        return search(Case(model, parts.ranges[0], material.calibration, material.heads, row), self.progress)
