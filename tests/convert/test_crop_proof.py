"""One prover for every model that comes with crops: any heads, with features or without, calibrated or not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from convert.answers import Answers, answer_all, answer_rest
from convert.manifests import provisional
from convert.origin import Observation, Origin, Published
from convert.parity import ParityError, compare
from convert.plan import LIMITS, BuildPlan
from convert.write import refer
from engines._onnxruntime_session import OnnxSession
from engines.bundle import Bundle, load_golden
from engines.domain import DomainModel
from engines.errors import UsageError
from engines.manifest import Artifact, IntervalSpec, OutputSpec, RegressionHead
from engines.reading import Reader
from engines.selftest import run as self_test

from .head_makers import (
    ARTIFACTS,
    CLAIMS,
    EACH,
    FILES,
    LENGTH,
    LESION,
    PATIENTS,
    PIXELS,
    Built,
    alone,
    build,
    crops_of,
    known_truth,
    material,
)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(tmp_path_factory.mktemp("labelled") / "b", crops_of(known_truth()), Origin(FILES))


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(tmp_path_factory.mktemp("bare") / "b", crops_of({}), Origin(FILES))


def test_every_head_is_compared_on_the_held_crops(labelled: Built) -> None:
    row = labelled.bundle.manifest.parity[1]
    assert (row.precision, row.crops, row.passed) == ("fp16", 14 * EACH, True)
    lesion, length, echo = row.heads
    assert [head.head for head in row.heads] == ["lesion", "length", "echo"]
    assert [head.unit for head in row.heads] == ["1", "mm", "1"]
    assert 0 < lesion.largest < 0.01 and 0 < length.largest < 0.4 and 0 < echo.largest < 0.01
    assert all(head.map_correlation is not None and head.map_correlation > 0.99 for head in row.heads)
    assert lesion.auc is not None and length.auc is None and echo.auc is None


def test_a_regression_is_calibrated_on_labelled_patients_in_its_own_unit(labelled: Built) -> None:
    length = labelled.bundle.manifest.heads[1]
    assert isinstance(length, RegressionHead) and length.interval is not None
    assert length.interval.patients == PATIENTS and length.interval.level == 0.9
    assert "70 local patients" in length.interval.basis
    assert "Length: 70 patients, one crop each: r" in labelled.card and "mm" in labelled.card
    assert "lesion in view: AUC" in labelled.card and "the most probable grade is the known one" in labelled.card


def test_without_labels_it_is_not_calibrated_and_said_so(bare: Built) -> None:
    length = bare.bundle.manifest.heads[1]
    assert isinstance(length, RegressionHead) and length.interval is None
    assert "Not calibrated" in bare.page and "Not calibrated" in bare.card
    assert bare.bundle.manifest.parity[1].heads[0].auc is None
    assert bare.report["intervals"] == {"length": None} and bare.report["observations"] == {}
    assert "no value of them is known" in bare.card
    with OnnxSession(bare.bundle, bare.bundle.artifact("fp16", "any")) as session:
        reading = Reader(bare.bundle, session).read(PIXELS[0])
    assert reading.values[1].low is None  # type: ignore[union-attr]


def test_49_labelled_patients_are_too_few_and_the_published_interval_stays(tmp_path: Path) -> None:
    spec = IntervalSpec(level=0.9, edges=(), low=(-9.0,), high=(8.0,), patients=33, basis="a paper, not local")
    origin = Origin(FILES, {"length": Published(spec, (33,), "Published: error of 4 mm.")})
    found = build(tmp_path / "b", crops_of(known_truth(49 * EACH)), origin)
    length = found.bundle.manifest.heads[1]
    assert isinstance(length, RegressionHead) and length.interval == spec
    assert "Published: error of 4 mm." in found.card and "-9.0 to +8.0" in found.card


def test_card_and_report_say_what_the_model_answers_and_was_made_from(labelled: Built) -> None:
    for text in ("Lesion: probability of lesion in view, with a map", "Length, mm, with a map", "low, mid, high"):
        assert text in labelled.card
    for text in ("lesion.pt", "a" * 64, "b" * 64, "One remark.", "210 by LOGIQ E9"):
        assert text in labelled.card and text in labelled.page
    assert "legacy_tight" in labelled.card and "SYNTHETIC" not in labelled.card + labelled.page
    assert labelled.report["source"] == {"lesion.pt": "a" * 64}
    assert labelled.bundle.manifest.input.crop_factor == 1.2 and labelled.bundle.manifest.limits == CLAIMS.limits


def test_outputs_are_those_of_the_graph_and_golden_vectors_pass_the_self_test(labelled: Built) -> None:
    outputs = {output.name: output for output in labelled.bundle.manifest.outputs}
    assert outputs["lesion_map"] == OutputSpec(
        name="lesion_map", meaning="map", shape=(12, 12), unit="log-odds per cell"
    )
    assert outputs["length_map"].unit == "mm per cell" and outputs["echo_map"].shape == (3, 12, 12)
    assert outputs["echo_members"].meaning == "grade_members" and outputs["features"].shape == (24,)
    golden = load_golden(labelled.bundle)
    lesion = golden.outputs["lesion_members"].mean(axis=1)
    assert len(golden.crops) == 8 and np.all(np.diff(lesion) >= 0)
    for key in ARTIFACTS:
        with OnnxSession(labelled.bundle, labelled.bundle.artifact(*key)) as session:
            assert self_test(labelled.bundle, session).passed


def test_known_answers_are_not_asked_for_again(labelled: Built, tmp_path: Path) -> None:
    def ran(stages: list[str]) -> set[str]:
        return {stage for stage in stages if stage.startswith("running fp32.onnx")}

    first = 56 * EACH  # the crops that calibrate
    before = answer_rest(labelled.bundle, None, PIXELS[:first], lambda *_: None)
    assert f"running fp32 8/{first}" in labelled.stages  # for what half has to hold
    assert f"running fp32.onnx 8/{14 * EACH}" in ran(labelled.stages)
    rest = build(tmp_path / "rest", crops_of(known_truth()), Origin(FILES), replace(material(), known=before))
    assert f"running fp32.onnx 8/{14 * EACH}" in ran(rest.stages)  # the held crops only
    every = answer_rest(labelled.bundle, (PIXELS[:first], before), PIXELS[::-1], lambda *_: None)
    known = replace(material(), known=every, known_crops=PIXELS[::-1])
    none = build(tmp_path / "none", crops_of(known_truth()), Origin(FILES), known)
    assert ran(none.stages) == set()
    for found in (rest, none):
        assert found.bundle.manifest.heads == labelled.bundle.manifest.heads
        assert found.report["parity"] == labelled.report["parity"]


def test_what_the_source_asks_to_examine_is_reported_or_refuses_the_bundle(tmp_path: Path) -> None:
    def examine(answers: Answers) -> Observation:
        if len(answers) != PATIENTS * EACH:
            raise AssertionError(len(answers))
        return Observation("side", "Is it the right side?", "Yes, by 3", {"by": 3})

    def refuse(answers: Answers) -> Observation:
        raise UsageError("It cannot be trusted", "it is the other side", "turn it round")

    found = build(tmp_path / "b", crops_of({}), Origin(FILES, examine=examine))
    assert found.report["observations"] == {"side": {"by": 3}}
    assert "Is it the right side? Yes, by 3." in found.card and "Is it the right side?" in found.page
    with pytest.raises(UsageError, match="the other side"):
        build(tmp_path / "c", crops_of({}), Origin(FILES, examine=refuse))
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_simulated_crops_are_said_at_the_point_of_use(tmp_path: Path) -> None:
    found = build(tmp_path / "b", crops_of({}, simulated=True), Origin(FILES))
    assert "SYNTHETIC crops of the phantom" in found.bundle.manifest.limits[0]
    assert "SYNTHETIC crops" in found.page and "SYNTHETIC crops" in found.card


def test_without_features_the_domain_check_rests_on_texture(tmp_path: Path) -> None:
    what = material()
    kept = [output for output in what.model.graph.output if output.name != "features"]
    del what.model.graph.output[:]
    what.model.graph.output.extend(kept)
    found = build(tmp_path / "b", crops_of({}), Origin(FILES), what)
    assert DomainModel.load(tmp_path / "b" / "domain.npz").features is None
    assert "texture alone" in found.bundle.manifest.domain.basis
    with OnnxSession(found.bundle, found.bundle.artifact("fp32", "any")) as session:
        assert Reader(found.bundle, session).read(PIXELS[0]).domain_distance < 2


@pytest.mark.parametrize("patients", [1, 2])
def test_crops_of_a_single_patient_still_set_a_limit_and_the_bundle_says_how(tmp_path: Path, patients: int) -> None:
    """One clip of one patient: there are no two halves, or one of three crops."""
    everyone = crops_of({})
    names = np.repeat("p0001", len(everyone))
    names[:3] = f"p000{patients}"
    found = build(tmp_path / "b", replace(everyone, patients=names), Origin(FILES))
    assert "too few patients for two halves" in found.bundle.manifest.domain.basis
    with OnnxSession(found.bundle, found.bundle.artifact("fp32", "any")) as session:
        reader = Reader(found.bundle, session)
        assert np.mean([reader.read(crop).in_domain for crop in PIXELS]) > 0.9


def test_an_output_that_no_head_names_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no head names the output 'echo_members'"):
        build(tmp_path / "b", crops_of({}), Origin(FILES), replace(material(), heads=(LESION, LENGTH)))


def test_an_artifact_beyond_its_limits_leaves_no_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    strict = replace(LIMITS["fp16"], regression_p95=1e-6)  # half precision is further off
    monkeypatch.setitem(LIMITS, "fp16", strict)
    with pytest.raises(ParityError, match=r"95 % of \|delta Length\| is .* mm, limit 2e-06") as caught:
        build(tmp_path / "b", crops_of({}), Origin(FILES))
    assert [row.passed for row in caught.value.rows] == [True, False]
    assert list(tmp_path.iterdir()) == []


def test_members_left_apart_answer_as_the_fused_model_and_are_never_loaded_together(tmp_path: Path) -> None:
    what, plan = material(), BuildPlan(tmp_path, tmp_path, tmp_path)
    ensembles = {"fp32.onnx": what.model, **{f"fp16-{at}.onnx": alone(at) for at in range(2)}}
    for name, model in ensembles.items():
        (tmp_path / name).write_bytes(model.SerializeToString())
    apart = [
        Artifact(**refer(tmp_path, f"fp16-{at}.onnx").model_dump(), precision="fp16", family="any", member=at)
        for at in (1, 0)
    ]
    fused = Artifact(**refer(tmp_path, "fp32.onnx").model_dump(), precision="fp32", family="any")
    bundle = Bundle(tmp_path, provisional(plan, what, (fused, *apart)), "0" * 64)
    stages: list[str] = []
    found = answer_all(bundle, PIXELS[:20], lambda stage, done, total: stages.append(stage))
    assert list(found) == [("fp32", "any"), ("fp16", "any")]
    for name, array in found["fp32", "any"].outputs.items():
        assert found["fp16", "any"].outputs[name] == pytest.approx(array, abs=1e-4), name
    assert list(dict.fromkeys(stages)) == ["running fp32.onnx", "running fp16-0.onnx", "running fp16-1.onnx"]
    row = compare(("fp16", "any"), found["fp32", "any"], found["fp16", "any"], {})
    assert row.passed and [head.head for head in row.heads] == ["lesion", "length", "echo"]
