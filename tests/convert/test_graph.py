"""The one graph of a bundle says what the trained networks and trees say."""

from __future__ import annotations

import numpy as np
import onnx
import torch
import xgboost

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
