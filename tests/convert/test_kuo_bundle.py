"""From published files and the hospital's crops to a bundle that says what it is, or to one sentence."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from typer.testing import CliRunner

from convert.answers import Answers
from convert.commands import kuo2019
from convert.egfr_heads import EGFR_HEADS
from convert.kuo.build import KuoPlan, build_kuo
from convert.kuo.facts import PUBLISHED
from convert.kuo.layout import Layout
from convert.kuo.polarity import Polarity, check, examine
from convert.kuo.source import Request, read_source
from convert.progress import silent
from engines._onnxruntime_session import OnnxSession
from engines.bundle import load_golden, open_bundle
from engines.errors import UsageError
from engines.reading import Reader
from engines.values import interval

from .kuo_makers import write_crops, write_models

SMALL = Layout(layers=(1, 1, 1, 1), width=8, classes=50, hidden=(32, 16), size=64)
ARTIFACTS = (("fp32", "any"), ("fp16", "any"))
EVERY = (*ARTIFACTS, ("int8", "cpu"), ("int8", "tensorrt"))
CROPS = 260


@dataclass(frozen=True)
class Material:
    models: Path
    plain: Path
    labelled: Path
    crops: np.ndarray

    def plan(self, bundle: Path, crops: Path | None = None) -> KuoPlan:
        return KuoPlan(self.models, crops or self.plain, bundle, artifacts=ARTIFACTS, layout=SMALL)


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("kuo")
    crops = write_crops(root / "plain", CROPS, SMALL.size)
    write_crops(root / "labelled", CROPS, SMALL.size, labels=True)
    write_models(root / "models", SMALL, crops[:60], 2)
    return Material(root / "models", root / "plain", root / "labelled", crops)


@pytest.fixture(scope="module")
def bundle(material: Material, tmp_path_factory: pytest.TempPathFactory):
    target = tmp_path_factory.mktemp("out") / "kuo"
    build_kuo(material.plan(target))
    return open_bundle(target)


def refused(plan: KuoPlan) -> str:
    with pytest.raises(UsageError) as caught:
        build_kuo(plan)
    left = [path.name for path in plan.bundle.parent.iterdir() if path.name.startswith((".", plan.bundle.name))]
    assert left == []
    return caught.value.sentence


def test_the_bundle_is_real_and_carries_the_published_interval(bundle) -> None:
    manifest = bundle.manifest
    assert not manifest.synthetic and manifest.members == 2
    assert manifest.egfr is not None and manifest.egfr.interval == PUBLISHED
    assert "not local" in manifest.egfr.interval.basis
    assert not any("SYNTHETIC" in text for text in (manifest.title, *manifest.limits, manifest.training.data))
    assert all("SYNTHETIC" not in bundle.file(name).read_text() for name in ("card.md", "report.html"))
    assert [row.passed for row in manifest.parity] == [True, True]


def test_the_app_reads_with_it(bundle, material: Material) -> None:
    with OnnxSession(bundle, bundle.artifact("fp16", "any")) as session:
        reading = Reader(bundle, session).read(material.crops[3])
    egfr, below = reading.egfr, reading.egfr_below_60
    assert egfr is not None and below is not None and not reading.synthetic
    assert len(egfr.members) == 2 and egfr.map is not None and below.map is None
    assert (egfr.low, egfr.high) == interval(PUBLISHED, float(np.mean(egfr.members)), 0.0)


def test_the_report_names_files_polarity_and_parity(bundle) -> None:
    report = json.loads(bundle.file("report.json").read_text())
    assert list(report["source"]) == ["model_0.pkl", "xgb_0.json", "model_1.pkl", "xgb_1.json"]
    polarity = report["observations"]["polarity"]
    assert polarity["mean"] < -0.3 and len(polarity["members"]) == 2
    assert list(report["observations"]) == ["polarity"]  # no label, so nothing is said of the error here
    assert not report["crops"]["parity_on_crops_that_calibrated"] and len(report["crops"]["sha256"]) == 64
    egfr, below = report["parity"][1]["heads"]
    assert (report["parity"][1]["crops"], egfr["head"], below["auc"]) == (52, "egfr", None)
    page, card = (bundle.file(name).read_text() for name in ("report.html", "card.md"))
    assert "Do the trees speak of the right side?" in page and f"{polarity['mean']:+.3f}" in page
    assert "Not measured here for eGFR and P(eGFR &lt; 60)" in page
    assert "not local" in card and "Published: r 0.74" in card


def test_labels_give_a_local_interval(material: Material, tmp_path: Path) -> None:
    plan = replace(material.plan(tmp_path / "b", material.labelled), artifacts=(("fp32", "any"),))
    plan = replace(plan, crop_mode="legacy_tight", members=1)
    manifest = build_kuo(plan)
    assert manifest.egfr is not None and manifest.egfr.interval is not None
    assert manifest.egfr.interval.patients == CROPS // 2
    assert "130 local patients" in manifest.egfr.interval.basis
    assert manifest.input.crop_mode == "legacy_tight"
    assert manifest.parity[0].heads[1].auc is not None
    card = (tmp_path / "b" / "card.md").read_text()
    assert "Image-derived eGFR: 130 patients, one crop each: r" in card
    assert "with eGFR &lt; 60: AUC" not in card and "with eGFR < 60: AUC" in card


def test_trees_of_the_other_side_are_refused_with_the_flag_that_flips_them(material: Material, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    plan = replace(material.plan(tmp_path / "out" / "b"), flip_polarity=True)
    assert "leave --flip-polarity out" in refused(plan)
    with pytest.raises(UsageError, match="add --flip-polarity"):
        check(Polarity(64, 0.5, (0.5, 0.5)), flipped=False)


def test_flipped_trees_answer_one_minus_p(material: Material, run_onnx) -> None:
    from convert.graph.ensemble import write_graph

    answers = []
    for flip in (False, True):
        request = Request(material.models, None, flip, SMALL)
        model = write_graph(read_source(request, silent).ensemble)
        answers.append(run_onnx(model, material.crops[:20])["p_egfr_below_60_members"])
    assert np.abs(answers[0] + answers[1] - 1).max() < 1e-6


def test_trees_of_another_member_are_noticed() -> None:
    with pytest.raises(UsageError, match=r"xgb_1 \(r = \+0\.10\)"):
        check(Polarity(64, -0.4, (-0.8, 0.1)), flipped=False)
    with pytest.raises(UsageError, match="constant"):
        check(Polarity(64, float("nan"), (float("nan"),)), flipped=False)


def test_the_polarity_is_told_from_answers_that_are_there_already() -> None:
    egfr = np.linspace(10, 100, 30, dtype=np.float32)[:, None]
    outputs = {"egfr_members": egfr, "p_egfr_below_60_members": 1 - egfr / 110}
    found = examine(Answers(EGFR_HEADS, outputs), flipped=False)
    assert found.key == "polarity" and "-1.000" in found.finding
    with pytest.raises(UsageError, match="add --flip-polarity"):
        examine(Answers(EGFR_HEADS, {**outputs, "p_egfr_below_60_members": egfr / 110}), flipped=False)


def test_too_few_crops_are_refused(material: Material, tmp_path: Path) -> None:
    few = tmp_path / "few"
    few.mkdir()
    for path in sorted(material.plain.glob("*.png"))[:199]:
        shutil.copy(path, few)
    (tmp_path / "out").mkdir()
    assert "it holds 199 and at least 200" in refused(material.plan(tmp_path / "out" / "b", few))


def test_labels_of_the_phantom_are_not_read_and_the_bundle_says_so(material: Material, tmp_path: Path) -> None:
    crops = Path(shutil.copytree(material.labelled, tmp_path / "crops"))
    (crops / "dataset.json").write_text('{"synthetic": true}')
    plan = replace(material.plan(tmp_path / "b", crops), artifacts=(("fp32", "any"),), members=1)
    manifest = build_kuo(plan)
    assert manifest.egfr is not None and manifest.egfr.interval == PUBLISHED
    assert "SYNTHETIC crops of the phantom" in manifest.limits[0]


def test_cancelling_leaves_nothing(material: Material, tmp_path: Path) -> None:
    def cancel(stage: str, done: int, total: int) -> None:
        if stage.startswith("running fp16"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_kuo(material.plan(tmp_path / "b"), cancel)
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_what_is_wrong_in_one_sentence(material: Material, tmp_path: Path) -> None:
    app = typer.Typer()
    kuo2019.register(app)
    arguments = [str(material.models), "--crops", str(material.plain), "--out", str(tmp_path / "b")]
    done = CliRunner().invoke(app, arguments, env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"})
    assert done.exit_code == 2
    assert "lacks module.base_model.layer1.1.conv1.weight" in done.stderr  # the real command wants the full network
    assert "Traceback" not in done.stderr and not (tmp_path / "b").exists()
    assert CliRunner().invoke(app, [*arguments, "--without", "int4"]).exit_code == 2


@pytest.fixture(scope="module")
def every(material: Material, tmp_path_factory: pytest.TempPathFactory):
    """All four artifacts; random networks of this size need some of their blocks in float."""
    target = tmp_path_factory.mktemp("every") / "kuo"
    build_kuo(replace(material.plan(target), artifacts=EVERY))
    return open_bundle(target)


def test_all_precisions_are_proven_and_nothing_else_is_left_on_the_disk(every) -> None:
    rows = [(row.precision, row.family, row.passed) for row in every.manifest.parity]
    assert rows == [(precision, family, True) for precision, family in EVERY]
    assert [path.name for path in every.path.parent.iterdir()] == ["kuo"]
    passed = {row.family: row.heads[0] for row in every.manifest.parity if row.precision == "int8"}
    assert all(0 < head.p95 <= 1.0 and head.map_correlation >= 0.98 for head in passed.values())


def test_the_reference_of_every_precision_comes_from_one_pass(every, material: Material) -> None:
    """The answers that were kept from the pass of the ranges are those of the file."""
    golden = load_golden(every)
    with OnnxSession(every, every.artifact("fp32", "any")) as session:
        found = session.infer(golden.crops)
    for name, wanted in golden.outputs.items():
        assert np.abs(found[name] - wanted).max() < 2e-3, name


def test_members_left_apart_answer_as_the_fused_model_does(bundle, material: Material, tmp_path: Path) -> None:
    plan = replace(material.plan(tmp_path / "b"), separate_members=True)
    manifest = build_kuo(plan)
    names = [f"{precision}-member{index:02d}.onnx" for precision in ("fp32", "fp16") for index in (0, 1)]
    assert [item.file for item in manifest.artifacts] == names
    assert [item.member for item in manifest.artifacts] == [0, 1, 0, 1]
    assert manifest.training.reproduce.endswith("--separate-members")
    apart, crops = open_bundle(tmp_path / "b"), material.crops[:6]
    with OnnxSession(apart, apart.artifacts("fp16", "any")) as session:
        joined = session.infer(crops)
    with OnnxSession(bundle, bundle.artifact("fp16", "any")) as session:
        fused = session.infer(crops)
    for name, values in fused.items():
        assert np.abs(values - joined[name]).max() < 1e-4, name


def test_the_polarity_is_judged_before_any_artifact_is_written(material: Material, tmp_path: Path) -> None:
    stages: list[str] = []
    plan = replace(material.plan(tmp_path / "b"), flip_polarity=True)
    with pytest.raises(UsageError, match="leave --flip-polarity out"):
        build_kuo(plan, lambda stage, done, total: stages.append(stage))
    assert "running fp32, member 1" in stages
    assert not any(stage.startswith(("making", "writing")) for stage in stages)
    assert list(tmp_path.iterdir()) == []
