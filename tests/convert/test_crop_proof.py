"""One prover for every model that comes with crops: any heads, with features or without, calibrated or not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from convert.answers import Answers, answer_rest
from convert.assemble import assemble
from convert.crop_proof import CropProver
from convert.crops import Crops
from convert.crops.counts import count
from convert.graph.ensemble import write_graph
from convert.graph.parts import Convolution, Ensemble, LinearHead, Member, Plain, Trunk
from convert.manifests import Claims, Material
from convert.origin import Observation, Origin, Published, SourceFile
from convert.parity import ParityError
from convert.plan import LIMITS, ArtifactKey, BuildPlan
from engines._onnxruntime import OnnxSession
from engines.bundle import Bundle, load_golden, open_bundle
from engines.domain import DomainModel
from engines.errors import UsageError
from engines.manifest import (
    GradesHead,
    HeadSpec,
    IntervalSpec,
    OutputSpec,
    ProbabilityHead,
    RegressionHead,
    TrainingSpec,
)
from engines.reading import Reader
from engines.selftest import run as self_test

SIZE, PATIENTS, EACH = 48, 70, 3
LESION = ProbabilityHead(
    name="lesion", title="Lesion", quantity="other", event="lesion in view", output="lesion_members", map="lesion_map"
)
LENGTH = RegressionHead(
    name="length",
    title="Length",
    quantity="other",
    output="length_members",
    map="length_map",
    unit="mm",
    resolution=2.0,
)
ECHO = GradesHead(
    name="echo", title="Echogenicity", output="echo_members", map="echo_map", grades=("low", "mid", "high")
)
HEADS: tuple[HeadSpec, ...] = (LESION, LENGTH, ECHO)
CLAIMS = Claims(synthetic=False, limits=("Research use only.",), crop_mode="legacy_tight", crop_factor=1.2)
FILES = (SourceFile("lesion.pt", "a" * 64),)
ARTIFACTS: tuple[ArtifactKey, ...] = (("fp32", "any"), ("fp16", "any"))


def pictures() -> NDArray[np.uint8]:
    """Ellipses of a brightness and a size of their own."""
    random = np.random.default_rng(5)
    crops = []
    for _ in range(PATIENTS * EACH):
        grey = random.normal(random.uniform(30, 180), 20, (SIZE, SIZE)).clip(0, 255).astype(np.uint8)
        axes = (int(random.uniform(8, 22)), int(random.uniform(5, 14)))
        cv2.ellipse(grey, (24, 24), axes, random.uniform(-30, 30), 0, 360, random.uniform(20, 230), -1)
        crops.append(np.repeat(grey[:, :, None], 3, axis=2))
    return np.stack(crops)


PIXELS = pictures()


def crops_of(truth: Mapping[str, NDArray[np.float64]], simulated: bool = False) -> Crops:
    """The pictures, the last fifth of the patients held apart."""
    patients = np.repeat([f"p{number:04d}" for number in range(PATIENTS)], EACH)
    scanners = np.repeat("LOGIQ E9", len(patients))
    held = np.arange(len(patients)) >= 56 * EACH
    counts = count(patients, scanners, truth, HEADS)
    remarks = ("One remark.",)
    return Crops(PIXELS, patients, scanners, truth, held, True, simulated, "b" * 64, counts, remarks)


def known_truth(crops: int = PATIENTS * EACH) -> dict[str, NDArray[np.float64]]:
    """Truth of every head for the first so many crops."""
    random = np.random.default_rng(6)
    everyone = {
        "lesion": random.integers(0, 2, PATIENTS * EACH).astype(np.float64),
        "length": random.uniform(80, 120, PATIENTS * EACH),
        "echo": random.integers(0, 3, PATIENTS * EACH).astype(np.float64),
    }
    return {name: np.where(np.arange(len(values)) < crops, values, np.nan) for name, values in everyone.items()}


def member(seed: int) -> Member:
    random = np.random.default_rng(seed)

    def convolution(inputs: int, outputs: int, stride: int) -> Convolution:
        weight = random.normal(0, (2 / (9 * inputs)) ** 0.5, (outputs, inputs, 3, 3)).astype(np.float32)
        return Convolution(weight, np.zeros(outputs, np.float32), stride, 1)

    def linear(answers: int, scale: float, bias: float) -> LinearHead:
        weight = random.normal(0, scale, (answers, 12)).astype(np.float32)
        return LinearHead(weight, np.full(answers, bias, np.float32))

    trunk = Trunk(convolution(3, 8, 2), (Plain(convolution(8, 12, 2)),))
    lesion, echo = (replace(linear(k, 0.5, 0.0), activation=a) for k, a in ((1, "sigmoid"), (3, "softmax")))
    return Member(trunk, (lesion, linear(1, 3.0, 100.0), echo))


@dataclass(frozen=True)
class Built:
    bundle: Bundle
    report: dict[str, object]
    card: str
    page: str
    stages: list[str]


def material(members: int = 2) -> Material:
    ensemble = Ensemble(tuple(member(seed) for seed in range(members)), HEADS, SIZE, SIZE, (0.5,) * 3, (0.25,) * 3)
    training = TrainingSpec(recipe="A test.", data="nothing", patients=0, reproduce="echogfr-convert test")
    return Material(
        model=write_graph(ensemble),
        heads=HEADS,
        calibration=PIXELS[: 56 * EACH],
        training=training,
        members=members,
        parameters=1000,
        claims=CLAIMS,
    )


def build(target: Path, crops: Crops, origin: Origin, what: Material | None = None) -> Built:
    stages: list[str] = []

    def note(stage: str, done: int, total: int) -> None:
        stages.append(f"{stage} {done}/{total}")

    plan = BuildPlan(target, target, target, artifacts=ARTIFACTS, bundle_id="any", title="Any heads")
    assemble(plan, what or material(), note, CropProver(crops, origin))
    report = json.loads((target / "report.json").read_text())
    card, page = ((target / name).read_text() for name in ("card.md", "report.html"))
    return Built(open_bundle(target), report, card, page, stages)


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
        return {stage for stage in stages if stage.startswith("running fp32")}

    first = 56 * EACH  # the crops that calibrate
    before = answer_rest(labelled.bundle, None, PIXELS[:first], lambda *_: None)
    assert f"running fp32.onnx 8/{PATIENTS * EACH}" in ran(labelled.stages)
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
