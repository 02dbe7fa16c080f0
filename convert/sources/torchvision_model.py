"""A network of torchvision with the weights of a checkpoint, as a graph that is cut before its pooling."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import nn

from convert.checkpoint import COUNTER, matched
from convert.sources._torchvision import load_models
from convert.sources.adopt import adopt
from convert.sources.network import Floats, Network, Original
from convert.sources.recipe import Recipe
from convert.sources.state import renamed_tensors
from convert.sources.torch_graph import ANSWERS, torch_graph
from engines.errors import UsageError


def read_torchvision(path: Path, recipe: Recipe) -> Network:
    """Return the network whose weights are in ``path``.

    Raises
    ------
    DefectError
        The file is not of this architecture, or the network cannot be written as a graph.
    UsageError
        torchvision has no such network, or is missing.
    """
    return read_module(path, build(recipe.source.architecture or "", recipe.outputs), recipe)


def read_module(path: Path, network: nn.Module, recipe: Recipe) -> Network:
    """As ``read_torchvision``, for any module whose last pooling and linear layer can be found in its graph."""
    wanted = {name: tuple(value.shape) for name, value in network.state_dict().items() if not name.endswith(COUNTER)}
    arrays = matched(renamed_tensors(path, recipe.source.rename), wanted)
    network.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()}, strict=False)
    size = (3, recipe.input.height, recipe.input.width)
    found = adopt(torch_graph(network, size), size, [ANSWERS])
    return Network(found.trunk, found.endings, _original(network), size, "the network in torch")


def build(architecture: str, outputs: int) -> nn.Module:
    """Return a classification network of torchvision with ``outputs`` answers, in inference mode, weights unset.

    Raises
    ------
    UsageError
        torchvision has no such network, or is missing.
    """
    models = load_models()
    known = models.list_models(module=models)
    if architecture not in known:
        near = [name for name in known if name[:5] == architecture.lower()[:5]] or known
        raise UsageError(
            f"The architecture '{architecture}' cannot be built",
            "torchvision has no classification network of that name",
            f"choose from {', '.join(near[:8])}" + (" and others" if len(near) > 8 else ""),
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some say that their random first weights will change; they are replaced
        network: nn.Module = models.get_model(architecture, weights=None, num_classes=outputs)  # nothing is fetched
    return network.eval()


def _original(network: nn.Module) -> Original:
    def answers(planes: Floats) -> dict[str, Floats]:
        with torch.inference_mode():
            return {ANSWERS: network(torch.from_numpy(planes)).numpy()}

    return answers
