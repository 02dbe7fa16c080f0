"""RepVGG: one convolution a block says what three branches said; checkpoints of other networks are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from convert.checkpoint import DefectError
from convert.graph.ensemble import write_graph
from convert.graph.parts import Ensemble, Member
from convert.sources import repvgg
from convert.sources.equivalence import measure, planes, told
from convert.sources.meaning import part, spec
from convert.sources.recipe import Recipe
from convert.sources.repvgg import VARIANTS, Variant, blocks, expected_shapes, read_variant, reparameterised, variant
from engines.errors import UsageError

SMALL = Variant((1, 2, 2, 1), (0.125, 0.125, 0.0625, 0.0625))  # 8, 8, 16, 16, 32 channels
GRADES = ("low (I-II)", "middle", "high (III-IV)")
# millions of weights as the authors' table has them, of the deployed form
PUBLISHED = {"A0": 8.30, "A1": 12.78, "A2": 25.49, "B0": 14.33, "B1": 51.82, "B2": 80.31, "B3": 110.96}


class Branches(nn.Module):
    """A block as its authors write it."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.rbr_identity = nn.BatchNorm2d(inputs) if inputs == outputs and stride == 1 else None
        self.rbr_dense, self.rbr_1x1 = nn.Sequential(), nn.Sequential()
        self.rbr_dense.add_module("conv", nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False))
        self.rbr_1x1.add_module("conv", nn.Conv2d(inputs, outputs, 1, stride, 0, bias=False))
        for branch in (self.rbr_dense, self.rbr_1x1):
            branch.add_module("bn", nn.BatchNorm2d(outputs))

    def forward(self, value: Tensor) -> Tensor:
        unchanged = 0 if self.rbr_identity is None else self.rbr_identity(value)
        return torch.relu(self.rbr_dense(value) + self.rbr_1x1(value) + unchanged)


class RepVGG(nn.Module):
    """The training form."""

    def __init__(self, chosen: Variant, classes: int) -> None:
        super().__init__()
        stem, *rest = blocks(chosen)
        self.stage0 = Branches(stem.inputs, stem.outputs, stem.stride)
        for stage in range(1, 5):
            mine = [block for block in rest if block.name.startswith(f"stage{stage}.")]
            setattr(self, f"stage{stage}", nn.Sequential(*[Branches(b.inputs, b.outputs, b.stride) for b in mine]))
        self.gap = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(rest[-1].outputs, classes)

    def maps(self, value: Tensor) -> Tensor:
        return self.stage4(self.stage3(self.stage2(self.stage1(self.stage0(value)))))

    def forward(self, value: Tensor) -> Tensor:
        return self.linear(self.gap(self.maps(value)).flatten(1))


def trained(network: nn.Module, seed: int) -> nn.Module:
    """Statistics and scales as after training: folding must not be the identity."""
    torch.manual_seed(seed)
    for item in network.modules():
        if isinstance(item, nn.BatchNorm2d):
            item.running_mean.normal_(0, 0.3)
            item.running_var.uniform_(0.4, 2.0)
            item.weight.data.uniform_(0.5, 1.5)
            item.bias.data.normal_(0, 0.3)
    return network.eval()


def recipe(**changes: object) -> Recipe:
    about = {"id": "m", "version": "1", "title": "M", "training": "T.", "data": "D", "limits": ["L."]}
    head = {"name": "grade", "title": "Grade", "kind": "grades", "grades": GRADES}
    given = {"height": 64, "width": 64, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    source = {"family": "repvgg", "architecture": "RepVGG-A0", "weights": ("w.pth",)}
    return Recipe.model_validate({"model": about, "source": source, "input": given, "heads": (head,), **changes})


@pytest.fixture(scope="module")
def network() -> RepVGG:
    torch.manual_seed(1)
    torch.set_num_threads(1)
    made = trained(RepVGG(SMALL, 3), 1)
    assert isinstance(made, RepVGG)
    made.linear.weight.data *= 10  # answers must differ
    return made


@pytest.fixture(scope="module")
def crops() -> np.ndarray:
    random = np.random.default_rng(2)
    return np.stack([random.integers(0, 40 * (at + 1), (64, 64, 3), dtype=np.uint8) for at in range(6)])


def ensemble(*networks: repvgg.Network) -> Ensemble:
    told = recipe()
    head = told.heads[0]
    members = [Member(one.trunk, (part(head, one.endings["answers"].layer),)) for one in networks]
    return Ensemble(tuple(members), (spec(head, mapped=True),), 64, 64, told.input.mean, told.input.std)


@settings(max_examples=40, deadline=None)
@given(
    inputs=st.integers(1, 6),
    outputs=st.integers(1, 6),
    stride=st.sampled_from((1, 2)),
    size=st.integers(3, 9),
    seed=st.integers(0, 2**31),
)
def test_a_block_of_three_branches_is_one_convolution(
    inputs: int, outputs: int, stride: int, size: int, seed: int
) -> None:
    block = repvgg.Block("b", inputs, outputs, stride)
    torch.manual_seed(seed)
    branches = trained(Branches(inputs, outputs, stride), seed)
    state = {f"b.{name}": value.numpy() for name, value in branches.state_dict().items()}
    one = reparameterised(state, block)
    value = torch.randn(2, inputs, size, size)
    with torch.inference_mode():
        wanted = branches(value)
        found = nn.functional.conv2d(value, torch.from_numpy(one.weight), torch.from_numpy(one.bias), stride, 1)
    assert block.identity == (branches.rbr_identity is not None)
    assert (torch.relu(found) - wanted).abs().max() < 1e-4


@pytest.mark.parametrize("name", VARIANTS)
def test_sizes_of_all_variants_are_the_published_ones(name: str) -> None:
    shapes = expected_shapes(blocks(VARIANTS[name]), 1000, deployed=True)
    weights = sum(int(np.prod(shape)) for shape in shapes.values())
    assert weights / 1e6 == pytest.approx(PUBLISHED[name.removeprefix("RepVGG-")], abs=0.015)


def test_names_are_those_of_the_authors_module(network: RepVGG) -> None:
    wanted = {name: tuple(value.shape) for name, value in network.state_dict().items() if "num_batches" not in name}
    assert expected_shapes(blocks(SMALL), 3, deployed=False) == wanted


@pytest.mark.parametrize("name", ["RepVGG-A0", "repvgg_a0", "A0"])
def test_a_variant_may_be_spelled_otherwise(name: str) -> None:
    assert variant(name) is VARIANTS["RepVGG-A0"]


def test_an_unknown_variant_is_refused() -> None:
    with pytest.raises(UsageError, match=r"'RepVGG-B1g2' cannot be built.*RepVGG-B3"):
        variant("RepVGG-B1g2")


@pytest.fixture(scope="module")
def both(network: RepVGG, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The training form as DataParallel saves it, and the deployed form."""
    folder = tmp_path_factory.mktemp("repvgg")
    state = {f"module.{name}": value for name, value in network.state_dict().items()}
    torch.save({"state_dict": state, "epoch": 120}, folder / "train.pth")
    plain = {name: value.numpy() for name, value in network.state_dict().items()}
    deployed = {name: value for name, value in network.state_dict().items() if name.startswith("linear.")}
    for block in blocks(SMALL):
        one = reparameterised(plain, block)
        deployed[f"{block.name}.rbr_reparam.weight"] = torch.from_numpy(one.weight)
        deployed[f"{block.name}.rbr_reparam.bias"] = torch.from_numpy(one.bias)
    torch.save(deployed, folder / "deploy.pth")
    return folder / "train.pth", folder / "deploy.pth"


def test_the_graph_of_both_forms_says_what_the_authors_module_says(
    network: RepVGG, both: tuple[Path, Path], crops: np.ndarray, run_onnx
) -> None:
    seen = torch.from_numpy(planes(crops, recipe().input))
    with torch.inference_mode():
        wanted = torch.softmax(network(seen), 1).numpy()
    for path in both:
        found = run_onnx(write_graph(ensemble(read_variant(path, SMALL, recipe()))), crops)["grade_members"]
        assert found.shape == (6, 1, 3)
        assert np.abs(found[:, 0] - wanted).max() < 1e-5
    assert wanted.std(axis=0).max() > 0.01


def test_the_maps_of_grades_are_grad_cam_of_autograd(
    network: RepVGG, both: tuple[Path, Path], crops: np.ndarray, run_onnx
) -> None:
    found = run_onnx(write_graph(ensemble(read_variant(both[0], SMALL, recipe()))), crops)["grade_map"]
    with torch.no_grad():
        seen = network.maps(torch.from_numpy(planes(crops, recipe().input)))
    for grade in range(3):
        maps = seen.clone().requires_grad_()
        network.linear(maps.mean((2, 3)))[:, grade].sum().backward()
        alpha = maps.grad.mean((2, 3), keepdim=True) * maps.shape[2] * maps.shape[3]
        wanted = (alpha * maps).sum(1).detach().numpy()
        assert np.abs(found[:, grade] - wanted).max() < 1e-4 * max(1.0, np.abs(wanted).max())


def test_the_equivalence_is_measured_and_told(both: tuple[Path, Path], crops: np.ndarray) -> None:
    found = read_variant(both[0], SMALL, recipe())
    measured = measure(ensemble(found), 0, found, crops, recipe().input)
    assert 0.0 < measured.answers < 1e-4
    assert measured.features is not None
    sentence = told([measured], found)
    assert "re-parameterised" in sentence
    assert "training form in torch, 6 crops, 1 member" in sentence
    again = read_variant(both[1], SMALL, recipe())
    assert "re-parameterised" not in told([measured], again)


def test_a_conversion_that_changes_answers_is_refused(
    both: tuple[Path, Path], crops: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repvgg, "_folded", _folded_wrongly(repvgg._folded))
    found = read_variant(both[0], SMALL, recipe())
    with pytest.raises(DefectError, match=r"gives answers that differ by .* from its training form in torch"):
        measure(ensemble(found), 0, found, crops, recipe().input)


def _folded_wrongly(folded: Callable) -> Callable:
    def wrong(state, norm, weight):
        gain, bias = folded(state, norm, weight)
        return gain, bias + (0.05 if norm.endswith("stage1.0.rbr_1x1.bn") else 0.0)

    return wrong


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("stage2.1.rbr_identity.weight"), "lacks stage2.1.rbr_identity.weight"),
        (
            lambda state: state.update({"stage1.0.se.down.weight": torch.zeros(1)}),
            "has stage1.0.se.down.weight too much",
        ),
        (lambda state: state.update({"linear.weight": torch.zeros(1000, 32)}), r"\(1000, 32\) instead of \(3, 32\)"),
        (lambda state: state["stage0.rbr_1x1.bn.running_var"].fill_(-1.0), "values that no trained network has"),
    ],
)
def test_a_checkpoint_of_another_network_is_refused(
    network: RepVGG, tmp_path: Path, change: Callable, message: str
) -> None:
    state = {name: value.clone() for name, value in network.state_dict().items()}
    change(state)
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(DefectError, match=message):
        read_variant(tmp_path / "w.pth", SMALL, recipe())


def test_names_can_be_mapped(network: RepVGG, tmp_path: Path) -> None:
    state = {f"backbone.{name}": value for name, value in network.state_dict().items() if "linear" not in name}
    state |= {f"head.{name}": value for name, value in network.linear.state_dict().items()}
    torch.save({"model": state}, tmp_path / "w.pth")
    source = {"family": "repvgg", "architecture": "RepVGG-A0", "weights": ("w.pth",)}
    renamed = recipe(source={**source, "rename": {"backbone.": "", "head.": "linear."}})
    assert read_variant(tmp_path / "w.pth", SMALL, renamed).endings["answers"].layer.inputs == 32
    twice = recipe(source={**source, "rename": {"backbone.stage0.": "linear.", "head.": "linear.", "backbone.": ""}})
    state["backbone.stage0.weight"] = torch.zeros(1)
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(DefectError, match=r"two weights each for linear\.weight"):
        read_variant(tmp_path / "w.pth", SMALL, twice)


def test_an_ensemble_of_two_has_each_members_value(
    network: RepVGG, tmp_path: Path, crops: np.ndarray, run_onnx
) -> None:
    torch.manual_seed(9)
    other = trained(RepVGG(SMALL, 3), 9)
    for name, one in (("a.pth", network), ("b.pth", other)):
        torch.save(one.state_dict(), tmp_path / name)
    pair = ensemble(*(read_variant(tmp_path / name, SMALL, recipe()) for name in ("a.pth", "b.pth")))
    found = run_onnx(write_graph(pair), crops)
    seen = torch.from_numpy(planes(crops, recipe().input))
    with torch.inference_mode():
        wanted = np.stack([torch.softmax(one(seen), 1).numpy() for one in (network, other)], axis=1)
    assert np.abs(found["grade_members"] - wanted).max() < 1e-5
    assert found["features"].shape == (6, 64)
    alone = [
        run_onnx(write_graph(ensemble(read_variant(tmp_path / n, SMALL, recipe()))), crops) for n in ("a.pth", "b.pth")
    ]
    assert np.abs(found["grade_map"] - (alone[0]["grade_map"] + alone[1]["grade_map"]) / 2).max() < 1e-4
