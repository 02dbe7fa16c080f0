from __future__ import annotations

import pytest

from engines import selftest
from engines._onnxruntime_session import OnnxSession
from engines.errors import InferenceError
from engines.runtimes import select
from engines.selftest import HeadDelta


def test_a_faithful_artifact_passes(bundle) -> None:
    with select(bundle).open() as session:
        test = selftest.run(bundle, session)
    assert test.passed and test.crops == 5
    assert [head.output for head in test.heads] == ["egfr_members", "p_egfr_below_60_members", "egfr_map"]
    assert all(0 <= head.delta <= head.tolerance for head in test.heads)
    assert "5 golden crops on onnxruntime fp32: egfr_members" in test.explain()
    assert test.took_ms > 0


def test_an_artifact_that_drifted_is_refused_with_the_difference(make_bundle) -> None:
    bundle = make_bundle(graphs={("fp32", "any"): {"gain": 8.1}})  # members off by up to 1.3 mL/min/1.73 m2
    with select(bundle).open() as session:
        test = selftest.measure(bundle, session)
        assert not test.passed
        assert 0.5 < test.heads[0].delta < 1.6
        with pytest.raises(
            InferenceError, match=r"failed the self-test .* egfr_members differs by .* 0\.05 is allowed"
        ):
            selftest.run(bundle, session)


def test_a_drift_of_the_probability_alone_is_found(make_bundle) -> None:
    bundle = make_bundle(graphs={("fp32", "any"): {"p_gain": 0.5}})
    with select(bundle).open() as session, pytest.raises(InferenceError) as caught:
        selftest.run(bundle, session)
    assert "p_egfr_below_60_members differs" in caught.value.sentence
    assert "egfr_members differs by" not in caught.value.sentence.replace("p_egfr_below_60_members differs by", "")


@pytest.mark.parametrize(("model", "output"), [("probability", "bright_members"), ("grades", "echogenicity_members")])
def test_every_kind_of_head_is_compared_with_its_map(make_bundle, model: str, output: str) -> None:
    bundle = make_bundle(model=model)
    with select(bundle).open() as session:
        assert [head.output for head in selftest.run(bundle, session).heads] == [output, output[:-7] + "map"]
    drifted = make_bundle(model=model, graphs={("fp32", "any"): {"p_gain": 0.98}})
    with select(drifted).open() as session, pytest.raises(InferenceError, match=f"{output} differs by"):
        selftest.run(drifted, session)


def test_members_in_separate_artifacts_pass_together_and_none_stands_for_all(make_bundle) -> None:
    bundle = make_bundle(apart=(("fp32", "any"),))
    with select(bundle).open() as session:
        assert selftest.run(bundle, session).passed
    with OnnxSession(bundle, bundle.manifest.artifacts[1]) as session:
        with pytest.raises(InferenceError, match=r"'egfr_members' is \(5, 1\) where the golden vectors are \(5, 3\)"):
            selftest.measure(bundle, session)


def test_a_session_that_is_not_entered_cannot_pass(bundle) -> None:
    with pytest.raises(InferenceError, match="not entered"):
        selftest.run(bundle, select(bundle).open())


def test_more_golden_crops_than_one_batch_are_all_compared(bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selftest, "_BATCH", 2)
    with select(bundle).open() as session:
        assert selftest.run(bundle, session).crops == 5


def test_a_head_passes_up_to_its_tolerance_and_no_farther() -> None:
    assert HeadDelta("egfr_members", "mL/min/1.73 m2", 0.5, 0.5).passed
    assert not HeadDelta("egfr_members", "mL/min/1.73 m2", 0.5001, 0.5).passed
    assert not HeadDelta("egfr_members", "mL/min/1.73 m2", float("nan"), 0.5).passed
