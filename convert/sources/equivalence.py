"""Holds a converted network against the one that it comes from, in fp32 and on real crops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convert.checkpoint import DefectError
from convert.graph.ensemble import write_probe
from convert.graph.parts import Activation, Ensemble, LinearHead
from convert.graph.trunks import LUMA
from convert.sources.network import FEATURES, Floats, Network
from convert.sources.recipe import Input
from convert.sources.runner import Runner

LIMIT = 1e-4  # of answers and features; relative where these are larger than 1
COUNT = 8  # crops


@dataclass(frozen=True, slots=True)
class Equivalence:
    """Largest |difference| of answers, and of pooled features where the original gives them, on ``crops`` crops."""

    answers: float
    features: float | None
    crops: int


def measure(ensemble: Ensemble, at: int, network: Network, crops: NDArray[np.uint8], spec: Input) -> Equivalence:
    """Compare member ``at`` of ``ensemble`` with its original on ``crops`` uint8 (K, H, W, 3).

    Raises
    ------
    DefectError
        They differ by more than 1e-4, are not finite, are the same for every crop, or depend on the other crops.
    """
    layers = [ending.layer for ending in network.endings.values()]
    weight, bias = np.concatenate([one.weight for one in layers]), np.concatenate([one.bias for one in layers])
    probe = Runner(write_probe(ensemble, at, LinearHead(weight, bias)))
    found, wanted = probe(crops), network.original(planes(crops, spec))
    _check_answers(found["answers"])
    _check_apart(found["answers"], np.concatenate([probe(crop[None])["answers"] for crop in crops[:2]]))
    answers, start = 0.0, 0
    for name, ending in network.endings.items():
        width = len(ending.layer.bias)
        mine = activated(found["answers"][:, start : start + width], ending.activation)
        answers = max(answers, _difference("answers", mine, wanted[name], network.compared_with))
        start += width
    features = None
    if FEATURES in wanted and FEATURES in found:
        features = _difference("pooled features", found[FEATURES], wanted[FEATURES], network.compared_with)
    return Equivalence(answers, features, len(crops))


def told(found: Sequence[Equivalence], network: Network) -> str:
    """Return what was measured over all members, as a sentence."""
    features = [item.features for item in found if item.features is not None]
    also = f", of the pooled features {max(features):.1e}" if features else ""
    how = "Blocks re-parameterised to single 3 x 3 convolutions. " if network.reparameterised else ""
    return (
        f"{how}The fp32 graph against {network.compared_with}, {found[0].crops} crops, "
        f"{len(found)} member{'s' if len(found) > 1 else ''}: largest difference of the answers "
        f"{max(item.answers for item in found):.1e}{also} (limit {LIMIT:.0e})."
    )


def planes(crops: NDArray[np.uint8], spec: Input) -> Floats:
    """Return what the original sees of ``crops`` uint8 (K, H, W, 3) RGB: float32 (K, C, H, W), by plain arithmetic."""
    value = crops.astype(np.float64)
    if spec.channels == "grey":
        value = (value @ np.array(LUMA))[:, :, :, None]
    elif spec.channels == "bgr":
        value = value[:, :, :, ::-1]
    value = (value / spec.divisor - np.array(spec.mean)) / np.array(spec.std)
    return np.ascontiguousarray(value.transpose(0, 3, 1, 2), np.float32)


def activated(values: Floats, activation: Activation) -> Floats:
    """Return raw answers (N, K) after the activation that the file ends with."""
    if activation == "sigmoid":
        return np.asarray(1.0 / (1.0 + np.exp(-values)), np.float32)
    if activation == "softmax":
        powers = np.exp(values - values.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)
    return values


def _difference(what: str, mine: Floats, wanted: Floats, compared_with: str) -> float:
    wanted = np.asarray(wanted, np.float32).reshape(len(wanted), -1)
    if wanted.shape != mine.shape or not np.all(np.isfinite(wanted)):
        raise DefectError(f"gives {what} that cannot be compared with {compared_with}")
    largest = float(np.abs(mine - wanted).max())
    limit = LIMIT * max(1.0, float(np.abs(wanted).max()))
    if not largest <= limit:
        raise DefectError(
            f"gives {what} that differ by {largest:.1e} from {compared_with}, where {limit:.1e} is allowed"
        )
    return largest


def _check_answers(values: Floats) -> None:
    if not np.all(np.isfinite(values)):
        raise DefectError("gives answers that are not finite")
    if len(values) > 1 and not np.ptp(values, axis=0).any():
        raise DefectError(f"gives the same answer to {len(values)} different crops")


def _check_apart(together: Floats, alone: Floats) -> None:
    limit = LIMIT * max(1.0, float(np.abs(alone).max()))
    if not float(np.abs(together[: len(alone)] - alone).max()) <= limit:
        raise DefectError("answers differently to one crop alone and among others, so its batch cannot be freed")
