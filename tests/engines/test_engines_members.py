"""Members in separate artifacts: together they are the model that a fused artifact is."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from engines._onnxruntime_session import OnnxSession
from engines.bundle import Bundle
from engines.errors import BundleError
from engines.members import join, members_of, session_info

from .bundle_makers import MODELS, speckle_crops

APART = (("fp32", "any"),)


@pytest.fixture
def apart(make_bundle) -> Bundle:
    return make_bundle(apart=APART)


@pytest.mark.parametrize("model", sorted(MODELS))
def test_together_they_answer_as_the_whole_model(make_bundle, model: str) -> None:
    crops = speckle_crops(4, seed=5)
    bundle = make_bundle(model=model, apart=APART)
    with OnnxSession(bundle, bundle.artifacts("fp32", "cpu"), threads=1) as session:
        outputs = session.infer(crops)
    wanted = MODELS[model].answer(crops)
    assert outputs.keys() == wanted.keys()
    for name, array in wanted.items():
        assert outputs[name].dtype == np.float32
        np.testing.assert_allclose(outputs[name], array, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("member", [0, 1, 2])
def test_one_of_them_answers_as_a_model_of_one_member(apart: Bundle, member: int) -> None:
    crops = speckle_crops(3, seed=6)
    wanted = MODELS["egfr"].answer(crops)
    with OnnxSession(apart, apart.manifest.artifacts[member], threads=1) as session:
        outputs = session.infer(crops)
        assert session.info.artifact == f"model-0-{member}.onnx"
    np.testing.assert_allclose(outputs["egfr_members"], wanted["egfr_members"][:, [member]], rtol=1e-4)
    own = slice(4 * member, 4 * member + 4)
    np.testing.assert_allclose(outputs["features"], wanted["features"][:, own], rtol=1e-4)
    channel = crops[..., member].astype(np.float64).reshape(3, 8, 8, 8, 8).mean(axis=(2, 4))
    np.testing.assert_allclose(outputs["egfr_map"], channel, rtol=1e-4)


def test_they_are_given_in_order_of_member_whatever_the_order_of_the_manifest(make_bundle, apart: Bundle) -> None:
    shuffled = [apart.manifest.artifacts[at].model_dump() for at in (2, 0, 1)]
    bundle = make_bundle(apart=APART, changes={"artifacts": shuffled})
    assert [artifact.member for artifact in bundle.artifacts("fp32", "cpu")] == [0, 1, 2]


def test_one_file_cannot_be_had_where_there_are_three(apart: Bundle) -> None:
    with pytest.raises(BundleError, match="its 3 members were left as separate artifacts"):
        apart.artifact("fp32", "cpu")


def test_the_artifacts_of_the_own_family_go_before_those_for_any(make_bundle) -> None:
    bundle = make_bundle(graphs={("fp32", "any"): {}, ("fp32", "cpu"): {"doc": "own"}}, apart=APART)
    assert [artifact.file for artifact in bundle.artifacts("fp32", "cpu")] == ["model-1.onnx"]
    assert len(bundle.artifacts("fp32", "tensorrt")) == 3


def test_one_hash_stands_for_all_and_changes_with_any(apart: Bundle) -> None:
    artifacts = apart.manifest.artifacts
    info = session_info("somewhere", "here", artifacts)
    lines = "".join(f"{artifact.sha256}\n" for artifact in artifacts)
    assert info.artifact_sha256 == hashlib.sha256(lines.encode()).hexdigest()
    assert (info.artifact, info.precision) == ("model-0-0.onnx and 2 more", "fp32")
    for at in range(3):
        changed = artifacts[at].model_copy(update={"sha256": "0" * 64})
        others = (*artifacts[:at], changed, *artifacts[at + 1 :])
        assert session_info("somewhere", "here", others).artifact_sha256 != info.artifact_sha256
    one = session_info("somewhere", "here", artifacts[:1])
    assert (one.artifact, one.artifact_sha256) == ("model-0-0.onnx", artifacts[0].sha256)


def test_members_are_counted_fused_or_apart(bundle: Bundle, apart: Bundle) -> None:
    assert members_of(bundle.manifest, bundle.manifest.artifacts) == 3
    assert members_of(apart.manifest, apart.manifest.artifacts) == 3
    assert members_of(apart.manifest, apart.manifest.artifacts[:1]) == 1


def test_values_lie_side_by_side_and_maps_are_averaged(make_bundle) -> None:
    manifest = make_bundle(model="grades").manifest
    parts = [
        {
            "echogenicity_members": np.full((2, 1, 4), at, np.float32),
            "features": np.full((2, 4), at, np.float32),
            "echogenicity_map": np.full((2, 4, 8, 8), at, np.float32),
        }
        for at in (1.0, 2.0, 6.0)
    ]
    joined = join(manifest, parts)
    assert joined["echogenicity_members"][0].tolist() == [[1.0] * 4, [2.0] * 4, [6.0] * 4]
    assert joined["features"][1].tolist() == [1.0] * 4 + [2.0] * 4 + [6.0] * 4
    assert np.unique(joined["echogenicity_map"]).tolist() == [3.0]
    assert joined["echogenicity_map"].shape == (2, 4, 8, 8)
    assert not np.shares_memory(join(manifest, parts[:1])["features"], parts[0]["features"])
