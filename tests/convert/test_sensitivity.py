"""Where INT8 exceeds its limits, the layer that is to blame stays in float, and the report says so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import typer

from convert.anatomy import dissect
from convert.answers import Answers
from convert.assemble import assemble
from convert.calibration import pairs, tensors_of
from convert.crop_proof import CropProver
from convert.graph.ensemble import write_graph
from convert.graph.parts import Convolution, Ensemble, LinearHead, Member, Residual, Trunk
from convert.manifests import Claims, Material
from convert.origin import Origin
from convert.parity import ParityError, compare
from convert.plan import BuildPlan
from convert.progress import silent
from convert.ranges import measure
from convert.running import Run
from convert.sensitivity import MOST_UNITS, Case, _groups, further, search, units_of
from convert.terminal import boundary
from convert.trade import Step, Trade, Unit
from engines._onnxruntime_session import OnnxSession
from engines.bundle import open_bundle
from engines.errors import UsageError
from engines.manifest import Family, HeadSpec, TrainingSpec

from .head_makers import LENGTH, PIXELS, SIZE, crops_of

SICK = 2  # the block that INT8 cannot take
WIDTH, BLOCKS = 8, 5
HEADS: tuple[HeadSpec, ...] = (LENGTH,)
CALIBRATION = PIXELS[:200]


def sick_member(seed: int, sick: tuple[int, ...] = (SICK,)) -> Member:
    """In a sick block one channel is 300 times the others between its convolutions: their steps become coarse."""
    random = np.random.default_rng(seed)

    def convolution(inputs: int, stride: int = 1) -> Convolution:
        weight = random.normal(0, (1 / (9 * inputs)) ** 0.5, (WIDTH, inputs, 3, 3)).astype(np.float32)
        return Convolution(weight, np.full(WIDTH, 0.1, np.float32), stride, 1)

    blocks = []
    for index in range(BLOCKS):
        first, second = convolution(WIDTH), convolution(WIDTH)
        if index in sick:
            gain = np.ones(WIDTH, np.float32)
            gain[0] = 300.0
            first = Convolution(first.weight * gain[:, None, None, None], first.bias * gain, 1, 1)
            second = Convolution(second.weight / gain[:, None, None], second.bias, 1, 1)
        blocks.append(Residual((first, second), None))
    head = LinearHead(random.normal(0, 3, (1, WIDTH)).astype(np.float32), np.array([100], np.float32))
    return Member(Trunk(convolution(3, 2), tuple(blocks), max_pool=True), (head,))


def ensemble(sick: tuple[int, ...] = (SICK,)) -> Ensemble:
    members = tuple(sick_member(seed, sick) for seed in (1, 2))
    return Ensemble(members, HEADS, SIZE, SIZE, (0.5,) * 3, (0.25,) * 3)


@pytest.fixture(scope="module")
def model() -> onnx.ModelProto:
    return write_graph(ensemble())


def case(model: onnx.ModelProto, family: Family) -> Case:
    found = measure(model, tensors_of(dissect(model)), CALIBRATION, np.ones(len(CALIBRATION), np.bool_), silent)
    answers = Run(pairs(model, family, found.ranges), family == "tensorrt")(CALIBRATION)
    row = compare(("int8", family), Answers(HEADS, found.outputs), Answers(HEADS, answers), {})
    assert not row.passed
    return Case(model, found.ranges, CALIBRATION, HEADS, row)


@pytest.mark.parametrize("family", ["cpu", "tensorrt"])
def test_the_sick_block_is_found_and_no_other_is_left(model: onnx.ModelProto, family: Family) -> None:
    found = search(case(model, family), silent)
    assert found.left == (f"block{SICK}",)
    worst, next_ = found.units[:2]
    assert worst.error > 3 * next_.error
    assert [step.left for step in found.steps][:2] == [0, 1]
    full, one = found.steps[:2]
    assert full.error > 2 * one.error
    assert full.time == 1.0 and one.time > 0
    assert found.unit == "mm" and f"INT8 for {family}: 1 of 5 units stay in" in found.sentence
    assert len(found.lines) == len(found.steps)


def test_the_search_keeps_to_its_budget_and_can_be_cancelled(model: onnx.ModelProto) -> None:
    seen: list[tuple[int, int]] = []
    found = search(case(model, "cpu"), lambda stage, done, total: seen.append((done, total)))
    assert found.evaluations <= BLOCKS + 4
    assert seen[-1][0] == seen[-1][1]

    def cancel(stage: str, done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(case(model, "cpu"), cancel)


def test_many_layers_are_taken_together() -> None:
    groups = _groups([f"conv{index}" for index in range(120)])
    assert len(groups) <= MOST_UNITS
    assert units_of(groups) == {f"conv{index}" for index in range(120)}


def test_more_is_left_where_it_was_not_enough() -> None:
    trade = search(case(write_graph(ensemble()), "cpu"), silent)
    more = further(trade)
    assert len(more.left) == 2 and more.left[0] == trade.left[0]
    every = replace(trade, left=tuple(unit.name for unit in trade.units))
    assert every.exhausted and not trade.exhausted


def built(
    target: Path, sick: tuple[int, ...], sensitivity: bool = True, crops: int = len(CALIBRATION), separate: bool = False
) -> list[str]:
    """Assemble a bundle of two members and return the stages."""
    material = Material(
        model=write_graph(ensemble(sick)),
        heads=HEADS,
        calibration=CALIBRATION[:crops],
        training=TrainingSpec(recipe="A test.", data="nothing", patients=0, reproduce="echogfr-convert test"),
        members=2,
        parameters=1000,
        claims=Claims(synthetic=False, limits=("Research use only.",)),
    )
    plan = BuildPlan(
        target.parent,
        target,
        target.parent,
        bundle_id="sick",
        title="Sick",
        sensitivity=sensitivity,
        separate_members=separate,
    )
    stages: list[str] = []
    prover = CropProver(crops_of({}), Origin(files=()))
    assemble(plan, material, lambda stage, done, total: stages.append(stage), prover)
    return list(dict.fromkeys(stages))


@pytest.fixture(scope="module")
def healed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    target = tmp_path_factory.mktemp("sick") / "bundle"
    return target, built(target, (SICK,))


def test_a_bundle_of_a_sick_model_is_written_with_that_block_in_float(healed: tuple[Path, list[str]]) -> None:
    bundle = open_bundle(healed[0])
    assert [(row.precision, row.family, row.passed) for row in bundle.manifest.parity] == [
        ("fp32", "any", True),
        ("fp16", "any", True),
        ("int8", "cpu", True),
        ("int8", "tensorrt", True),
    ]
    for family in ("cpu", "tensorrt"):
        form = onnx.load(bundle.file(f"int8-{family}.onnx"))
        made = {output: node.op_type for node in form.graph.node for output in node.output}
        floats = {
            node.name.split("/")[2]
            for node in form.graph.node
            if node.op_type == "Conv" and "/trunk/" in node.name and made.get(node.input[0]) != "DequantizeLinear"
        }
        assert floats == {"stem", f"block{SICK}"}


def test_report_card_and_json_tell_the_trade(healed: tuple[Path, list[str]]) -> None:
    bundle, stages = open_bundle(healed[0]), healed[1]
    page = bundle.file("report.html").read_text()
    assert "Layers that INT8 for cpu leaves in FP32" in page and "Layers that INT8 for tensorrt leaves in FP16" in page
    assert page.count("CPU time / that of full INT8</text>") == 2
    assert f"1 of 5 units stay in FP16 (block{SICK}), because" in bundle.file("card.md").read_text()
    told = onnx.load(bundle.file("fp32.onnx")).graph.name and bundle.file("report.json").read_text()
    assert '"sensitivity"' in told and f'"block{SICK}"' in told
    assert "looking for layers that INT8 for cpu harms" in stages


def test_no_artifact_is_asked_again_that_passed_before(healed: tuple[Path, list[str]]) -> None:
    """The stages of running fp16 come once: its answers are kept over the second proof."""
    assert healed[1].count("running fp16.onnx") == 1


def test_without_the_search_int8_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ParityError, match="int8 for cpu") as caught:
        built(tmp_path / "b", (SICK,), sensitivity=False)
    assert caught.value.trades == ()
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_is_sick_everywhere_is_refused_with_what_was_tried(tmp_path: Path) -> None:
    with pytest.raises(ParityError) as caught:
        built(tmp_path / "b", tuple(range(BLOCKS)))
    assert caught.value.trades
    for trade in caught.value.trades:
        assert isinstance(trade, Trade) and len(trade.units) == BLOCKS and len(trade.steps) >= 2
    assert list(tmp_path.iterdir()) == []


def test_int8_from_fewer_than_200_crops_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there are 199 crops"):
        built(tmp_path / "b", (SICK,), crops=199)
    assert list(tmp_path.iterdir()) == []


def test_members_of_one_graph_cannot_be_left_apart(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="they come in one graph"):
        built(tmp_path / "b", (SICK,), separate=True)
    assert list(tmp_path.iterdir()) == []


def test_the_app_runs_the_form_for_tensorrt_as_it_is_written(healed: tuple[Path, list[str]]) -> None:
    """ONNX Runtime's own rewriting of it makes integers of biases, by scales that overflow half."""
    bundle = open_bundle(healed[0])
    with OnnxSession(bundle, bundle.artifact("int8", "tensorrt")) as session:
        found = session.infer(CALIBRATION[:16])["length_members"]
    form = onnx.load(bundle.file("int8-tensorrt.onnx"))
    written, rewritten = (Run(form, as_written)(CALIBRATION[:16])["length_members"] for as_written in (True, False))
    assert np.abs(found - written).max() < 1e-3
    assert np.abs(found - rewritten).max() > 1e-3


def test_a_refusal_shows_what_was_tried(capsys: pytest.CaptureFixture[str]) -> None:
    steps = (Step(0, 3.0, 1.5, 1.0), Step(1, 2.5, 1.25, 1.4))
    units = (Unit("block2", 2.0, 1.0), Unit("block0", 0.5, 0.25))
    trade = Trade("cpu", "Length", "mm", ("it was 3 mm",), 0.9, units, steps, ("block2", "block0"), 24, 5)
    with pytest.raises(typer.Exit), boundary():
        raise ParityError(["int8 for cpu: it was 3 mm"], (), trades=(trade,))
    told = capsys.readouterr().err
    assert "INT8 for cpu: 2 of 2 units stay in FP32 (block2, block0), because with all of them in INT8 it was 3" in told
    assert "1 of 2 units in FP32: 95 % of |Δ Length| of one member 2.5 mm, 1.40 x the CPU time of full INT8" in told
    assert "The bundle is not written" in told
