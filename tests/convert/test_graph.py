"""The one graph of a bundle says what the trained networks and trees say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
import xgboost

from convert.egfr_heads import EGFR_HEADS
from convert.graph.parts import Member, Whole
from convert.reference.network import normalise


def torch_answers(tiny):
    batch = normalise(torch.from_numpy(tiny.crops))
    with torch.inference_mode():
        answers = [network(batch) for network in tiny.networks]
    egfr = np.stack([value.numpy() * 30.0 + 45.0 for value, _ in answers], axis=1)
    return egfr, [features.numpy() for _, features in answers]


def test_graph_equals_the_torch_networks_with_batch_norm_folded(tiny, run_onnx) -> None:
    found = run_onnx(tiny.model, tiny.crops)
    egfr, features = torch_answers(tiny)
    assert np.abs(found["egfr_members"] - egfr).max() < 1e-3
    assert np.abs(found["features"] - np.hstack(features)).max() < 1e-4
    assert all(node.op_type != "BatchNormalization" for node in tiny.model.graph.node)


def test_probabilities_are_xgboosts_on_the_pooled_features(tiny, run_onnx) -> None:
    found = run_onnx(tiny.model, tiny.crops)
    for index, booster in enumerate(tiny.boosters):
        features = found["features"][:, index * 16 : (index + 1) * 16]
        expected = booster.predict(xgboost.DMatrix(features))
        assert np.abs(found["p_egfr_below_60_members"][:, index] - expected).max() < 1e-6


def test_activation_map_adds_up_to_the_egfr(tiny, run_onnx) -> None:
    found = run_onnx(tiny.model, tiny.crops)
    bias = np.mean([member.parts[0].bias[0] for member in tiny.ensemble.members])
    assert found["egfr_map"].shape == (24, 8, 8)
    assert np.abs(found["egfr_map"].mean(axis=(1, 2)) + bias - found["egfr_members"].mean(axis=1)).max() < 1e-3


def test_the_batch_is_free_and_crops_do_not_touch_each_other(tiny, run_onnx) -> None:
    together = run_onnx(tiny.model, tiny.crops)
    alone = run_onnx(tiny.model, tiny.crops[7:8])
    for name, array in alone.items():
        assert np.abs(array[0] - together[name][7]).max() < 1e-4
    assert tiny.model.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8


def test_heads_and_parts_that_do_not_go_together_are_a_mistake_of_the_caller(tiny) -> None:
    trees_with_map = (EGFR_HEADS[0], EGFR_HEADS[1].model_copy(update={"map": "p_map"}))
    with pytest.raises(ValueError, match="the head p_egfr_below_60 has a map that no part gives"):
        replace(tiny.ensemble, heads=trees_with_map)
    with pytest.raises(ValueError, match="3 values of mean and std"):
        replace(tiny.ensemble, mean=(0.5,))
    whole = Member(Whole(onnx.ModelProto()), tiny.ensemble.members[0].parts)
    with pytest.raises(ValueError, match="some members are cut before their pooling and some are not"):
        replace(tiny.ensemble, members=(*tiny.ensemble.members, whole))


def test_a_trunk_is_written_once_for_all_heads(tiny) -> None:
    names = [node.name for node in tiny.model.graph.node]
    assert len(set(names)) == len(names)
    assert sum(name == "member1/trunk/stem" for name in names) == 1
    assert {name.split("/")[2] for name in names if name.startswith("member0/heads/")} == {
        "pool",
        "features",
        "egfr",
        "p_egfr_below_60",
    }
