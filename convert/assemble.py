"""From an fp32 graph and a data set to a bundle on the disk: artifacts, proof, manifest, in one draft."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from convert.calibration import to_int8
from convert.manifests import Material, provisional
from convert.plan import ArtifactKey, BuildPlan
from convert.precision import to_fp16
from convert.progress import Progress
from convert.write import draft, refer, write_manifest
from engines.bundle import Bundle
from engines.manifest import Artifact, BundleManifest

Prover = Callable[[BuildPlan, Material, Bundle, Progress], BundleManifest]


def assemble(plan: BuildPlan, material: Material, progress: Progress, prove: Prover) -> BundleManifest:
    """Write the bundle of ``plan`` and return its manifest; nothing is written if an artifact fails its limits.

    ``prove`` measures the artifacts, writes the files beside them and returns the final manifest.

    Raises
    ------
    ParityError
        An artifact differs too much from fp32.
    UsageError
        The target exists, or there is too little to calibrate with.
    """
    with draft(plan.bundle, plan.force) as folder:
        artifacts = tuple(_write_artifact(folder, material, key, progress) for key in plan.artifacts)
        bundle = Bundle(folder, provisional(plan, material, artifacts), "0" * 64)
        manifest = prove(plan, material, bundle, progress)
        write_manifest(folder, manifest)
    return manifest


def _write_artifact(folder: Path, material: Material, key: ArtifactKey, progress: Progress) -> Artifact:
    precision, family = key
    name = f"{precision}.onnx" if family == "any" else f"{precision}-{family}.onnx"
    progress(f"writing {name}", 0, 1)
    if precision == "int8":
        to_int8(material.model, family, material.calibration, folder / name)
    else:
        model = to_fp16(material.model) if precision == "fp16" else material.model
        (folder / name).write_bytes(model.SerializeToString(deterministic=True))
    progress(f"writing {name}", 1, 1)
    return Artifact(**refer(folder, name).model_dump(), precision=precision, family=family)
