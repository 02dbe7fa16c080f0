"""From fp32 graphs and crops to a bundle on the disk: artifacts, proof, manifest, in one draft."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from convert.anatomy import dissect
from convert.answers import FP32, Answers, answer
from convert.artifacts import Parts, write_artifacts
from convert.calibration import check_enough, tensors_of
from convert.manifests import Material
from convert.members import join, save
from convert.plan import ArtifactKey, BuildPlan
from convert.precision import HALF_MAX, may_overflow
from convert.progress import Progress
from convert.ranges import Measured, measure
from convert.settling import Prover, Settling, bundle_of
from convert.write import draft, write_manifest
from engines.bundle import Bundle
from engines.errors import BundleError, UsageError
from engines.manifest import BundleManifest

HALVED: frozenset[ArtifactKey] = frozenset({("fp16", "any"), ("int8", "tensorrt")})
HALF_ROOM = 2.0  # pictures to come reach further than those that were measured
CHECKED = 2  # crops that a merged fp32 file must answer as its members did
SAME = 1e-3  # of the largest answer: room for another order of sums


def assemble(plan: BuildPlan, material: Material, progress: Progress, prove: Prover) -> BundleManifest:
    """Write the bundle of ``plan`` and return its manifest; nothing is written if an artifact fails its limits.

    ``prove`` measures the artifacts, writes the files beside them and returns the final manifest. Where INT8 exceeds
    its limits, the fewest layers that bring it back are left in float, unless the plan says otherwise.

    Raises
    ------
    ParityError
        An artifact differs too much from fp32.
    UsageError
        The target exists, there is too little to calibrate with, members are to be left apart that come in one graph,
        answers are not finite, values are too large for half, or what ``material.check`` refuses.
    """
    if plan.separate_members and max(1, len(material.files)) != material.members:
        raise UsageError("The members cannot be left apart", "they come in one graph", "leave --separate-members out")
    with draft(plan.bundle, plan.force) as folder:
        store = folder.parent / "members"
        store.mkdir()
        files = material.files or (save(material.model, store / "fp32.onnx"),)
        measured = _measure(plan, material, files, progress)
        if measured:
            material = _known(material, measured)
        separate = plan.separate_members and material.members > 1
        ranges = tuple(item.ranges for item in measured)
        parts = Parts(files, ranges, material.heads, folder, store, separate)
        written = {key: write_artifacts(parts, key, progress) for key in plan.artifacts}
        if len(files) > 1:
            _check_joined(bundle_of(plan, material, folder, written), material, progress)
        manifest = Settling(plan, prove, progress).settle(material, parts, written)
        write_manifest(folder, manifest)
    return manifest


def _measure(plan: BuildPlan, material: Material, files: tuple[Path, ...], progress: Progress) -> tuple[Measured, ...]:
    """Run each member over the crops once, for the ranges of INT8, for its answers and for what half has to hold.

    Not at all without need. The last is measured here because ONNX Runtime has no kernels of half on most CPUs: it
    computes in float, where nothing overflows, so that no proof on a CPU could show it.
    """
    quantised = any(precision == "int8" for precision, _ in plan.artifacts)
    halved = not HALVED.isdisjoint(plan.artifacts)
    if quantised:
        check_enough(len(material.calibration))
    if not quantised and not halved and (material.known_crops is None or material.known is not None):
        return ()
    crops = material.calibration if material.known_crops is None else material.known_crops
    calibrating = _among(crops, material.calibration)
    found = []
    for index, path in enumerate(files):
        model = onnx.load(path)
        tensors = tensors_of(dissect(model)) if quantised else frozenset[str]()
        stage = "running fp32" if len(files) == 1 else f"running fp32, member {index}"
        watched = may_overflow(model) if halved else frozenset[str]()
        found.append(measure(model, tensors, crops, calibrating, progress, stage, watched))
        _check_finite(found[-1])
        _check_half(found[-1])
    return tuple(found)


def _check_finite(measured: Measured) -> None:
    """Refuse a network that gives no number for a crop: nothing could be compared with it.

    Raises
    ------
    UsageError
        An answer is not finite.
    """
    broken = [name for name, values in measured.outputs.items() if not np.all(np.isfinite(values))]
    if broken:
        because = f"fp32 itself gives values of '{broken[0]}' that are not finite for some of the crops"
        raise UsageError("The model cannot be converted", because, "train it again, or correct its normalisation")


def _check_half(measured: Measured) -> None:
    """Refuse to write in half what would overflow on a GPU.

    Raises
    ------
    UsageError
        A tensor comes too close to the largest number of half.
    """
    name, peak = max(measured.peaks.items(), key=lambda item: item[1], default=("", 0.0))
    if not peak <= HALF_MAX / HALF_ROOM:
        because = f"values of {name} reach {peak:.3g}, and half holds {HALF_MAX:.0f} with room for other pictures"
        raise UsageError("FP16 cannot be written", because, "leave it out: --without fp16 --without int8-tensorrt")


def _among(crops: NDArray[np.uint8], chosen: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return which of ``crops`` are among ``chosen``, pixel for pixel."""
    if crops is chosen:
        return np.ones(len(crops), np.bool_)
    pixels = {crop.tobytes() for crop in chosen}
    return np.array([crop.tobytes() in pixels for crop in crops], np.bool_)


def _known(material: Material, measured: tuple[Measured, ...]) -> Material:
    """Keep what fp32 answered, and let the source look at it before anything is written."""
    answers = Answers(material.heads, join(material.heads, [item.outputs for item in measured]))
    if material.check is not None:
        material.check(answers)
    return replace(material, known=answers)


def _check_joined(bundle: Bundle, material: Material, progress: Progress) -> None:
    """Run the fp32 artifact itself on two crops: it must answer as its members did one by one.

    Raises
    ------
    BundleError
        It does not.
    """
    crops = material.calibration if material.known_crops is None else material.known_crops
    if material.known is None:
        return
    found = answer(bundle, bundle.artifacts(*FP32), crops[:CHECKED], progress)
    for name, values in found.outputs.items():
        wanted = material.known.outputs[name][:CHECKED]
        if np.abs(values - wanted).max(initial=0.0) > SAME * max(1.0, float(np.abs(wanted).max(initial=0.0))):
            because = f"the file of all members answers otherwise than the members one by one ('{name}')"
            raise BundleError("The members cannot be joined", because, "report this: it is a defect of the program")
