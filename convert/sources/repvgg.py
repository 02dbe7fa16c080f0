"""RepVGG (Ding 2021) in the names of its authors: the training form is made one 3 x 3 convolution a block.

Source: DingXiaoH/RepVGG, ``repvgg.py``. A block of the training form adds up a 3 x 3 convolution, a 1 x 1 one and,
where input and output have the same form, the input itself, each behind a batch norm; all three are linear, so
together they are one 3 x 3 convolution. A checkpoint that was converted already (``rbr_reparam``) is taken as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from convert.checkpoint import DefectError, Shape, State, matched
from convert.graph.parts import Convolution, LinearHead, Plain, Trunk
from convert.sources.cut import Ending
from convert.sources.network import FEATURES, Floats, Network
from convert.sources.recipe import Recipe
from convert.sources.state import renamed_tensors
from engines.errors import UsageError

EPSILON = 1e-5  # torch's default of BatchNorm2d, which the authors keep
ANSWERS = "answers"
DEPLOYED = "rbr_reparam"
NORM = ("weight", "bias", "running_mean", "running_var")
Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Variant:
    """Blocks and relative width of the four stages behind ``stage0``."""

    blocks: tuple[int, ...]
    width: tuple[float, ...]


VARIANTS = {
    "RepVGG-A0": Variant((2, 4, 14, 1), (0.75, 0.75, 0.75, 2.5)),
    "RepVGG-A1": Variant((2, 4, 14, 1), (1, 1, 1, 2.5)),
    "RepVGG-A2": Variant((2, 4, 14, 1), (1.5, 1.5, 1.5, 2.75)),
    "RepVGG-B0": Variant((4, 6, 16, 1), (1, 1, 1, 2.5)),
    "RepVGG-B1": Variant((4, 6, 16, 1), (2, 2, 2, 4)),
    "RepVGG-B2": Variant((4, 6, 16, 1), (2.5, 2.5, 2.5, 5)),
    "RepVGG-B3": Variant((4, 6, 16, 1), (3, 3, 3, 5)),
}


@dataclass(frozen=True, slots=True)
class Block:
    """One block: name, channels in and out, stride; ``identity``: the training form also adds its input."""

    name: str
    inputs: int
    outputs: int
    stride: int

    @property
    def identity(self) -> bool:
        """Whether input and output have the same form."""
        return self.inputs == self.outputs and self.stride == 1


def read_repvgg(path: Path, recipe: Recipe) -> Network:
    """Return the network whose weights are in ``path``.

    Raises
    ------
    DefectError
        The file is of no such variant, in neither form.
    UsageError
        There is no such variant.
    """
    return read_variant(path, variant(recipe.source.architecture or ""), recipe)


def read_variant(path: Path, chosen: Variant, recipe: Recipe) -> Network:
    """As ``read_repvgg``, for any sizes."""
    tensors = renamed_tensors(path, recipe.source.rename)
    deployed = any(DEPLOYED in name for name in tensors)
    found = blocks(chosen)
    state = matched(tensors, expected_shapes(found, recipe.outputs, deployed))
    convolutions = [_deployed(state, block) if deployed else reparameterised(state, block) for block in found]
    if not all(np.all(np.isfinite(item.weight)) and np.all(np.isfinite(item.bias)) for item in convolutions):
        raise DefectError("gives values that are not finite where its branches are added up")
    layer = LinearHead(state["linear.weight"], state["linear.bias"])
    return Network(
        trunk=Trunk(convolutions[0], tuple(Plain(item) for item in convolutions[1:])),
        endings={ANSWERS: Ending(layer, "identity")},
        original=_Original(state, found, deployed),
        size=(3, recipe.input.height, recipe.input.width),
        compared_with="its deployed form in torch" if deployed else "its training form in torch",
        reparameterised=not deployed,
    )


def variant(name: str) -> Variant:
    """Return a published variant; ``repvgg-a0``, ``RepVGG_A0`` and ``A0`` are one.

    Raises
    ------
    UsageError
        There is no such variant.
    """
    wanted = name.upper().replace("_", "-").removeprefix("REPVGG-")
    found = VARIANTS.get(f"RepVGG-{wanted}")
    if found is None:
        because, cure = "it is no variant whose form is known here", f"choose from {', '.join(VARIANTS)}"
        raise UsageError(f"The architecture '{name}' cannot be built", because, cure)
    return found


def blocks(chosen: Variant) -> tuple[Block, ...]:
    """Return all blocks, ``stage0`` first."""
    inputs = min(64, int(64 * chosen.width[0]))
    found = [Block("stage0", 3, inputs, 2)]
    for stage, (count, width) in enumerate(zip(chosen.blocks, chosen.width, strict=True), 1):
        outputs = int((32 << stage) * width)
        for index in range(count):
            found.append(Block(f"stage{stage}.{index}", inputs, outputs, 1 if index else 2))
            inputs = outputs
    return tuple(found)


def expected_shapes(found: tuple[Block, ...], outputs: int, deployed: bool) -> dict[str, Shape]:
    """Return every name that a checkpoint must hold, with its shape."""
    shapes: dict[str, Shape] = {}
    for block in found:
        dense: Shape = (block.outputs, block.inputs, 3, 3)
        if deployed:
            shapes |= {f"{block.name}.{DEPLOYED}.weight": dense, f"{block.name}.{DEPLOYED}.bias": dense[:1]}
            continue
        shapes[f"{block.name}.rbr_dense.conv.weight"] = dense
        shapes[f"{block.name}.rbr_1x1.conv.weight"] = (*dense[:2], 1, 1)
        norms = [f"{block.name}.rbr_dense.bn", f"{block.name}.rbr_1x1.bn"]
        norms += [f"{block.name}.rbr_identity"] if block.identity else []
        shapes |= {f"{norm}.{field}": dense[:1] for norm in norms for field in NORM}
    return shapes | {"linear.weight": (outputs, found[-1].outputs), "linear.bias": (outputs,)}


def reparameterised(state: State, block: Block) -> Convolution:
    """Return the one 3 x 3 convolution that a block of the training form is, added up in double precision."""
    weight = np.zeros((block.outputs, block.inputs, 3, 3))
    branch, bias = _folded(state, f"{block.name}.rbr_dense.bn", state[f"{block.name}.rbr_dense.conv.weight"])
    weight += branch
    branch, more = _folded(state, f"{block.name}.rbr_1x1.bn", state[f"{block.name}.rbr_1x1.conv.weight"])
    weight[:, :, 1:2, 1:2] += branch
    bias = bias + more
    if block.identity:
        unit = np.eye(block.outputs, dtype=np.float32)[:, :, None, None]
        branch, more = _folded(state, f"{block.name}.rbr_identity", unit)
        weight[:, :, 1:2, 1:2] += branch
        bias = bias + more
    return Convolution(weight.astype(np.float32), bias.astype(np.float32), block.stride, 1)


def _folded(state: State, norm: str, weight: Floats) -> tuple[Doubles, Doubles]:
    """Fold a batch norm in inference mode into the convolution in front of it."""
    gain = state[f"{norm}.weight"] / np.sqrt(state[f"{norm}.running_var"].astype(np.float64) + EPSILON)
    return weight * gain[:, None, None, None], state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * gain


def _deployed(state: State, block: Block) -> Convolution:
    name = f"{block.name}.{DEPLOYED}"
    return Convolution(state[f"{name}.weight"], state[f"{name}.bias"], block.stride, 1)


class _Original:
    """The network of a checkpoint as it is, in torch."""

    def __init__(self, state: State, found: tuple[Block, ...], deployed: bool) -> None:
        self._state = {name: torch.from_numpy(array) for name, array in state.items()}
        self._blocks, self._deployed = found, deployed

    def __call__(self, planes: Floats) -> dict[str, Floats]:
        """Return answers and pooled features of planes (N, 3, H, W)."""
        with torch.inference_mode():
            value = torch.from_numpy(planes)
            for block in self._blocks:
                value = torch.relu(self._single(value, block) if self._deployed else self._branches(value, block))
            features = value.mean((2, 3))
            answers = torch.nn.functional.linear(features, self._state["linear.weight"], self._state["linear.bias"])
        return {ANSWERS: answers.numpy(), FEATURES: features.numpy()}

    def _single(self, value: torch.Tensor, block: Block) -> torch.Tensor:
        weight, bias = (self._state[f"{block.name}.{DEPLOYED}.{field}"] for field in ("weight", "bias"))
        return torch.nn.functional.conv2d(value, weight, bias, block.stride, 1)

    def _branches(self, value: torch.Tensor, block: Block) -> torch.Tensor:
        total = self._branch(value, f"{block.name}.rbr_dense", block.stride, 1)
        total = total + self._branch(value, f"{block.name}.rbr_1x1", block.stride, 0)
        return total + self._norm(value, f"{block.name}.rbr_identity") if block.identity else total

    def _branch(self, value: torch.Tensor, name: str, stride: int, padding: int) -> torch.Tensor:
        weight = self._state[f"{name}.conv.weight"]
        return self._norm(torch.nn.functional.conv2d(value, weight, None, stride, padding), f"{name}.bn")

    def _norm(self, value: torch.Tensor, name: str) -> torch.Tensor:
        weight, bias, mean, variance = (self._state[f"{name}.{field}"] for field in NORM)
        return torch.nn.functional.batch_norm(value, mean, variance, weight, bias, training=False, eps=EPSILON)
