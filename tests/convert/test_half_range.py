"""What would overflow in half on a GPU is refused here, where ONNX Runtime computes in float and shows nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from convert.assemble import assemble
from convert.crop_proof import CropProver
from convert.graph.ensemble import write_graph
from convert.graph.parts import Convolution, Ensemble, Member, Plain, Trunk
from convert.manifests import Material
from convert.origin import Origin
from convert.plan import ArtifactKey, BuildPlan
from convert.precision import may_overflow, to_fp16
from convert.progress import silent
from convert.running import Run
from engines.errors import UsageError

from .head_makers import HEADS, PIXELS, SIZE, crops_of, known_truth, material, member

FP32, FP16, INT8 = ("fp32", "any"), ("fp16", "any"), ("int8", "tensorrt")


def loud(gain: float, stem: float = 1.0) -> onnx.ModelProto:
    """Two members whose block is ``gain`` times as loud between two convolutions, which changes no answer."""

    def one(seed: int) -> Member:
        made = member(seed)
        (block,) = made.trunk.blocks
        first = Convolution(block.convolution.weight * gain, block.convolution.bias * gain, 2, 1)
        back = np.zeros((12, 12, 1, 1), np.float32)
        back[np.arange(12), np.arange(12)] = 1 / gain
        last = Plain(Convolution(back, np.zeros(12, np.float32), 1, 0))
        quiet = replace(made.trunk.stem, weight=made.trunk.stem.weight * np.float32(stem))
        return Member(Trunk(quiet, (Plain(first), last)), made.parts)

    return write_graph(Ensemble((one(0), one(1)), HEADS, SIZE, SIZE, (0.5,) * 3, (0.25,) * 3))


def built(target: Path, what: Material, *artifacts: ArtifactKey) -> None:
    plan = BuildPlan(target, target, target, artifacts=(FP32, *artifacts), bundle_id="loud", title="Loud")
    what = replace(what, calibration=PIXELS) if INT8 in artifacts else what
    assemble(plan, what, silent, CropProver(crops_of(known_truth()), Origin(files=())))


def test_on_this_machine_half_shows_no_overflow() -> None:
    """The reason why it has to be looked for."""
    quiet, half = (Run(model)(PIXELS[:8])["length_members"] for model in (loud(1.0), to_fp16(loud(3e4))))
    assert np.all(np.isfinite(half)) and np.abs(half - quiet).max() < 0.5


@pytest.mark.parametrize("artifact", [FP16, INT8])
def test_activations_beyond_half_are_refused_and_nothing_is_written(tmp_path: Path, artifact: ArtifactKey) -> None:
    what = replace(material(), model=loud(3e4))
    told = r"member\d/trunk/block0.* reach .*e\+05, and half holds 65504"
    with pytest.raises(UsageError, match=told) as caught:
        built(tmp_path / "b", what, artifact)
    assert "--without fp16" in str(caught.value) and list(tmp_path.iterdir()) == []


def test_without_half_such_a_model_is_converted(tmp_path: Path) -> None:
    built(tmp_path / "b", replace(material(), model=loud(3e4)))
    assert (tmp_path / "b" / "manifest.json").is_file()


def test_loud_within_half_is_converted(tmp_path: Path) -> None:
    built(tmp_path / "b", replace(material(), model=loud(1e3)), FP16)
    assert (tmp_path / "b" / "fp16.onnx").is_file()


def test_answers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"fp32 itself gives values of 'lesion_members' that are not finite"):
        built(tmp_path / "b", replace(material(), model=loud(1.0, stem=3e38)), FP16)
    assert list(tmp_path.iterdir()) == []


def test_what_ends_in_a_relu_or_a_clip_is_looked_at_behind_it() -> None:
    def value(name: str) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3, 4, 4])

    kinds = {"a": "Neg", "b": "Relu", "c": "Exp", "d": "Clip", "e": "Abs", "f": "MaxPool", "g": "Add", "h": "Sigmoid"}
    nodes, before = [], "x"
    for name, kind in kinds.items():
        inputs = [before, "a"] if kind == "Add" else [before]
        shape = {"kernel_shape": [1, 1]} if kind == "MaxPool" else {}
        nodes.append(helper.make_node(kind, inputs, [name], name=f"m/trunk/{name}", **shape))
        before = name
    graph = helper.make_graph(nodes, "g", [value("x")], [value("h")], value_info=[value(name) for name in "abcdefg"])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    assert may_overflow(model) == {"a", "b", "e", "g"}


def test_each_member_is_looked_at() -> None:
    per_member = {"trunk/stem/relu", "trunk/block0/relu"}
    both = {f"member{index}/{name}" for index in range(2) for name in per_member}
    assert may_overflow(material().model) == {"input/normalised", *both}
