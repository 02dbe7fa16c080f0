"""Networks of torchvision: the graph says what torch says, maps are those of autograd, wrong files are refused."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from convert.checkpoint import DefectError
from convert.graph.ensemble import write_graph
from convert.precision import to_fp16
from convert.sources import torchvision_model
from convert.sources._torchvision import load_models
from convert.sources.collect import Collected, check_files, read_each
from convert.sources.equivalence import measure, planes
from convert.sources.recipe import Recipe
from convert.sources.torchvision_model import build, read_torchvision
from engines.errors import UsageError

HEAD = {"name": "p", "title": "P", "kind": "probability", "event": "it", "classes": ("no", "yes"), "positive": "yes"}


def recipe(architecture: str, **source: object) -> Recipe:
    about = {"id": "m", "version": "1", "title": "M", "training": "T.", "data": "D", "limits": ["L."]}
    given = {"height": 64, "width": 64, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    source = {"family": "torchvision", "architecture": architecture, "weights": ("w.pth",), **source}
    return Recipe.model_validate({"model": about, "source": source, "input": given, "heads": (HEAD,)})


@pytest.fixture(scope="module")
def crops() -> np.ndarray:
    random = np.random.default_rng(2)
    return np.stack([random.integers(0, 60 * (at + 1), (64, 64, 3), dtype=np.uint8) for at in range(4)])


def trained(network: nn.Module, crops: np.ndarray) -> nn.Module:
    """With scales and batch statistics of the crops as after training."""
    torch.manual_seed(7)
    network.train()
    for item in network.modules():
        if isinstance(item, nn.BatchNorm2d):
            item.momentum = None
            item.weight.data.uniform_(0.6, 1.4)
            item.bias.data.normal_(0, 0.2)
    with torch.no_grad():
        network(torch.from_numpy(planes(crops, recipe("any").input)))
    return network.eval()


def taken(network: nn.Module, architecture: str, folder: Path) -> Collected:
    torch.save({f"module.{name}": value for name, value in network.state_dict().items()}, folder / "w.pth")
    told = recipe(architecture)
    (collected,) = read_each(told, folder, check_files(told, folder))
    return collected


def test_densenet_keeps_the_batch_norms_that_no_convolution_precedes(
    tmp_path: Path, crops, run_onnx, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in Li 2021, but small. Blocks are norm, ReLU, convolution; half precision takes the norms as they are."""

    def densenet(*_: object) -> nn.Module:
        torch.manual_seed(7)
        return load_models().DenseNet(growth_rate=8, block_config=(2, 2, 2), num_init_features=16, num_classes=2)

    monkeypatch.setattr(torchvision_model, "build", densenet)
    network = trained(densenet(), crops)
    collected = taken(network, "densenet121", tmp_path)
    assert measure(collected.ensemble, 0, collected.network, crops, recipe("densenet121").input).answers < 1e-4
    graph = write_graph(collected.ensemble)
    assert (
        sum(node.op_type == "BatchNormalization" for node in graph.graph.node) == 9
    )  # two a layer, one a transition, one last; less those behind a convolution
    stem = [node for node in graph.graph.node if node.op_type == "Conv" and "/trunk/stem/" in node.name]
    assert len(stem) == 1
    found, halved = run_onnx(graph, crops), run_onnx(to_fp16(graph), crops)
    with torch.inference_mode():
        wanted = torch.softmax(network(torch.from_numpy(planes(crops, recipe("densenet121").input))), 1)[:, 1].numpy()
    assert np.abs(found["p_members"][:, 0] - wanted).max() < 1e-4
    assert 0.0 < np.abs(found["p_members"] - halved["p_members"]).max() < 0.01
    assert wanted.std() > 1e-3
    _compare_maps(found["p_map"], network, crops)


def _compare_maps(found: np.ndarray, network: nn.Module, crops: np.ndarray) -> None:
    """Grad-CAM of the log-odds by autograd, times the number of cells."""
    with torch.no_grad():
        maps = torch.relu(network.features(torch.from_numpy(planes(crops, recipe("densenet121").input))))
    maps.requires_grad_()
    answers = network.classifier(maps.mean((2, 3)))
    (answers[:, 1] - answers[:, 0]).sum().backward()
    alpha = maps.grad.mean((2, 3), keepdim=True) * maps.shape[2] * maps.shape[3]
    wanted = (alpha * maps).sum(1).detach().numpy()
    assert found.shape == wanted.shape == (4, 4, 4)
    assert np.abs(found - wanted).max() < 1e-4 * max(1.0, np.abs(wanted).max())


def test_squeezenet_is_cut_where_its_maps_are_its_answers(tmp_path: Path, crops, run_onnx) -> None:
    network = trained(build("squeezenet1_1", 2), crops)
    found = run_onnx(write_graph(taken(network, "squeezenet1_1", tmp_path).ensemble), crops)
    with torch.inference_mode():
        answers = network(torch.from_numpy(planes(crops, recipe("squeezenet1_1").input))).numpy()
    assert found["features"].shape == (4, 2)
    assert np.abs(found["features"] - answers).max() < 1e-4
    assert np.abs(found["p_map"].mean((1, 2)) - (answers[:, 1] - answers[:, 0])).max() < 1e-4


@pytest.fixture(scope="module")
def small() -> dict[str, torch.Tensor]:
    return build("squeezenet1_1", 2).state_dict()


def test_missing_extra_and_misshapen_weights_come_in_one_message(
    small: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    state = {**small, "stray": torch.zeros(1), "classifier.1.weight": torch.zeros(1000, 512, 1, 1)}
    del state["features.0.bias"]
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(DefectError) as caught:
        read_torchvision(tmp_path / "w.pth", recipe("squeezenet1_1"))
    for message in ("lacks features.0.bias", "has stray too much", "(1000, 512, 1, 1) instead of (2, 512, 1, 1)"):
        assert message in str(caught.value)


def test_a_checkpoint_that_runs_code_is_refused(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"state_dict": {"x": Evil()}}, tmp_path / "w.pth")
    with pytest.raises(DefectError, match="no file of plain tensors"):
        read_torchvision(tmp_path / "w.pth", recipe("squeezenet1_1"))
    assert not (tmp_path / "ran").exists()


def test_an_unknown_architecture_is_refused_with_its_neighbours() -> None:
    with pytest.raises(UsageError, match=r"'densenet122' cannot be built.*densenet121, densenet161"):
        build("densenet122", 2)


def test_detectors_and_segmenters_are_no_classifiers() -> None:
    with pytest.raises(UsageError, match="no classification network of that name"):
        build("fasterrcnn_resnet50_fpn", 2)


def test_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(*_: object, **__: object) -> None:
        raise AssertionError("weights were asked for over the network")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", fetch)
    assert isinstance(build("resnet18", 2), nn.Module)


def test_without_torchvision_the_cure_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(UsageError, match=r"torchvision cannot be used, .* pip install 'echogfr\[convert\]'"):
        load_models()
