"""An INT8 artifact that answers wrongly fails the self-test, though its file is whole and its hash is right."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from convert.assemble import assemble
from convert.crop_proof import CropProver
from convert.origin import Origin
from convert.plan import BuildPlan
from convert.progress import silent
from engines._onnxruntime_session import OnnxSession
from engines.bundle import open_bundle
from engines.manifest import Family
from engines.selftest import SelfTest, measure

from .head_makers import PIXELS, crops_of, known_truth, material

Change = Callable[[np.ndarray], np.ndarray]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("whole") / "bundle"
    plan = BuildPlan(target, target, target, bundle_id="any", title="Any heads")
    assemble(plan, replace(material(), calibration=PIXELS), silent, CropProver(crops_of(known_truth()), Origin(())))
    return target


def answered(folder: Path, family: Family) -> SelfTest:
    bundle = open_bundle(folder)
    with OnnxSession(bundle, bundle.artifact("int8", family), 1) as session:
        return measure(bundle, session)


def changed(bundle: Path, target: Path, family: Family, change: Callable[[onnx.GraphProto], None]) -> Path:
    """A copy of the bundle in which the graph of an artifact is changed, and all hashes are right."""
    shutil.copytree(bundle, target)
    file = target / f"int8-{family}.onnx"
    model = onnx.load(file)
    change(model.graph)
    raw = model.SerializeToString()
    file.write_bytes(raw)
    manifest = json.loads((target / "manifest.json").read_text())
    for artifact in manifest["artifacts"]:
        if artifact["file"] == file.name:
            artifact |= {"sha256": hashlib.sha256(raw).hexdigest(), "size_bytes": len(raw)}
    (target / "manifest.json").write_text(json.dumps(manifest))
    return target


def constant(bundle: Path, family: Family, ending: str) -> str:
    """The constant of the first member whose name ends so; halves come as ``.../half``."""
    model = onnx.load(bundle / f"int8-{family}.onnx")
    names = [item.name for item in model.graph.initializer if item.name.removesuffix("/half").endswith(ending)]
    return next(name for name in sorted(names) if name.startswith("member0/trunk/block0"))


@pytest.mark.parametrize("family", ["cpu", "tensorrt"])
def test_as_it_was_written_it_passes(bundle: Path, family: Family) -> None:
    assert answered(bundle, family).passed


@pytest.mark.parametrize("family", ["cpu", "tensorrt"])
@pytest.mark.parametrize(
    ("ending", "change"),
    [
        ("weight_scale", lambda scale: scale * np.asarray(2, scale.dtype)),
        ("weight_scale", lambda scale: np.roll(scale, 1)),
        ("weight_quantized", lambda weight: np.roll(weight, 1, axis=0)),
        ("weight_quantized", lambda weight: np.roll(weight, 1, axis=1)),
    ],
    ids=["scales doubled", "scales permuted", "outputs permuted", "inputs permuted"],
)
def test_a_wrong_artifact_fails(bundle: Path, tmp_path: Path, family: Family, ending: str, change: Change) -> None:
    name = constant(bundle, family, ending)

    def tamper(graph: onnx.GraphProto) -> None:
        (tensor,) = [item for item in graph.initializer if item.name == name]
        tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(change(numpy_helper.to_array(tensor))), name))

    test = answered(changed(bundle, tmp_path / "b", family, tamper), family)
    assert not test.passed, test.explain()


@pytest.mark.parametrize("family", ["cpu", "tensorrt"])
def test_swapped_members_fail(bundle: Path, tmp_path: Path, family: Family) -> None:
    def swap(graph: onnx.GraphProto) -> None:
        for node in graph.node:
            if node.output[0].endswith("_members"):
                node.input[:] = list(node.input)[::-1]

    assert not answered(changed(bundle, tmp_path / "b", family, swap), family).passed
